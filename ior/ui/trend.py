"""What the run's counts were second by second, whichever tab is in front."""

from __future__ import annotations

import itertools
from collections import deque
from typing import NamedTuple

MOST = 1800  # points
_SECOND_NS = 1_000_000_000


class Point(NamedTuple):
    """Counts since the start, at one moment."""

    now_ns: int
    calls: int = 0
    errors: int = 0
    bytes_read: int = 0
    bytes_written: int = 0


class Trend:
    """The points of the last half an hour, one a second."""

    def __init__(self) -> None:
        self._points: deque[Point] = deque(maxlen=MOST + 1)
        self._rates: dict[str, tuple[float, ...]] | None = None  # until another point comes

    def add(self, point: Point) -> None:
        """Remember a point if the last one is a second old."""
        if not self._points or point.now_ns >= self._points[-1].now_ns + _SECOND_NS:
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
            seconds = (new.now_ns - old.now_ns) / _SECOND_NS
            for name, before, after in zip(names, old[1:], new[1:], strict=True):
                found[name].append((after - before) / seconds)
        return {name: tuple(values) for name, values in found.items()}
