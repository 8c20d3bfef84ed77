"""Rows of sums by key: what `stats` keeps for each syscall, file and process.

Keys become row numbers once (`KeyIndex`), after which a batch is added with a handful of
array operations. All sums are int64 and exact; nothing passes through floating point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from ior import syscalls
from ior.calls import Batch
from ior.histogram import Histograms, bucket_of
from ior.snapshots import QUANTILES, VALUES, Table
from ior.stages.by import FIRST, KEYLESS, REST, Keys
from ior.stages.groups import Groups
from ior.stages.keys import Numbers

Array = npt.NDArray[Any]
T = TypeVar("T")

_ONE = np.int64(1)  # a typed scalar: ufunc.at is fifty times slower with a Python int
_NEVER = np.iinfo(np.int64).max


class Detail(msgspec.Struct, frozen=True, eq=False):
    """What is behind the rows of a table, that of what has no row of its own last.

    `read` and `written` are bytes by row, None where they are not known; a call that transfers
    counts in both. The latencies of row i are those of histogram `numbers[i]`. Nothing in it
    changes.
    """

    read: Sequence[int | None]
    written: Sequence[int | None]
    numbers: Array
    histograms: Histograms

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Detail):
            return NotImplemented
        same = (list(self.read), list(self.written)) == (list(other.read), list(other.written))
        return same and all(map(np.array_equal, self._cells(), other._cells()))

    def __hash__(self) -> int:
        return hash((tuple(self.read), tuple(self.written)))

    def _cells(self) -> tuple[Array, Array, Array]:
        rows = len(self.numbers)
        return self.histograms.merged(self.numbers, np.arange(rows), rows).cells()


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
        self.gap = np.maximum(batch["gap_ns"], 0)  # -1 is none
        self.moved = _moved(batch, batch["bytes"])
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
        self.gap = groups["gap_ns"]
        self.moved = _moved(groups.keys, groups["bytes"])
        untimed = self.calls - groups["timed"]
        rows = np.flatnonzero(untimed)
        self.untimed = rows, untimed[rows]
        self.timed = np.flatnonzero(groups["timed"])
        self.latency = groups["latency_ns"][self.timed]
        self.bounds = groups.bounds[0][self.timed], groups.bounds[1][self.timed]
        self.buckets = groups.latency.buckets.astype(np.intp)
        return self


def _moved(batch: Batch, size: Array) -> tuple[tuple[Array, Array], ...]:
    """Return the rows that read and those that write, with their bytes.

    A third pair is what makes both together the bytes moved: less for rows that do both, more
    for those that do neither.
    """
    nr, some = batch["syscall"], size != 0
    reads, writes = (direction[nr] for direction in _directions(batch.origin.arch))
    rows = [np.flatnonzero(mask & some) for mask in (reads, writes, reads == writes)]
    apart = rows[2]
    sizes = [size[rows[0]], size[rows[1]], np.where(reads[apart], -size[apart], size[apart])]
    return tuple(zip(rows, sizes, strict=True))


_DIRECTIONS: dict[str, tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]] = {}


def _directions(arch: str) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return whether a syscall's bytes are read, and whether written, by number."""
    found = _DIRECTIONS.get(arch)
    if found is None:
        reads, writes = np.zeros((2, syscalls.NR_LIMIT), np.bool_)
        for nr, call in syscalls.table(arch).by_nr.items():
            reads[nr] = call.byte_class in ("read", "transfer")
            writes[nr] = call.byte_class in ("write", "transfer")
        found = _DIRECTIONS[arch] = (reads, writes)
    return found


_CALLS, _ERRORS, _READ, _WRITTEN, _APART, _TOTAL, _UNTIMED = range(7)  # rows of the sums


