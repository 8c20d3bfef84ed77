"""The tabs Syscalls, Files and Processes: the tables of a `stats` node, by what they go by.

Each is a table, a tree, an icicle or a treemap of the same numbers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from msgspec.structs import replace

from ior.counted import Totals
from ior.snapshots import Snapshot, Table
from ior.stages.stats import Stats, StatsSnapshot
from ior.ui.columns import detailed, rates
from ior.ui.flame import drawn
from ior.ui.keys import Action, Key, Pressed
from ior.ui.nodes import Nodes
from ior.ui.parts import GROUPINGS, Parts, parts_of
from ior.ui.sight import Sight
from ior.ui.tabs import area, areamoves, branches, branchmoves, icicle
from ior.ui.tabs.abc import AnyTab, Size, Step, TabEvent
from ior.ui.tabs.counted import signed, with_counted
from ior.ui.tabs.flamemoves import FlameView
from ior.ui.tabs.table import TableLayout, TableTab, TableView
from ior.ui.widgets import Line

NAMES = {"syscall": "Syscalls", "file": "Files", "process": "Processes"}
SHAPES: tuple[Shape, ...] = ("table", "tree", "icicle", "treemap")
_SIZES = "widths and areas by calls, latency, bytes, errors; so s, S back"
Shape = Literal["table", "tree", "icicle", "treemap"]


class StatsView(TableView, frozen=True, kw_only=True):
    """In which shape the table is looked at, what its rows are grouped by, and how."""

    shape: Shape = "table"
    by: str = ""  # the key's own first grouping
    tree: branches.BranchView = branches.BranchView()
    icicle: FlameView = FlameView()
    area: area.AreaView = area.AreaView()


class StatsLayout(TableLayout, frozen=True):
    """The table, and what is drawn in its place."""

    inner: branches.Branches | icicle.Icicle | area.Areas | None = None


class StatsTab(TableTab):
    """Shows the table of a `stats` node by `key`, with a rate of late for each row.

    It remembers what it saw in the last second, and has no rates where it saw nothing of late.
    Rates are of all calls: with a filter, which is of retained rows, there are none. In a window
    of time they are means over what it covers, of a capture and when the run is over over all.
    """

    key = ""
    begin = StatsView()
    keys: ClassVar[tuple[Key, ...]] = (
        *TableTab.keys,
        Key(Action.VIEW, ("v",), "v", "view", "as a tree, an icicle, a treemap, a table"),
        Key(Action.METRIC, ("m",), "m", "", _SIZES),
        Key(Action.OPEN, ("+", "="), "+", "", "in a tree: open; in the other two: to the parts"),
        Key(Action.CLOSE, ("-",), "-", "", "in a tree: close; in the other two: to the whole"),
        Key(Action.ALL, ("*",), "*", "", "in a tree: open everything; again: close it"),
        Key(Action.GROUP, ("c",), "c", "", "group processes by parent, command, cgroup, container"),
    )

    def __init__(self, node: str) -> None:
        super().__init__(NAMES[self.key], node, 0)
        self._seen: deque[tuple[int, Mapping[Any, int]]] = deque()

    @classmethod
    def find(cls, nodes: Nodes) -> Sequence[AnyTab]:
        """Return a tab if the first `stats` node keeps the table."""
        node = nodes.first(Stats)
        config = None if node is None else nodes.config(node)
        kept = isinstance(config, Stats.Config) and cls.key in config.by
        return [cls(node)] if node is not None and kept else []

    def look(self, sight: Sight, view: TableView) -> Table | None:  # noqa: ARG002 (any view will do)
        """Return the table of this moment, with rates, and what is behind its rows."""
        found, whole = sight.answer(self.node), sight.whole(self.node)
        table = self.table(found)
        if table is None or not isinstance(found, StatsSnapshot):
            return table
        span_ns, seen = sight.mean_ns, self._seen
        if span_ns:
            seen = deque([(sight.now_ns - span_ns, {})])
        totals, detail = self.totals(sight), found.details.get(self.key)
        known = not sight.window.span_s and sight.where is None and totals.available
        table, detail = with_counted(table, detail, totals, known=known, where=sight.where)
        timed = span_ns > 0 or sight.where is None
        lately_ns = None if span_ns else sight.lately_ns
        late = rates(table, sight.now_ns, seen, lately_ns) if timed else {}
        tasks = whole.tasks if isinstance(whole, StatsSnapshot) else found.tasks
        return signed(detailed(table, detail, late, tasks), totals, known=known)

    def totals(self, sight: Sight) -> Totals:  # noqa: ARG002 (not of files and processes)
        """Return what the kernel counts, by the key of the table."""
        return Totals(())

    def table(self, snapshot: Snapshot) -> Table | None:
        """Pick the table."""
        return snapshot.by.get(self.key) if isinstance(snapshot, StatsSnapshot) else None

    def arrange(
        self, view: TableView, seen: Table, size: Size, last: TableLayout | None
    ) -> tuple[TableView, TableLayout]:
        """Lay out the table, or what is drawn in its place."""
        view, layout = super().arrange(view, seen, size, last)
        if not isinstance(view, StatsView) or view.shape == "table":
            return view, layout
        before = last.inner if isinstance(last, StatsLayout) else None
        parts = self._parts(view, seen, before)
        if view.shape == "tree":
            held = before if isinstance(before, branches.Branches) else None
            tree, inner = branches.lay_out(parts, view.tree, size, held)
            return replace(view, tree=tree), StatsLayout(layout.grid, size, inner)
        if view.shape == "icicle":
            old = before if isinstance(before, icicle.Icicle) else None
            flame, boxes = icicle.lay_out(parts, view.icicle, size, old)
            return replace(view, icicle=flame), StatsLayout(layout.grid, size, boxes)
        map_ = before if isinstance(before, area.Areas) else None
        areas, rects = area.lay_out(parts, view.area, size, map_)
        return replace(view, area=areas), StatsLayout(layout.grid, size, rects)

    def _parts(self, view: StatsView, seen: Table, before: branches.Branches | Any | None) -> Parts:
        by = view.by or GROUPINGS[self.key][0]
        if before is not None and before.parts.table is seen and before.parts.by == by:
            return before.parts
        return parts_of(self.key, by, seen)

    def reduce(self, view: TableView, layout: TableLayout, event: TabEvent) -> Step | None:
        """Turn to another shape or grouping; let the present one have any other event."""
        assert isinstance(view, StatsView)
        if isinstance(event, Pressed) and event.action is Action.VIEW:
            return Step(replace(view, shape=SHAPES[(SHAPES.index(view.shape) + 1) % len(SHAPES)]))
        if isinstance(event, Pressed) and event.action is Action.GROUP:
            return self._grouped(view)
        inner = layout.inner if isinstance(layout, StatsLayout) else None
        match inner:
            case branches.Branches():
                return _within(view, "tree", branchmoves.step(view.tree, inner, event))
            case icicle.Icicle():
                return _within(view, "icicle", icicle.step(view.icicle, inner, event))
            case area.Areas():
                return _within(view, "area", areamoves.step(view.area, inner, event))
        return super().reduce(view, layout, event)

    def _grouped(self, view: StatsView) -> Step:
        """Group by the next there is; from a table that is to a tree."""
        groupings = GROUPINGS[self.key]
        by = view.by or groupings[0]
        if view.shape != "table":
            by = groupings[(groupings.index(by) + 1) % len(groupings)]
        shape: Shape = "tree" if view.shape == "table" else view.shape
        fresh = StatsView()
        grouped = replace(view, shape=shape, by=by, tree=replace(fresh.tree, sort=view.tree.sort))
        said = f"{self.name.lower()} by {by}"
        return Step(replace(grouped, icicle=fresh.icicle, area=fresh.area), said)

    def export(self, view: TableView, layout: TableLayout) -> Iterator[str]:
        """Yield the table as CSV, or the tree if that is shown."""
        inner = layout.inner if isinstance(layout, StatsLayout) else None
        if isinstance(inner, branches.Branches):
            return branches.export(inner)
        return super().export(view, layout)

    def line(self, view: TableView, layout: TableLayout, row: int) -> Line:
        """Draw a line of the table, or of what is drawn in its place."""
        inner = layout.inner if isinstance(layout, StatsLayout) else None
        assert isinstance(view, StatsView)
        match inner:
            case branches.Branches():
                return branches.line(view.tree, inner, row)
            case icicle.Icicle():
                return drawn(inner.drawing, view.icicle.colour, view.icicle.top, row)
            case area.Areas():
                return area.line(inner, row)
        return super().line(view, layout, row)


def _within(view: StatsView, name: str, step: Step | None) -> Step | None:
    """Return the step of a shape as one of the tab."""
    return step and replace(step, view=replace(view, **{name: step.view}))


class SyscallsTab(StatsTab):
    """What is asked of the kernel."""

    key = "syscall"
    short = "Syscalls"

    def totals(self, sight: Sight) -> Totals:
        """Return what the kernel counts of syscalls that are not recorded whole."""
        return sight.totals()


class FilesTab(StatsTab):
    """What is read and written."""

    key = "file"
    short = "Files"


class ProcessesTab(StatsTab):
    """Who asks."""

    key = "process"
    short = "Procs"
