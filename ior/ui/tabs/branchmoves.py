"""What keys and clicks make of the view of a tree; its lines are known by their paths."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from ior.ui.drawing import column_at, in_sight
from ior.ui.grid import Sort, cell
from ior.ui.keys import Action
from ior.ui.tabs import tablesearch
from ior.ui.tabs.abc import Answered, Clicked, Step, TabEvent
from ior.ui.tabs.branches import (
    ITSELF,
    Branches,
    BranchView,
    found,
    is_open_first,
    opened,
    wholes,
)
from ior.ui.terms import NoTerm, literal, narrowed


def step(view: BranchView, layout: Branches, event: TabEvent) -> Step | None:
    """Return what comes of an event; its view is the tree's."""
    if isinstance(event, Clicked):
        return _clicked(view, layout, event.column, event.row)
    if isinstance(event, Answered):
        return _match(0)(tablesearch.answered(view, event.text), layout)
    if event.action in _SEARCHES:
        return _SEARCHES[event.action](view, layout)
    if event.action is Action.DRILL:
        return _drill(view, layout)
    if event.action is Action.COPY:
        return _copy(view, layout)
    change = _CHANGES.get(event.action)
    return None if change is None else Step(change(view, layout))


def _clicked(view: BranchView, layout: Branches, column: int, row: int) -> Step | None:
    """Point at a line, and drill into the one under the cursor; sort by a heading, or reverse."""
    grid, at = layout.grid, view.top + row - 1
    over = column_at(grid, view.first_column, layout.size.columns, column)
    if row > 0:
        if at >= len(layout.lines):
            return None
        if at == layout.cursor and view.at:
            return _drill(replace(view, column=over or 0), layout)
        return Step(replace(_on(view, layout, at), column=0))
    if over is None:
        return None
    name = grid.table.fields[over].name
    reverse = name == view.sort.field and not view.sort.reverse
    return Step(replace(view, sort=Sort(name, reverse)))


def _drill(view: BranchView, layout: Branches) -> Step:
    """Filter by what the cell under the cursor speaks of."""
    if not layout.lines:
        return Step(view)
    try:
        field = layout.grid.table.fields[view.column]
        return Step(view, term=narrowed(_part(layout), field, layout.row[view.column]))
    except NoTerm as why:
        return Step(view, str(why))


def _copy(view: BranchView, layout: Branches) -> Step:
    """Copy the line under the cursor, called by its whole path."""
    if not layout.lines:
        return Step(view)
    one, fields = layout.lines[layout.cursor], layout.grid.table.fields
    name = layout.parts.text(one.node) + f" {ITSELF}" * one.itself
    return Step(view, copy="  ".join((name, *map(cell, fields[1:], layout.row[1:]))))


def _part(layout: Branches) -> str:
    """Return the filter for what the line under the cursor stands for. Raises NoTerm."""
    one, parts = layout.lines[layout.cursor], layout.parts
    own = parts.own(one.node)
    if not one.itself or own is None:
        return parts.term(one.node)
    return f"{'pid' if parts.key == 'process' else parts.key} == {literal(own[0])}"


_Change = Callable[[BranchView, Branches], BranchView]


def _on(view: BranchView, layout: Branches, at: int) -> BranchView:
    if not layout.lines:
        return view
    one = layout.lines[max(0, min(at, len(layout.lines) - 1))]
    return replace(view, at=one.path, itself=one.itself)


def _moved(delta: Callable[[Branches], int]) -> _Change:
    return lambda view, layout: _on(view, layout, layout.cursor + delta(layout))


def _column(by: int) -> _Change:
    def move(view: BranchView, layout: Branches) -> BranchView:
        column = max(0, min(view.column + by, len(layout.grid.widths) - 1))
        first = 0 if column < layout.grid.keys else view.first_column
        return replace(view, column=column, first_column=first)

    return move


def _turned(*, opens: bool) -> _Change:
    """Open or close the whole under the cursor; what cannot be closed closes what it is in."""

    def turn(view: BranchView, layout: Branches) -> BranchView:
        if not layout.lines:
            return view
        at = layout.cursor
        depth = layout.lines[at].depth
        if not opens and not layout.lines[at].is_open and depth:
            while layout.lines[at].depth >= depth:
                at -= 1
        one = layout.lines[at]
        view = replace(view, at=one.path, itself=one.itself)
        if one.is_open is None or one.is_open == opens:
            return view
        return replace(view, toggled=view.toggled ^ {one.path})

    return turn


def _all(view: BranchView, layout: Branches) -> BranchView:
    """Open everything, or where everything is open close it."""
    parts = layout.parts
    is_open = all(one.is_open is not False for one in layout.lines)
    return replace(view, toggled=wholes(parts) if is_open == is_open_first(parts) else frozenset())


def _match(step: int) -> Callable[[BranchView, Branches], Step]:
    """Go to a line that is searched for; what it is in is opened."""

    def go(view: BranchView, layout: Branches) -> Step:
        parts, lines = layout.parts, opened(view, layout)
        shown = layout.lines[layout.cursor].path if layout.lines else ()
        here = next((i for i, one in enumerate(lines) if one.path == shown), 0)

        def to(view: BranchView, line: int) -> BranchView:
            path = lines[line].path
            above = {path[:length] for length in range(1, len(path))} & wholes(parts)
            toggled = view.toggled - above if is_open_first(parts) else view.toggled | above
            return replace(view, at=path, itself=False, toggled=toggled)

        matching = [i for i, one in enumerate(lines) if found(one, parts, view)]
        return tablesearch.gone(view, matching, here, step, to)

    return go


_SEARCHES: dict[Action, Callable[[BranchView, Branches], Step]] = {
    Action.SEARCH: lambda view, _: tablesearch.asked(view),
    Action.NEXT_MATCH: _match(1),
    Action.PREVIOUS_MATCH: _match(-1),
}


def _sorted_by(view: BranchView, layout: Branches) -> BranchView:
    """Sort by the next field, scrolling it into view; after the last, by none."""
    grid, cells = layout.grid, layout.size.columns
    names: list[str | None] = [None, *(field.name for field in grid.table.fields)]
    at = names.index(view.sort.field) if view.sort.field in names else 0
    column = (at + 1) % len(names) - 1
    first = 0 if column < grid.keys else in_sight(grid, view.first_column, column, cells)
    return replace(view, sort=Sort(names[column + 1]), first_column=first, column=0)


def _reversed(view: BranchView, _: Branches) -> BranchView:
    return replace(view, sort=Sort(view.sort.field, not view.sort.reverse))


_CHANGES: dict[Action, _Change] = {
    Action.SORT: _sorted_by,
    Action.REVERSE: _reversed,
    Action.OPEN: _turned(opens=True),
    Action.CLOSE: _turned(opens=False),
    Action.ALL: _all,
    Action.UP: _moved(lambda _: -1),
    Action.DOWN: _moved(lambda _: 1),
    Action.PAGE_UP: _moved(lambda layout: -layout.page),
    Action.PAGE_DOWN: _moved(lambda layout: layout.page),
    Action.FIRST: lambda view, _: replace(view, at=(), itself=False),
    Action.LAST: _moved(lambda layout: len(layout.lines)),
    Action.LEFT: _column(-1),
    Action.RIGHT: _column(1),
}
