"""The programs' clock: they read CLOCK_MONOTONIC, which is cheap, and add what a suspend took."""

from __future__ import annotations

import time
from typing import Final

from ior.sources.bpf.loader import Object

_SUSPEND_NS: Final = 1_000_000  # no suspend is shorter


def boot_offset_ns() -> int:
    """Return how far CLOCK_BOOTTIME is ahead of CLOCK_MONOTONIC: the time spent suspended."""
    now = time.clock_gettime_ns
    reads = [
        (now(time.CLOCK_MONOTONIC), now(time.CLOCK_BOOTTIME), now(time.CLOCK_MONOTONIC))
        for _ in range(5)
    ]
    before, boot, after = min(reads, key=lambda read: read[2] - read[0])  # not interrupted
    return boot - (before + after) // 2


def follow_suspends(loaded: Object) -> None:
    """Correct the programs' clock after a suspend; smaller differences are our reading."""
    offset = boot_offset_ns()
    if abs(offset - int(loaded.globals["boot_offset_ns"])) > _SUSPEND_NS:
        loaded.globals["boot_offset_ns"] = offset
