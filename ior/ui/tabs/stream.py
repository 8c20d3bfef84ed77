"""The Stream tab: the calls as they come; held still, each cell and each row can be looked at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

import msgspec
import numpy as np
from msgspec.structs import replace

from ior.calls import RAW
from ior.sinks.csv import CellWriter
from ior.stages.stream import Stream
from ior.ui.keys import MATCHES, Action, Key, Pressed
from ior.ui.sight import Nodes, Sight
from ior.ui.stream.columns import objection
from ior.ui.stream.detail import entries
from ior.ui.stream.listing import Cursor, Listing, drawn, heading, listing, page, scrolled, status
from ior.ui.stream.page import Page, folded
from ior.ui.stream.rows import Rows, rows_of
from ior.ui.stream.search import Found, Pattern, compiled
from ior.ui.tabs.abc import (
    Answered,
    AnyTab,
    Clicked,
    Question,
    Size,
    Step,
    Tab,
    TabEvent,
    View,
    WrongAnswer,
)
from ior.ui.widgets import Line
from ior.units import format_count

SEARCH = "stream search"


class StreamView(View, frozen=True, kw_only=True):
    """How the stream is looked at. A row is known by its number in the stream."""

    at: int | None = None  # the row under the cursor; None: the latest are followed
    lead: int = 0  # lines between the top and the cursor
    column: int = 0  # under the cursor
    first_column: int = 1  # of those that scroll
    pattern: Pattern | None = None
    opened: bool = False  # the row in full
    entry: int = 0  # of its lines the one under the cursor
    top: int = 0  # its first line that is in sight

    @property
    def wants(self) -> bool:
        """A row in full also tells of calls that have not returned, which are asked for then."""
        return self.opened


class StreamLayout(msgspec.Struct, frozen=True, eq=False):
    """What is in sight: the list, and the row in full while that is what is shown."""

    rows: Rows
    listing: Listing
    found: Found | None
    page: Page | None = None

    @property
    def here(self) -> int:
        """Which of the rows is under the cursor; the last while the latest are followed."""
        row = self.listing.row
        return self.rows.count - 1 if row is None else row


class StreamTab(Tab[StreamView, Rows, StreamLayout]):
    """Shows the rows that the first `stream` node retains."""

    name = "Stream"
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
                return _searched(view, layout, text)
            case Clicked(column, row):
                return _clicked(view, layout, column, row)
            case Pressed(Action.SEARCH):
                return _ask(view)
            case Pressed(action) if not layout.rows.count:
                return Step(view, "there are no rows here") if action in _NEEDING else None
            case Pressed(action):
                change = (_OPENED if layout.page else {}).get(action) or _CHANGES.get(action)
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


_Change = Callable[[StreamView, StreamLayout], Step | None]


def _to(view: StreamView, layout: StreamLayout, row: int, message: str = "") -> Step:
    """Go to one of the rows that are shown, and stop there."""
    row = max(0, min(row, layout.rows.count - 1))
    lines, before = layout.rows.line_of(row), layout.rows.line_of(layout.here)
    lead = view.lead if layout.listing.row is not None else before - layout.listing.top
    lead = max(0, min(lead + lines - before, page(layout.listing.size) - 1))
    at = layout.rows.place(row).number
    fresh = at != view.at
    view = replace(view, at=at, lead=lead, entry=0 if fresh else view.entry)
    return Step(view, message, pause=True)


def _moved(delta: Callable[[StreamLayout], int]) -> _Change:
    return lambda view, layout: _to(view, layout, layout.here + delta(layout))


def _paged(step: int) -> _Change:
    """Go a page up or down, with the cursor on the line of the screen where it is."""

    def go(view: StreamView, layout: StreamLayout) -> Step:
        size = layout.listing.size
        lead = view.lead if layout.listing.row is not None else page(size) - 1
        moved = _to(view, layout, layout.here + step * page(size))
        return replace(moved, view=replace(moved.view, lead=lead))

    return go


def _pause(view: StreamView, layout: StreamLayout) -> Step:
    if view.at is None:
        return _to(view, layout, layout.here)
    return Step(replace(view, at=None, opened=False), pause=False)


def _column(step: int) -> _Change:
    return lambda view, _: Step(replace(view, column=view.column + step))


def _drill(view: StreamView, layout: StreamLayout) -> Step:
    """Filter by the cell under the cursor; while the latest are followed, stop there first."""
    if view.at is None:
        return _to(view, layout, layout.here)
    column = layout.listing.columns[view.column]
    place = layout.rows.place(layout.here)
    if not set(place.batch.schema.names).issuperset(column.reads):
        return Step(view, "the cell is empty")
    return _filter(view, column.term(place.batch.select(np.array([place.index]))), column.title)


def _filter(view: StreamView, term: str, what: str) -> Step:
    if not term:
        return Step(view, f"no filter by '{what}': it is empty")
    wrong = objection(term)
    return Step(view, f"no filter by '{what}': {wrong}") if wrong else Step(view, term=term)


def _open(view: StreamView, layout: StreamLayout) -> Step:
    if view.opened:
        return Step(replace(view, opened=False))
    moved = _to(view, layout, layout.here)
    return replace(moved, view=replace(moved.view, opened=True, entry=0, top=0))


def _back(view: StreamView, _: StreamLayout) -> Step | None:
    return Step(replace(view, opened=False)) if view.opened else None


def _follow(view: StreamView, layout: StreamLayout) -> Step:
    """Filter by the line of a row in full that is under the cursor, or go to its call."""
    assert layout.page is not None
    entry = layout.page.entries[view.entry]
    if entry.row < 0:
        return _filter(view, entry.term, entry.label or entry.text)
    row = layout.rows.nearest(entry.row)
    if layout.rows.place(row).number != entry.row:
        return Step(view, "filter or window hides that call")
    return _to(view, layout, row)


def _entry(delta: Callable[[Page], int]) -> _Change:
    def go(view: StreamView, layout: StreamLayout) -> Step:
        assert layout.page is not None
        entry = view.entry + delta(layout.page)
        return Step(replace(view, entry=max(0, min(entry, len(layout.page.entries) - 1))))

    return go


def _copy(view: StreamView, layout: StreamLayout) -> Step:
    """Copy the row: the texts of its columns, in their order."""
    place = layout.rows.place(layout.here)
    one = place.batch.select(np.array([place.index]))
    have = set(one.schema.names)
    cells = (c.texts(one)[0] for c in layout.listing.columns if have.issuperset(c.reads))
    return Step(view, copy="  ".join(filter(None, cells)))


def _ask(view: StreamView) -> Step:
    hint = "a regular expression, in any case if it has no capital; empty ends the search"
    text = view.pattern.text if view.pattern else ""
    return Step(view, ask=Question(SEARCH, "search: ", hint, text))


def _searched(view: StreamView, layout: StreamLayout, text: str) -> Step:
    try:
        pattern = compiled(text)
    except re.error as error:
        at = error.pos or 0
        raise WrongAnswer(f"no regular expression: {error.msg}", at, at + 1) from None
    view = replace(view, pattern=pattern)
    if pattern is None:
        return Step(view)
    found = pattern.find(layout.rows)
    row = found.nearest(layout.here)
    if row is None:
        return Step(view, f"no row matches {text}")
    return _to(view, layout, row, _said(found, row))


def _said(found: Found, row: int) -> str:
    return f"match {format_count(found.before(row) + 1)} of {format_count(len(found.at))}"


def _match(step: int) -> _Change:
    def go(view: StreamView, layout: StreamLayout) -> Step:
        if view.pattern is None or layout.found is None:
            return Step(view, "search with /")
        row = layout.found.after(layout.here, step)
        if row is None:
            return Step(view, f"no row matches {view.pattern.text}")
        return _to(view, layout, row, _said(layout.found, row))

    return go


def _clicked(view: StreamView, layout: StreamLayout, column: int, row: int) -> Step | None:
    """Point at a cell, or at a line of a row in full."""
    if layout.page is not None:
        at = view.top + row
        pieces = layout.page.pieces
        return Step(replace(view, entry=pieces[at].entry)) if at < len(pieces) else None
    seen = layout.listing
    if not 0 < row <= len(seen.lines) or row > page(seen.size):
        return None
    to = layout.rows.at(seen.top + row - 1)
    if not isinstance(to, int):
        return None
    under, end = view.column, 0
    for i, wide in seen.shown:
        if column >= end:
            under = i
        end += wide + 1
    same = to == seen.row and under == view.column
    view = replace(view, column=under)
    return _drill(view, layout) if same else _to(view, layout, to)


_CHANGES: dict[Action, _Change] = {
    Action.PAUSE: _pause,
    Action.DRILL: _drill,
    Action.VIEW: _open,
    Action.POP: _back,
    Action.COPY: _copy,
    Action.NEXT_MATCH: _match(1),
    Action.PREVIOUS_MATCH: _match(-1),
    Action.UP: _moved(lambda _: -1),
    Action.DOWN: _moved(lambda _: 1),
    Action.PAGE_UP: _paged(-1),
    Action.PAGE_DOWN: _paged(1),
    Action.FIRST: _moved(lambda layout: -layout.rows.count),
    Action.LAST: _moved(lambda layout: layout.rows.count),
    Action.LEFT: _column(-1),
    Action.RIGHT: _column(1),
}

_OPENED: dict[Action, _Change] = {
    Action.DRILL: _follow,
    Action.UP: _entry(lambda _: -1),
    Action.DOWN: _entry(lambda _: 1),
    Action.PAGE_UP: _entry(lambda full: -full.size.rows),
    Action.PAGE_DOWN: _entry(lambda full: full.size.rows),
    Action.FIRST: _entry(lambda full: -len(full.entries)),
    Action.LAST: _entry(lambda full: len(full.entries)),
    Action.LEFT: _moved(lambda _: -1),
    Action.RIGHT: _moved(lambda _: 1),
}
"""What keys mean while a row is shown in full; others mean what they do in the list."""

_NEEDING = _CHANGES.keys() - {Action.POP, Action.PAUSE}
"""What needs a row."""
