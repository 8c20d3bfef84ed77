"""Retained calls by how long they took, how long after the call before, and when.

Durations fall into steps of 1, 2 and 5 in each power of ten, as people read a scale; times
into slots of a second, or of a tenth where all are within three minutes, of which 1800 are kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ior.calls import Batch
from ior.histogram import HistogramSnapshot

Ints = npt.NDArray[np.int64]

EDGES: tuple[int, ...] = (0, *(m * 10**e for e in range(2, 11) for m in (1, 2, 5)))
"""Where steps begin, in ns; the last has no end."""

STEPS = len(EDGES)
MOST = 1800  # slots
FINE_NS, COARSE_NS = 100_000_000, 1_000_000_000
_EDGES = np.array(EDGES, np.int64)


class Durations(msgspec.Struct, frozen=True, eq=False):
    """Counts by step: `latency` and `gap` of shape (STEPS,), and by time.

    `heat` of each has shape (slots, STEPS), oldest first; a slot is `slot_ns` long.
    `calls` is how many calls there are; those without a latency or gap are in none of its steps.
    """

    calls: int
    latency: Ints
    gap: Ints
    heat: dict[str, Ints]
    slot_ns: int = COARSE_NS

    def counts(self, metric: str) -> Ints:
        """Return the counts of `latency` or `gap`."""
        return self.latency if metric == "latency" else self.gap


def of_rows(batches: Iterable[Batch]) -> Durations:
    """Count calls by duration and by when they returned."""
    parts = [_Part(batch) for batch in batches if len(batch)]
    last_ns = max((int(part.end_ns.max()) for part in parts), default=0)
    first_ns = min((int(part.end_ns.min()) for part in parts), default=last_ns)
    slot_ns = FINE_NS if last_ns - first_ns < MOST * FINE_NS else COARSE_NS
    last = last_ns // slot_ns
    first = max(first_ns // slot_ns, last - MOST + 1)
    slots = last - first + 1 if parts else 0
    heat = {name: np.zeros((slots, STEPS), np.int64) for name in ("latency", "gap")}
    total = {name: np.zeros(STEPS, np.int64) for name in heat}
    for part in parts:
        slot = part.end_ns // slot_ns - first
        for name, steps in part.steps.items():
            has = steps >= 0
            total[name] += np.bincount(steps[has], minlength=STEPS)
            late = has & (slot >= 0)
            cells = slot[late] * STEPS + steps[late]
            heat[name] += np.bincount(cells, minlength=slots * STEPS).reshape(slots, STEPS)
    calls = sum(len(part.end_ns) for part in parts)
    return Durations(calls, total["latency"], total["gap"], heat, slot_ns)


class _Part:
    """One batch: when each call returned, and its steps, -1 for none."""

    def __init__(self, batch: Batch) -> None:
        latency = batch["latency_ns"]
        self.end_ns: Any = batch["time_ns"].view(np.int64) + np.maximum(latency, 0)
        self.steps = {"latency": _steps(latency), "gap": _steps(batch["gap_ns"])}


def step_of(ns: int) -> int:
    """Return the step that a duration falls into."""
    return int(_steps(np.array([ns]))[0])


def _steps(values: Any) -> npt.NDArray[np.intp]:
    found: npt.NDArray[np.intp] = np.searchsorted(_EDGES, values, side="right")
    return found - 1  # -1 for an empty one, which is -1


def of_histogram(latency: HistogramSnapshot) -> Durations:
    """Count what a histogram holds, each of its buckets where it ends."""
    counts = np.zeros(STEPS, np.int64)
    for _, high, count in latency.buckets():
        counts[_steps(np.array([high - 1]))[0]] += count
    none = np.zeros(STEPS, np.int64)
    empty = {name: np.zeros((0, STEPS), np.int64) for name in ("latency", "gap")}
    return Durations(latency.total, counts, none, empty)
