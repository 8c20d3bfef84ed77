"""The Overview tab: totals and rates with their trends, who is at the top, how long calls take."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import ClassVar

from msgspec.structs import replace

from ior.sinks.csv import quote
from ior.snapshots import Table
from ior.stages.stats import Stats, StatsSnapshot
from ior.ui.grid import Sort, arrange
from ior.ui.keys import Action, Key, Pressed
from ior.ui.nodes import Nodes
from ior.ui.sight import Sight
from ior.ui.tabs.abc import AnyTab, Clicked, Size, Step, Tab, TabEvent
from ior.ui.tabs.overviewlines import (
    HISTOGRAM,
    METRICS,
    QUANTILES,
    RATES,
    TOP,
    Overview,
    OverviewLayout,
    OverviewView,
    histogram_line,
    lists_line,
    named,
    now_of,
    rates_line,
    width_of,
)
from ior.ui.tabs.stats import NAMES
from ior.ui.terms import NoTerm, cell_term
from ior.ui.widgets import Line, exactly


class OverviewTab(Tab[OverviewView, Overview, OverviewLayout]):
    """Shows a `stats` node as a whole."""

    name = "Overview"
    exports = "csv"
    short = "Overview"
    wheel = 1
    begin = OverviewView()
    keys: ClassVar[tuple[Key, ...]] = (
        Key(
            Action.DRILL,
            ("enter",),
            "Enter",
            "drill in",
            "filter by the row, by its errors or bytes",
        ),
        Key(Action.METRIC, ("m",), "m", "top by", "lists by calls, time, bytes, errors"),
        Key(Action.UP, ("up", "k"), "Up k", "", "one row up"),
        Key(Action.DOWN, ("down", "j"), "Down j", "", "one row down"),
        Key(Action.LEFT, ("left", "h"), "Left h", "", "to the list on the left"),
        Key(Action.RIGHT, ("right", "l"), "Right l", "", "to the list on the right"),
        Key(Action.FIRST, ("g", "home"), "g Home", "", "to the first row"),
        Key(Action.LAST, ("G", "end"), "G End", "", "to the last row"),
    )

    def __init__(self, node: str) -> None:
        self._node = node
        self._last: tuple[StatsSnapshot, Overview] | None = None

    @classmethod
    def find(cls, nodes: Nodes) -> Sequence[AnyTab]:
        """Return a tab for the first `stats` node."""
        node = nodes.first(Stats)
        return [] if node is None else [cls(node)]

    def look(self, sight: Sight, view: OverviewView) -> Overview | None:  # noqa: ARG002 (any will do)
        """Return the node's totals and tables, and the trend."""
        rates = sight.rates()
        found = sight.answer(self._node)
        if not isinstance(found, StatsSnapshot):
            return None
        filtered = sight.where is not None or sight.window.span_s > 0
        if self._last is not None and self._last[0] is found:
            seen = self._last[1]
            known = (seen.filtered, seen.mean_ns) == (filtered, sight.mean_ns)
            if seen.rates is rates and known:
                return seen  # nothing has to be arranged and drawn again
        tables = tuple(found.by[key] for key in NAMES if key in found.by)
        both = (found.latency, found.gap)
        seen = Overview(found.totals, tables, *both, rates, filtered, sight.mean_ns)
        self._last = found, seen
        return seen

    def arrange(
        self,
        view: OverviewView,
        seen: Overview,
        size: Size,
        last: OverviewLayout | None,  # noqa: ARG002 (nothing is worth keeping)
    ) -> tuple[OverviewView, OverviewLayout]:
        """Take the top rows; the lists get the lines that the rest leaves over."""
        spare = size.rows - (len(RATES) + 2) - 2 - (HISTOGRAM + 1)
        rows = max(TOP, spare)
        tops = tuple(_top(table, view.metric, rows) for table in seen.tables)
        layout = OverviewLayout(seen, size, tops, rows)
        column = max(0, min(view.column, len(tops) - 1))
        length = len(tops[column].rows) if tops else 0
        return replace(view, column=column, row=max(0, min(view.row, length - 1))), layout

    def reduce(self, view: OverviewView, layout: OverviewLayout, event: TabEvent) -> Step | None:
        """Move among the lists, drill in, go by another metric."""
        match event:
            case Clicked(column, row):
                return _clicked(view, layout, column, row)
            case Pressed(Action.DRILL):
                return _drill(view, layout)
            case Pressed(Action.METRIC):
                at = METRICS.index(view.metric)
                return Step(replace(view, metric=METRICS[(at + 1) % len(METRICS)], row=0))
            case Pressed(action) if action in _MOVES:
                column, row = _MOVES[action]
                moved = replace(view, column=view.column + column, row=view.row + row)
                return Step(moved)
        return None

    def export(self, view: OverviewView, layout: OverviewLayout) -> Iterator[str]:
        """Yield as CSV the totals, what happens in a second, the lists and the quantiles (ns)."""
        seen = layout.seen
        yield "part,name,value\n"
        for _, count, total, _ in RATES:
            yield f"total,{total},{getattr(seen.totals, total)}\n"
            yield f"a second,{total},{now_of(seen, count, total)}\n"
        for table in layout.tops:
            at = [field.name for field in table.fields].index(view.metric)
            part = quote(f"{table.title} by {view.metric}")
            for row in table.rows:
                yield f"{part},{quote(named(table, row))},{row[at]}\n"
        for name, histogram in (("latency", seen.latency), ("gap", seen.gap)):
            for quantile, share in QUANTILES if histogram.total else ():
                yield f"{name},{quantile},{histogram.quantile(share)}\n"

    def line(self, view: OverviewView, layout: OverviewLayout, row: int) -> Line:
        """Draw a line of the rates, the lists or the histogram."""
        columns = layout.size.columns
        if row <= len(RATES):
            return rates_line(layout, row)
        if layout.lists <= row <= layout.lists + layout.rows:
            return lists_line(view, layout, row - layout.lists)
        if row >= layout.histogram:
            return histogram_line(layout, row - layout.histogram)
        return exactly([], columns)


_FAR = 10**6
_MOVES: dict[Action, tuple[int, int]] = {
    Action.UP: (0, -1),
    Action.DOWN: (0, 1),
    Action.LEFT: (-1, 0),
    Action.RIGHT: (1, 0),
    Action.FIRST: (0, -_FAR),
    Action.LAST: (0, _FAR),
}


def _top(table: Table, metric: str, rows: int) -> Table:
    at = [field.name for field in table.fields].index(metric)
    best = heapq.nlargest(rows, table.rows, key=lambda row: row[at] or 0)
    return replace(table, rows=tuple(row for row in best if row[at]), rest=None)


def _drill(view: OverviewView, layout: OverviewLayout) -> Step:
    if not layout.tops or not layout.tops[view.column].rows:
        return Step(view)
    top = layout.tops[view.column]
    column = [field.name for field in top.fields].index(view.metric)
    try:
        return Step(view, term=cell_term(arrange(top, Sort()), view.row, column))
    except NoTerm as why:
        return Step(view, str(why))


def _clicked(view: OverviewView, layout: OverviewLayout, column: int, row: int) -> Step | None:
    """Point at a row; a click on the one under the cursor drills in."""
    at = row - layout.lists - 1
    if not layout.tops or not 0 <= at < layout.rows:
        return None
    to = replace(view, column=min(column // width_of(layout), len(layout.tops) - 1), row=at)
    return _drill(view, layout) if to == view else Step(to)
