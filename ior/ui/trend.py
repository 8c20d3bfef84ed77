"""What the run's counts were second by second, whichever tab is in front."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from ior.stages.stats import Totals

MOST = 1800  # points
_SECOND_NS = 1_000_000_000


class Point(NamedTuple):
    """Counts since the start, at one moment; or those of a second, and its number."""

    at: int
    calls: int = 0
    errors: int = 0
    bytes_read: int = 0
    bytes_written: int = 0

    @staticmethod
    def of(at: int, totals: Totals) -> Point:
        """Return the counts in what a `stats` node has added up."""
        return Point(at, totals.calls, totals.errors, totals.bytes_read, totals.bytes_written)


class Trend:
    """The points of the last half an hour, one a second."""

    def __init__(self) -> None:
        self._points: deque[Point] = deque(maxlen=MOST + 1)
        self._rates: dict[str, tuple[float, ...]] | None = None  # until another point comes

    def add(self, point: Point) -> None:
        """Remember a point if the last one is a second old."""
        if not self._points or point.at >= self._points[-1].at + _SECOND_NS:
            self._points.append(point)
            self._rates = None

    def rates(self) -> dict[str, tuple[float, ...]]:
        """Return what happened in a second, by count, oldest first."""
        if self._rates is None:
            self._rates = self._counted()
        return self._rates

    def _counted(self) -> dict[str, tuple[float, ...]]:
        names = Point._fields[1:]
        found: dict[str, list[float]] = {name: [] for name in names}
        for old, new in itertools.pairwise(self._points):
            seconds = (new.at - old.at) / _SECOND_NS
            for name, before, after in zip(names, old[1:], new[1:], strict=True):
                found[name].append((after - before) / seconds)
        return {name: tuple(values) for name, values in found.items()}


def by_second(seconds: Sequence[Point]) -> dict[str, tuple[float, ...]]:
    """Return what happened in each second, oldest first; in one that is not there nothing did.

    A second that is there twice, as two hosts or clocks have a part in it, is added up.
    """
    found: dict[str, tuple[float, ...]] = {}
    for i, name in enumerate(Point._fields[1:], 1):
        counts: dict[int, float] = {}
        for second in seconds:
            counts[second.at] = counts.get(second.at, 0.0) + second[i]
        numbers = range(seconds[0].at, seconds[-1].at + 1) if seconds else range(0)
        found[name] = tuple(counts.get(number, 0.0) for number in numbers)
    return found
