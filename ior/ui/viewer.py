"""Takes the pictures of a run that the screen shows."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from ior.errors import UsageError
from ior.pipeline.clock import Clock
from ior.pipeline.spec import PipelineSpec
from ior.stages.stats import Stats, StatsSnapshot, Totals
from ior.stages.stream import Stream, StreamSnapshot
from ior.ui.events import Look, Picture
from ior.ui.kept import Kept
from ior.ui.moment import Moment, Watched
from ior.ui.nodes import Nodes
from ior.ui.sight import Chosen, Sight
from ior.ui.tabs.abc import AnyTab
from ior.ui.tabs.catalogue import tabs_of
from ior.ui.trend import Point, Trend
from ior.ui.vocabulary import values

LATELY_NS = 2_000_000_000  # what a tab saw longer ago is not compared, unless pictures are rarer


class Viewer:
    """Takes pictures of a run.

    Raises UsageError if the pipeline has nothing to look at.
    """

    def __init__(self, run: Watched, spec: PipelineSpec, clock: Clock) -> None:
        self._run, self._clock = run, clock
        self._moment = Moment(run, clock.now_ns())  # of the last look
        self._nodes = Nodes(run, spec)
        if not self._nodes.classes:
            raise UsageError(f"{spec.label} has nothing to look at: add a stage of type 'stats'")
        self._stats = self._nodes.first(Stats)
        self._trend, self._kept = Trend(), Kept()
        self._pictures: deque[int] = deque(maxlen=2)  # when the last two were taken
        self._lately_ns: int | None = None  # of the last look

    def open(self) -> tuple[AnyTab, ...]:
        """Make the tabs from what the nodes answer now."""
        return tabs_of(self._nodes)

    def look(self, tab: AnyTab, view: Any, chosen: Chosen, *, held: bool = False) -> Look:
        """Look at one tab, through filter and window where the tab can be.

        While the picture is `held` it is of the moment of the last look that was not: another
        filter, window or tab shows what there was then.
        """
        if held:
            self.hold()
        else:
            self._moment = Moment(self._run, self._clock.now_ns())
            self._lately_ns = self._lately(self._moment.now_ns)
        moment = self._moment
        sight = Sight(
            moment, self._nodes, moment.now_ns, chosen, self._trend,
            lately_ns=self._lately_ns, kept=self._kept,
        )  # fmt: skip
        seen = tab.look(sight, view)
        self._kept.looked()
        return Look(seen, sight.matched)

    def _lately(self, now_ns: int) -> int | None:
        """Return from when on what was seen is of late; a look at each picture always is."""
        if len(self._pictures) < 2:
            return None
        return min(self._pictures[0], now_ns - LATELY_NS)

    def hold(self) -> None:
        """Let the moment of the last look be that of all looks that are `held`."""
        self._moment.hold([*self._nodes.classes, *self._nodes.sources])

    def values(self, field: str) -> Sequence[str]:
        """Return the values of a field that a filter may ask for, those that were seen first."""
        sight = Sight(self._run, self._nodes, self._clock.now_ns(), Chosen(), self._trend)
        return values(field, sight.rows())

    def picture(self, look: Look | None) -> Picture:
        """Return a look with the books of the same moment."""
        now_ns, totals = self._clock.now_ns(), self._totals()
        self._pictures.append(now_ns)
        if totals is not None:
            self._trend.add(Point.of(now_ns, totals))
        sight = Sight(self._run, self._nodes, now_ns, Chosen(), self._trend, kept=self._kept)
        return Picture(
            look,
            self._run.ledger(),
            now_ns,
            totals,
            time.process_time_ns(),
            sight.latest_ns,
            sight.retained_ns,
            sight.recorded_ns,
        )

    def rows(self) -> int:
        """Return how many rows the stream has had so far; 0 without a `stream` stage."""
        stream = self._nodes.first(Stream)
        snapshot = None if stream is None else self._run.snapshot(stream)
        return snapshot.total if isinstance(snapshot, StreamSnapshot) else 0

    def _totals(self) -> Totals | None:
        snapshot = None if self._stats is None else self._run.snapshot(self._stats)
        return snapshot.totals if isinstance(snapshot, StatsSnapshot) else None
