"""The Overview tab: totals and rates with their trends, who is at the top, how long calls take."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
import numpy as np
from msgspec.structs import replace

from ior.histogram import HistogramSnapshot
from ior.snapshots import Table
from ior.stages.stats import Stats, StatsSnapshot, Totals
from ior.text import fit
from ior.ui.bars import bar, columns_of, sparkline
from ior.ui.durations import EDGES, of_histogram
from ior.ui.grid import Sort, arrange, cell
from ior.ui.keys import Action, Key, Pressed
from ior.ui.sight import Nodes, Sight
from ior.ui.tabs.abc import AnyTab, Clicked, Size, Step, Tab, TabEvent, View
from ior.ui.tabs.latency import written
from ior.ui.tabs.stats import NAMES
from ior.ui.terms import NoTerm, cell_term
from ior.ui.widgets import Line, exactly
from ior.units import format_count, format_duration, format_rate, format_size

METRICS = ("calls", "total", "bytes", "errors")
_RATES = (  # label, count of the trend, total, whether it is a size
    ("calls", "calls", "calls", False),
    ("errors", "errors", "errors", False),
    ("read", "bytes_read", "bytes_read", True),
    ("written", "bytes_written", "bytes_written", True),
)
_TOP = 5  # rows of each list at least
_HISTOGRAM = 5  # lines, with the scale
_BOTH = 72  # columns from which on there are two histograms
_RECENT_S, _EARLIER_S = 5, 60  # a trend compares the mean of the former with that of the latter


class OverviewView(View, frozen=True, kw_only=True):
    """What the lists go by, and which list and row the cursor is in."""

    metric: str = METRICS[0]
    column: int = 0
    row: int = 0


class Overview(msgspec.Struct, frozen=True, eq=False):
    """Everything at one moment. `rates` are of all that came, as the trend is.

    `mean_ns` is the time over which what happens in a second is a mean, 0 for of late.
    """

    totals: Totals
    tables: tuple[Table, ...]
    latency: HistogramSnapshot
    gap: HistogramSnapshot
    rates: Mapping[str, tuple[float, ...]]
    filtered: bool
    mean_ns: int = 0


class OverviewLayout(msgspec.Struct, frozen=True, eq=False):
    """The rows at the top of each table."""

    seen: Overview
    size: Size
    tops: tuple[Table, ...]
    rows: int  # of each list

    @property
    def lists(self) -> int:
        """The line of the lists' heading."""
        return len(_RATES) + 2

    @property
    def histogram(self) -> int:
        """The line of the histogram's heading."""
        return self.lists + self.rows + 2


