"""Batches from the columns that a test is about; the rest is filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ior import syscalls
from ior.calls import (
    CALLS,
    DERIVED,
    HALVES,
    NONE_NS,
    RESTART_CODES,
    Array,
    Batch,
    Column,
    Flag,
    Origin,
    Schema,
)
from ior.names import Names

ORIGIN = Origin("x86_64", 1_700_000_000_000_000_000)
"""The host that built batches come from."""

_START_NS = 1_000_000_000


def calls(
    *, rows: int | None = None, names: Names | None = None, origin: Origin = ORIGIN, **columns: Any
) -> Batch:
    """Return a batch of calls.

    A column is a list, an array, or one value for all rows; text is given as str, syscalls
    as names or numbers. `rows` says how many where no column does. Without more, a call is
    a `read` of 0 bytes by thread 100 that took 1 µs, one every 10 µs; `errno`, `is_error`
    and `bytes` follow from `ret`. Raises TypeError for a column that calls do not have.
    """
    made = _Columns(CALLS, rows, names or Names(), origin, columns)
    number = np.arange(made.rows)
    made.fill(seq=number, time_ns=_START_NS + number * 10_000, gap_ns=NONE_NS, latency_ns=1000)
    made.fill(comm="test", pid=100, syscall="read", fd=3, ret=0, fd2=-1)
    ret = made["ret"]
    failed = (ret < 0) & (ret >= -4095) & ~np.isin(ret, RESTART_CODES)
    made.fill(tid=made["pid"], errno=np.where(failed, -ret, 0))
    made.fill(is_error=made["errno"] != 0, bytes=np.maximum(ret, 0))
    return made.batch()


def halves(
    *, rows: int | None = None, names: Names | None = None, origin: Origin = ORIGIN, **columns: Any
) -> Batch:
    """Return a batch of halves; see `calls`. `nr` may be given as names.

    Without `flags` every record has both sides. The times of a side that `flags` leaves
    out are 0.
    """
    made = _Columns(HALVES, rows, names or Names(), origin, columns)
    number = np.arange(made.rows)
    made.fill(flags=int(Flag.ENTER | Flag.EXIT))
    enters, exits = made["flags"] & Flag.ENTER != 0, made["flags"] & Flag.EXIT != 0
    begin = _START_NS + number * 10_000
    made.fill(enter_ns=np.where(enters, begin, 0))
    after = np.where(enters, made["enter_ns"], begin) + 1000
    made.fill(exit_ns=np.where(exits, after, 0), ret=0, comm="test", pid=100, nr="read")
    made.fill(tid=made["pid"], fd=3, fd2=-1)
    return made.batch()


class _Columns:
    """Columns of one schema that are being filled in."""

    def __init__(
        self,
        schema: Schema,
        rows: int | None,
        names: Names,
        origin: Origin,
        given: Mapping[str, Any],
    ) -> None:
        unknown = given.keys() - set(schema.names)
        if unknown:
            raise TypeError(f"{schema.name} have no column {sorted(unknown)[0]}")
        self._schema, self._names, self._origin = schema, names, origin
        sizes = {len(v) for v in given.values() if not isinstance(v, str) and hasattr(v, "__len__")}
        if rows is not None:
            sizes.add(rows)
        if len(sizes) > 1:
            raise TypeError(f"columns of different lengths: {sorted(sizes)}")
        self.rows = sizes.pop() if sizes else 1
        self._made: dict[str, Array] = {}
        self.fill(**given)

    def __getitem__(self, name: str) -> Array:
        return self._made[name].astype(np.int64)

    def fill(self, **columns: Any) -> None:
        """Set those of the columns that are not set yet."""
        for column in self._schema.columns:
            if column.name in columns and column.name not in self._made:
                self._made[column.name] = self._array(column, columns[column.name])

    def _array(self, column: Column, values: Any) -> Array:
        if column.kind == "text":
            values = self._coded(values, self._names.intern)
        elif column.kind == "syscall":
            values = self._coded(values, lambda name: _number(self._origin.arch, name))
        shape = (self.rows, 5) if column.kind == "words" else (self.rows,)
        array = np.asarray(values)
        if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
            array = array.astype(column.dtype)
        return np.broadcast_to(array, shape).astype(column.dtype, copy=True)

    @staticmethod
    def _coded(values: Any, code: Any) -> Any:
        if isinstance(values, str):
            return code(values)
        return [code(v) if isinstance(v, str) else v for v in values] if _many(values) else values

    def batch(self) -> Batch:
        """Return the batch; what is still missing and does not follow is empty, or 0."""
        for column in self._schema.columns:
            if column.name not in DERIVED:
                self.fill(**{column.name: 0})
        return Batch(self._schema, self._made, self._names, self._origin)


def _many(values: Any) -> bool:
    return hasattr(values, "__len__")


def _number(arch: str, name: str) -> int:
    number = syscalls.table(arch).nr(name)
    if number < 0:
        raise ValueError(f"no syscall '{name}' on {arch}")
    return number
