"""What tabs may see of a run: its nodes, and at one moment their snapshots and the books.

A filter typed in the UI decides what comes from then on (`ior.ui.selecting`). Of what is there
it chooses among the rows that a `stream` stage retains, and a stage of one's own adds those up.
A window of time chooses among the seconds of a `history` stage where those say enough, among the
retained rows where they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from ior.calls import Batch
from ior.counted import KernelSnapshot, Totals
from ior.expr import Predicate
from ior.pipeline.abc import Config, Stage
from ior.pipeline.ledger import Ledger
from ior.pipeline.pace import NodeTimes
from ior.snapshots import Snapshot
from ior.stages.flamegraph import Flamegraph
from ior.stages.groups import can_add, can_tell
from ior.stages.history import SECOND_NS, History, HistorySnapshot, Second
from ior.stages.stats import Stats, StatsSnapshot
from ior.stages.stream import Stream, StreamSnapshot
from ior.ui.durations import Shown
from ior.ui.kept import Kept
from ior.ui.moment import Watched
from ior.ui.nodes import Nodes
from ior.ui.notes import Noted
from ior.ui.spans import chunks_of, cut, ends, within
from ior.ui.trend import Trend
from ior.ui.window import Window
from ior.waiting import InFlight, in_flight

ADDING: tuple[type[Stage], ...] = (
    Stats,
    Flamegraph,
)  # stages that can add up retained rows as they do live ones
T = TypeVar("T")


class Matched(msgspec.Struct, frozen=True):
    """How many of the retained rows the filter and the window match.

    With `by_second` it is calls that were added up by the second, `untold` of which have
    forgotten what the filter asks for.
    """

    rows: int
    retained: int
    by_second: bool = False
    untold: int = 0


class Chosen(NamedTuple):
    """What is to be looked at: the filter, the window of time, and what was warned of.

    `took_ns` is how long the run took, 0 while it goes on.
    """

    where: Predicate | None = None
    window: Window = Window()
    notes: Sequence[Noted] = ()
    took_ns: int = 0


class Sight:
    """What there is to see at one moment, through a filter and a window of time.

    `matched` says, after a look, how many retained rows it was made of; it stays None where
    the nodes' own answers were looked at. What a tab saw before `lately_ns` was too long ago
    to be compared with this; None where that is not known. `kept` is what looks before made.
    """

    def __init__(
        self, run: Watched, nodes: Nodes, now_ns: int, chosen: Chosen, trend: Trend,
        *, lately_ns: int | None = None, kept: Kept | None = None,
    ) -> None:  # fmt: skip
        self._run, self._nodes, self.lately_ns = run, nodes, lately_ns
        self._kept = kept or Kept()
        self.where, self.window, self.notes, self._took_ns = chosen
        self.now_ns, self.trend = now_ns, trend
        self.matched: Matched | None = None

    def ledger(self) -> Ledger:
        """Return the books as they stand."""
        return self._run.ledger()

    def times(self) -> Mapping[str, NodeTimes]:
        """Return how the time of every node was split."""
        return self._run.times()

    def answer(self, node: str) -> Snapshot:
        """Return what a node answers: through the filter if it can be, else all it has."""
        cls = self._nodes.classes[node]
        if (self.where is None and not self.window.span_s) or cls not in ADDING:
            return self._run.snapshot(node)
        if self.window.span_s == 0 and self._nodes.first(Stream) is None:
            return self._run.snapshot(node)
        return self.added(cls, self._nodes.config(node)) or self._run.snapshot(node)

    def whole(self, node: str) -> Snapshot:
        """Return what a node answers, whatever is filtered."""
        return self._run.snapshot(node)

    def in_flight(self) -> InFlight | None:
        """Return the calls that have not returned; None where no source knows them."""
        return in_flight(map(self._run.snapshot, self._nodes.sources))

    def totals(self) -> Totals:
        """Return what the kernel counts of syscalls that are not recorded whole."""
        found = map(self._run.snapshot, self._nodes.sources)
        some = [answer.totals for answer in found if isinstance(answer, KernelSnapshot)]
        return some[0] if len(some) == 1 else Totals(())

    def calls_by_syscall(self) -> dict[str, int] | None:
        """Return how many calls a `stats` node has counted of each syscall; None without one."""
        stats = self._nodes.first(Stats)
        snapshot = None if stats is None else self._run.snapshot(stats)
        if not isinstance(snapshot, StatsSnapshot) or "syscall" not in snapshot.by:
            return None
        table = snapshot.by["syscall"]
        at = [field.name for field in table.fields].index("calls")
        counted = {one.syscall: one.calls for one in self.totals().counted}
        return {row[0]: row[at] for row in table.rows} | counted

    def rows(self) -> StreamSnapshot | None:
        """Return the retained rows, unfiltered; None without a `stream` stage."""
        stream = self._nodes.first(Stream)
        snapshot = None if stream is None else self._run.snapshot(stream)
        return snapshot if isinstance(snapshot, StreamSnapshot) else None

    def seconds(self) -> HistorySnapshot | None:
        """Return the calls by the second, unfiltered; None without a `history` stage."""
        history = self._nodes.first(History)
        snapshot = None if history is None else self._run.snapshot(history)
        return snapshot if isinstance(snapshot, HistorySnapshot) else None

    @property
    def latest_ns(self) -> int:
        """When the latest call ended, by the clock of the calls; 0 before the first."""
        rows = self.rows()  # cheaper to ask than the seconds
        if rows is not None and rows.batches:
            return int(ends(rows.batches[-1]).max())
        seconds = self.seconds()
        return seconds.seconds[-1].groups.last_ns if seconds and seconds.seconds else 0

    @property
    def retained_ns(self) -> int | None:
        """The time that the retained rows cover; None without any."""
        rows = self.rows()
        if rows is None or not rows.batches:
            return None
        first = int(ends(rows.batches[0]).min())
        return max(0, int(ends(rows.batches[-1]).max()) - first)

    @property
    def covered_ns(self) -> int:
        """How much of the window there can be calls in, of what was looked at; 0 without one.

        That is from the second of the first call on that is there; it is a second at least.
        """
        if not self.window.span_s:
            return 0
        begin_ns, end_ns = self.window.bounds_ns(self.latest_ns)
        history = self.seconds() if self.matched is not None and self.matched.by_second else None
        if history is not None and history.seconds:
            first_ns = history.seconds[0].number * SECOND_NS
        else:
            first_ns = (self.latest_ns - (self.retained_ns or 0)) // SECOND_NS * SECOND_NS
        return max(SECOND_NS, end_ns - max(begin_ns, first_ns))

    @property
    def recorded_ns(self) -> int | None:
        """The time that the calls of a capture took, as far as it was read; None of live ones."""
        stats = self._nodes.first(Stats) if self._nodes.recorded else None
        found = None if stats is None else self._run.snapshot(stats)
        return found.last_ns - found.first_ns if isinstance(found, StatsSnapshot) else None

    @property
    def mean_ns(self) -> int:
        """The time over which rates are means; 0 where they are of about the last second.

        That is what the window covers, the time that a capture took, or a run that is over; with
        a filter it is what the rows cover that it chooses from.
        """
        if self.window.span_s:
            return self.covered_ns
        whole_ns = self.recorded_ns or self._took_ns
        return min(whole_ns, (self.where and self.retained_ns) or whole_ns)

    def rates(self) -> dict[str, tuple[float, ...]]:
        """Return what happened in each second, by count: of a capture, in its own seconds."""
        history = self.seconds() if self._nodes.recorded else None
        if history is None:
            return self.trend.rates()
        # Not of the rows: seconds are of another node, and may go on where the rows do not.
        return self._kept.paces.of(history)

    def picked(self) -> Iterator[tuple[Batch, npt.NDArray[np.intp] | None]]:
        """Yield the retained batches, oldest first, each with its rows that are to be shown.

        These are the rows that the filter and the window match, by their places in the batch;
        None stands for all of them.
        """
        retained = matching = 0
        snapshot = self.rows()
        bounds = self.window.bounds_ns(self.latest_ns) if self.window.span_s else None
        for batch in snapshot.batches if snapshot else ():
            rows = None if bounds is None else np.flatnonzero(within(batch, *bounds))
            part = batch if rows is None else batch.select(rows)
            retained += len(batch)
            if self.where is not None:
                found = np.flatnonzero(self.where(part))
                rows = found if rows is None else rows[found]
            matching += len(batch) if rows is None else len(rows)
            yield batch, rows
        self.matched = Matched(matching, retained)

    def chosen(self) -> Iterator[Batch]:
        """Yield the retained rows that the filter and the window match, oldest first."""
        for batch, rows in self.picked():
            yield batch if rows is None or len(rows) == len(batch) else batch.select(rows)

    def once(self, key: Any, make: Callable[[], T], also: object = None) -> T:
        """Return what `make` makes of the retained rows or seconds that are chosen.

        It is made again only when there are others, others are chosen, or `also` is another
        object. `key` is all else that it depends on.
        """
        basis = (self.rows(), self._telling(), self.where, self.window, also)

        def anew() -> tuple[T, Matched | None]:
            self.matched = None
            return make(), self.matched

        made, self.matched = self._kept.once(basis, key, anew)
        return made

    def added(self, cls: type[Stage], config: Config) -> Any:
        """Return what a new stage answers to what the filter and the window match."""
        return self.once((cls, config), lambda: self._added(cls, config).snapshot())

    def _added(self, cls: type[Stage], config: Config) -> Stage:
        stage, shown = cls(config), self._shown_seconds()
        adding = stage if isinstance(stage, Stats | Flamegraph) and can_add(stage) else None
        if adding is not None and shown is not None:
            lookback = self._kept.lookback
            found, counted = lookback.added((cls, config), adding, self.where, shown)
            calls, matching, untold = counted
            self.matched = Matched(matching, calls, by_second=True, untold=untold)
            return found
        if adding is not None and self._add_rows(adding):
            return adding
        connected = False
        for batch in self.chosen():
            if not connected:
                stage.connect(batch.schema)
                connected = True
            if len(batch):  # a batch of its own: what it adds up to goes with it
                stage.process(batch.with_columns({}))
        return stage

    def _add_rows(self, stage: Stats | Flamegraph) -> bool:
        """Add to a stage the rows that are chosen; return whether they can be added up."""
        bounds = self.window.bounds_ns(self.latest_ns) if self.window.span_s else None
        snapshot = self.rows()
        chunks = chunks_of(snapshot, bounds) if snapshot else []
        matching = self._kept.chunks.add_to(stage, self.where, chunks)
        if matching is not None:
            batches = snapshot.batches if snapshot else ()
            self.matched = Matched(matching, sum(map(len, batches)))
        return matching is not None

    def everything(self) -> Shown | None:
        """Return the rows that the window shows and the seconds before them, not filtered yet.

        The seconds are those that were over when the rows began; none where they do not say
        enough for the filter. None where there is neither.
        """
        tells, snapshot = self.where is None or can_tell(self.where), self.rows()
        batches = () if snapshot is None else snapshot.batches
        begin_ns, end_ns = self.window.bounds_ns(self.latest_ns)
        number = 0 if snapshot is None else snapshot.total - sum(map(len, batches))
        whole = end_ns // SECOND_NS  # the first second with all its rows
        if batches:
            whole = int(ends(batches[0])[0]) // SECOND_NS + 1 if number else 0
        if self.window.end_ns is None:
            end_ns = np.iinfo(
                np.int64
            ).max  # also a call that came before the latest and ended later
        history = self.seconds() if tells and begin_ns < whole * SECOND_NS else None
        if history is None:
            return None if snapshot is None else Shown((), cut(batches, number, begin_ns, end_ns))
        seconds = history.within(begin_ns, min(end_ns, whole * SECOND_NS))
        return Shown(seconds, cut(batches, number, max(begin_ns, whole * SECOND_NS), end_ns))

    def _telling(self) -> HistorySnapshot | None:
        """Return the seconds if a window is to be of them: they say enough."""
        tells = self.where is None or can_tell(self.where)
        return self.seconds() if self.window.span_s and tells else None

    def _shown_seconds(self) -> tuple[Second, ...] | None:
        """Return the seconds of the window, unfiltered; None where it is to be of the rows."""
        history = self._telling()
        return None if history is None else history.within(*self.window.bounds_ns(self.latest_ns))
