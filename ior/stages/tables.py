"""Rows of sums by key: what `stats` keeps for each syscall, file and process.

Keys become row numbers once (`KeyIndex`), after which a batch is added with a handful of
array operations. All sums are int64 and exact; nothing passes through floating point.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ior import syscalls
from ior.calls import RAW, Batch, Column, Origin, Schema, decoder
from ior.errors import SpecError
from ior.findings import Code, choice
from ior.histogram import Histograms, bucket_of
from ior.names import Names
from ior.snapshots import QUANTILES, VALUES, Field, Table
from ior.stages.groups import Groups
from ior.stages.keys import KeyIndex, Numbers

Array = npt.NDArray[Any]

REST, KEYLESS, FIRST = 0, 1, 2  # row numbers: all keys beyond `max_keys`; no key; the keys
OTHER = "(other)"
_ONE = np.int64(1)  # a typed scalar: ufunc.at is fifty times slower with a Python int
_NEVER = np.iinfo(np.int64).max


class Sample:
    """What every table needs of one batch, computed once.

    A row counts once (`calls` and `errors` are 1), or if the batch is the keys of groups, as
    often as they have calls; then `groups` is not None.
    """

    groups: Groups | None = None

    def __init__(self, batch: Batch) -> None:
        latency = batch["latency_ns"]
        self.calls: Any = _ONE  # of each row
        self.failed = np.flatnonzero(batch["is_error"])
        self.errors: Any = _ONE  # of each of `failed`
        self.bytes, self.gap = batch["bytes"], np.maximum(batch["gap_ns"], 0)  # -1 is none
        untimed = np.flatnonzero(latency < 0)  # calls that never return
        self.untimed: tuple[Array, Any] = (untimed, _ONE)  # rows, and how many calls of each
        self.timed = np.flatnonzero(latency >= 0) if len(untimed) else None
        self.latency = latency if self.timed is None else latency[self.timed]
        self.bounds = (self.latency, self.latency)  # least and greatest of each timed row
        self.buckets = bucket_of(self.latency)

    @classmethod
    def of(cls, groups: Groups) -> Sample:
        """Return what the calls of groups are, which are the rows of `groups.keys`."""
        self = cls.__new__(cls)
        self.groups, self.calls = groups, groups["calls"]
        self.failed = np.flatnonzero(groups.keys["is_error"])
        self.errors = self.calls[self.failed]
        self.bytes, self.gap = groups["bytes"], groups["gap_ns"]
        untimed = self.calls - groups["timed"]
        rows = np.flatnonzero(untimed)
        self.untimed = rows, untimed[rows]
        self.timed = np.flatnonzero(groups["timed"])
        self.latency = groups["latency_ns"][self.timed]
        self.bounds = groups.bounds[0][self.timed], groups.bounds[1][self.timed]
        self.buckets = groups.latency.buckets.astype(np.intp)
        return self


class Keys(ABC):
    """Turns one column's values into row numbers; the first `max_keys` keys get a row.

    A key met when the table is full counts in `REST`, then and later. Subclasses say what
    the key is.
    """

    columns: ClassVar[tuple[str, ...]]  # that make the key
    fields: ClassVar[tuple[Field, ...]]
    other: ClassVar[tuple[Any, ...]] = (OTHER,)
    none: ClassVar[tuple[Any, ...]] = ("-",)

    def __init__(self, max_keys: int) -> None:
        self._max = max_keys
        self._index = KeyIndex()
        self._row_of: dict[Any, int] = {}

    @property
    def used(self) -> int:
        """One past the greatest row number given."""
        return len(self._row_of) + FIRST

    def _row(self, key: Any) -> int:
        row = self._row_of.get(key)
        if row is None:
            if len(self._row_of) >= self._max:
                return REST
            row = self._row_of[key] = len(self._row_of) + FIRST
        return row

    @abstractmethod
    def rows(self, batch: Batch) -> Numbers:
        """Return the row number of each call of `batch`."""

    def labels(self) -> list[tuple[Any, ...]]:
        """Return the key columns of rows FIRST to `used`."""
        return [(key,) for key in self._row_of]


class BySyscall(Keys):
    """One row a syscall, by its user-visible name."""

    columns = ("syscall",)
    fields = (Field("syscall", "text"),)
    _arch = ""

    def rows(self, batch: Batch) -> Numbers:
        """Return the row number of each call of `batch`."""
        if batch.origin.arch != self._arch:
            self._arch = batch.origin.arch
            self._index.clear()
        column, name = batch["syscall"], syscalls.table(self._arch).name
        return self._index.resolve(
            column.astype(np.uint64),
            lambda new: [self._row(name(nr)) for nr in column[new].tolist()],
        )


class ByFile(Keys):
    """One row a text of `file`, whatever the file's state; calls without a file are keyless."""

    columns = ("file",)
    fields = (Field("file", "text"),)
    _names: Names | None = None

    def rows(self, batch: Batch) -> Numbers:
        """Return the row number of each call of `batch`."""
        names, column = batch.names, batch["file"]
        if names is not self._names:
            self._names = names
            self._index.clear()

        def make(new: Array) -> list[int]:
            texts = names.texts(column[new].tolist())
            return [self._row(text) if text else KEYLESS for text in texts]

        return self._index.resolve(column.astype(np.uint64), make)


