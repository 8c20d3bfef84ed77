"""Integer keys to small numbers, a whole column at a time.

Tables and flamegraphs must know which row or node a call belongs to without Python per
call, and without sorting the batch (`np.unique` costs ten times as much as all the sums).
`KeyIndex` is a hash table in two arrays: Python runs once for each key never met before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Numbers = npt.NDArray[np.intp]

_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: Fibonacci hashing
_SPARSE = 4  # cells a key: long runs of taken cells stay rare


class KeyIndex:
    """Remembers a number (>= 0) for each uint64 key; forgets all when there are too many.

    It is a cache of what `make` answers, so forgetting costs time and changes nothing.
    """

    def __init__(self, limit: int = 2**20) -> None:
        self._limit = limit
        self.clear()

    def __len__(self) -> int:
        return self._used

    def clear(self) -> None:
        """Forget every key."""
        self._allot(10)

    def _allot(self, bits: int) -> None:
        self._shift = np.uint64(64 - bits)
        self._mask = (1 << bits) - 1
        self._keys = np.zeros(1 << bits, np.uint64)
        self._numbers: Numbers = np.full(1 << bits, -1, np.intp)
        self._used = 0

    def resolve(self, keys: Array, make: Callable[[Array], Sequence[int]]) -> Numbers:
        """Return the number of each key (uint64, shape (n,)).

        `make` is called at most once, with the rows at which keys not remembered appear for
        the first time, ascending, and answers their numbers in that order.
        """
        numbers = self._find(keys)
        missed = np.flatnonzero(numbers < 0)
        if len(missed):
            _, first = np.unique(keys[missed], return_index=True)
            rows = missed[np.sort(first)]
            self._remember(keys[rows], np.asarray(make(rows), np.intp))
            numbers[missed] = self._find(keys[missed])
        return numbers

    def _find(self, keys: Array) -> Numbers:
        at = ((keys * _SPREAD) >> self._shift).view(np.intp)
        numbers = self._numbers.take(at)
        # An empty cell has number -1, which is the right answer whatever its key says.
        astray = np.flatnonzero((self._keys.take(at) != keys) & (numbers >= 0))
        at, keys = at[astray], keys[astray]
        while len(astray):
            at = (at + 1) & self._mask
            found = self._numbers.take(at)
            numbers[astray] = found
            on = (self._keys.take(at) != keys) & (found >= 0)
            astray, at, keys = astray[on], at[on], keys[on]
        return numbers

    def _remember(self, keys: Array, numbers: Numbers) -> None:
        """Put distinct keys that are not in the table into it."""
        if self._used + len(keys) > self._limit:
            self.clear()
        if (self._used + len(keys)) * _SPARSE > len(self._keys):
            full = self._numbers >= 0
            keys = np.concatenate([self._keys[full], keys])
            numbers = np.concatenate([self._numbers[full], numbers])
            self._allot((len(keys) * _SPARSE * 2 - 1).bit_length())
        self._used += len(keys)
        at = ((keys * _SPREAD) >> self._shift).view(np.intp)
        while len(keys):
            free = self._numbers.take(at) < 0
            self._keys[at[free]] = keys[free]  # of two that claim one cell the last gets it
            placed = free & (self._keys.take(at) == keys)
            self._numbers[at[placed]] = numbers[placed]
            left = ~placed
            keys, numbers, at = keys[left], numbers[left], (at[left] + 1) & self._mask
