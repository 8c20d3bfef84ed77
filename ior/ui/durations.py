"""Calls by how long they took, how long after the call before, and when.

Durations fall into steps of 1, 2 and 5 in each power of ten, as people read a scale; times
into slots of a second, or of a tenth where all are rows within three minutes, of which 1800 are
kept. Calls that were added up by the second fall where the middle of the bucket does that they
were counted in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from ior.calls import Batch
from ior.expr import Predicate
from ior.histogram import EDGES as BUCKET_EDGES
from ior.histogram import HistogramSnapshot
from ior.stages.history import Second

Ints = npt.NDArray[np.int64]

EDGES: tuple[int, ...] = (0, *(m * 10**e for e in range(2, 11) for m in (1, 2, 5)))
"""Where steps begin, in ns; the last has no end."""

STEPS = len(EDGES)
MOST = 1800  # slots
FINE_NS, COARSE_NS = 100_000_000, 1_000_000_000
_EDGES = np.array(EDGES, np.int64)
_METRICS = {"latency": "latency_ns", "gap": "gap_ns"}


class Durations(msgspec.Struct, frozen=True, eq=False):
    """Counts by step: `latency` and `gap` of shape (STEPS,), and by time.

    `heat` of each has shape (slots, STEPS), oldest first; a slot is `slot_ns` long.
    `calls` is how many calls there are; those without a latency or gap are in none of its steps.
    `by_second` is how many of them were added up by the second, `rows_ns` the time that the
    others cover, which came after these.
    """

    calls: int
    latency: Ints
    gap: Ints
    heat: dict[str, Ints]
    slot_ns: int = COARSE_NS
    by_second: int = 0
    rows_ns: int = 0

    def counts(self, metric: str) -> Ints:
        """Return the counts of `latency` or `gap`."""
        return self.latency if metric == "latency" else self.gap


class Shown(NamedTuple):
    """What there is to be counted: seconds, and the rows after them.

    `rows` are batches of a stream, each with the number of its first row.
    """

    seconds: Sequence[Second]
    rows: Sequence[tuple[int, Batch]]


class Counted(NamedTuple):
    """What came of it: of `whole` calls those that matched, and how many could not be told."""

    durations: Durations
    whole: int
    untold: int


def of_rows(batches: Iterable[Batch]) -> Durations:
    """Count calls by duration and by when they returned."""
    return _summed([_of_batch(batch, None) for batch in batches])


class Counter:
    """Counts what a filter matches of seconds and rows, each second and batch of them once."""

    def __init__(self) -> None:
        self._parts: dict[Any, _Part] = {}  # by second, or by first row's number and rows
        self._where: Predicate | None = None

    def of(self, shown: Shown, where: Predicate | None = None) -> Counted:
        """Count what is there now."""
        known = self._parts if where is self._where else {}
        parts: dict[Any, _Part] = {}
        for second in shown.seconds:
            key = id(second)  # which is held in the part, so that there is no other with it
            parts[key] = known.get(key) or _of_second(second, where)
        for number, batch in shown.rows:
            rows = number, len(batch)
            parts[rows] = known.get(rows) or _of_batch(batch, where)
        self._parts, self._where = parts, where
        found = list(parts.values())
        untold = sum(part.untold for part in found)
        return Counted(_summed(found), sum(part.whole for part in found), untold)


class _Part(NamedTuple):
    """One batch or second: its calls by fine slot and step, as far as there are some.

    `cells` of each metric are pairs of arrays: slot and step as one number, and calls. Slots are
    from `first` to `last`. `calls` of `whole` calls matched. `second` is None for a batch.
    """

    second: Second | None
    calls: int
    whole: int
    untold: int
    first: int
    last: int
    cells: Mapping[str, tuple[Ints, Ints]]


def _of_batch(batch: Batch, where: Predicate | None) -> _Part:
    some = batch if where is None else batch.select(where(batch))
    none = np.zeros(0, np.int64)
    if not len(some):
        return _Part(None, 0, len(batch), 0, 0, 0, dict.fromkeys(_METRICS, (none, none)))
    slots = (some["time_ns"].view(np.int64) + np.maximum(some["latency_ns"], 0)) // FINE_NS
    first, last = int(slots.min()), int(slots.max())
    cells = {
        name: _counted(slots, _steps(some[column]), first, last)
        for name, column in _METRICS.items()
    }
    return _Part(None, len(some), len(batch), 0, first, last, cells)


def _of_second(second: Second, where: Predicate | None) -> _Part:
    whole, slot = second.groups, second.number * (COARSE_NS // FINE_NS)
    groups, untold = (whole, 0) if where is None else whole.matching(where)
    cells: dict[str, tuple[Ints, Ints]] = {}
    for name, spread in (("latency", groups.latency), ("gap", groups.gap)):
        counts = np.bincount(_OF_BUCKET[spread.buckets], spread.counts, STEPS).astype(np.int64)
        steps = np.flatnonzero(counts)
        cells[name] = slot * STEPS + steps, counts[steps]
    return _Part(second, groups.calls, whole.calls, untold, slot, slot, cells)


_DENSE = 4096  # slots


def _counted(slots: Ints, steps: Ints, first: int, last: int) -> tuple[Ints, Ints]:
    """Return the cells that calls are in, and how many; a call without a step is in none."""
    has = steps >= 0
    if last - first >= _DENSE:
        return np.unique(slots[has] * STEPS + steps[has], return_counts=True)
    counts = np.bincount((slots[has] - first) * STEPS + steps[has])
    cells = np.flatnonzero(counts)
    return cells + first * STEPS, counts[cells]


def _summed(found: list[_Part]) -> Durations:
    """Add up parts, in slots that are fine where all are of rows within three minutes."""
    parts = [part for part in found if part.calls]
    last, first = max((p.last for p in parts), default=0), min((p.first for p in parts), default=0)
    seconds = [part for part in parts if part.second is not None]
    coarse = last - first >= MOST or len(seconds) > 0
    fine = COARSE_NS // FINE_NS if coarse else 1  # slots in one of the result
    oldest = min((part.first for part in parts if part.second is None), default=last + 1)
    first = max(first // fine, last // fine - MOST + 1)
    slots = last // fine - first + 1 if parts else 0
    heat, total = {}, {}
    for name in _METRICS:
        pairs = [part.cells[name] for part in parts] or [(np.zeros(0, np.int64),) * 2]
        cells, counts = (np.concatenate(some) for some in zip(*pairs, strict=True))
        steps, slot = cells % STEPS, cells // STEPS // fine - first
        total[name] = np.bincount(steps, counts, STEPS).astype(np.int64)
        late = slot >= 0
        at = slot[late] * STEPS + steps[late]
        heat[name] = np.bincount(at, counts[late], slots * STEPS).astype(np.int64)
        heat[name] = heat[name].reshape(slots, STEPS)
    slot_ns = COARSE_NS if coarse else FINE_NS
    calls, by_second = (sum(part.calls for part in some) for some in (parts, seconds))
    rows_ns = (last + 1 - oldest) * FINE_NS
    return Durations(calls, total["latency"], total["gap"], heat, slot_ns, by_second, rows_ns)


def step_of(ns: int) -> int:
    """Return the step that a duration falls into."""
    return int(_steps(np.array([ns]))[0])


def _steps(values: Any) -> npt.NDArray[np.intp]:
    found: npt.NDArray[np.intp] = np.searchsorted(_EDGES, values, side="right")
    return found - 1  # -1 for an empty one, which is -1


_OF_BUCKET = _steps(BUCKET_EDGES[:-1] + (BUCKET_EDGES[1:] - BUCKET_EDGES[:-1] - 1) // 2)
"""The step of every bucket of a histogram."""


def of_histogram(latency: HistogramSnapshot) -> Durations:
    """Count what a histogram holds."""
    buckets = _OF_BUCKET[latency.first : latency.first + len(latency.counts)]
    counts = np.bincount(buckets, latency.counts, STEPS).astype(np.int64)
    none = np.zeros(STEPS, np.int64)
    empty = {name: np.zeros((0, STEPS), np.int64) for name in ("latency", "gap")}
    return Durations(latency.total, counts, none, empty)
