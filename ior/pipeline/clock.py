"""Where time is read: a parameter, so that windows, replay and tests share code."""

from __future__ import annotations

import time
from typing import Protocol

import anyio

_SECOND = 1_000_000_000
_AFTER_S = 0.001  # a timer that is a little early must not fall into the second before


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


def until_next_second(clock: Clock) -> float:
    """Return the seconds until the next full second.

    Those that look once a second do so together: to wake a processor costs more than to look.
    """
    return (_SECOND - clock.now_ns() % _SECOND) / _SECOND + _AFTER_S
