"""The time between a thread's calls, over any number of batches.

`gap_ns` is from the return of a thread's previous row to the entry of this one. It is empty
for a thread's first row, where something between is missing or was left out on purpose, where
what is traced has changed, and after a call that never returned.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ior.calls import NONE_NS, Batch, Flag
from ior.stages.joining import Joined

Array = npt.NDArray[Any]

_LEFT_OUT = int(Flag.LEFT_OUT)
_SLOTS = 1 << 22  # Linux's highest tid; untouched pages of the tables cost nothing


class Gaps:
    """When each thread's last row returned; 0 where that is not known.

    A replayed tid may be any number: one above Linux's limit shares its place with another,
    and what the two of them lose to each other is known to be lost.
    """

    def __init__(self) -> None:
        self._last = np.zeros(_SLOTS, np.uint64)
        self._owner = np.zeros(_SLOTS, np.uint32)

    def of(self, rows: Batch, joined: Joined) -> Array:
        """Return the gap of each call of `joined`, int64 ns, and remember where threads are.

        `rows` are these calls as whole halves.
        """
        gap = np.empty(len(rows), np.int64)
        if len(rows):
            order = joined.by_thread
            left_out = (rows["flags"] & _LEFT_OUT) != 0
            tid, enter_ns, exit_ns = (
                rows[name] if order is None else rows[name][order]
                for name in ("tid", "enter_ns", "exit_ns")
            )
            starts = np.append(0, np.flatnonzero(tid[1:] != tid[:-1]) + 1)
            np.subtract(enter_ns[1:], exit_ns[:-1], out=gap[1:].view(np.uint64))
            unknown = exit_ns == 0  # it never returned
            if unknown.any():
                gap[1:][unknown[:-1]] = NONE_NS
            last = self._last_of(tid[starts])
            gap[starts] = np.where(last != 0, enter_ns[starts] - last, np.uint64(0)).view(np.int64)
            gap[starts[last == 0]] = NONE_NS
            gap[left_out if order is None else left_out[order]] = NONE_NS
            if joined.apart is not None:
                gap[joined.apart] = NONE_NS
            np.maximum(gap, NONE_NS, out=gap)  # no clock of two processors is that wrong
            ends = np.append(starts[1:], len(tid)) - 1
            self._remember(tid[ends], exit_ns[ends])
            if order is not None:
                by_thread, gap = gap, np.empty(len(rows), np.int64)
                gap[order] = by_thread
        self.forget(joined.broken)
        return gap

    def forget(self, tids: Array) -> None:
        """Leave the next gap of these threads empty."""
        self._remember(tids, np.zeros(len(tids), np.uint64))

    def _last_of(self, tids: Array) -> Array:
        slots = tids & (_SLOTS - 1)
        return np.where(self._owner[slots] == tids, self._last[slots], np.uint64(0))

    def _remember(self, tids: Array, exit_ns: Array) -> None:
        slots = tids & (_SLOTS - 1)
        self._owner[slots], self._last[slots] = tids, exit_ns
