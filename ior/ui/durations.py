"""Calls by how long they took, how long after the call before, and when.

Durations fall into steps of 1, 2 and 5 in each power of ten, as people read a scale; times
into slots of a second, or of a tenth where all are rows within three minutes, of which 1800 are
kept. What was counted in a histogram before falls where the middle of its bucket does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ior.calls import Batch
from ior.histogram import EDGES as BUCKET_EDGES
from ior.histogram import HistogramSnapshot
from ior.stages.groups import Groups, Spread
from ior.stages.stream import StreamSnapshot

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
    return _summed([_Part(batch) for batch in batches if len(batch)])


class Counter:
    """Counts the rows that a `stream` retains, each batch of them once."""

    def __init__(self) -> None:
        self._parts: dict[tuple[int, int], _Part] = {}  # by first row's number, and rows

    def of(self, retained: StreamSnapshot) -> Durations:
        """Count the rows that are retained now."""
        number = retained.total - sum(map(len, retained.batches))
        parts: dict[tuple[int, int], _Part] = {}
        for batch in retained.batches:
            key = number, len(batch)
            if len(batch):
                parts[key] = self._parts.get(key) or _Part(batch)
            number += len(batch)
        self._parts = parts
        return _summed(list(parts.values()))


class _Part:
    """One batch: its calls by fine slot and step, as far as there are some.

    `cells` of each metric are pairs of arrays: slot and step as one number, and calls.
    """

    def __init__(self, batch: Batch) -> None:
        latency = batch["latency_ns"]
        slots = (batch["time_ns"].view(np.int64) + np.maximum(latency, 0)) // FINE_NS
        self.calls = len(batch)
        self.first, self.last = int(slots.min()), int(slots.max())
        self.cells = {
            name: _counted(slots, _steps(column), self.first, self.last)
            for name, column in (("latency", latency), ("gap", batch["gap_ns"]))
        }


_DENSE = 4096  # slots


def _counted(slots: Ints, steps: Ints, first: int, last: int) -> tuple[Ints, Ints]:
    """Return the cells that calls are in, and how many; a call without a step is in none."""
    has = steps >= 0
    if last - first >= _DENSE:
        return np.unique(slots[has] * STEPS + steps[has], return_counts=True)
    counts = np.bincount((slots[has] - first) * STEPS + steps[has])
    cells = np.flatnonzero(counts)
    return cells + first * STEPS, counts[cells]


def _summed(parts: list[_Part]) -> Durations:
    """Add up parts, in slots that are fine where all are within three minutes."""
    last, first = max((p.last for p in parts), default=0), min((p.first for p in parts), default=0)
    coarse = last - first >= MOST
    fine = COARSE_NS // FINE_NS if coarse else 1  # slots in one of the result
    first = max(first // fine, last // fine - MOST + 1)
    slots = last // fine - first + 1 if parts else 0
    heat, total = {}, {}
    for name in ("latency", "gap"):
        pairs = [part.cells[name] for part in parts] or [(np.zeros(0, np.int64),) * 2]
        cells, counts = (np.concatenate(some) for some in zip(*pairs, strict=True))
        steps, slot = cells % STEPS, cells // STEPS // fine - first
        total[name] = np.bincount(steps, counts, STEPS).astype(np.int64)
        late = slot >= 0
        at = slot[late] * STEPS + steps[late]
        heat[name] = np.bincount(at, counts[late], slots * STEPS).astype(np.int64)
        heat[name] = heat[name].reshape(slots, STEPS)
    slot_ns = COARSE_NS if coarse else FINE_NS
    calls = sum(part.calls for part in parts)
    return Durations(calls, total["latency"], total["gap"], heat, slot_ns)


def step_of(ns: int) -> int:
    """Return the step that a duration falls into."""
    return int(_steps(np.array([ns]))[0])


def _steps(values: Any) -> npt.NDArray[np.intp]:
    found: npt.NDArray[np.intp] = np.searchsorted(_EDGES, values, side="right")
    return found - 1  # -1 for an empty one, which is -1


_OF_BUCKET = _steps(BUCKET_EDGES[:-1] + (BUCKET_EDGES[1:] - BUCKET_EDGES[:-1] - 1) // 2)
"""The step of every bucket of a histogram."""


def of_seconds(seconds: Sequence[tuple[int, Groups]]) -> Durations:
    """Count calls that were added up, each with the number of its second, oldest first."""
    some = [(number, groups) for number, groups in seconds if groups.calls]
    last = some[-1][0] if some else 0
    first = max(some[0][0], last - MOST + 1) if some else 1
    total = {name: np.zeros(STEPS, np.int64) for name in ("latency", "gap")}
    heat = {name: np.zeros((last - first + 1, STEPS), np.int64) for name in total}
    for number, groups in some:
        for name, spread in (("latency", groups.latency), ("gap", groups.gap)):
            counts = _by_step(spread)
            total[name] += counts
            if number >= first:
                heat[name][number - first] += counts
    calls = sum(groups.calls for _, groups in some)
    return Durations(calls, total["latency"], total["gap"], heat)


def _by_step(spread: Spread) -> Ints:
    """Return the counts of all groups together, by step."""
    counts = np.bincount(_OF_BUCKET[spread.buckets], spread.counts, STEPS)
    return counts.astype(np.int64)


def of_histogram(latency: HistogramSnapshot) -> Durations:
    """Count what a histogram holds."""
    buckets = _OF_BUCKET[latency.first : latency.first + len(latency.counts)]
    counts = np.bincount(buckets, latency.counts, STEPS).astype(np.int64)
    none = np.zeros(STEPS, np.int64)
    empty = {name: np.zeros((0, STEPS), np.int64) for name in ("latency", "gap")}
    return Durations(latency.total, counts, none, empty)
