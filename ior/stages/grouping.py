"""Adds calls up by group over a span of time, in memory that is bounded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ior.calls import Array, Batch, Origin
from ior.histogram import Histograms, bucket_of
from ior.names import Names
from ior.stages.grouped import grouped
from ior.stages.groups import (
    KEYS,
    LEVELS,
    MADE_OF,
    NO_BOUNDS,
    OTHER,
    SUMS,
    TEXTS,
    Groups,
    Spread,
    keys_of,
    no_bounds,
)
from ior.stages.keys import Combinations, Numbers

_ONE = np.int64(1)


class Grouping:
    """Adds calls of one host up by group; texts go into a dictionary of one's own.

    The first `max_groups` groups are kept in full. Calls of further ones are added up without
    their files, and when there are as many of those again, without their processes.
    """

    def __init__(self, names: Names, origin: Origin, max_groups: int) -> None:
        self.origin = origin
        self._names, self._max = names, max_groups
        self._fine = Combinations(tuple(LEVELS))
        self._coarse = Combinations([name for name, level in LEVELS.items() if level > 1])
        self._numbers: dict[tuple[int, ...], int] = {}  # by the values of `MADE_OF`
        self._sums = np.zeros((len(SUMS), 0), np.int64)
        self._bounds = no_bounds(0)
        self._seen = np.zeros(0, np.int64)  # where the last call of each group stands
        self._met = 0  # places given
        self._latency, self._gap = Histograms(), Histograms()
        self._first_ns, self._last_ns = NO_BOUNDS[0], 0
        self._other = names.intern(OTHER)

    def add(self, batch: Batch) -> None:
        """Count the calls of a batch of the same host."""
        groups = grouped(batch)
        if groups is not None:
            self._add(groups)
            return
        numbers = self._resolved(batch)
        self._see(numbers)
        calls, size, timed, latency, gapped, gap = self._sums
        np.add.at(calls, numbers, _ONE)
        np.add.at(size, numbers, batch["bytes"])
        rows, values = _present(numbers, batch["latency_ns"])
        np.add.at(timed, rows, _ONE)
        np.add.at(latency, rows, values)
        np.minimum.at(self._bounds[0], rows, values)
        np.maximum.at(self._bounds[1], rows, values)
        self._latency.add(rows, bucket_of(values))
        rows, values = _present(numbers, batch["gap_ns"])
        np.add.at(gapped, rows, _ONE)
        np.add.at(gap, rows, values)
        self._gap.add(rows, bucket_of(values))
        enter = batch["time_ns"].view(np.int64)
        returned = int((enter + np.maximum(batch["latency_ns"], 0)).max())
        self._extend(int(enter.min()), returned)

    def _resolved(self, batch: Batch) -> Numbers:
        """Return the number of each row's group; there is room for all."""
        numbers = self._fine.resolve(batch, lambda rows: self._place(batch, rows))
        if len(self._numbers) > self._sums.shape[1]:
            self._grow(max(len(self._numbers), 2 * self._sums.shape[1], 64))
        return numbers

    def _see(self, numbers: Numbers) -> None:
        """Remember who came last; `numbers` are groups in the order of their calls."""
        self._seen[numbers] = self._met + np.arange(len(numbers))
        self._met += len(numbers)

    def _extend(self, first_ns: int, last_ns: int) -> None:
        self._first_ns = min(self._first_ns, first_ns)
        self._last_ns = max(self._last_ns, last_ns)

    def _add(self, groups: Groups) -> None:
        numbers = self._resolved(groups.keys)
        self._see(numbers[groups.by_last])
        for total, values in zip(self._sums, groups.sums, strict=True):
            np.add.at(total, numbers, values)
        np.minimum.at(self._bounds[0], numbers, groups.bounds[0])
        np.maximum.at(self._bounds[1], numbers, groups.bounds[1])
        for histograms, spread in ((self._latency, groups.latency), (self._gap, groups.gap)):
            histograms.add(numbers[spread.groups], spread.buckets, spread.counts)
        self._extend(groups.first_ns, groups.last_ns)

    def _grow(self, room: int) -> None:
        added = room - self._sums.shape[1]
        self._sums = np.hstack([self._sums, np.zeros((len(SUMS), added), np.int64)])
        self._bounds = np.hstack([self._bounds, no_bounds(added)])
        self._seen = np.append(self._seen, np.zeros(added, np.int64))

    def _place(self, batch: Batch, rows: Array) -> Sequence[int]:
        room = max(self._max - len(self._numbers), 0)
        cells = zip(*self._values(batch, rows[:room], tuple(LEVELS)), strict=True)
        found = [self._number((*values, 0)) for values in cells]
        if len(rows) <= room:
            return found
        rest = batch.select(rows[room:])
        folded = self._coarse.resolve(rest, lambda new: self._place_folded(rest, new))
        return [*found, *folded.tolist()]

    def _place_folded(self, batch: Batch, rows: Array) -> list[int]:
        kept = [name for name, level in LEVELS.items() if level > 1]
        other = self._other
        found = []
        for values in zip(*self._values(batch, rows, kept), strict=True):
            comm, pid, nr, errno = values
            cell = (comm, pid, nr, errno, other, other, other, 1)
            if cell not in self._numbers and len(self._numbers) >= 2 * self._max:
                cell = (other, 0, nr, errno, other, other, other, 2)
            found.append(self._number(cell))
        return found

    def _values(self, batch: Batch, rows: Array, columns: Sequence[str]) -> list[list[int]]:
        intern, texts = self._names.intern, batch.names.texts
        found = []
        for name in columns:
            values = batch[name][rows].tolist()
            if name in TEXTS:
                values = [intern(text) for text in texts(values)]
            found.append(values)
        return found

    def _number(self, cell: tuple[int, ...]) -> int:
        return self._numbers.setdefault(cell, len(self._numbers))

    def groups(self) -> Groups:
        """Return what was added up until now."""
        used = len(self._numbers)
        cells = np.array(list(self._numbers), np.int64).reshape(used, len(MADE_OF)).T
        dtypes = {column.name: column.dtype for column in KEYS.columns}
        columns = {n: c.astype(dtypes[n]) for n, c in zip(MADE_OF, cells, strict=True)}
        return Groups(
            keys_of(columns, self._names, self.origin),
            self._sums[:, :used].copy(),
            self._bounds[:, :used].copy(),
            (_spread(self._latency), _spread(self._gap)),
            (self._first_ns, self._last_ns),
            by_last=np.argsort(self._seen[:used]).astype(np.uint32),
        )


def _present(numbers: Numbers, values: Array) -> tuple[Numbers, Array]:
    """Leave out the calls that have no such duration (-1)."""
    kept = values >= 0
    return (numbers, values) if kept.all() else (numbers[kept], values[kept])


def _spread(histograms: Histograms) -> Spread:
    groups, buckets, counts = histograms.cells()
    return Spread(groups.astype(np.uint32), buckets.astype(np.uint16), counts.astype(np.uint32))
