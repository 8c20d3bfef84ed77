"""What keys and clicks make of the view of the stream; rows are known by their numbers."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
from msgspec.structs import replace

from ior.ui.keys import Action
from ior.ui.patterns import TOO_SLOW, typed
from ior.ui.stream.columns import objection
from ior.ui.stream.listing import Listing, page
from ior.ui.stream.page import Page
from ior.ui.stream.rows import Rows
from ior.ui.stream.search import Found, Pattern, compiled
from ior.ui.tabs.abc import Question, Step, View, WrongAnswer
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

    def live(self) -> StreamView:
        """Follow the latest rows."""
        return self if self.at is None else replace(self, at=None, opened=False)


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


def ask(view: StreamView) -> Step:
    """Ask what to search for."""
    hint = "a regular expression, in any case if it has no capital; empty ends the search"
    text = view.pattern.text if view.pattern else ""
    return Step(view, ask=Question(SEARCH, "search: ", hint, text))


def searched(view: StreamView, layout: StreamLayout, text: str) -> Step:
    """Go to the nearest row that matches. Raises WrongAnswer for what is no expression."""
    typed(text)
    pattern = compiled(text)
    view = replace(view, pattern=pattern)
    if pattern is None:
        return Step(view)
    found = pattern.find(layout.rows)
    if pattern.search.slow:
        raise WrongAnswer(TOO_SLOW)
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


def clicked(view: StreamView, layout: StreamLayout, column: int, row: int) -> Step | None:
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


CHANGES: dict[Action, _Change] = {
    Action.PAUSE: _pause,
    Action.DRILL: _drill,
    Action.VIEW: _open,
    Action.POP: _back,
    Action.CANCEL: _back,
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

OPENED: dict[Action, _Change] = {
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

NEEDING = CHANGES.keys() - {Action.POP, Action.CANCEL, Action.PAUSE}
"""What needs a row."""
