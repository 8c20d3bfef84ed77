"""Which of the retained rows ended when, and which number in their stream they have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ior.calls import Batch
from ior.stages.stream import StreamSnapshot
from ior.ui.chunks import Chunk


def ends(batch: Batch) -> npt.NDArray[np.int64]:
    """Return when each call ended, as `History` has it: it returned, or never will.

    Rows of a stage of one's own that have no times ended at 0.
    """
    names = batch.schema.names
    if "time_ns" not in names:
        return np.zeros(len(batch), np.int64)
    begun: npt.NDArray[np.int64] = batch["time_ns"].view(np.int64)
    return begun + np.maximum(batch["latency_ns"], 0) if "latency_ns" in names else begun


def within(batch: Batch, begin_ns: int, end_ns: int) -> npt.NDArray[np.bool_]:
    """Return which calls ended from a moment on and before another."""
    ended = ends(batch)
    return (ended >= begin_ns) & (ended < end_ns)


def numbered(batches: Sequence[Batch], number: int, begin_ns: int = 0) -> list[tuple[int, Batch]]:
    """Return batches with the number of their first row, from the first call on that ended then.

    `number` is that of the first of all rows.
    """
    found: list[tuple[int, Batch]] = []
    for batch in batches:
        inside = 0
        if not found:
            later = ends(batch) >= begin_ns
            inside = int(np.argmax(later)) if later.any() else len(batch)
        if inside < len(batch):
            part = batch.select(np.arange(inside, len(batch))) if inside else batch
            found.append((number + inside, part))
        number += len(batch)
    return found


def chunks_of(snapshot: StreamSnapshot, bounds_ns: tuple[int, int] | None) -> list[Chunk]:
    """Return the rows that ended within bounds, batch by batch, oldest first."""
    number, found = snapshot.total - sum(map(len, snapshot.batches)), []
    for batch in snapshot.batches:
        key: tuple[int, ...] = (number, len(batch))
        rows = batch
        if bounds_ns is not None:
            rows = batch.select(within(batch, *bounds_ns))
            key = key if rows is batch else (*key, *bounds_ns)
        if len(rows):
            found.append(Chunk(key, number, rows))
        number += len(batch)
    return found
