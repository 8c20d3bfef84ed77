"""The Latency tab: how long calls take, how far apart they are, and how that goes over time.

A line is a step of duration: its calls in a histogram of latency and one of gaps, and beside
them the same step over time, a heatmap. A line, or a range of them, becomes a filter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

import msgspec
import numpy as np
from msgspec.structs import replace

from ior.stages.stats import Stats, StatsSnapshot
from ior.stages.stream import Stream
from ior.text import width
from ior.ui.bars import bar, shade, shaded
from ior.ui.durations import (
    EDGES,
    STEPS,
    Counter,
    Durations,
    Ints,
    of_histogram,
)
from ior.ui.keys import SCROLL, Action, Key, Pressed
from ior.ui.nodes import Nodes
from ior.ui.sight import Matched, Sight
from ior.ui.tabs.abc import AnyTab, Clicked, Size, Step, Tab, TabEvent, View
from ior.ui.widgets import Line, exactly, spread
from ior.units import format_count

METRICS = ("latency", "gap")
_UNITS = ((10**9, "s"), (10**6, "ms"), (10**3, "us"), (1, "ns"))
_LABEL, _COUNT, _BAR_MIN = 8, 11, 6
_BOTH = 72  # columns from which on both histograms are drawn


class LatencyView(View, frozen=True, kw_only=True):
    """Which metric the heatmap and a filter are of, the step under the cursor, the range."""

    metric: str = METRICS[0]
    cursor: int = -1  # a step; -1: not moved yet
    mark: int | None = None  # the other end of the range
    top: int = 0


class LatencyLayout(msgspec.Struct, frozen=True, eq=False):
    """The steps that are shown, from `first` on, and what a column of the heatmap spans."""

    seen: Durations
    size: Size
    first: int
    count: int
    per_column: int  # slots
    columns: int  # of the heatmap

    @property
    def page(self) -> int:
        """Steps that are visible at once."""
        return max(1, self.size.rows - 1)

    @property
    def bars(self) -> int:
        """Cells of each histogram's bars."""
        shown = 2 if self.size.columns >= _BOTH else 1
        room = self.size.columns - _LABEL - 3 - shown * (_COUNT + 2)
        return max(_BAR_MIN, room // (3 * shown))


class LatencyTab(Tab[LatencyView, Durations, LatencyLayout]):
    """Shows the retained rows and the seconds before them.

    Without either it is the histogram of `stats`.
    """

    name = "Latency"
    exports = "csv"
    short = "Latency"
    wheel = 1
    begin = LatencyView()
    keys: ClassVar[tuple[Key, ...]] = (
        Key(Action.DRILL, ("enter",), "Enter", "filter", "filter by the step, or by the range"),
        Key(Action.MARK, ("x",), "x", "range", "begin a range at this step; again: none"),
        Key(Action.METRIC, ("m",), "m", "metric", "heatmap and filter by latency or by gap"),
        *SCROLL,
    )

    def __init__(self, stats: str | None) -> None:
        self._stats = stats
        self._counter = Counter()

    @classmethod
    def find(cls, nodes: Nodes) -> Sequence[AnyTab]:
        """Return a tab where there are rows or statistics."""
        stats = nodes.first(Stats)
        return [cls(stats)] if stats or nodes.first(Stream) else []

    def look(self, sight: Sight, view: LatencyView) -> Durations | None:  # noqa: ARG002 (any will do)
        """Return the calls by duration."""
        # The seconds go on with the rows; where there are no rows they are all there is.
        also = None if sight.rows() is not None else sight.seconds()
        made = sight.once(LatencyTab, lambda: self._of_calls(sight), also)
        if made is not None:
            return made
        found = None if self._stats is None else sight.answer(self._stats)
        return of_histogram(found.latency) if isinstance(found, StatsSnapshot) else None

    def _of_calls(self, sight: Sight) -> Durations | None:
        """Count the calls that are chosen; None where neither seconds nor rows are there."""
        shown, retained = sight.everything(), sight.rows()
        if shown is None:
            return None
        found, whole, untold = self._counter.of(shown, sight.where)
        by_second = len(shown.seconds) > 0
        if not by_second and retained is not None:
            whole = sum(map(len, retained.batches))
        if sight.where is not None or sight.window.span_s:
            sight.matched = Matched(found.calls, whole, by_second=by_second, untold=untold)
        return found

    def arrange(
        self,
        view: LatencyView,
        seen: Durations,
        size: Size,
        last: LatencyLayout | None,  # noqa: ARG002 (nothing is worth keeping)
    ) -> tuple[LatencyView, LatencyLayout]:
        """Show the steps from the shortest to the longest duration that there is."""
        used = np.flatnonzero(seen.latency + seen.gap)
        first, end = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, STEPS)
        layout = LatencyLayout(seen, size, first, end - first, 1, 0)
        shown = 2 if size.columns >= _BOTH else 1
        columns = max(0, size.columns - _LABEL - shown * (layout.bars + _COUNT + 2) - 3)
        slots = len(seen.heat[view.metric])
        per_column = max(1, -(-slots // max(1, columns)))
        layout = replace(layout, per_column=per_column, columns=columns)
        most = int(np.argmax(seen.counts(view.metric)))
        cursor = most if view.cursor < 0 else view.cursor
        inside = max(first, min(cursor, end - 1))
        top = max(0, min(view.top, inside - first, layout.count - layout.page))
        top = max(top, inside - first - layout.page + 1)
        kept = -1 if view.cursor < 0 else inside
        return replace(view, cursor=kept, top=top), layout

    def reduce(self, view: LatencyView, layout: LatencyLayout, event: TabEvent) -> Step | None:
        """Move, mark a range, filter by it, turn to the other metric."""
        here = _here(view, layout)
        match event:
            case Clicked(_, row):
                step = layout.first + view.top + row - 1
                inside = row > 0 and step < layout.first + layout.count
                if inside and step == view.cursor:
                    return self.reduce(view, layout, Pressed(Action.DRILL))
                return Step(replace(view, cursor=step)) if inside else None
            case Pressed(Action.DRILL):
                ends = sorted((here, here if view.mark is None else view.mark))
                return Step(replace(view, mark=None), term=term(view.metric, *ends))
            case Pressed(Action.MARK):
                mark = here if view.mark is None else None
                return Step(replace(view, mark=mark, cursor=here))
            case Pressed(Action.METRIC):
                other = METRICS[1 - METRICS.index(view.metric)]
                return Step(replace(view, metric=other))
            case Pressed(action) if action in _MOVES:
                to = here + _MOVES[action](layout)
                to = max(layout.first, min(to, layout.first + layout.count - 1))
                return Step(replace(view, cursor=to))
        return None

    def export(self, view: LatencyView, layout: LatencyLayout) -> Iterator[str]:  # noqa: ARG002 (all of it)
        """Yield both histograms as CSV, then what the heatmaps are of, oldest slot first.

        `slot_end_ns` is how long before the end of the latest slot one ended, empty for all of
        the time; a step has no `below_ns` where it has no end. What is 0 is left out.
        """
        seen = layout.seen
        yield "metric,slot_end_ns,from_ns,below_ns,calls\n"
        for metric in METRICS:
            yield from _counted(metric, "", seen.counts(metric))
        for metric in METRICS:
            slots = seen.heat[metric]
            for i, counts in enumerate(slots):
                yield from _counted(metric, str((len(slots) - 1 - i) * seen.slot_ns), counts)

    def line(self, view: LatencyView, layout: LatencyLayout, row: int) -> Line:
        """Draw the heading or a step."""
        if row == 0:
            return _heading(view, layout)
        at = view.top + row - 1
        if at >= layout.count:
            return exactly([], layout.size.columns)
        return _step(view, layout, layout.first + at)


_MOVES: dict[Action, Callable[[LatencyLayout], int]] = {
    Action.UP: lambda _: -1,
    Action.DOWN: lambda _: 1,
    Action.PAGE_UP: lambda layout: -layout.page,
    Action.PAGE_DOWN: lambda layout: layout.page,
    Action.FIRST: lambda _: -STEPS,
    Action.LAST: lambda _: STEPS,
}


def _here(view: LatencyView, layout: LatencyLayout) -> int:
    """Return the step under the cursor: where most calls are until it was moved."""
    if view.cursor >= 0:
        return view.cursor
    return int(np.argmax(layout.seen.counts(view.metric)))


def _counted(metric: str, slot: str, counts: Ints) -> Iterator[str]:
    ends = (*map(str, EDGES[1:]), "")
    for step in np.flatnonzero(counts).tolist():
        yield f"{metric},{slot},{EDGES[step]},{ends[step]},{counts[step]}\n"


def written(ns: int) -> str:
    """Return an edge as it is written in a filter: `20us`."""
    scale, unit = next((pair for pair in _UNITS if ns >= pair[0]), _UNITS[-1])
    return f"{ns // scale}{unit}"


def term(metric: str, low: int, high: int) -> str:
    """Return the filter for the steps from `low` to `high`."""
    text = f"{metric} >= {written(EDGES[low])}"
    return text if high + 1 >= STEPS else f"{text} and {metric} < {written(EDGES[high + 1])}"


def _heading(view: LatencyView, layout: LatencyLayout) -> Line:
    seen, wide = layout.seen, layout.bars + _COUNT
    style = "class:heading"
    line: Line = [(style, f"{'from':>{_LABEL}} ")]
    shown = METRICS if layout.size.columns >= _BOTH else (view.metric,)
    for metric in shown:
        here = "class:heading.sorted" if metric == view.metric else style
        line += [(style, " "), (here, metric.ljust(wide)), (style, " ")]
    room = layout.size.columns - sum(width(text) for _, text in line) - 2
    ways = _said(seen, layout, len(seen.heat[view.metric]))
    said = next((way for way in ways if width(way) <= room), ways[-1])
    return spread(line, [(style, f" {said} ")], layout.size.columns, style)


def _said(seen: Durations, layout: LatencyLayout, slots: int) -> tuple[str, ...]:
    """Say how many calls there are, of which time, and what of it is rows; ever shorter."""
    count = format_count(seen.calls)
    if not slots:
        return (f"{count} calls, no retained rows" if seen.calls else f"{count} calls",)
    slot_s = seen.slot_ns / 10**9
    span = f"in {slots * slot_s:.4g} s"
    cell = f", {layout.per_column * slot_s:g} s a cell" if layout.columns >= 50 else ""
    what, brief = "rows", "rows"
    if seen.by_second == seen.calls:
        what, brief = "added up by the second", "by second"
    elif seen.by_second:
        rows = f"{seen.rows_ns / 10**9:.4g} s"
        what, brief = f"rows for {rows}, before that by the second", f"rows {rows}"
    return (
        f"{count} calls {span}{cell}, {what}",
        f"{count} calls {span}, {what}",
        f"{count} calls {span}, {brief}",
        f"{count} {span}, {brief}",
    )


def _step(view: LatencyView, layout: LatencyLayout, step: int) -> Line:
    here = _here(view, layout)
    low, high = sorted((here, here if view.mark is None else view.mark))
    chosen = low <= step <= high
    seen = layout.seen
    line: Line = [("class:cursor" if chosen else "class:key", f"{written(EDGES[step]):>{_LABEL}} ")]
    for metric in METRICS if layout.size.columns >= _BOTH else (view.metric,):
        counts = seen.counts(metric)
        count, most = int(counts[step]), max(1, int(counts.max()))
        text = bar(count / most, layout.bars) + (format_count(count) if count else "").rjust(_COUNT)
        line += [
            ("", " "),
            ("class:bar" if metric == view.metric else "class:rest", text),
            ("", " "),
        ]
    return exactly([*line, *_heat(view, layout, step)], layout.size.columns)


def _heat(view: LatencyView, layout: LatencyLayout, step: int) -> Line:
    """Draw a step over time, the latest at the right edge, darker the more calls."""
    heat = layout.seen.heat[view.metric]
    if not len(heat) or layout.columns < 1:
        return []
    per = layout.per_column
    pad = -len(heat) % per
    cells = np.pad(heat[:, step], (pad, 0)).reshape(-1, per).sum(axis=1)[-layout.columns :]
    whole = np.pad(heat, ((pad, 0), (0, 0))).reshape(-1, per, STEPS).sum(axis=1)
    most = max(1, int(whole.max()))
    line: Line = [("", " " * (layout.columns - len(cells)))]
    for count in cells.tolist():
        level = shade(count, most)
        line.append((f"class:shade.{level}", shaded(level)))
    return line
