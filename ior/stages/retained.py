"""The last rows, in memory that is bounded: arrays and the names they refer to.

Rows are copied into chunks as they come, each once: a batch that was kept itself would hold the
slab that it was cut from, and the dictionary of its source. Their texts go into a dictionary of
their own, which is made anew without what no row refers to any more.

Whoever looks at rows holds them, while newer ones take their place here: a view that is paused,
for as long as it is. That counts as well, but half of the memory stays for the newer ones.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ior.calls import DERIVED, MAX_CALLS, Array, Batch, Column, Origin, Schema
from ior.names import Names
from ior.stages.lent import Lent

_CODED = ("text", "task")  # kinds of columns that hold codes of `Names`
_UNMAPPED = np.uint32(0xFFFFFFFF)
_CHUNKS = 16  # that the bound has room for at least: one is what is let go of at once
_LEAST = 64  # rows of a chunk
_NAME = 1024  # bytes of names that a row is expected to bring at most


def _empty(column: Column, room: int) -> Array:
    """Return room for a column; words stand side by side with the same word of other rows."""
    if column.kind == "words":
        return np.empty((5, room), column.dtype).T
    return np.empty(room, column.dtype)


class _Chunk:
    """Room for rows of one schema and origin, filled from the front."""

    def __init__(self, schema: Schema, origin: Origin, held: frozenset[str], room: int) -> None:
        self.schema, self.origin, self.room, self.used = schema, origin, room, 0
        self.named = 0  # bytes of the names that came with its rows
        self.columns: dict[str, Array] = {
            column.name: _empty(column, room) for column in schema.columns if column.name in held
        }
        self.coded = [c.name for c in schema.columns if c.name in held and c.kind in _CODED]
        self.nbytes = sum(array.nbytes for array in self.columns.values())

    def close(self) -> None:
        """Give back the room that is not used."""
        if self.used < self.room:
            self.columns = {name: a[: self.used].copy("K") for name, a in self.columns.items()}
            self.room = self.used
            self.nbytes = sum(array.nbytes for array in self.columns.values())

    def batch(self, first: int, names: Names) -> Batch:
        """Return the rows from `first` on; those that come later are not in it."""
        columns = {name: array[first : self.used] for name, array in self.columns.items()}
        return Batch(self.schema, columns, names, self.origin)


class Retained:
    """At most `rows` rows (0: any number) in at most `nbytes` bytes, oldest first.

    More of the oldest are let go of than must be: up to a chunk. Rows that are gone from here and
    held elsewhere take of the room of the others, up to half of it: one who holds all that there
    was at a moment makes it one and a half times `nbytes` together.
    """

    def __init__(self, rows: int, nbytes: int) -> None:
        self._rows, self._bound = rows, nbytes
        self._chunks: deque[_Chunk] = deque()
        self._used = self._arrays = 0  # rows in the chunks, and the bytes that these have
        self._held: frozenset[str] = frozenset()  # columns that are at hand, not to be derived
        self._names = Names()
        self._lent = Lent()
        self._stale = 0  # bytes of names that came with rows which are gone
        self._source: weakref.ref[Names] | None = None  # the dictionary that `_codes` is of
        self._codes: npt.NDArray[np.uint32] = np.zeros(0, np.uint32)  # of ours by code of theirs

    def __len__(self) -> int:
        """Return how many rows there are."""
        return min(self._used, self._rows) if self._rows else self._used

    @property
    def nbytes(self) -> int:
        """The bytes that are held: arrays, names, and the way from others' codes to ours."""
        return self._arrays + self._names.size_bytes + self._codes.nbytes

    @property
    def _room(self) -> int:
        """The bytes that may be held now."""
        return max(self._bound - self._lent.nbytes, self._bound // 2)

    def add(self, batch: Batch) -> None:
        """Copy a batch, and let go of what there is no room for."""
        columns = batch.schema.columns
        held = {c.name for c in columns if c.name not in DERIVED or batch.holds(c.name)}
        self._held |= held
        done = 0
        while done < len(batch):
            chunk = self._open(batch)
            at_once = max(self._bound // (_CHUNKS * _NAME), _LEAST)
            count = min(chunk.room - chunk.used, len(batch) - done, at_once)
            self._copy(batch, chunk, done, count)
            done += count
            self._shrink()

    def _open(self, batch: Batch) -> _Chunk:
        """Return the chunk that rows of a batch go into, a new one where the last is no good."""
        held = frozenset(name for name in batch.schema.names if name in self._held)
        last = self._chunks[-1] if self._chunks else None
        if (
            last is not None
            and last.used < last.room
            and last.named < self._bound // _CHUNKS
            and (last.schema, last.origin) == (batch.schema, batch.origin)
            and last.columns.keys() == held
        ):
            return last
        if last is not None:
            self._arrays -= last.nbytes
            if last.used < last.room:
                self._lend(last.columns)
            last.close()
            self._arrays += last.nbytes
        new = _Chunk(batch.schema, batch.origin, held, self._rows_of(batch.schema, held))
        self._chunks.append(new)
        self._arrays += new.nbytes
        return new

    def _rows_of(self, schema: Schema, held: frozenset[str]) -> int:
        one = _Chunk(schema, Origin("", 0), held, 1).nbytes
        room = min(MAX_CALLS, self._bound // (_CHUNKS * one))
        room = min(room, self._rows // _CHUNKS) if self._rows else room
        return max(room, _LEAST)

    def _copy(self, batch: Batch, chunk: _Chunk, first: int, count: int) -> None:
        theirs, ours = slice(first, first + count), slice(chunk.used, chunk.used + count)
        before = self._names.size_bytes
        for name, array in chunk.columns.items():
            values = batch[name][theirs]
            coded = name in chunk.coded
            array[ours] = self._recoded(batch.names, values) if coded else values
        chunk.named += self._names.size_bytes - before
        chunk.used += count
        self._used += count

    def _recoded(self, names: Names, codes: Array) -> Array:
        """Return the codes of our dictionary for those of another; one code for all alike."""
        if len(codes) > 1 and not (codes != codes[0]).any():
            return self._recoded(names, codes[:1])
        if 8 * len(names) > self._bound // 8:  # a table would take too much
            distinct, places = np.unique(codes, return_inverse=True)
            return np.array(self._interned(names, distinct.tolist()), np.uint32)[places]
        if self._source is None or self._source() is not names:
            self._source = weakref.ref(names)
            self._codes = np.zeros(0, np.uint32)
        if len(names) > len(self._codes):
            known = self._codes
            self._codes = np.full(max(len(names), 2 * len(known)), _UNMAPPED, np.uint32)
            self._codes[: len(known)] = known
        found = self._codes.take(codes)
        if found.max() == _UNMAPPED:
            distinct = np.unique(codes[found == _UNMAPPED])
            self._codes[distinct] = self._interned(names, distinct.tolist())
            found = self._codes.take(codes)
        return found

    def _interned(self, names: Names, codes: list[int]) -> list[int]:
        intern, states = self._names.intern, names.states
        return [intern(names.text(code), int(states[code])) for code in codes]

    def _shrink(self) -> None:
        """Let go of the oldest rows while there are too many, or they take too much memory."""
        while len(self._chunks) > 1 and self._rows:
            if self._used - self._chunks[0].used < self._rows:
                break
            self._drop()
        while self.nbytes > self._room and self._chunks:
            if self._stale >= self._bound // 8 or (self._stale and len(self._chunks) == 1):
                self._forget_names()
            else:
                self._drop()
        if not self._chunks and self._stale:
            self._forget_names()

    def _drop(self) -> None:
        chunk = self._chunks.popleft()
        self._used -= chunk.used
        self._arrays -= chunk.nbytes
        self._stale += chunk.named
        self._lend(chunk.columns)

    def _lend(self, columns: Mapping[str, Array]) -> None:
        for array in columns.values():
            self._lent.add(array, array.nbytes)

    def _forget_names(self) -> None:
        """Begin another dictionary with what rows refer to.

        Arrays that were given out stay as they are.
        """
        used = np.zeros(len(self._names), np.bool_)
        for chunk in self._chunks:
            for name in chunk.coded:
                used[chunk.columns[name][: chunk.used]] = True
        names, old = Names(), self._names
        codes = np.zeros(len(used), np.uint32)
        for code in np.flatnonzero(used).tolist():
            codes[code] = names.intern(old.text(code), int(old.states[code]))
        for chunk in self._chunks:
            for name in chunk.coded:
                array = np.zeros(chunk.room, np.uint32)
                array[: chunk.used] = codes[chunk.columns[name][: chunk.used]]
                self._lend({name: chunk.columns[name]})
                chunk.columns[name] = array
        self._lent.add(old, old.size_bytes)
        self._names, self._stale = names, 0
        self._source, self._codes = None, np.zeros(0, np.uint32)

    def batches(self) -> tuple[Batch, ...]:
        """Return the rows as batches that never change."""
        over = self._used - len(self)
        return tuple(
            chunk.batch(over if i == 0 else 0, self._names)
            for i, chunk in enumerate(self._chunks)
            if chunk.used
        )
