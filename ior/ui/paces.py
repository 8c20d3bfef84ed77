"""What happened in each second of a capture, by count: its own seconds, not those of reading it.

A picture of a capture that is still read counts the seconds that came since the last one; half an
hour of them would take a quarter of a second.
"""

from __future__ import annotations

from ior.stages.history import HistorySnapshot, Second
from ior.stages.stats import Stats, StatsConfig
from ior.ui.trend import Point, by_second


class Paces:
    """Counts the seconds of one history after the other, each second once."""

    def __init__(self) -> None:
        self._let_go()

    def _let_go(self) -> None:
        self._points: dict[int, tuple[Second, Point]] = {}  # by the second's identity
        self._made: tuple[HistorySnapshot, dict[str, tuple[float, ...]]] | None = None
        self._used = False

    def looked(self) -> None:
        """Let go of everything if the look that is over had no use for it."""
        if not self._used:
            self._let_go()
        self._used = False

    def of(self, history: HistorySnapshot) -> dict[str, tuple[float, ...]]:
        """Return by count what happened in each second; the same object for the same history."""
        self._used = True
        if self._made is None or self._made[0] is not history:
            known = self._points
            self._points = {
                id(one): known.get(id(one)) or (one, _point(one)) for one in history.seconds
            }
            self._made = history, by_second([point for _, point in self._points.values()])
        return self._made[1]


def _point(second: Second) -> Point:
    sums = Stats(StatsConfig(by=[]))
    sums.add(second.groups)
    return Point.of(second.number, sums.snapshot().totals)
