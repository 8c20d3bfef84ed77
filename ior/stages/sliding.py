"""Groups of a window of time that moves on: what comes is added, what leaves is taken off again.

Sums and histograms are whole numbers, so taking off is exact. Extremes cannot be taken off: of
the groups that may have lost one they are looked for again among the seconds that stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from ior.calls import Array, Batch
from ior.expr import Predicate
from ior.histogram import BUCKETS
from ior.stages.groups import (
    BUCKET_BITS,
    MADE_OF,
    SUMS,
    Groups,
    Spread,
    are_alike,
    keys_of,
    no_bounds,
)
from ior.stages.keys import Combinations, Numbers

_CELLS = 1 << 20  # of histograms, that are put in order at one time
_PLACE_BITS = 20
_LEAST = 4096  # groups that may have gone before what is left is numbered anew


class Summed(Protocol):
    """Calls that were added up, such as those of a second; later ones have greater numbers."""

    @property
    def number(self) -> int:
        """Return the number."""

    @property
    def groups(self) -> Groups:
        """Return the calls by group, fewer than 2^20."""


class _Part(NamedTuple):
    """A second that is in the sums: its groups that were chosen, by our numbers."""

    second: Summed
    numbers: Numbers
    bounds: Array
    calls: int  # of all its groups
    matching: int
    untold: int


class _Cells:
    """Counts by group and bucket, which are one number, in the order of those."""

    def __init__(self) -> None:
        self._cells = np.zeros(0, np.int64)
        self._counts = np.zeros(0, np.int64)
        self._waiting: list[tuple[Array, Array]] = []
        self._size = 0

    def add(self, numbers: Numbers, spread: Spread, sign: int) -> None:
        """Count what is in a spread whose groups have these numbers; off, for a sign of -1."""
        cells = (numbers[spread.groups] << BUCKET_BITS) | spread.buckets
        self._waiting.append((cells, sign * spread.counts.astype(np.int64)))
        self._size += len(cells)
        if self._size >= _CELLS:
            self._settle()

    def _settle(self) -> None:
        """Put what waits in its places; a cell that is left without a count goes."""
        if not self._size:
            return
        cells, counts = (np.concatenate(some) for some in zip(*self._waiting, strict=True))
        self._waiting, self._size = [], 0
        order = np.argsort(cells)
        cells = cells[order]
        starts = np.flatnonzero(np.diff(cells, prepend=-1))
        cells, counts = cells[starts], np.add.reduceat(counts[order], starts)
        at = np.searchsorted(self._cells, cells)
        known = np.zeros(len(cells), np.bool_)
        inside = at < len(self._cells)
        known[inside] = self._cells[at[inside]] == cells[inside]
        self._counts[at[known]] += counts[known]
        new = ~known & (counts != 0)
        self._cells = np.insert(self._cells, at[new], cells[new])
        self._counts = np.insert(self._counts, at[new], counts[new])
        if not self._counts.all():
            left = self._counts != 0
            self._cells, self._counts = self._cells[left], self._counts[left]

    def spread(self, numbers: Numbers) -> Spread:
        """Return all counts, with group `i` under the number `numbers[i]`."""
        self._settle()
        groups = numbers[self._cells >> BUCKET_BITS].astype(np.uint32)
        buckets = (self._cells & ((1 << BUCKET_BITS) - 1)).astype(np.uint16)
        return Spread(groups, buckets, self._counts.copy())


class Sliding:
    """The sum of some seconds of one host and dictionary, through a filter if there is one.

    It is turned from some seconds to others; the more they have in common the less that costs.
    """

    def __init__(self, where: Predicate | None) -> None:
        self._where = where
        self._begin()

    def _begin(self) -> None:
        self._parts: dict[int, _Part] = {}  # by the second's identity
        self._stacks = Combinations(MADE_OF)
        self._used = 0  # numbers that were given
        self._columns: dict[str, Array] = {}  # of the keys, by number
        self._sums = np.zeros((len(SUMS), 0), np.int64)
        self._bounds = no_bounds(0)
        self._seen = np.zeros(0, np.int64)  # where the last call of each group stands
        self._latency = _Cells()
        self._gaps = np.zeros(BUCKETS, np.int64)  # of all groups, by bucket
        self._groups: Groups | None = None

    @property
    def numbers(self) -> int:
        """How many groups have a number, with those that have gone."""
        return self._used

    @property
    def calls(self) -> int:
        """The calls of the seconds, chosen or not."""
        return sum(part.calls for part in self._parts.values())

    @property
    def matching(self) -> int:
        """The calls that were chosen."""
        return sum(part.matching for part in self._parts.values())

    @property
    def untold(self) -> int:
        """The calls that have forgotten what the filter asks for."""
        return sum(part.untold for part in self._parts.values())

    def turn(self, seconds: Sequence[Summed]) -> None:
        """Become the sum of these seconds. Raises ValueError for those of different hosts."""
        if any(not are_alike(second.groups, seconds[0].groups) for second in seconds):
            raise ValueError("seconds of different hosts or names have no one sum")
        wanted = {id(second) for second in seconds}
        gone = [part for known, part in self._parts.items() if known not in wanted]
        if 2 * len(gone) > len(self._parts):
            self._begin()
            gone = []
        new = [second for second in seconds if id(second) not in self._parts]
        if gone or new:
            self._groups = None
            self._take_off(gone)
            for second in new:
                self._add(second)
        live = int(np.count_nonzero(self._sums[0, : self._used]))
        if self._used > 2 * live + _LEAST and self._parts:
            self._begin()
            self.turn(seconds)

    def _chosen(self, groups: Groups) -> tuple[Groups, int]:
        return (groups, 0) if self._where is None else groups.matching(self._where)

    def _add(self, second: Summed) -> None:
        groups, untold = self._chosen(second.groups)
        numbers = self._stacks.resolve(groups.keys, lambda rows: self._number(groups.keys, rows))
        for total, values in zip(self._sums, groups.sums, strict=True):
            np.add.at(total, numbers, values)
        self._extend(numbers, groups.bounds)
        place = (second.number << _PLACE_BITS) + np.arange(len(groups))
        np.maximum.at(self._seen, numbers[groups.by_last], place)
        self._latency.add(numbers, groups.latency, 1)
        np.add.at(self._gaps, groups.gap.buckets, groups.gap.counts.astype(np.int64))
        calls, matching = second.groups.calls, groups.calls
        part = _Part(second, numbers, groups.bounds, calls, matching, untold)
        self._parts[id(second)] = part

    def _number(self, keys: Batch, rows: Array) -> range:
        """Number groups that were not met before."""
        first, self._used = self._used, self._used + len(rows)
        room = self._sums.shape[1]
        if self._used > room:
            added = max(self._used, 2 * room, 1024) - room
            self._sums = np.hstack([self._sums, np.zeros((len(SUMS), added), np.int64)])
            self._bounds = np.hstack([self._bounds, no_bounds(added)])
            self._seen = np.append(self._seen, np.zeros(added, np.int64))
            for name in MADE_OF:
                known = self._columns.get(name, keys[name][:0])
                self._columns[name] = np.concatenate([known, np.zeros(added, known.dtype)])
        for name, column in self._columns.items():
            column[first : self._used] = keys[name][rows]
        return range(first, self._used)

    def _extend(self, numbers: Numbers, bounds: Array) -> None:
        np.minimum.at(self._bounds[0], numbers, bounds[0])
        np.maximum.at(self._bounds[1], numbers, bounds[1])

    def _take_off(self, gone: Sequence[_Part]) -> None:
        lost = np.zeros(self._used, np.bool_)
        for part in gone:
            del self._parts[id(part.second)]
            groups, _ = self._chosen(part.second.groups)
            for total, values in zip(self._sums, groups.sums, strict=True):
                np.subtract.at(total, part.numbers, values)
            self._latency.add(part.numbers, groups.latency, -1)
            np.subtract.at(self._gaps, groups.gap.buckets, groups.gap.counts.astype(np.int64))
            known = self._bounds[:, part.numbers]
            lost[part.numbers[(known == part.bounds).any(axis=0)]] = True
        if not lost.any():
            return
        again = np.flatnonzero(lost)
        self._bounds[:, again] = no_bounds(len(again))
        for part in self._parts.values():
            some = lost[part.numbers]
            if some.any():
                self._extend(part.numbers[some], part.bounds[:, some])

    def groups(self) -> Groups | None:
        """Return the sum of the present seconds; None without any.

        A group may occur twice. Its gaps are all in the histogram of the first group: nobody
        asks for those of one, and they are half of all cells.
        """
        if self._groups is None and self._parts:
            keys = next(iter(self._parts.values())).second.groups.keys
            some = [part.second.groups for part in self._parts.values() if len(part.numbers)]
            first_ns = min((groups.first_ns for groups in some), default=0)
            last_ns = max((groups.last_ns for groups in some), default=0)
            live = self._sums[0, : self._used] != 0
            numbers: Numbers = np.cumsum(live) - 1
            columns = {n: self._columns.get(n, keys[n][:0])[: self._used][live] for n in MADE_OF}
            self._groups = Groups(
                keys_of(columns, keys.names, keys.origin),
                self._sums[:, : self._used][:, live],
                self._bounds[:, : self._used][:, live],
                (self._latency.spread(numbers), _under_one(self._gaps)),
                (first_ns, last_ns),
                by_last=np.argsort(self._seen[: self._used][live]),
            )
        return self._groups


def gathered(groups: Groups) -> Groups:
    """Return the same with all gaps in the histogram of the first group, as in sums."""
    gaps = np.bincount(groups.gap.buckets, groups.gap.counts, BUCKETS).astype(np.int64)
    spreads, span = (groups.latency, _under_one(gaps)), (groups.first_ns, groups.last_ns)
    return Groups(groups.keys, groups.sums, groups.bounds, spreads, span, by_last=groups.by_last)


def _under_one(counts: Array) -> Spread:
    """Return counts by bucket as those of one group."""
    used = np.flatnonzero(counts)
    return Spread(np.zeros(len(used), np.uint32), used.astype(np.uint16), counts[used])


def since(now: Groups, before: Groups) -> Groups | None:
    """Return the calls that were added to groups; None if these are not the same, gone on.

    Extremes are those of all calls.
    """
    count = len(before)
    grown = len(now) >= count and are_alike(now, before)
    if not grown or any((now.keys[n][:count] != before.keys[n]).any() for n in MADE_OF):
        return None
    sums = now.sums.copy()
    sums[:, :count] -= before.sums
    latency, gap = _since(now.latency, before.latency), _since(now.gap, before.gap)
    if latency is None or gap is None or (sums < 0).any():
        return None
    span = (now.first_ns, now.last_ns)
    whole = Groups(now.keys, sums, now.bounds, (latency, gap), span, by_last=now.by_last)
    return whole.chosen(sums[0] > 0)


def _since(now: Spread, before: Spread) -> Spread | None:
    """Return what is more in a spread than it was; None where something is missing."""
    cells, known = (
        (spread.groups.astype(np.int64) << BUCKET_BITS) | spread.buckets for spread in (now, before)
    )
    at = np.searchsorted(cells, known)
    if (at >= len(cells)).any() or (cells[at] != known).any():
        return None
    counts = now.counts.astype(np.int64)
    counts[at] -= before.counts
    left = counts > 0
    return Spread(now.groups[left], now.buckets[left], counts[left])
