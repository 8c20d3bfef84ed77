"""Waiting for records: how long, until how many, and what ends the wait early."""

from __future__ import annotations

import time
from typing import Final

import anyio

from ior.pipeline.clock import SystemClock, until_next_second
from ior.pipeline.settings import Batching
from ior.sources.bpf import records
from ior.sources.bpf.ring import RingReader

# A ring with little in it is left to fill, as large batches cost less a call ...
_FILL_BYTES_S: Final = 2 << 30  # ... but not beyond a quarter of it at four million calls a second
_FILL_LEAST_S: Final = 0.001
POLL_S = 0.1  # how often the end of a target is looked for after the last record ...
_IDLE_S: Final = 1.0  # ... until there was none for so long: then with all that look once a second


class Wait:
    """Waits for the ring of calls."""

    def __init__(self, ring: RingReader, ring_bytes: int, batching: Batching) -> None:
        self._ring = ring
        self._fill_s = min(batching.max_ms / 1000, ring_bytes / _FILL_BYTES_S)
        # With this much waiting there is no wait.
        self._busy_bytes = records.STRIDE * batching.max_calls // 2
        self._scope: anyio.CancelScope | None = None
        self._last_s = time.monotonic()

    async def for_records(self) -> None:
        """Wait, but not for long, until there is something to read, and let more come."""
        ring = self._ring
        if not ring.pending_bytes:
            with anyio.move_on_after(self._poll_s()) as self._scope:
                await anyio.wait_readable(ring.fd)
            self._scope = None
        if ring.pending_bytes:
            self._last_s = time.monotonic()
            if self._fill_s >= _FILL_LEAST_S and ring.pending_bytes < self._busy_bytes:
                await anyio.sleep(self._fill_s)

    def _poll_s(self) -> float:
        """Return how long to wait for a record: one that ends a target mostly is its last."""
        if time.monotonic() - self._last_s <= _IDLE_S:
            return POLL_S
        return until_next_second(SystemClock())  # the kernel's time, whatever a run's clock says

    def end(self) -> None:
        """Let the present wait be over, and the next ones be short."""
        self._last_s = time.monotonic()
        if self._scope is not None:
            self._scope.cancel()