class OverviewTab(Tab[OverviewView, Overview, OverviewLayout]):
    """Shows a `stats` node as a whole."""

    name = "Overview"
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
        spare = size.rows - (len(_RATES) + 2) - 2 - (_HISTOGRAM + 1)
        rows = max(_TOP, spare)
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

    def line(self, view: OverviewView, layout: OverviewLayout, row: int) -> Line:
        """Draw a line of the rates, the lists or the histogram."""
        columns = layout.size.columns
        if row <= len(_RATES):
            return _rates(layout, row)
        if layout.lists <= row <= layout.lists + layout.rows:
            return _lists(view, layout, row - layout.lists)
        if row >= layout.histogram:
            return _histogram(layout, row - layout.histogram)
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
    to = replace(view, column=min(column // _wide(layout), len(layout.tops) - 1), row=at)
    return _drill(view, layout) if to == view else Step(to)


def _wide(layout: OverviewLayout) -> int:
    return max(1, layout.size.columns // max(1, len(layout.tops)))


def _rates(layout: OverviewLayout, row: int) -> Line:
    seen, columns = layout.seen, layout.size.columns
    cells = max(0, columns - 52)
    if row == 0:
        seconds = min(len(seen.rates["calls"]), cells)
        said = f"last {seconds} s" + (", of all that came" if seen.filtered else "")
        style = "class:heading"
        text = f" {'':8}{'total':>17}{'a second':>13}{'trend':>9}   {said}"
        return exactly([(style, text)], columns, style)
    label, count, total, is_size = _RATES[row - 1]
    values = seen.rates[count]
    number = getattr(seen.totals, total)
    now = sum(values[-1:])
    if seen.mean_ns:
        now = getattr(seen.totals, total) * 1e9 / seen.mean_ns
    shown = format_size(number) if is_size else format_count(number)
    rate = f"{format_size(now)}/s" if is_size else format_rate(now)
    bad = "class:bad" if label == "errors" and now else ""
    return exactly(
        [
            ("class:label", f" {label:<8}"),
            ("class:value", f"{shown:>17}"),
            (bad, f"{rate:>13}"),
            ("", f"{_trend(values):>9}   "),
            ("class:bar", sparkline(values, cells) if cells else ""),
        ],
        columns,
    )


def _trend(values: tuple[float, ...]) -> str:
    """Return how the last seconds compare with the minute before them."""
    recent, earlier = values[-_RECENT_S:], values[-_EARLIER_S - _RECENT_S : -_RECENT_S]
    if not earlier:
        return ""
    was = sum(earlier) / len(earlier)
    now = sum(recent) / len(recent)
    if not was:
        return "new" if now else ""
    change = (now - was) / was
    if abs(change) < 0.05:
        return "="
    return f"{'▲' if change > 0 else '▼'}{min(abs(change), 9.99):.0%}"


def _lists(view: OverviewView, layout: OverviewLayout, row: int) -> Line:
    columns, wide = layout.size.columns, _wide(layout)
    line: Line = []
    for i, table in enumerate(layout.tops):
        last = i == len(layout.tops) - 1
        room = (columns - i * wide if last else wide) - 1
        if row == 0:
            text = f" {table.title} by {'time' if view.metric == 'total' else view.metric}"
            line.append(("class:heading", fit(text, room)))
        elif row <= len(table.rows):
            here = (i, row - 1) == (view.column, view.row)
            line += _item(table, table.rows[row - 1], view.metric, room, here=here)
        else:
            line.append(("", " " * room))
        line.append(("", " "))
    return exactly(line, columns)


def _item(table: Table, row: tuple[Any, ...], metric: str, room: int, *, here: bool) -> Line:
    names = [field.name for field in table.fields]
    at = names.index(metric)
    most = max(1, table.rows[0][at])
    number = cell(table.fields[at], row[at])
    bars = max(0, min(10, room // 4))
    label = str(row[names.index("comm")]) if "comm" in names else str(row[0])
    if "pid" in names:
        label = f"{row[names.index('pid')]} {label}"
    space = max(1, room - bars - len(number) - 3)
    keep = "end" if names[0] == "file" else "start"
    style = "class:cursor" if here else "class:key"
    return [
        (style, " " + fit(label, space, keep="end" if keep == "end" else "start")),
        ("class:bar", " " + bar(row[at] / most, bars)),
        ("class:value", fit(f" {number}", len(number) + 1)),
    ]


def _histogram(layout: OverviewLayout, row: int) -> Line:
    """Draw the latencies and, where there is room, the gaps beside them."""
    seen, columns = layout.seen, layout.size.columns
    shown = [("latency", seen.latency), ("gap", seen.gap)][: 2 if columns >= _BOTH else 1]
    line: Line = []
    for i, (name, histogram) in enumerate(shown):
        last = i == len(shown) - 1
        wide = columns - i * (columns // 2) if last else columns // 2
        line += exactly(_distribution(name, histogram, row, wide - 1), wide - (not last))
        if not last:
            line.append(("class:heading" if row == 0 else "", " "))
    return line


def _distribution(name: str, histogram: HistogramSnapshot, row: int, cells: int) -> Line:
    """Draw a line of a histogram: a heading with quantiles, columns of calls, their scale."""
    if row == 0:
        found = ((name, histogram.quantile(q)) for name, q in _QUANTILES)
        parts = [f"{name} {format_duration(ns)}" for name, ns in found if ns is not None]
        parts = parts or ["of no call"]
        while len(parts) > 1 and len(name) + 2 + len("  ".join(parts)) > cells:
            del parts[-2]
        text = f" {name}  {'  '.join(parts)}"
        return exactly([("class:heading", text)], cells, "class:heading")
    counts = of_histogram(histogram).latency
    used = np.flatnonzero(counts)
    if not len(used):
        return []
    first, steps = int(used[0]), int(used[-1] - used[0]) + 1
    wide = max(1, min(7, (cells - 1) // steps))
    if row == _HISTOGRAM:
        every = -(-6 // wide)  # steps to a label
        labels = range(first, first + steps, every)
        scale = "".join(f"{written(EDGES[step]):<{every * wide}}" for step in labels)
        return [("class:rest", f" {scale}"[:cells])]
    high = _HISTOGRAM - 1
    share = counts[first : first + steps] / counts.max()
    text = columns_of(share.tolist(), high, row - 1, wide)
    return [("class:bar", f" {text}"[:cells])]


_QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
