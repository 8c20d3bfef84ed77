"""Fold calls that a signal interrupted and the kernel restarted into one.

The programs flag an interrupted return and, on proof, the restarted entry (docs/kernel.md).
An interrupted call is held until its thread's restart arrives. When a record in between is
missing, or another call is interrupted first, it becomes a row of its own: two rows are
better than a wrong one. Interrupted calls are rare, so Python for each is affordable here.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ior.calls import Batch, Flag, concat
from ior.stages.joining import Joined, detached, overlay, renamed

Array = npt.NDArray[Any]

_MOST: Final = np.iinfo(np.uint16).max
_BREAK, _ROW = 0, 1


class Whole(NamedTuple):
    """Calls as whole halves, with what pairing found out about each."""

    halves: Batch
    gap_ns: Array
    restarts: Array  # uint16


class Folded(NamedTuple):
    """What `fold` gives."""

    rows: Whole
    gone: Batch | None  # interrupted calls whose thread has ended
    joined: int  # rows that were merged into others


class Restarts:
    """The interrupted calls that wait for their restart, at most `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: Whole | None = None  # in the order in which they returned

    def __len__(self) -> int:
        return 0 if self._held is None else len(self._held.halves)

    def fold(self, batch: Batch, joined: Joined, rows: Whole) -> Folded:
        """Return the calls with restarts folded; interrupted ones are held back.

        `rows` are the calls of `joined`, which is what became of `batch`. A call that is
        given up stands where that showed.
        """
        held = self._held
        if held is None and not joined.signalled:
            return Folded(rows, None, 0)
        if held is not None:
            held = self._held = held._replace(halves=renamed(held.halves, batch))
            theirs = np.isin(batch["tid"][joined.missing], held.halves["tid"])
            if not joined.signalled and not theirs.any():
                return Folded(rows, None, 0)
        every = rows if held is None else _together(held, rows)
        fold = _Fold(every, len(self), self._limit)
        fold.run(batch, joined)
        self._held = fold.waiting()
        return fold.folded()

    def drain(self) -> Batch | None:
        """Return what is still held, as halves, and hold nothing more."""
        held, self._held = self._held, None
        return None if held is None else held.halves


def _together(one: Whole, two: Whole) -> Whole:
    return Whole(
        concat([one.halves, two.halves]),
        np.concatenate([one.gap_ns, two.gap_ns]),
        np.concatenate([one.restarts, two.restarts]),
    )


class _Fold:
    """One pass over the rows of a batch, those held from earlier ones in front."""

    def __init__(self, every: Whole, held: int, limit: int) -> None:
        self._every, self._limit = every, limit
        self._new = held  # the first row of this batch
        tids = every.halves["tid"][:held].tolist()
        self._waiting = {tid: row for row, tid in enumerate(tids)}
        self._before = np.arange(len(every.gap_ns))  # the row that each restarts, or itself
        self._restarts = every.restarts.astype(np.int64)
        self._place = np.full(len(every.gap_ns), -1, np.int64)  # where a row goes; -1 nowhere
        self._gone: list[int] = []
        self._joined = 0

    def run(self, batch: Batch, joined: Joined) -> None:
        """Go through the interrupted and restarted calls, and the breaks of their threads."""
        halves, new = self._every.halves, self._new
        flags = halves["flags"][new:]
        special = np.flatnonzero(flags & (Flag.INTERRUPTED | Flag.RESTARTED))
        self._place[new:] = 2 * joined.exits + 1
        tids = halves["tid"]
        stopped = special[(flags[special] & Flag.INTERRUPTED) != 0] + new
        theirs = np.concatenate([tids[:new], tids[stopped]])
        breaks = joined.missing[np.isin(batch["tid"][joined.missing], theirs)]
        events = [(at, _BREAK, at) for at in breaks.tolist()]
        rows = zip(joined.exits[special].tolist(), (special + new).tolist(), strict=True)
        events += [(at, _ROW, row) for at, row in rows]
        events.sort()
        for at, kind, which in events:
            if kind == _BREAK:
                fresh = bool(batch["flags"][which] & Flag.FRESH)
                self._give_up(int(batch["tid"][which]), at, fresh=fresh)
            else:
                self._row(which, at)

    def _give_up(self, tid: int, at: int, *, fresh: bool = False) -> None:
        row = self._waiting.pop(tid, None)
        if row is not None and fresh:
            self._gone.append(row)
        elif row is not None:
            self._place[row] = 2 * at

    def _row(self, row: int, at: int) -> None:
        tid, flags = (int(self._every.halves[name][row]) for name in ("tid", "flags"))
        if flags & Flag.RESTARTED and tid in self._waiting:
            begin = self._waiting.pop(tid)
            self._before[row] = begin
            self._restarts[row] = self._restarts[begin] + 1
            self._joined += 1
        if flags & Flag.INTERRUPTED:
            self._give_up(tid, at)
            self._place[row] = -1
            if flags & Flag.ENDED:
                self._gone.append(row)
                return
            self._waiting[tid] = row
            if len(self._waiting) > self._limit:
                self._give_up(next(iter(self._waiting)), at)

    def folded(self) -> Folded:
        """Return the rows, in the order of their places."""
        places = self._place
        chosen = np.flatnonzero(places >= 0)
        rows = self._take(chosen[np.argsort(places[chosen], kind="stable")])
        gone = self._take(np.array(self._gone, np.int64)).halves if self._gone else None
        return Folded(rows, gone, self._joined)

    def waiting(self) -> Whole | None:
        """Return what is to be held, as copies."""
        if not self._waiting:
            return None
        rows = self._take(np.array(list(self._waiting.values()), np.int64))
        return rows._replace(halves=detached(rows.halves, np.arange(len(rows.gap_ns))))

    def _take(self, last: Array) -> Whole:
        """Return the calls that end with these rows, each joined with those that it restarts."""
        halves, first = self._every.halves, last.copy()
        rows, chains = halves.select(last), np.flatnonzero(self._before[last] != last)
        if len(chains):
            first[chains], folded = self._chained(last[chains])
            index = np.arange(len(last))
            index[chains] = len(last) + np.arange(len(chains))
            rows = concat([rows, folded]).select(index)
        restarts = np.minimum(self._restarts[last], _MOST).astype(np.uint16)
        return Whole(rows, self._every.gap_ns[first], restarts)

    def _chained(self, last: Array) -> tuple[Array, Batch]:
        """Return the first rows of the chains that end with these, and each chain as one."""
        parts = [last]
        while ((before := self._before[parts[-1]]) != parts[-1]).any():
            parts.append(before)  # of a chain that is shorter, its first row again
        rows = self._every.halves.select(parts[-1])
        for part in reversed(parts[:-1]):
            rows = overlay(rows, self._every.halves.select(part))
        return parts[-1], rows
