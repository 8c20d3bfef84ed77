"""Log-linear histograms of durations: exact counts, quantiles within 3.2 %, mergeable.

A bucket is read off the float64 form of a value: its exponent and the top four bits of its
mantissa, so every power of two is cut into 16 equal parts. That costs two array operations
for a whole column, where sketch libraries add one value at a time. `Histogram` is one,
`Histograms` are many under consecutive numbers, `HistogramSnapshot` is a frozen one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

BUCKETS = 1 + 63 * 16  # bucket 0 holds the value 0; values are 0 to 2^63 - 1
_FIRST = 1023 * 16 - 1  # what the float's top 16 bits are for 1, less bucket 1
_STEP = 64  # the 2-D form widens by whole multiples: rarely, as it copies


def bucket_of(values: Array) -> npt.NDArray[np.intp]:
    """Return the bucket of each value (int64 >= 0, shape (n,)); a negative one counts as 0."""
    tops = values.astype(np.float64).view(np.int64) >> 48
    tops -= _FIRST
    return np.clip(tops, 0, BUCKETS - 1, out=tops).astype(np.intp, copy=False)


def _edges() -> npt.NDArray[np.int64]:
    """Return the least integer of every bucket, and at the end one past the last's greatest."""
    lows = [0]
    for exponent in range(63):
        lows += [-(-(16 + part << exponent) // 16) for part in range(16)]
    return np.array([*lows, 2**63 - 1], np.int64)


EDGES = _edges()  # shape (BUCKETS + 1,): bucket i holds EDGES[i] <= value < EDGES[i + 1]
_MIDDLES = EDGES[:-1] + (np.maximum(EDGES[1:] - EDGES[:-1], 1) - 1) // 2


def _rank(q: float, total: Array) -> npt.NDArray[np.int64]:
    """Return the 1-based rank of quantile `q` among `total` values: the nearest rank."""
    return np.clip(np.ceil(q * total.astype(np.float64)).astype(np.int64), 1, np.maximum(total, 1))


class HistogramSnapshot(msgspec.Struct, frozen=True, eq=False):
    """A histogram at one moment.

    `counts` (int64, read-only) are the buckets from number `first` on; `least` and
    `greatest` are the exact extremes, None when `total` is 0.
    """

    first: int
    counts: npt.NDArray[np.int64]
    total: int
    least: int | None
    greatest: int | None

    def quantile(self, q: float) -> int | None:
        """Return the value of nearest rank `q` (0 to 1), within 3.2 %; None when empty."""
        if self.least is None or self.greatest is None:
            return None
        rank = int(_rank(q, np.array(self.total))[()])
        bucket = int(np.searchsorted(np.cumsum(self.counts), rank))
        return min(max(int(_MIDDLES[self.first + bucket]), self.least), self.greatest)

    def buckets(self) -> list[tuple[int, int, int]]:
        """Return (low, high, count) of every non-empty bucket: low <= value < high, ascending."""
        at = np.flatnonzero(self.counts)
        lows, highs = EDGES[at + self.first], EDGES[at + self.first + 1]
        return list(zip(lows.tolist(), highs.tolist(), self.counts[at].tolist(), strict=True))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, HistogramSnapshot):
            return NotImplemented
        mine, theirs = (self.least, self.greatest), (other.least, other.greatest)
        return mine == theirs and self.buckets() == other.buckets()

    def __hash__(self) -> int:
        return hash((self.total, self.least, self.greatest))


class Histogram:
    """One histogram of integers from 0 to 2^63 - 1."""

    def __init__(self) -> None:
        self._counts = np.zeros(BUCKETS, np.int64)
        self._least: int | None = None
        self._greatest: int | None = None

    def add(self, values: Array, buckets: Array | None = None) -> None:
        """Count `values` (int64); `buckets` is `bucket_of(values)` where it is known already."""
        if not len(values):
            return
        self._counts += np.bincount(
            bucket_of(values) if buckets is None else buckets, minlength=BUCKETS
        )
        self._extend(int(values.min()), int(values.max()))

    def add_counts(self, buckets: Array, counts: Array, least: int, greatest: int) -> None:
        """Count values that were counted before, `least` and `greatest` among them."""
        if len(buckets):
            np.add.at(self._counts, buckets, counts.astype(np.int64))
            self._extend(least, greatest)

    def _extend(self, least: int, greatest: int) -> None:
        self._least = least if self._least is None else min(self._least, least)
        self._greatest = greatest if self._greatest is None else max(self._greatest, greatest)

    def merge(self, other: Histogram) -> None:
        """Count what `other` has counted."""
        self._counts += other._counts
        if other._least is not None and other._greatest is not None:
            self._extend(other._least, other._greatest)

    def snapshot(self) -> HistogramSnapshot:
        """Return what was counted until now; it never changes."""
        return _freeze(0, self._counts, self._least, self._greatest)


def _freeze(
    first: int, counts: Array, least: int | None, greatest: int | None
) -> HistogramSnapshot:
    used = np.flatnonzero(counts)
    start, stop = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
    part = counts[start:stop].astype(np.int64)
    part.flags.writeable = False
    return HistogramSnapshot(first + start, part, int(part.sum()), least, greatest)


class Histograms:
    """Many histograms, numbered from 0, as one matrix of numbers x buckets.

    Only the range of powers of two that was ever touched is held, in 32 bits a cell until
    more has been counted than fits; rows are added as numbers come.
    """

    def __init__(self) -> None:
        self._low = 0  # the bucket of column 0
        self._counts: Array = np.zeros((0, 0), np.uint32)
        self._added = 0

    def add(self, numbers: Array, buckets: Array, counts: Array | None = None) -> None:
        """Count a value for each of `numbers` (intp, shape (n,)), in `buckets` (the same).

        Each counts as often as `counts` says, once without.
        """
        if not len(numbers):
            return
        self._reserve(int(numbers.max()) + 1, int(buckets.min()), int(buckets.max()) + 1)
        self._widen(len(numbers) if counts is None else int(counts.sum()))
        cells = numbers * self._counts.shape[1]
        cells += buckets
        cells -= self._low
        dtype = self._counts.dtype
        added = dtype.type(1) if counts is None else counts.astype(dtype)
        np.add.at(self._counts.reshape(-1), cells, added)

    def cells(self) -> tuple[Array, Array, Array]:
        """Return what is not empty: numbers (ascending), buckets and counts, of one length."""
        numbers, columns = np.nonzero(self._counts)
        return numbers, columns + self._low, self._counts[numbers, columns]

    def _widen(self, added: int) -> None:
        self._added += added
        if self._added >= 2**32 and self._counts.dtype == np.uint32:
            self._counts = self._counts.astype(np.int64)

    def _reserve(self, numbers: int, low: int, high: int) -> None:
        rows, width = self._counts.shape
        if numbers <= rows and self._low <= low and high <= self._low + width:
            return
        if width:
            low, high = min(low, self._low), max(high, self._low + width)
        low, high = low // _STEP * _STEP, -(-high // _STEP) * _STEP
        grown = np.zeros(
            (rows if numbers <= rows else max(numbers, 2 * rows, 64), high - low),
            self._counts.dtype,
        )
        grown[:rows, self._low - low : self._low - low + width] = self._counts
        self._counts, self._low = grown, low

    def merge(self, other: Histograms) -> None:
        """Count what `other` has counted, number by number."""
        rows, width = other._counts.shape
        if not width:
            return
        self._reserve(rows, other._low, other._low + width)
        self._widen(other._added)
        start = other._low - self._low
        self._counts[:rows, start : start + width] += other._counts.astype(self._counts.dtype)

    def quantiles(self, numbers: Array, qs: Sequence[float]) -> npt.NDArray[np.int64]:
        """Return the quantiles `qs` of the histograms `numbers`, shape (len(numbers), len(qs)).

        As `HistogramSnapshot.quantile`, but not held within the extremes, which are the
        caller's; the value for an empty histogram or a number never seen means nothing.
        """
        found = np.zeros((len(numbers), len(qs)), np.int64)
        seen = np.flatnonzero(numbers < self._counts.shape[0])
        if not self._counts.shape[1]:
            return found
        for start in range(0, len(seen), 256):  # what is summed stays in the cache
            part = seen[start : start + 256]
            sums = np.cumsum(self._counts[numbers[part]], axis=1, dtype=self._counts.dtype)
            totals = sums[:, -1].astype(np.int64)
            for i, q in enumerate(qs):
                reached = sums >= _rank(q, totals).astype(sums.dtype)[:, None]
                found[part, i] = _MIDDLES[np.argmax(reached, axis=1) + self._low]
        return found

    def copy(self) -> Histograms:
        """Return a copy that is independent of what is counted from now on."""
        made = Histograms()
        made._low, made._added, made._counts = self._low, self._added, self._counts.copy()
        return made

    def merged(self, numbers: Array, into: Array, count: int) -> Histograms:
        """Return `count` histograms: each of `numbers` counts in the one that `into` says."""
        made = Histograms()
        made._low, made._added = self._low, self._added
        made._counts = np.zeros((count, self._counts.shape[1]), np.int64)
        seen = np.flatnonzero(numbers < self._counts.shape[0])
        seen = seen[np.argsort(into[seen], kind="stable")]
        if len(seen):
            rows, starts = np.unique(into[seen], return_index=True)
            counts = self._counts[numbers[seen]]
            made._counts[rows] = np.add.reduceat(counts, starts, axis=0, dtype=np.int64)
        return made

    def add_up(self, numbers: Array, into: Array) -> None:
        """Count in each of the histograms `into` what the one of `numbers` has counted."""
        np.add.at(self._counts, into, self._counts[numbers])

    def totals(self) -> npt.NDArray[np.int64]:
        """Return how many values each histogram has counted."""
        totals: npt.NDArray[np.int64] = self._counts.sum(axis=1, dtype=np.int64)
        return totals

    def snapshot(self, number: int, least: int | None, greatest: int | None) -> HistogramSnapshot:
        """Return histogram `number` frozen, with the extremes that the caller kept."""
        empty = number >= self._counts.shape[0]
        counts = np.zeros(0, np.int64) if empty else self._counts[number]
        return _freeze(self._low, counts, least, greatest)
