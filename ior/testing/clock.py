"""A clock that stands still until a test turns it."""

from __future__ import annotations

import heapq
import itertools

import anyio
from anyio.lowlevel import checkpoint

_TURNS = 20  # of the event loop: enough for a woken task to finish what it was woken for


class VirtualClock:
    """A `Clock` whose time moves only by `advance`.

    With a task that runs a graph on it, `await clock.advance(5)` gives five seconds, all
    ticks in their order, without waiting.
    """

    def __init__(self, now_ns: int = 0) -> None:
        self._now_ns = now_ns
        self._order = itertools.count()
        self._sleepers: list[tuple[int, int, anyio.Event]] = []

    def now_ns(self) -> int:
        """Return the time that the clock was turned to."""
        return self._now_ns

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was turned on by `seconds`."""
        if seconds <= 0:
            await checkpoint()
            return
        due_ns, event = self._now_ns + round(seconds * 1e9), anyio.Event()
        heapq.heappush(self._sleepers, (due_ns, next(self._order), event))
        await event.wait()

    async def advance(self, seconds: float) -> None:
        """Turn the clock on, waking sleepers at their times and in their order."""
        await self.settle()
        end_ns = self._now_ns + round(seconds * 1e9)
        while self._sleepers and self._sleepers[0][0] <= end_ns:
            self._now_ns, _, event = heapq.heappop(self._sleepers)
            event.set()
            await self.settle()
        self._now_ns = end_ns

    async def step(self) -> bool:
        """Turn the clock on to when the next sleeper wakes; return False if nobody sleeps."""
        if not self._sleepers:
            return False
        self._now_ns, _, event = heapq.heappop(self._sleepers)
        event.set()
        await self.settle()
        return True

    async def settle(self) -> None:
        """Give every other task some turns of the event loop."""
        for _ in range(_TURNS):
            await checkpoint()
