"""Integer keys to small numbers, a whole column at a time.

Tables and flamegraphs must know which row or node a call belongs to without Python per
call, and without sorting the batch (`np.unique` costs ten times as much as all the sums).
`KeyIndex` is a hash table in two arrays: Python runs once for each key never met before.
`Combinations` does the same for the values of several columns together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ior.calls import Batch, Origin
from ior.names import Names

Array = npt.NDArray[Any]
Numbers = npt.NDArray[np.intp]

_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: Fibonacci hashing
_SPARSE = 4  # cells a key: long runs of taken cells stay rare
_PREFIX_BITS = 32


class KeyIndex:
    """Remembers a number (>= 0) for each uint64 key; forgets all when there are too many.

    It is a cache of what `make` answers, so forgetting costs time and changes nothing.
    """

    def __init__(self, limit: int = 2**18) -> None:
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


class Combinations:
    """Remembers a number for each combination of values of some columns.

    Columns are packed into 64 bits, each in as many as its values have needed so far; where
    they do not fit, those before are replaced by the number of their combination. What is
    remembered lasts as long as batches are of the same `Names` and `Origin`.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._index = KeyIndex()
        self._prefixes = [KeyIndex() for _ in columns]
        self._wide = [KeyIndex() for _ in columns]
        self._bits = [1] * len(columns)
        self._prefix_bits = 8
        self._prefix_count = 0
        self._scope: tuple[Names, Origin] | None = None

    def resolve(self, batch: Batch, make: Callable[[Array], Sequence[int]]) -> Numbers:
        """Return the number of each row's combination; `make` is as in `KeyIndex.resolve`."""
        if not len(batch):
            return np.zeros(0, np.intp)
        scope = self._scope
        if scope is None or batch.names is not scope[0] or batch.origin != scope[1]:
            self._scope = (batch.names, batch.origin)
            self._forget()
        keys = self._keys(batch)
        while self._prefix_count >> self._prefix_bits:
            self._prefix_bits = min(self._prefix_count.bit_length() + 2, _PREFIX_BITS)
            self._forget()
            keys = self._keys(batch)
        return self._index.resolve(keys, make)

    def _keys(self, batch: Batch) -> npt.NDArray[np.uint64]:
        columns = [self._values(batch, i) for i in range(len(self._columns))]
        needed = [int(values.max()).bit_length() for values in columns]
        if any(new > known for new, known in zip(needed, self._bits, strict=True)):
            self._bits = [max(both) for both in zip(needed, self._bits, strict=True)]
            self._forget()
            columns = [self._values(batch, i) for i in range(len(self._columns))]
        keys, bits = columns[0], self._bits[0]
        for i in range(1, len(self._columns)):
            if bits + self._bits[i] > 64:
                keys = self._prefixes[i].resolve(keys, self._number).view(np.uint64)
                bits = self._prefix_bits
            keys = (keys << np.uint64(self._bits[i])) | columns[i]
            bits += self._bits[i]
        return keys

    def _values(self, batch: Batch, i: int) -> npt.NDArray[np.uint64]:
        """Return the values of a column as uint64; those of more than 32 bits are numbered."""
        values = batch[self._columns[i]]
        if values.dtype.itemsize > _PREFIX_BITS // 8:
            return self._wide[i].resolve(values.astype(np.uint64), self._number).view(np.uint64)
        if values.dtype.kind == "i":
            values = values.view(f"u{values.dtype.itemsize}")
        return values.astype(np.uint64)

    def _forget(self) -> None:
        for index in (self._index, *self._prefixes, *self._wide):
            index.clear()
        self._prefix_count = 0

    def _number(self, rows: Array) -> range:
        start = self._prefix_count
        self._prefix_count += len(rows)
        return range(start, self._prefix_count)
