"""Enters that wait for their return from one batch to the next, not more than allowed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ior.calls import Batch, Flag
from ior.stages.joining import Cause, Joined, codes, detached, prepend

Array = npt.NDArray[Any]


class Waiting:
    """At most `limit` enters, the longest waiting first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._carried: Batch | None = None
        self._given_up: dict[int, int] = {}  # by thread the number of the call that was

    def __len__(self) -> int:
        return 0 if self._carried is None else len(self._carried)

    def before(self, batch: Batch) -> Batch:
        """Return a batch with what waits in front."""
        return prepend(self._carried, batch)

    def keep(self, batch: Batch, pending: Array) -> Array:
        """Hold the enters at `pending`, and no others; return those given up, as indexes."""
        excess = max(0, len(pending) - self._limit)
        given_up, kept = pending[:excess], pending[excess:]
        self._carried = detached(batch, kept) if len(kept) else None
        if excess:
            tids, numbers = batch["tid"][given_up].tolist(), batch["nr"][given_up].tolist()
            self._given_up |= dict(zip(tids, numbers, strict=True))
        return given_up

    def explained(self, batch: Batch, joined: Joined) -> Array:
        """Return the causes of `joined`, saying so where a return's enter was given up."""
        if not self._given_up:
            return joined.causes
        causes, overflow = joined.causes.copy(), codes(Cause.OVERFLOW, 1)
        theirs = np.flatnonzero(np.isin(batch["tid"], np.array(list(self._given_up), np.uint32)))
        tids, first = np.unique(batch["tid"][theirs], return_index=True)
        sides = Flag.ENTER | Flag.EXIT | Flag.BREAK | Flag.FRESH
        for tid, half in zip(tids.tolist(), theirs[first].tolist(), strict=True):
            same = self._given_up.pop(tid) == batch["nr"][half]
            if same and batch["flags"][half] & sides == Flag.EXIT:
                causes[np.searchsorted(joined.unmatched, half)] = overflow[0]
        return causes

    def drain(self) -> Batch | None:
        """Return what waits, and hold nothing more."""
        carried, self._carried = self._carried, None
        return carried
