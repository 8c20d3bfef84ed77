"""The time between a thread's calls, over any number of batches.

`gap_ns` is from the return of a thread's previous row to the entry of this one. It is empty
for a thread's first row, after a loss or a change of what is traced, and after a call that
never returned.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ior.calls import NONE_NS, Batch, Flag
from ior.stages.joining import Joined, thread_order

Array = npt.NDArray[Any]

_SLOTS = 1 << 22  # Linux's highest tid; untouched pages of the tables cost nothing


class Gaps:
    """When each thread's last row returned; 0 where that is not known."""

    def __init__(self) -> None:
        self._last = np.zeros(_SLOTS, np.uint64)
        self._owner = np.zeros(_SLOTS, np.uint32)  # a replayed tid may be any number

    def of(self, batch: Batch, joined: Joined) -> Array:
        """Return the gap of each call of `joined`, int64 ns, and remember where threads are."""
        order = thread_order(batch["tid"])
        position = np.arange(len(batch))  # of each half in thread order
        if order is not None:
            position[order] = position.copy()
        order = np.arange(len(batch)) if order is None else order
        tid = batch["tid"][order]
        starts = np.flatnonzero(np.concatenate([[True], tid[1:] != tid[:-1]]))
        thread = np.zeros(len(batch), np.int64)  # which run of one thread a half is in
        thread[starts[1:]] = 1
        thread = np.cumsum(thread)
        # Breaks counted along the halves: where two counts are equal there is none between.
        breaks = ((batch["flags"][order] & Flag.BREAK) != 0).astype(np.int64)
        count = np.cumsum(breaks)
        count_before = count[starts] - breaks[starts]
        count_after = count[np.append(starts[1:], len(batch)) - 1]
        tids = tid[starts]
        slots = tids & (_SLOTS - 1)
        last = np.where(self._owner[slots] == tids, self._last[slots], 0)
        now = np.where(count_after == count_before, last, 0)

        result = np.full(len(joined.exits), NONE_NS, np.int64)
        if len(result):
            rows = np.argsort(position[joined.exits], kind="stable")
            begin, end = position[joined.enters][rows], position[joined.exits][rows]
            of_thread = thread[begin]
            exit_ns = batch["exit_ns"][joined.exits][rows]
            first = np.concatenate([[True], of_thread[1:] != of_thread[:-1]])
            before = np.concatenate([exit_ns[:1], exit_ns[:-1]])
            before[first] = last[of_thread[first]]
            known = np.concatenate([count[end][:1], count[end][:-1]])
            known[first] = count_before[of_thread[first]]
            enter_ns = batch["enter_ns"][joined.enters][rows]
            valid = (before != 0) & (known == count[begin]) & (enter_ns >= before)
            gap = np.where(valid, (enter_ns - before).astype(np.int64), NONE_NS)
            result[rows] = gap
            final = np.concatenate([first[1:], [True]])
            ends = of_thread[final]
            now[ends] = np.where(count[end][final] == count_after[ends], exit_ns[final], 0)
        self._owner[slots], self._last[slots] = tids, now
        return result
