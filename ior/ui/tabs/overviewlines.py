"""What the Overview tab shows, and its lines: rates, lists of who is at the top, histograms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from ior.histogram import HistogramSnapshot
from ior.snapshots import Table
from ior.stages.stats import Totals
from ior.text import fit
from ior.ui.bars import bar, columns_of, sparkline
from ior.ui.durations import EDGES, of_histogram
from ior.ui.grid import cell
from ior.ui.tabs.abc import Size, View
from ior.ui.tabs.latency import written
from ior.ui.widgets import Line, exactly
from ior.units import format_count, format_duration, format_rate, format_size

METRICS = ("calls", "total", "bytes", "errors")
RATES = (  # label, count of the trend, total, whether it is a size
    ("calls", "calls", "calls", False),
    ("errors", "errors", "errors", False),
    ("read", "bytes_read", "bytes_read", True),
    ("written", "bytes_written", "bytes_written", True),
)
TOP = 5  # rows of each list at least
HISTOGRAM = 5  # lines, with the scale
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
        return len(RATES) + 2

    @property
    def histogram(self) -> int:
        """The line of the histogram's heading."""
        return self.lists + self.rows + 2


def width_of(layout: OverviewLayout) -> int:
    """Return the cells of each list."""
    return max(1, layout.size.columns // max(1, len(layout.tops)))


def rates_line(layout: OverviewLayout, row: int) -> Line:
    """Draw a line of the totals: the heading, or a count with its rate and how that went."""
    seen, columns = layout.seen, layout.size.columns
    cells = max(0, columns - 52)
    if row == 0:
        seconds = min(len(seen.rates["calls"]), cells)
        said = f"last {seconds} s" + (", of all that came" if seen.filtered else "")
        style = "class:heading"
        text = f" {'':8}{'total':>17}{'a second':>13}{'trend':>9}   {said}"
        return exactly([(style, text)], columns, style)
    label, count, total, is_size = RATES[row - 1]
    values = seen.rates[count]
    number = getattr(seen.totals, total)
    now = now_of(seen, count, total)
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


def now_of(seen: Overview, count: str, total: str) -> float:
    """Return what happens in a second: of late, or in the mean."""
    if seen.mean_ns:
        return float(getattr(seen.totals, total) * 1e9 / seen.mean_ns)
    return sum(seen.rates[count][-1:])


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


def lists_line(view: OverviewView, layout: OverviewLayout, row: int) -> Line:
    """Draw a line of the lists, which stand side by side: their headings, or a row of each."""
    columns, wide = layout.size.columns, width_of(layout)
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


def named(table: Table, row: tuple[Any, ...]) -> str:
    """Return what a list calls a row: a process by its pid and command."""
    names = [field.name for field in table.fields]
    label = str(row[names.index("comm")]) if "comm" in names else str(row[0])
    return f"{row[names.index('pid')]} {label}" if "pid" in names else label


def _item(table: Table, row: tuple[Any, ...], metric: str, room: int, *, here: bool) -> Line:
    names = [field.name for field in table.fields]
    at = names.index(metric)
    most = max(1, table.rows[0][at])
    number = cell(table.fields[at], row[at])
    bars = max(0, min(10, room // 4))
    label = named(table, row)
    space = max(1, room - bars - len(number) - 3)
    keep = "end" if names[0] == "file" else "start"
    style = "class:cursor" if here else "class:key"
    return [
        (style, " " + fit(label, space, keep="end" if keep == "end" else "start")),
        ("class:bar", " " + bar(row[at] / most, bars)),
        ("class:value", fit(f" {number}", len(number) + 1)),
    ]


def histogram_line(layout: OverviewLayout, row: int) -> Line:
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
        found = ((name, histogram.quantile(q)) for name, q in QUANTILES)
        parts = [f"{name} {format_duration(ns)}" for name, ns in found if ns is not None]
        parts = parts or ["of no call"]
        while len(parts) > 1 and len(f" {name}  ") + len("  ".join(parts)) > cells:
            del parts[-2]
        text = f" {name}  {'  '.join(parts)}"
        return exactly([("class:heading", text)], cells, "class:heading")
    counts = of_histogram(histogram).latency
    used = np.flatnonzero(counts)
    if not len(used):
        return []
    first, steps = int(used[0]), int(used[-1] - used[0]) + 1
    wide = max(1, min(7, (cells - 1) // steps))
    if row == HISTOGRAM:
        every = -(-6 // wide)  # steps to a label
        labels = range(first, first + steps, every)
        scale = "".join(f"{written(EDGES[step]):<{every * wide}}" for step in labels)
        return [("class:rest", f" {scale}"[:cells])]
    high = HISTOGRAM - 1
    share = counts[first : first + steps] / counts.max()
    text = columns_of(share.tolist(), high, row - 1, wide)
    return [("class:bar", f" {text}"[:cells])]


QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
