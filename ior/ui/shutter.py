"""When pictures of a run are taken: often while rows come, once a second while nothing moves.

A picture asks every node that is looked at, and the kernel; whether anything has moved is known
from the books alone. What changes without a row, such as the ages of calls in flight and what
only the kernel counts, is at most a second old.
"""

from __future__ import annotations

from typing import Protocol

import anyio

from ior.pipeline.clock import Clock, until_next_second
from ior.ui.events import Picture

BEHIND, BEHIND_S = 65_536, 1.0  # records that wait in the kernel, and the rest while more do
SHARE = 4  # a picture that took t is followed by at least SHARE times t without one
SETTLE_S = 0.05  # from the first row that moves until a picture of what it has led to
LATE_NS = 1_000_000_000  # how long after the last move a slow stage may still give rows
_SECOND = 1_000_000_000


class Moving(Protocol):
    """The part of a run that tells that it goes on."""

    async def moves(self) -> None:
        """Wait until a source gives something."""


class Shutter:
    """Says when the next picture is due.

    `refresh_s` is between looks at whether anything has moved, `rest_s` until the next.
    `is_still` says that nothing had moved at the last look.
    """

    def __init__(self, refresh_s: float) -> None:
        self._refresh_s = self.rest_s = refresh_s
        self._rows, self._second = 0, -1
        self._moved_ns = -LATE_NS
        self.is_still = True

    def is_due(self, rows: int, now_ns: int) -> bool:
        """Return whether a picture would be another: `rows` that moved grew, or the second."""
        seen, second = (self._rows, self._second), now_ns // _SECOND
        self._rows, self._second = rows, second
        self.is_still = rows == seen[0]
        if not self.is_still:
            self._moved_ns = now_ns
        return seen != (rows, second)

    def took(self, picture: Picture, cost_s: float) -> None:
        """Rest after a picture that took `cost_s`: longer where records wait in the kernel."""
        kernel = picture.ledger.kernel
        waiting = kernel.get("attempted", 0) - kernel.get("lost", 0) - kernel.get("read", 0)
        rest_s = max(self._refresh_s, BEHIND_S) if waiting > BEHIND else self._refresh_s
        self.rest_s = max(rest_s, SHARE * cost_s)

    async def rest(self, run: Moving, clock: Clock) -> None:
        """Wait for the next look; while nothing moves that is when something does, or a second.

        What a stage does that needs long is no move of a source: it is looked for as ever.
        """
        if not self.is_still:
            await anyio.sleep(self.rest_s)
            return
        is_late = clock.now_ns() - self._moved_ns < LATE_NS
        with anyio.move_on_after(self.rest_s if is_late else until_next_second(clock)):
            await run.moves()
            await anyio.sleep(SETTLE_S)