class ByProcess(Keys):
    """One row a pid, with the command name of its latest call."""

    columns = ("pid", "comm")
    fields = (Field("pid", "int"), Field("comm", "text"))
    other = (None, OTHER)
    none = (None, "-")

    def __init__(self, max_keys: int) -> None:
        super().__init__(max_keys)
        self._names: Names | None = None
        self._comms: list[str] = []  # by row, as it was when `_names` began
        self._codes = np.zeros(0, np.int64)  # by row: the latest code of `_names`, -1 for none

    def rows(self, batch: Batch) -> Numbers:
        """Return the row number of each call of `batch`."""
        column = batch["pid"]
        rows = self._index.resolve(
            column.astype(np.uint64), lambda new: [self._row(pid) for pid in column[new].tolist()]
        )
        if batch.names is not self._names:
            self._comms = self._latest()
            self._names = batch.names
            self._codes.fill(-1)
        if self.used > len(self._codes):
            added = max(self.used, 64)
            self._codes = np.concatenate([self._codes, np.full(added, -1, np.int64)])
        self._codes[rows] = batch["comm"]  # of a row that occurs often the last is kept
        return rows

    def _latest(self) -> list[str]:
        comms = self._comms + [""] * (len(self._codes) - len(self._comms))
        if self._names is not None:
            for row in np.flatnonzero(self._codes >= 0).tolist():
                comms[row] = self._names.text(int(self._codes[row]))
        return comms

    def labels(self) -> list[tuple[Any, ...]]:
        """Return the key columns of rows FIRST to `used`."""
        return list(zip(self._row_of, self._latest()[FIRST : self.used], strict=True))


class ByColumn(Keys):
    """One row a value of any column: its text where it has one; empty ones are keyless."""

    def __init__(self, max_keys: int, name: str) -> None:
        super().__init__(max_keys)
        self._name = name
        self.columns = (name,)  # type: ignore[misc]  # each has its own
        self.fields = (Field(name, "text"),)  # type: ignore[misc]  # each has its own
        self._scope: tuple[Names, Origin] | None = None

    def rows(self, batch: Batch) -> Numbers:
        """Return the row number of each call of `batch`."""
        column, values = batch.column(self._name), batch[self._name]
        scope = self._scope
        if scope is None or batch.names is not scope[0] or batch.origin != scope[1]:
            self._scope = batch.names, batch.origin
            self._index.clear()
        decode = decoder(column.kind, batch)
        assert decode is not None

        def make(new: Array) -> list[int]:
            found = values[new].tolist()
            return [KEYLESS if v == column.empty else self._row(decode(v)) for v in found]

        return self._index.resolve(values.astype(np.uint64), make)


