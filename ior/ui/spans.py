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


def cut(
    batches: Sequence[Batch], number: int, begin_ns: int, end_ns: int
) -> list[tuple[int, Batch]]:
    """Return the rows from the first that ended at a moment or later to the first at another.

    They come in batches with the number of their first row; `number` is that of the first of all.
    """
    found: list[tuple[int, Batch]] = []
    for batch in batches:
        ended = ends(batch)
        first = 0 if found else _first(ended >= begin_ns)
        after = _first(ended >= end_ns)
        if first < after:
            whole = after - first == len(batch)
            part = batch if whole else batch.select(np.arange(first, after))
            found.append((number + first, part))
        if after < len(batch):
            break
        number += len(batch)
    return found


def _first(mask: npt.NDArray[np.bool_]) -> int:
    """Return the first place where a mask holds, its length if there is none."""
    return int(np.argmax(mask)) if mask.any() else len(mask)


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
