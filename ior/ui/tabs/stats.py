"""The tabs Syscalls, Files and Processes: the tables of a `stats` node, by what they go by."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from msgspec.structs import replace

from ior.snapshots import Field, Snapshot, Table
from ior.stages.stats import Stats, StatsSnapshot
from ior.ui.flame import drawn
from ior.ui.keys import Action, Key, Pressed
from ior.ui.sight import Nodes, Sight
from ior.ui.tabs.abc import AnyTab, Size, Step, TabEvent
from ior.ui.tabs.flame import FlameView
from ior.ui.tabs.icicle import Icicle, lay_out, step
from ior.ui.tabs.table import TableLayout, TableTab, TableView
from ior.ui.widgets import Line

SPAN_NS = 1_000_000_000  # rates are means over about this
NAMES = {"syscall": "Syscalls", "file": "Files", "process": "Processes"}


class StatsView(TableView, frozen=True, kw_only=True):
    """How the table is looked at; `icicle` while it is drawn as one."""

    icicle: FlameView | None = None


class StatsLayout(TableLayout, frozen=True):
    """The table, and its icicle while that is what is drawn."""

    icicle: Icicle | None = None


class StatsTab(TableTab):
    """Shows the table of a `stats` node by `key`, with a rate of late for each row.

    It remembers what it saw in the last second. Rates are of all calls: with a filter, which
    is of retained rows, there are none. In a window of time they are means over the window.
    """

    key = ""
    begin = StatsView()
    keys: ClassVar[tuple[Key, ...]] = (
        *TableTab.keys,
        Key(Action.VIEW, ("v",), "v", "view", "as an icicle, or as a table again"),
        Key(Action.METRIC, ("m",), "m", "", "width of the icicle: calls, latency, bytes, errors"),
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

    def look(self, sight: Sight, view: TableView) -> Table | None:
        """Return the table of this moment, with rates after the calls."""
        table = super().look(sight, view)
        span_ns = sight.window.span_s * 10**9
        if table is not None and span_ns:
            return rated(table, sight.now_ns, deque([(sight.now_ns - span_ns, {})]))
        if table is None or sight.where is not None:
            return table
        return rated(table, sight.now_ns, self._seen)

    def table(self, snapshot: Snapshot) -> Table | None:
        """Pick the table."""
        return snapshot.by.get(self.key) if isinstance(snapshot, StatsSnapshot) else None

    def arrange(
        self, view: TableView, seen: Table, size: Size, last: TableLayout | None
    ) -> tuple[TableView, TableLayout]:
        """Lay out the table, or its icicle."""
        view, layout = super().arrange(view, seen, size, last)
        if not isinstance(view, StatsView) or view.icicle is None:
            return view, layout
        before = last.icicle if isinstance(last, StatsLayout) else None
        inner, icicle = lay_out(self.key, seen, view.icicle, size, before)
        if inner is not view.icicle:
            view = replace(view, icicle=inner)
        return view, StatsLayout(layout.grid, size, icicle)

    def reduce(self, view: TableView, layout: TableLayout, event: TabEvent) -> Step | None:
        """Turn to the icicle and back; let that or the table have the event."""
        assert isinstance(view, StatsView)
        if isinstance(event, Pressed) and event.action is Action.VIEW:
            return Step(replace(view, icicle=FlameView() if view.icicle is None else None))
        if view.icicle is None:
            return super().reduce(view, layout, event)
        icicle = layout.icicle if isinstance(layout, StatsLayout) else None
        taken = None if icicle is None else step(view.icicle, icicle, event)
        return None if taken is None else replace(taken, view=replace(view, icicle=taken.view))

    def line(self, view: TableView, layout: TableLayout, row: int) -> Line:
        """Draw a line of the table or of the icicle."""
        inner = view.icicle if isinstance(view, StatsView) else None
        icicle = layout.icicle if isinstance(layout, StatsLayout) else None
        if inner is not None and icicle is not None:
            return drawn(icicle.drawing, inner.colour, inner.top, row)
        return super().line(view, layout, row)


def rated(table: Table, now_ns: int, seen: deque[tuple[int, Mapping[Any, int]]]) -> Table:
    """Return a table with a column of calls a second since about a second ago.

    `seen` is what was seen of late: when, and the calls by the first field.
    """
    at = [field.name for field in table.fields].index("calls")
    while len(seen) > 1 and seen[1][0] <= now_ns - SPAN_NS:
        seen.popleft()
    then_ns, before = seen[0] if seen else (now_ns, {})
    seen.append((now_ns, {row[0]: row[at] for row in table.rows}))
    seconds = (now_ns - then_ns) / 10**9

    def with_rate(row: tuple[Any, ...], calls: int | None) -> tuple[Any, ...]:
        rate = (row[at] - calls) / seconds if seconds > 0 and calls is not None else None
        return (*row[: at + 1], rate, *row[at + 1 :])

    fields = (*table.fields[: at + 1], Field("rate", "rate"), *table.fields[at + 1 :])
    rows = tuple(with_rate(row, before.get(row[0], 0)) for row in table.rows)
    rest = None if table.rest is None else with_rate(table.rest, None)
    return replace(table, fields=fields, rows=rows, rest=rest)


class SyscallsTab(StatsTab):
    """What is asked of the kernel."""

    key = "syscall"


class FilesTab(StatsTab):
    """What is read and written."""

    key = "file"


class ProcessesTab(StatsTab):
    """Who asks."""

    key = "process"