class KeyedTable:
    """Calls, errors, bytes and latencies by key."""

    def __init__(self, title: str, keys: Keys) -> None:
        self._title, self._keys = title, keys
        self._histograms = Histograms()
        self._sums = np.zeros((_UNTIMED + 1, 0), np.int64)
        self._bounds = np.zeros((2, 0), np.int64)
        self._quantiles = _Quantiles()
        self._grow(64)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that make the key."""
        return self._keys.columns

    def _grow(self, rows: int) -> None:
        added = rows - self._sums.shape[1]
        bounds = np.repeat(np.array([[_NEVER], [-1]], np.int64), added, axis=1)
        self._sums = np.hstack([self._sums, np.zeros((_UNTIMED + 1, added), np.int64)])
        self._bounds = np.hstack([self._bounds, bounds])

    def add(self, batch: Batch, sample: Sample) -> None:
        """Count the calls of `batch`."""
        rows = self._rows(batch, sample.groups)
        if self._keys.used > self._sums.shape[1]:
            self._grow(max(self._keys.used, 2 * self._sums.shape[1]))
        order = None if sample.groups is None else sample.groups.by_last
        self._keys.note(batch, rows, order)
        sums = self._sums
        np.add.at(sums[_CALLS], rows, sample.calls)
        np.add.at(sums[_ERRORS], rows[sample.failed], sample.errors)
        for way, (moving, size) in zip((_READ, _WRITTEN, _APART), sample.moved, strict=True):
            np.add.at(sums[way], rows[moving], size)
        if sample.groups is not None:
            spread = sample.groups.latency
            self._histograms.add(rows[spread.groups], sample.buckets, spread.counts)
        if sample.timed is not None:
            np.add.at(sums[_UNTIMED], rows[sample.untimed[0]], sample.untimed[1])
            rows = rows[sample.timed]
        np.add.at(sums[_TOTAL], rows, sample.latency)
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

    @property
    def keys(self) -> Keys:
        """What the rows go by."""
        return self._keys

    def snapshot(self) -> TableSnapshot:
        """Return the table as it is now."""
        used = self._keys.used
        return TableSnapshot(
            self._title,
            self._keys,
            self._sums[:, :used].copy(),
            self._bounds[:, :used].copy(),
            self._histograms.copy(),
            self._quantiles,
        )


class TableSnapshot:
    """A table as it was at one moment; what nobody asks for is not made."""

    def __init__(  # noqa: PLR0917 (the parts of one thing)
        self,
        title: str,
        keys: Keys,
        sums: Array,
        bounds: Array,
        histograms: Histograms,
        quantiles: _Quantiles,
    ) -> None:
        self._title, self._keys, self._labels = title, keys, keys.labels()
        self._sums, self._bounds = sums, bounds
        self._histograms, self._quantiles = histograms, quantiles

    @cached_property
    def _order(self) -> Array:
        """The rows by calls, most first; equal ones in order of first appearance."""
        rows = np.arange(FIRST, self._sums.shape[1])
        return rows[np.argsort(-self._sums[_CALLS, rows], kind="stable")]

    @cached_property
    def table(self) -> Table:
        """The rows by calls, most first; equal ones in order of first appearance."""
        rows, labels = self._order, self._labels()
        values = self._values(rows)
        shown = [labels[i - FIRST] + value for i, value in zip(rows.tolist(), values, strict=True)]
        fields = self._keys.fields + VALUES
        return Table(self._title, fields, tuple(shown), self._single(REST, self._keys.other))

    @cached_property
    def detail(self) -> Detail:
        """What is behind the rows of the table."""
        rows = np.append(self._order, REST)
        read, written = self._sums[_READ, rows].tolist(), self._sums[_WRITTEN, rows].tolist()
        return Detail(read, written, rows, self._histograms)

    def keyless(self) -> tuple[Any, ...] | None:
        """Return the sums of the calls without a key as a row, None when there are none."""
        return self._single(KEYLESS, self._keys.none)

    def _single(self, row: int, label: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if not self._sums[_CALLS, row]:
            return None
        return label + self._values(np.array([row]))[0]

    def _values(self, rows: Array) -> list[tuple[Any, ...]]:
        """Return `VALUES` of some rows; durations are None where no call has a latency."""
        calls, errors, read, written, apart, total, untimed = self._sums[:, rows]
        size = read + written + apart
        timed = calls - untimed
        least, greatest = self._bounds[:, rows]
        found = self._quantiles.of(rows, calls, self._histograms)
        quantiles = np.clip(found.T, least, greatest)
        columns = [least, total // np.maximum(timed, 1), *quantiles, greatest]
        cells: list[Sequence[Any]] = [column.tolist() for column in columns]
        if not timed.all():
            empty = (timed == 0).tolist()
            cells = [[None if e else v for e, v in zip(empty, c, strict=True)] for c in cells]
        return list(
            zip(calls.tolist(), errors.tolist(), size.tolist(), total.tolist(), *cells, strict=True)
        )


class _Quantiles:
    """Quantiles by row, which are computed again where a row has had other calls since."""

    def __init__(self) -> None:
        self._values = np.zeros((0, len(QUANTILES)), np.int64)
        self._calls = np.zeros(0, np.int64)  # when `_values` were computed

    def of(self, rows: Array, calls: Array, histograms: Histograms) -> Array:
        """Return `QUANTILES` of rows that have had so many calls, shape (rows, quantiles)."""
        if len(rows) and rows.max() >= len(self._calls):
            size = 2 * int(rows.max()) + 1
            added = size - len(self._calls)
            self._values = np.vstack([self._values, np.zeros((added, len(QUANTILES)), np.int64)])
            self._calls = np.append(self._calls, np.zeros(added, np.int64))
        stale = self._calls[rows] != calls
        self._values[rows[stale]] = histograms.quantiles(rows[stale], QUANTILES)
        self._calls[rows] = calls
        return self._values[rows]


class Views(Mapping[str, T]):
    """What tables show, by name; it is made when it is asked for."""

    def __init__(
        self, tables: Mapping[str, TableSnapshot], view: Callable[[TableSnapshot], T]
    ) -> None:
        self._tables, self._view = tables, view

    def __getitem__(self, name: str) -> T:
        return self._view(self._tables[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)