class KeyedTable:
    """Calls, errors, bytes and latencies by key."""

    def __init__(self, title: str, keys: Keys) -> None:
        self._title, self._keys = title, keys
        self._histograms = Histograms()
        self._sums = np.zeros((5, 0), np.int64)
        self._bounds = np.zeros((2, 0), np.int64)
        self._quantiles = np.zeros((0, len(QUANTILES)), np.int64)
        self._fresh = np.zeros(0, np.int64)  # calls when `_quantiles` were computed
        self._grow(64)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that make the key."""
        return self._keys.columns

    def _grow(self, rows: int) -> None:
        added = rows - self._sums.shape[1]
        bounds = np.repeat(np.array([[_NEVER], [-1]], np.int64), added, axis=1)
        self._sums = np.hstack([self._sums, np.zeros((5, added), np.int64)])
        self._bounds = np.hstack([self._bounds, bounds])
        self._quantiles = np.vstack([self._quantiles, np.zeros((added, len(QUANTILES)), np.int64)])
        self._fresh = np.concatenate([self._fresh, np.zeros(added, np.int64)])

    def add(self, batch: Batch, sample: Sample) -> None:
        """Count the calls of `batch`."""
        rows = self._rows(batch, sample.groups)
        if self._keys.used > self._sums.shape[1]:
            self._grow(max(self._keys.used, 2 * self._sums.shape[1]))
        calls, errors, size, total, untimed = self._sums
        np.add.at(calls, rows, sample.calls)
        np.add.at(errors, rows[sample.failed], sample.errors)
        np.add.at(size, rows, sample.bytes)
        if sample.groups is not None:
            spread = sample.groups.latency
            self._histograms.add(rows[spread.groups], sample.buckets, spread.counts)
        if sample.timed is not None:
            np.add.at(untimed, rows[sample.untimed[0]], sample.untimed[1])
            rows = rows[sample.timed]
        np.add.at(total, rows, sample.latency)
        np.minimum.at(self._bounds[0], rows, sample.bounds[0])
        np.maximum.at(self._bounds[1], rows, sample.bounds[1])
        if sample.groups is None:
            self._histograms.add(rows, sample.buckets)

    def _rows(self, batch: Batch, groups: Groups | None) -> Numbers:
        """Return the row number of each row of `batch`; what groups have forgotten is REST."""
        unknown = None if groups is None else groups.unknown(self._keys.columns)
        if unknown is None:
            return self._keys.rows(batch)
        rows = np.full(len(batch), REST, np.intp)
        known = np.flatnonzero(~unknown)
        if len(known):
            rows[known] = self._keys.rows(batch.select(known))
        return rows

    def _values(self, rows: Array) -> list[tuple[Any, ...]]:
        """Return `VALUES` of some rows; durations are None where no call has a latency."""
        calls, errors, size, total, untimed = self._sums[:, rows]
        stale = rows[self._fresh[rows] != calls]
        self._quantiles[stale] = self._histograms.quantiles(stale, QUANTILES)
        self._fresh[stale] = self._sums[0, stale]
        timed = calls - untimed
        least, greatest = self._bounds[:, rows]
        quantiles = np.clip(self._quantiles[rows].T, least, greatest)
        columns = [least, total // np.maximum(timed, 1), *quantiles, greatest]
        cells: list[Sequence[Any]] = [column.tolist() for column in columns]
        if not timed.all():
            empty = (timed == 0).tolist()
            cells = [[None if e else v for e, v in zip(empty, c, strict=True)] for c in cells]
        return list(
            zip(calls.tolist(), errors.tolist(), size.tolist(), total.tolist(), *cells, strict=True)
        )

    def table(self) -> Table:
        """Return the rows by calls, most first; equal ones in order of first appearance."""
        rows = np.arange(FIRST, self._keys.used)
        order = np.argsort(-self._sums[0, rows], kind="stable")
        labels = self._keys.labels()
        values = self._values(rows[order])
        shown = [labels[i] + value for i, value in zip(order.tolist(), values, strict=True)]
        fields = self._keys.fields + VALUES
        return Table(self._title, fields, tuple(shown), self._single(REST, self._keys.other))

    def keyless(self) -> tuple[Any, ...] | None:
        """Return the sums of the calls without a key as a row, None when there are none."""
        return self._single(KEYLESS, self._keys.none)

    def _single(self, row: int, label: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if not self._sums[0, row]:
            return None
        return label + self._values(np.array([row]))[0]


_TABLES: dict[str, tuple[str, type[Keys]]] = {
    "syscall": ("Syscalls", BySyscall),
    "file": ("Files", ByFile),
    "process": ("Processes", ByProcess),
}


def keyed(name: str, max_keys: int) -> tuple[str, Keys]:
    """Return the title and the keys of a table: by process, or by any column."""
    if name in _TABLES:
        title, keys = _TABLES[name]
        return title, keys(max_keys)
    return f"By {name}", ByColumn(max_keys, name)


def check_key(name: str, arriving: Schema) -> None:
    """Raise SpecError if rows of `arriving` cannot be counted by `name`."""
    needed = {"process": ("pid", "comm")}.get(name, (name,))
    by_name = {column.name: column for column in arriving.columns}
    if lacking := [column for column in needed if column not in by_name]:
        keys = sorted({*_KEYS, *(c.name for c in arriving.columns if countable(c))})
        message, hint = f"no column '{lacking[0]}' arrives", choice(lacking[0], keys)
        raise SpecError(message, code=Code.COLUMN, hint=hint, keys=("by",))
    if not all(countable(by_name[column]) for column in needed):
        message = f"nothing can be counted by '{name}', which is neither text nor a whole number"
        raise SpecError(message, keys=("by",))


_KEYS = ("process",)


def countable(column: Column) -> bool:
    """Return whether rows can be grouped by a column: one whole number or text a row."""
    return column.kind not in RAW and column.dtype[0] in "iu?"
