"""Where time is read: a parameter, so that windows, replay and tests share code."""

from __future__ import annotations

import time
from typing import Protocol

import anyio


class Clock(Protocol):
    """Time for stages and the framework."""

    def now_ns(self) -> int:
        """Return nanoseconds since boot (CLOCK_BOOTTIME), as calls carry them."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's own clock."""

    def now_ns(self) -> int:
        """Return CLOCK_BOOTTIME."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    async def sleep(self, seconds: float) -> None:
        """Wait in the running event loop."""
        await anyio.sleep(seconds)
