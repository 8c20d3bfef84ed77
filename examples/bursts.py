"""A stage that is an async generator: passes on only the bursts of a program.

A generator is one loop over all batches, so what it remembers is in local variables.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np

from ior import Batch, Config


class BurstsConfig(Config, frozen=True, kw_only=True):
    """Keys: a call belongs to a burst if it comes at most so long after the one before it."""

    within_us: int = 100


async def bursts(batches: AsyncIterator[Batch], config: BurstsConfig) -> AsyncIterator[Batch]:
    """Give the calls that follow each other closely, whatever batch the one before was in."""
    last_ns = -1
    async for batch in batches:
        if not len(batch):
            continue
        times = batch["time_ns"].astype(np.int64)
        since = np.diff(times, prepend=times[0] if last_ns < 0 else last_ns)
        if last_ns < 0:
            since[0] = np.iinfo(np.int64).max  # nothing came before the first
        last_ns = int(times[-1])
        yield batch.select(since <= 1000 * config.within_us)
