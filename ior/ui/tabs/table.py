"""A tab that shows one table of any node: so every snapshot can be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from ior.sinks.csv import quote
from ior.snapshots import Snapshot, Table
from ior.ui.drawing import column_at, fitting, heading_line, in_sight, row_line
from ior.ui.grid import Grid, Sort, arrange, cell, find, key_of
from ior.ui.keys import MATCHES, SCROLL, Action, Key
from ior.ui.sight import Sight
from ior.ui.tabs import tablesearch
from ior.ui.tabs.abc import Answered, Clicked, Size, Step, Tab, TabEvent, View
from ior.ui.terms import NoTerm, cell_term
from ior.ui.widgets import Line, exactly


class TableView(View, frozen=True, kw_only=True):
    """How a table is looked at."""

    sort: Sort = Sort()
    first_column: int = 0  # of those that scroll
    column: int = 0  # of the cell under the cursor; the first stands for the row
    cursor: int = 0
    anchor: tuple[Any, ...] | None = None  # the row that the cursor stays on
    top: int = 0
    pattern: str = ""  # what is searched for


class TableLayout(msgspec.Struct, frozen=True):
    """A table in display order, and the cells that there are for it."""

    grid: Grid
    size: Size

    @property
    def page(self) -> int:
        """Rows of the table that are visible at once."""
        return max(1, self.size.rows - 1 - (self.grid.table.rest is not None))


class TableTab(Tab[TableView, Table, TableLayout]):
    """Shows the `index`-th table of what `node` answers."""

    keys: ClassVar[tuple[Key, ...]] = (
        Key(Action.DRILL, ("enter",), "Enter", "drill in", "filter by the row, cell or part"),
        Key(Action.SORT, ("s",), "s", "sort", "sort by the next column"),
        Key(Action.REVERSE, ("S",), "S", "reverse", "reverse the order"),
        Key(Action.SEARCH, ("/",), "/", "search", "search rows by a regular expression"),
        *MATCHES,
        Key(Action.COPY, ("y",), "y", "", "copy the row to the terminal's clipboard"),
        *SCROLL,
        Key(Action.LEFT, ("left", "h"), "Left h", "", "to the cell on the left"),
        Key(
            Action.RIGHT,
            ("right", "l"),
            "Right l",
            "",
            "to the cell on the right",
        ),
    )
    exports = "csv"
    begin = TableView()
    none: ClassVar[str] = "no calls"  # said of a table without rows

    def __init__(self, name: str, node: str, index: int) -> None:
        self.name, self.node, self.index = name, node, index

    def table(self, snapshot: Snapshot) -> Table | None:
        """Pick the table to show, None where the snapshot has none (now)."""
        tables = snapshot.tables()
        return tables[self.index] if self.index < len(tables) else None

    def look(self, sight: Sight, view: TableView) -> Table | None:  # noqa: ARG002 (any view will do)
        """Return the table of this moment."""
        return self.table(sight.answer(self.node))

    def arrange(
        self, view: TableView, seen: Table, size: Size, last: TableLayout | None
    ) -> tuple[TableView, TableLayout]:
        """Sort the rows; keep the cursor on its row, and everything in sight.

        While the cursor is on a row, rows keep their order: what one looks at does not jump.
        """
        if last is not None and last.grid.table is seen and last.grid.sort == view.sort:
            grid = last.grid
        else:
            held = last.grid if last is not None and view.anchor is not None else None
            grid = arrange(seen, view.sort, held)
            found = None if view.anchor is None else find(grid, view.anchor)
            view = view if found is None else replace(view, cursor=found)
        layout = TableLayout(grid, size)
        return _inside(view, layout), layout

    def reduce(self, view: TableView, layout: TableLayout, event: TabEvent) -> Step | None:
        """Move, search, sort, scroll, or add what names the row under the cursor to the filter."""
        if isinstance(event, Clicked):
            return _clicked(view, layout, event.column, event.row)
        if isinstance(event, Answered):
            return _match(0)(tablesearch.answered(view, event.text), layout)
        if event.action in _SEARCHES:
            return _SEARCHES[event.action](view, layout)
        if event.action is Action.COPY:
            return Step(view, copy=_row_text(layout, view.cursor))
        if event.action is Action.DRILL:
            return _drill(view, layout)
        change = _CHANGES.get(event.action)
        return None if change is None else Step(change(view, layout))

    def export(self, view: TableView, layout: TableLayout) -> Iterator[str]:  # noqa: ARG002 (all of it)
        """Yield the table as CSV: exact values, all columns, rows in the order shown."""
        table = layout.grid.table
        yield ",".join(quote(field.name) for field in table.fields) + "\n"
        rest = () if table.rest is None else (table.rest,)
        for row in (*layout.grid.rows, *rest):
            yield ",".join("" if cell is None else quote(str(cell)) for cell in row) + "\n"

    def line(self, view: TableView, layout: TableLayout, row: int) -> Line:
        """Draw a line: the heading, a visible row, or at the bottom the rest."""
        grid, columns = layout.grid, layout.size.columns
        shown = fitting(grid, view.first_column, columns)
        if row == 0:
            return heading_line(grid, shown, columns)
        rest = grid.table.rest
        at = view.top + row - 1
        if rest is not None and row == min(len(grid.rows) - view.top, layout.page) + 1:
            return row_line(grid, rest, shown, ("class:rest", "class:rest"), columns)
        if row > layout.page or at >= len(grid.rows):
            said = f" {self.none}" if row == 1 and not grid.rows and rest is None else ""
            return exactly([("", said)], columns)
        if at == view.cursor and view.column > 0:
            styles = ("class:value", "class:value")
            return row_line(grid, grid.rows[at], shown, styles, columns, cursor=view.column)
        found = tablesearch.matches(view.pattern, grid.rows[at], grid.table.fields)
        styles = ("class:match" if found else "class:key", "")
        if at == view.cursor:
            styles = ("class:cursor", "class:cursor")
        return row_line(grid, grid.rows[at], shown, styles, columns)


def _inside(view: TableView, layout: TableLayout) -> TableView:
    """Return the view with cursor and scroll positions inside the table."""
    rows = len(layout.grid.rows)
    cursor = max(0, min(view.cursor, rows - 1))
    top = max(0, min(view.top, cursor, rows - layout.page))
    top = max(top, cursor - layout.page + 1)
    columns = len(layout.grid.widths) - layout.grid.keys
    column = max(0, min(view.column, len(layout.grid.widths) - 1))
    first = max(0, min(view.first_column, columns - 1))
    if column >= layout.grid.keys:
        first = in_sight(layout.grid, first, column, layout.size.columns)
    changed = replace(view, cursor=cursor, top=top, first_column=first, column=column)
    return view if changed == view else changed


_Change = Callable[[TableView, TableLayout], TableView]


def _moved(delta: Callable[[TableLayout], int]) -> _Change:
    def move(view: TableView, layout: TableLayout) -> TableView:
        cursor = max(0, min(view.cursor + delta(layout), len(layout.grid.rows) - 1))
        return replace(view, cursor=cursor, anchor=key_of(layout.grid, cursor))

    return move


def _first(view: TableView, _: TableLayout) -> TableView:
    return replace(view, cursor=0, anchor=None)  # the top, whatever comes to stand there


def _column(step: int) -> _Change:
    def move(view: TableView, layout: TableLayout) -> TableView:
        column = max(0, min(view.column + step, len(layout.grid.widths) - 1))
        first = 0 if column < layout.grid.keys else view.first_column
        return replace(view, column=column, first_column=first)

    return move


def _sort(view: TableView, layout: TableLayout) -> TableView:
    """Sort by the next field, scrolling it into view; after the last, the table's own order."""
    grid = layout.grid
    names: list[str | None] = [None, *(field.name for field in grid.table.fields)]
    at = names.index(view.sort.field) if view.sort.field in names else 0
    column = (at + 1) % len(names) - 1
    view = replace(view, sort=Sort(names[column + 1]))
    cells = layout.size.columns
    first = 0 if column < grid.keys else in_sight(grid, view.first_column, column, cells)
    seen = dict(fitting(grid, first, cells))
    return replace(view, first_column=first, column=view.column if view.column in seen else 0)


