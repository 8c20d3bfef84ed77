"""Fold calls that a signal interrupted and the kernel restarted into one.

The programs flag an interrupted return and, on proof, the restarted entry (docs/kernel.md).
An interrupted call is held until its thread's restart arrives; when the thread goes on
without one it becomes a row of its own. Interrupted calls are rare, so a dict a held call
is affordable here, and only here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ior.calls import HALVES, Batch, Flag
from ior.stages.joining import renamed

Array = npt.NDArray[Any]

_FROM_FIRST = tuple(n for n in HALVES.names if n not in ("exit_ns", "ret", "cpu", "flags"))


class Whole(NamedTuple):
    """Calls as whole halves, with what pairing found out about each."""

    halves: Batch
    gap_ns: Array
    restarts: Array


class Held(NamedTuple):
    """One interrupted call that waits for its restart."""

    row: Batch  # of one row, a copy
    gap_ns: int
    restarts: int


class Restarts:
    """The interrupted calls that wait, by thread."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: dict[int, Held] = {}
        self.folded = 0  # rows that were merged into another by the last `fold`

    def __len__(self) -> int:
        return len(self._held)

    def fold(self, whole: Whole) -> Whole:
        """Return the calls with restarts folded; interrupted ones are held back."""
        self.folded = 0
        flags = whole.halves["flags"]
        special = (flags & (Flag.INTERRUPTED | Flag.RESTARTED)) != 0
        if self._held:
            tids = np.fromiter(self._held, np.uint32, len(self._held))
            special |= ((flags & Flag.BREAK) != 0) & np.isin(whole.halves["tid"], tids)
        if not special.any():
            return whole
        columns = {name: whole.halves[name].copy() for name in HALVES.names}
        gap, restarts = whole.gap_ns.copy(), whole.restarts.copy()
        keep = np.ones(len(gap), np.bool_)
        alone: list[Held] = []
        for i in np.flatnonzero(special).tolist():
            tid, flag = int(columns["tid"][i]), int(flags[i])
            held = self._held.pop(tid, None)
            if held is not None and flag & Flag.RESTARTED and not flag & Flag.BREAK:
                first = renamed(held.row, whole.halves)
                for name in _FROM_FIRST:
                    columns[name][i] = first[name][0]
                gap[i], restarts[i] = held.gap_ns, held.restarts + 1
                self.folded += 1
            elif held is not None:
                alone.append(held)
            if flag & Flag.INTERRUPTED:
                row = {name: columns[name][i : i + 1].copy() for name in HALVES.names}
                batch = Batch(HALVES, row, whole.halves.names, whole.halves.origin)
                self._held[tid] = Held(batch, int(gap[i]), int(restarts[i]))
                keep[i] = False
                if len(self._held) > self._limit:
                    alone.append(self._held.pop(next(iter(self._held))))
        columns = {name: column[keep] for name, column in columns.items()}
        return _with(alone, whole, columns, gap[keep], restarts[keep])

    def drain(self) -> Batch | None:
        """Return what is still held, as halves, and hold nothing more."""
        rows = [held.row for held in self._held.values()]
        self._held.clear()
        if not rows:
            return None
        rows = [renamed(row, rows[-1]) for row in rows]
        columns = {name: np.concatenate([row[name] for row in rows]) for name in HALVES.names}
        return Batch(HALVES, columns, rows[-1].names, rows[-1].origin)


def _with(
    alone: list[Held], whole: Whole, columns: dict[str, Array], gap: Array, restarts: Array
) -> Whole:
    """Put interrupted calls that were not restarted in front, as rows of their own."""
    if alone:
        rows = [renamed(held.row, whole.halves) for held in alone]
        columns = {
            name: np.concatenate([*(row[name] for row in rows), column])
            for name, column in columns.items()
        }
        gap = np.concatenate([[held.gap_ns for held in alone], gap]).astype(np.int64)
        restarts = np.concatenate([[held.restarts for held in alone], restarts])
    halves = Batch(HALVES, columns, whole.halves.names, whole.halves.origin)
    return Whole(halves, gap, restarts.astype(np.uint16))
