"""What the Stream tab shows: the rows that filter and window choose, and the warnings between.

A row is known by its number in the stream, from 0, which stays the same while older rows are
let go. A line of the list is a row or a warning; warnings stand where they came.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from ior.calls import Batch
from ior.stages.stream import StreamSnapshot
from ior.ui.notes import Noted
from ior.ui.sight import Sight
from ior.waiting import Waiting

Ints = npt.NDArray[np.intp]


class Part(msgspec.Struct, frozen=True, eq=False):
    """A retained batch, the number of its first row, and the places of its rows that are shown.

    `rows` is None where all of them are.
    """

    batch: Batch
    first: int
    rows: Ints | None

    @property
    def count(self) -> int:
        """How many rows are shown."""
        return len(self.batch) if self.rows is None else len(self.rows)


class Place(msgspec.Struct, frozen=True, eq=False):
    """Where a row lies."""

    batch: Batch
    index: int
    number: int  # in the stream


class Warned(NamedTuple):
    """A warning, and the line that it stands on."""

    line: int
    note: Noted


class Rows(msgspec.Struct, frozen=True, eq=False):
    """The picture: every retained batch, what is shown of it, and the warnings.

    `ends[k]` is how many rows parts 0 to k show; `warned` is in the order of its lines. `waiting`
    are the calls that had not returned at `now_ns`, None where that was not asked or nobody knows.
    """

    parts: tuple[Part, ...]
    ends: Ints
    warned: tuple[Warned, ...] = ()
    waiting: tuple[Waiting, ...] | None = None
    now_ns: int = 0

    @property
    def count(self) -> int:
        """How many rows are shown."""
        return int(self.ends[-1]) if len(self.ends) else 0

    @property
    def lines(self) -> int:
        """How many lines there are: rows and warnings."""
        return self.count + len(self.warned)

    def place(self, row: int) -> Place:
        """Return where the `row`-th of the rows that are shown lies."""
        k = int(np.searchsorted(self.ends, row, side="right"))
        part = self.parts[k]
        at = row - int(self.ends[k]) + part.count
        index = at if part.rows is None else int(part.rows[at])
        return Place(part.batch, index, part.first + index)

    def nearest(self, number: int) -> int:
        """Return which of the rows that are shown is number `number`, or comes next after it.

        After the last it is the last. There must be rows.
        """
        firsts = [part.first for part in self.parts]
        k = int(np.searchsorted(firsts, number, side="right")) - 1
        if k < 0:
            return 0
        part, inside = self.parts[k], number - self.parts[k].first
        at = inside if part.rows is None else int(np.searchsorted(part.rows, inside))
        return min(int(self.ends[k]) - part.count + min(at, part.count), self.count - 1)

    def line_of(self, row: int) -> int:
        """Return the line on which a row stands."""
        for i, warned in enumerate(self.warned):
            if warned.line - i > row:
                return row + i
        return row + len(self.warned)

    def at(self, line: int) -> int | Noted:
        """Return which row, or which warning, stands on a line."""
        before = 0
        for warned in self.warned:
            if warned.line == line:
                return warned.note
            if warned.line > line:
                break
            before += 1
        return line - before


def grouped(places: Sequence[Place]) -> list[tuple[Batch, list[int]]]:
    """Return runs of places in one batch: a batch of the rows, and which of `places` they are."""
    runs: list[list[int]] = []
    for i, place in enumerate(places):
        if runs and places[runs[-1][0]].batch is place.batch:
            runs[-1].append(i)
        else:
            runs.append([i])
    return [
        (places[run[0]].batch.select(np.array([places[i].index for i in run], np.intp)), run)
        for run in runs
    ]


def rows_of(sight: Sight, *, waiting: bool = False) -> Rows | None:
    """Return what there is to show now; None without a stream. `waiting` asks for these, too."""
    snapshot = sight.rows()
    if snapshot is None:
        return None
    notes = tuple(sight.notes)
    found = sight.once((rows_of, notes), lambda: _chosen(sight, snapshot, notes))
    if not waiting:
        return found
    flight = sight.in_flight()
    return replace(found, waiting=None if flight is None else flight.calls, now_ns=sight.now_ns)


def _chosen(sight: Sight, snapshot: StreamSnapshot, notes: Sequence[Noted]) -> Rows:
    first = snapshot.total - sum(len(batch) for batch in snapshot.batches)
    parts: list[Part] = []
    for batch, rows in sight.picked():
        parts.append(Part(batch, first, rows))
        first += len(batch)
    ends = np.cumsum([part.count for part in parts], dtype=np.intp)
    found = Rows(tuple(parts), ends)
    bounds = None
    if sight.window.span_s:
        bounds = sight.window.bounds_ns(sight.latest_ns)
    shown = [note for note in notes if _is_of(note, found, bounds)]
    return replace(found, warned=_placed(found, shown))


def _is_of(note: Noted, rows: Rows, bounds: tuple[int, int] | None) -> bool:
    """Return whether a warning came while the retained rows did, and within the window."""
    if rows.parts and note.row < rows.parts[0].first:
        return False
    return bounds is None or bounds[0] <= note.now_ns < bounds[1]


def _placed(rows: Rows, notes: Sequence[Noted]) -> tuple[Warned, ...]:
    """Put each warning before the first row that came after it."""
    placed = []
    for i, note in enumerate(sorted(notes, key=lambda note: note.row)):
        last = rows.parts[-1] if rows.parts else None
        behind = last is None or note.row >= last.first + len(last.batch)
        before = rows.count if behind or not rows.count else _from(rows, note.row)
        placed.append(Warned(before + i, note))
    return tuple(placed)


def _from(rows: Rows, number: int) -> int:
    """Return how many of the rows that are shown come before row `number` of the stream."""
    row = rows.nearest(number)
    return row + (rows.place(row).number < number)