def _reverse(view: TableView, _: TableLayout) -> TableView:
    return replace(view, sort=Sort(view.sort.field, not view.sort.reverse))


def _match(step: int) -> Callable[[TableView, TableLayout], Step]:
    def go(view: TableView, layout: TableLayout) -> Step:
        def to(view: TableView, line: int) -> TableView:
            return replace(view, cursor=line, anchor=key_of(layout.grid, line))

        rows, fields = layout.grid.rows, layout.grid.table.fields
        found = [i for i, row in enumerate(rows) if tablesearch.matches(view.pattern, row, fields)]
        return tablesearch.gone(view, found, view.cursor, step, to)

    return go


_SEARCHES: dict[Action, Callable[[TableView, TableLayout], Step]] = {
    Action.SEARCH: lambda view, _: tablesearch.asked(view),
    Action.NEXT_MATCH: _match(1),
    Action.PREVIOUS_MATCH: _match(-1),
}


def _row_text(layout: TableLayout, row: int) -> str:
    """Return a row as people read it, with a blank between its cells."""
    fields = layout.grid.table.fields
    cells = layout.grid.rows[row] if row < len(layout.grid.rows) else ()
    return "  ".join(cell(field, value) for field, value in zip(fields, cells, strict=False))


def _drill(view: TableView, layout: TableLayout) -> Step:
    if not layout.grid.rows:
        return Step(view)
    try:
        return Step(view, term=cell_term(layout.grid, view.cursor, view.column))
    except NoTerm as why:
        return Step(view, str(why))


def _clicked(view: TableView, layout: TableLayout, column: int, row: int) -> Step | None:
    """Point at a row, and drill into the one under the cursor; sort by a heading, or reverse."""
    over = column_at(layout.grid, view.first_column, layout.size.columns, column)
    if row > 0:
        at = view.top + row - 1
        if row > layout.page or at >= len(layout.grid.rows):
            return None
        if at == view.cursor and view.anchor is not None:
            return _drill(replace(view, column=over or 0), layout)
        return Step(replace(view, cursor=at, column=0, anchor=key_of(layout.grid, at)))
    fields = layout.grid.table.fields
    if over is None:
        return None
    same = fields[over].name == view.sort.field
    reverse = not view.sort.reverse if same else False
    return Step(replace(view, sort=Sort(fields[over].name, reverse)))


_CHANGES: dict[Action, _Change] = {
    Action.SORT: _sort,
    Action.REVERSE: _reverse,
    Action.UP: _moved(lambda _: -1),
    Action.DOWN: _moved(lambda _: 1),
    Action.PAGE_UP: _moved(lambda layout: -layout.page),
    Action.PAGE_DOWN: _moved(lambda layout: layout.page),
    Action.FIRST: _first,
    Action.LAST: _moved(lambda layout: len(layout.grid.rows)),
    Action.LEFT: _column(-1),
    Action.RIGHT: _column(1),
}
