"""The Stream tab: the calls as they come; held still, each cell and each row can be looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from msgspec.structs import replace

from ior.calls import RAW
from ior.sinks.csv import CellWriter
from ior.stages.stream import Stream
from ior.ui.keys import MATCHES, Action, Key, Pressed
from ior.ui.nodes import Nodes
from ior.ui.sight import Sight
from ior.ui.stream.detail import entries
from ior.ui.stream.listing import Cursor, drawn, heading, listing, scrolled, status
from ior.ui.stream.page import folded
from ior.ui.stream.rows import Rows, rows_of
from ior.ui.tabs.abc import Answered, AnyTab, Clicked, Size, Step, Tab, TabEvent
from ior.ui.tabs.streammoves import (
    CHANGES,
    NEEDING,
    OPENED,
    StreamLayout,
    StreamView,
    ask,
    clicked,
    searched,
)
from ior.ui.widgets import Line


class StreamTab(Tab[StreamView, Rows, StreamLayout]):
    """Shows the rows that the first `stream` node retains."""

    name = "Stream"
    short = "Stream"
    exports = "csv"
    begin = StreamView()
    keys: ClassVar[tuple[Key, ...]] = (
        Key(
            Action.PAUSE,
            ("space",),
            "Space",
            "select",
            "stop to select rows and cells; again: follow the latest calls",
        ),
        Key(
            Action.DRILL,
            ("enter",),
            "Enter",
            "filter",
            "filter by the cell as well; in a row in full by the line, or go to its call",
        ),
        Key(Action.VIEW, ("v",), "v", "row", "the row in full; again: back to the list"),
        Key(
            Action.POP,
            ("backspace", "F"),
            "Backspace F",
            "",
            "back to the list; from there, take the last term off the filter",
        ),
        Key(Action.CANCEL, ("escape",), "Esc", "", "back to the list"),
        Key(Action.SEARCH, ("/",), "/", "search", "search cells by a regular expression"),
        *MATCHES,
        Key(Action.COPY, ("y",), "y", "", "copy the row to the terminal's clipboard"),
        Key(Action.UP, ("up", "k"), "Up k", "", "one row up; stops to select"),
        Key(Action.DOWN, ("down", "j"), "Down j", "", "one row down"),
        Key(Action.PAGE_UP, ("pageup",), "PgUp", "", "one page up; stops to select"),
        Key(Action.PAGE_DOWN, ("pagedown",), "PgDn", "", "one page down"),
        Key(Action.FIRST, ("g", "home"), "g Home", "", "to the oldest row; stops to select"),
        Key(Action.LAST, ("G", "end"), "G End", "", "to the latest row"),
        Key(Action.LEFT, ("left", "h"), "Left h", "", "one cell left; in full: the row before"),
        Key(Action.RIGHT, ("right", "l"), "Right l", "", "one cell right; in full: the row after"),
    )

    @classmethod
    def find(cls, nodes: Nodes) -> Sequence[AnyTab]:
        """Return a tab where rows are retained."""
        return [cls()] if nodes.first(Stream) else []

    def look(self, sight: Sight, view: StreamView) -> Rows | None:
        """Return the retained rows and the warnings; for a row in full the calls in flight, too."""
        return rows_of(sight, waiting=view.opened)

    def arrange(
        self, view: StreamView, seen: Rows, size: Size, last: StreamLayout | None
    ) -> tuple[StreamView, StreamLayout]:
        """Keep the cursor on its row, and in sight; decode what is in sight."""
        found = None
        if view.pattern is not None:
            known = last.found if last is not None and last.rows is seen else None
            same = known is not None and known.pattern is view.pattern
            found = known if same else view.pattern.find(seen)
        row = None if view.at is None or not seen.count else seen.nearest(view.at)
        cursor = Cursor(row, view.lead, view.first_column, view.column)
        shown = listing(seen, size, cursor)
        column = max(0, min(view.column, len(shown.columns) - 1))
        first = scrolled(shown.columns, size, view.first_column, column)
        if row is None:
            view = replace(view, at=None, opened=False, column=column, first_column=first)
            return view, StreamLayout(seen, shown, found)
        place = seen.place(row)
        lead = seen.line_of(row) - shown.top
        view = replace(view, at=place.number, lead=lead, column=column, first_column=first)
        if not view.opened:
            return view, StreamLayout(seen, shown, found)
        full = last.page if last is not None and last.rows is seen else None
        if full is None or (full.number, full.size) != (place.number, size):
            full = folded(place.number, entries(seen, place), size)
        entry = max(0, min(view.entry, len(full.entries) - 1))
        view = replace(view, entry=entry, top=full.top(view.top, entry))
        return view, StreamLayout(seen, shown, found, full)

    def reduce(self, view: StreamView, layout: StreamLayout, event: TabEvent) -> Step | None:
        """Move, search, filter by a cell, open a row."""
        match event:
            case Answered(_, text):
                return searched(view, layout, text)
            case Clicked(column, row):
                return clicked(view, layout, column, row)
            case Pressed(Action.SEARCH):
                return ask(view)
            case Pressed(action) if not layout.rows.count:
                return Step(view, "there are no rows here") if action in NEEDING else None
            case Pressed(action):
                change = (OPENED if layout.page else {}).get(action) or CHANGES.get(action)
                return None if change is None else change(view, layout)

    def export(self, view: StreamView, layout: StreamLayout) -> Iterator[str]:  # noqa: ARG002 (all of it)
        """Yield the rows that are shown as CSV, with all their columns."""
        writer = CellWriter()
        names: tuple[str, ...] = ()
        for part in layout.rows.parts:
            if not names:
                schema = part.batch.schema
                names = tuple(column.name for column in schema.columns if column.kind not in RAW)
                yield ",".join(names) + "\n"
            some = part.batch if part.rows is None else part.batch.select(part.rows)
            yield writer.lines(some, names).decode()

    def line(self, view: StreamView, layout: StreamLayout, row: int) -> Line:
        """Draw a line of the list, or of the row in full."""
        if layout.page is not None:
            return layout.page.line(view.top, view.entry, row)
        seen = layout.listing
        if row == 0:
            return heading(seen, view.column)
        if row == seen.size.rows - 1 and row > 1:
            return status(layout.rows, seen, layout.found, view.column)
        return drawn(seen, layout.found, view.column, row - 1)
