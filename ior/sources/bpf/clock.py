"""The programs' clock: they read CLOCK_MONOTONIC, which is cheap, and add what a suspend took."""

from __future__ import annotations

import time
from typing import Final

from ior.sources.bpf.loader import Object

_SUSPEND_NS: Final = 1_000_000  # no suspend is shorter
_EVERY_S: Final = 0.1


def boot_offset_ns() -> int:
    """Return how far CLOCK_BOOTTIME is ahead of CLOCK_MONOTONIC: the time spent suspended."""
    now = time.clock_gettime_ns
    reads = [
        (now(time.CLOCK_MONOTONIC), now(time.CLOCK_BOOTTIME), now(time.CLOCK_MONOTONIC))
        for _ in range(5)
    ]
    before, boot, after = min(reads, key=lambda read: read[2] - read[0])  # not interrupted
    return boot - (before + after) // 2


class Suspends:
    """Corrects the programs' clock after suspends. It is asked before every read of records."""

    def __init__(self, loaded: Object) -> None:
        self._globals = loaded.globals
        self._due_s = 0.0

    def follow(self) -> None:
        """Look, at most ten times a second; small differences are our reading."""
        now_s = time.monotonic()
        if now_s < self._due_s:
            return
        self._due_s = now_s + _EVERY_S
        offset = boot_offset_ns()
        if abs(offset - int(self._globals["boot_offset_ns"])) > _SUSPEND_NS:
            self._globals["boot_offset_ns"] = offset
