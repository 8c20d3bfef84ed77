"""The Pipeline tab: the graph at work, and under it the calls that have not returned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from msgspec.structs import replace

from ior.snapshots import Field, Table
from ior.ui.flow import Flow
from ior.ui.keys import Action, Pressed
from ior.ui.nodes import Nodes
from ior.ui.sight import Sight
from ior.ui.tabs.abc import AnyTab, Clicked, Size, Step, Tab, TabEvent, View
from ior.ui.tabs.table import TableLayout, TableTab, TableView
from ior.ui.widgets import Line, exactly
from ior.units import format_count, format_duration
from ior.waiting import Earlier, InFlight, Waiting

FIELDS = (
    *(Field("pid", "int"), Field("tid", "int"), Field("comm", "text")),
    *(Field("age", "duration"), Field("syscall", "text")),
    *(Field("file", "text"), Field("fd", "int")),
)
_BOTH = 8  # lines from which on both tables are shown
_GRAPH, _WAITING = TableTab("Pipeline", "", 0), TableTab("In flight", "", 0)
_DOWN = (Action.DOWN, Action.PAGE_DOWN, Action.LAST)
_UP = (Action.UP, Action.PAGE_UP, Action.FIRST)


class PipelineView(View, frozen=True, kw_only=True):
    """How both tables are looked at; `below` where the cursor is in the lower, if it has rows."""

    graph: TableView = TableView()
    waiting: TableView = TableView()
    below: bool = True


class Picture(msgspec.Struct, frozen=True):
    """The graph at one moment, and the calls in flight; None where no source knows them."""

    graph: Table
    waiting: Table | None = None


class PipelineLayout(msgspec.Struct, frozen=True):
    """Both tables with the lines that each has; either may have none."""

    graph: TableLayout
    waiting: TableLayout | None
    size: Size

    @property
    def title(self) -> int:
        """The line between the tables, one past the last where there is none."""
        return self.graph.size.rows


class PipelineTab(Tab[PipelineView, Picture, PipelineLayout]):
    """Shows stages and edges and, where a source knows them, the calls in flight, oldest first."""

    name = "Pipeline"
    short = "Pipe"
    keys = TableTab.keys
    exports = "csv"
    begin = PipelineView()

    def __init__(self, *, recorded: bool = False) -> None:
        """Show a run, or with `recorded` the replay of one, which has no ring."""
        self._flow = Flow(ring=not recorded)

    @classmethod
    def find(cls, nodes: Nodes) -> Sequence[AnyTab]:
        """Return the tab, which every pipeline has."""
        return [cls(recorded=nodes.recorded)]

    def look(self, sight: Sight, view: PipelineView) -> Picture:  # noqa: ARG002 (any view will do)
        """Return the tables of this moment."""
        graph = self._flow.table_of(sight.now_ns, sight.ledger(), sight.times(), sight.lately_ns)
        found = sight.in_flight()
        return Picture(graph, None if found is None else waiting(found))

    def arrange(
        self, view: PipelineView, seen: Picture, size: Size, last: PipelineLayout | None
    ) -> tuple[PipelineView, PipelineLayout]:
        """Give each table its lines: all that it needs, or half where both need more."""
        above = _lines_above(view, seen, size)
        before = last.graph if last is not None else None
        graph, upper = _GRAPH.arrange(view.graph, seen.graph, Size(size.columns, above), before)
        lower = None
        under = view.waiting
        if seen.waiting is not None:
            left = Size(size.columns, max(1, size.rows - above - 1))
            before = last.waiting if last is not None else None
            under, lower = _WAITING.arrange(under, seen.waiting, left, before)
        if graph is not view.graph or under is not view.waiting:
            view = replace(view, graph=graph, waiting=under)
        return view, PipelineLayout(upper, lower, size)

    def reduce(self, view: PipelineView, layout: PipelineLayout, event: TabEvent) -> Step | None:
        """Let the table with the cursor have the event; its ends lead to the other table."""
        if isinstance(event, Clicked):
            return _clicked(view, layout, event)
        below = _is_below(view, layout.waiting)
        if isinstance(event, Pressed) and layout.waiting is not None:
            rows = len(layout.graph.grid.rows)
            if below and event.action in _UP and view.waiting.cursor == 0:
                return Step(replace(view, below=False))
            at_end = not below and view.graph.cursor >= rows - 1
            if at_end and event.action in _DOWN and layout.waiting.grid.rows:
                return Step(replace(view, below=True))
        if below and layout.waiting is not None:
            step = _WAITING.reduce(view.waiting, layout.waiting, event)
            return step and replace(step, view=replace(view, waiting=step.view))
        step = _GRAPH.reduce(view.graph, layout.graph, event)
        return step and replace(step, view=replace(view, graph=step.view, below=False))

    def export(self, view: PipelineView, layout: PipelineLayout) -> Iterator[str]:
        """Yield the table with the cursor as CSV."""
        if layout.waiting is not None and _is_below(view, layout.waiting):
            return _WAITING.export(view.waiting, layout.waiting)
        return _GRAPH.export(view.graph, layout.graph)

    def line(self, view: PipelineView, layout: PipelineLayout, row: int) -> Line:
        """Draw a line of the graph, of the calls in flight, or what says how many these are."""
        below = _is_below(view, layout.waiting)
        if row < layout.title:
            shown = replace(view.graph, cursor=-1) if below else view.graph
            return _GRAPH.line(shown, layout.graph, row)
        if layout.waiting is None:
            return exactly([], layout.size.columns)
        if row == layout.title:
            return _title(layout.waiting.grid.table, layout.size.columns)
        if not layout.waiting.grid.rows:
            return exactly([], layout.size.columns)
        shown = view.waiting if below else replace(view.waiting, cursor=-1)
        return _WAITING.line(shown, layout.waiting, row - layout.title - 1)


def waiting(found: InFlight) -> Table:
    """Return the calls in flight as a table whose rows are known by process and thread.

    Those from before the trace come first, and have no age.
    """
    calls: tuple[Earlier | Waiting, ...] = (*found.earlier, *found.calls)
    rows = tuple(
        (call.pid, call.tid, call.comm, age_ns, call.syscall, call.file or None, fd)
        for call in calls
        for age_ns in [call.age_ns if isinstance(call, Waiting) else None]
        for fd in [call.fd if call.fd >= 0 else None]
    )
    return Table("In flight", FIELDS, rows)


def _lines_above(view: PipelineView, seen: Picture, size: Size) -> int:
    if seen.waiting is None:
        return size.rows
    lower = 1 + bool(seen.waiting.rows) + len(seen.waiting.rows)
    if size.rows < _BOTH:
        return 0 if view.below and seen.waiting.rows else size.rows
    upper = 1 + len(seen.graph.rows)
    return min(upper, size.rows - min(lower, size.rows // 2))


def _is_below(view: PipelineView, lower: TableLayout | None) -> bool:
    return view.below and lower is not None and len(lower.grid.rows) > 0


def _clicked(view: PipelineView, layout: PipelineLayout, event: Clicked) -> Step | None:
    if event.row < layout.title:
        step = _GRAPH.reduce(view.graph, layout.graph, event)
        return step and replace(step, view=replace(view, graph=step.view, below=False))
    if layout.waiting is None:
        return None
    inside = replace(event, row=event.row - layout.title - 1)
    step = _WAITING.reduce(view.waiting, layout.waiting, inside)
    return step and replace(step, view=replace(view, waiting=step.view, below=True))


def _title(table: Table, columns: int) -> Line:
    """Say how many calls have not returned, how long the oldest has waited, and of which not."""
    if not table.rows:
        return exactly([("class:label", " every call has returned")], columns)
    at = [field.name for field in table.fields].index("age")
    ages = [row[at] for row in table.rows if row[at] is not None]
    earlier = len(table.rows) - len(ages)
    said, upto = f"{format_count(len(table.rows))} not returned", ", the oldest after "
    if earlier:
        said += f": {format_count(earlier)} begun before the trace"
        upto = ", others up to "
    line: Line = [("class:label", " in flight "), ("", said)]
    if ages:
        line += [("", upto), ("class:value", format_duration(max(ages)))]
    return exactly(line, columns)
