"""A tab that shows one table of any node: so every snapshot can be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from ior.sinks.csv import quote
from ior.snapshots import Snapshot, Table
from ior.ui.bars import bar
from ior.ui.grid import Grid, Sort, arrange, cell, columns_shown, find, key_of, padded
from ior.ui.keys import SCROLL, Action, Key, Pressed
from ior.ui.sight import Sight
from ior.ui.tabs.abc import Clicked, Size, Step, Tab, TabEvent, View
from ior.ui.terms import term_of
from ior.ui.widgets import Line, exactly

_GAP = "  "
_BAR, _BARS_FROM = 6, 70  # cells of a bar; columns from which on there are bars


class TableView(View, frozen=True, kw_only=True):
    """How a table is looked at."""

    sort: Sort = Sort()
    first_column: int = 0  # of those that scroll
    cursor: int = 0
    anchor: tuple[Any, ...] | None = None  # the row that the cursor stays on
    top: int = 0


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
        Key(Action.DRILL, ("enter",), "Enter", "drill in", "filter by the row as well"),
        Key(Action.SORT, ("s",), "s", "sort", "sort by the next column"),
        Key(Action.REVERSE, ("S",), "S", "reverse", "reverse the order"),
        Key(Action.COPY, ("y",), "y", "", "copy the row to the terminal's clipboard"),
        *SCROLL,
        Key(Action.LEFT, ("left", "h"), "Left h", "", "scroll the columns to the left"),
        Key(Action.RIGHT, ("right", "l"), "Right l", "", "scroll the columns to the right"),
    )
    exports = "csv"
    begin = TableView()

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
        """Move, sort, scroll, or add what names the row under the cursor to the filter."""
        if isinstance(event, Clicked):
            return _clicked(view, layout, event.column, event.row)
        if not isinstance(event, Pressed):
            return None
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
            said = " no calls" if row == 1 and not grid.rows and rest is None else ""
            return exactly([("", said)], columns)
        styles = ("class:cursor", "class:cursor") if at == view.cursor else ("class:key", "")
        return row_line(grid, grid.rows[at], shown, styles, columns)


def _inside(view: TableView, layout: TableLayout) -> TableView:
    """Return the view with cursor and scroll positions inside the table."""
    rows = len(layout.grid.rows)
    cursor = max(0, min(view.cursor, rows - 1))
    top = max(0, min(view.top, cursor, rows - layout.page))
    top = max(top, cursor - layout.page + 1)
    columns = len(layout.grid.widths) - layout.grid.keys
    first = max(0, min(view.first_column, columns - 1))
    if (cursor, top, first) == (view.cursor, view.top, view.first_column):
        return view
    return replace(view, cursor=cursor, top=top, first_column=first)


_Change = Callable[[TableView, TableLayout], TableView]


def _moved(delta: Callable[[TableLayout], int]) -> _Change:
    def move(view: TableView, layout: TableLayout) -> TableView:
        cursor = max(0, min(view.cursor + delta(layout), len(layout.grid.rows) - 1))
        return replace(view, cursor=cursor, anchor=key_of(layout.grid, cursor))

    return move


def _first(view: TableView, _: TableLayout) -> TableView:
    return replace(view, cursor=0, anchor=None)  # the top, whatever comes to stand there


def _column(step: int) -> _Change:
    return lambda view, _: replace(view, first_column=view.first_column + step)


def _sort(view: TableView, layout: TableLayout) -> TableView:
    """Sort by the next field, scrolling it into view; after the last, the table's own order."""
    grid = layout.grid
    names: list[str | None] = [None, *(field.name for field in grid.table.fields)]
    at = names.index(view.sort.field) if view.sort.field in names else 0
    column = (at + 1) % len(names) - 1
    view = replace(view, sort=Sort(names[column + 1]))
    if column < grid.keys:
        return replace(view, first_column=0)
    first = min(view.first_column, column - grid.keys)
    while column not in dict(fitting(grid, first, layout.size.columns)):
        if first >= column - grid.keys:
            break
        first += 1
    return replace(view, first_column=first)


def _reverse(view: TableView, _: TableLayout) -> TableView:
    return replace(view, sort=Sort(view.sort.field, not view.sort.reverse))


def _row_text(layout: TableLayout, row: int) -> str:
    """Return a row as people read it, with a blank between its cells."""
    fields = layout.grid.table.fields
    cells = layout.grid.rows[row] if row < len(layout.grid.rows) else ()
    return "  ".join(cell(field, value) for field, value in zip(fields, cells, strict=False))


def _drill(view: TableView, layout: TableLayout) -> Step:
    if not layout.grid.rows:
        return Step(view)
    term = term_of(layout.grid, view.cursor)
    if term is None:
        name = layout.grid.table.fields[0].name
        return Step(view, f"a row of this table is no filter: '{name}' is not a field of calls")
    return Step(view, term=term)


def _clicked(view: TableView, layout: TableLayout, column: int, row: int) -> Step | None:
    """Point at a row, and drill into the one under the cursor; sort by a heading, or reverse."""
    if row > 0:
        at = view.top + row - 1
        if row > layout.page or at >= len(layout.grid.rows):
            return None
        if at == view.cursor and view.anchor is not None:
            return _drill(view, layout)
        return Step(replace(view, cursor=at, anchor=key_of(layout.grid, at)))
    end, fields = 0, layout.grid.table.fields
    for i, wide in fitting(layout.grid, view.first_column, layout.size.columns):
        end += wide + (_BAR + 1) * _barred(layout.grid, i, layout.size.columns)
        if column < end:
            same = fields[i].name == view.sort.field
            return Step(
                replace(view, sort=Sort(fields[i].name, not view.sort.reverse if same else False))
            )
        end += len(_GAP)
    return None


def fitting(grid: Grid, first: int, columns: int) -> list[tuple[int, int]]:
    """Return (column, width) of what fits; a column with bars has room for them beside it."""
    if grid.bars is None or columns < _BARS_FROM:
        return columns_shown(grid, first, columns)
    shown = columns_shown(grid, first, columns - _BAR - 1)
    return shown if grid.bars[0] in dict(shown) else columns_shown(grid, first, columns)


def _barred(grid: Grid, column: int, cells: int) -> bool:
    return grid.bars is not None and grid.bars[0] == column and cells >= _BARS_FROM


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


def heading_line(grid: Grid, shown: list[tuple[int, int]], columns: int) -> Line:
    """Draw the names of the columns `shown`, (column, width) each."""
    line: Line = []
    for column, wide in shown:
        field = grid.table.fields[column]
        here = field.name == grid.sort.field
        descending = (field.kind != "text") != grid.sort.reverse
        name = field.name + (("▼" if descending else "▲") if here else "")
        text = name.ljust(wide) if field.kind == "text" else name.rjust(wide)
        if line:
            line.append(("class:heading", _GAP))
        line.append(("class:heading.sorted" if here else "class:heading", text[:wide]))
        if _barred(grid, column, columns):
            line.append(("class:heading", " " * (_BAR + 1)))
    return exactly(line, columns, "class:heading")


def row_line(
    grid: Grid,
    row: tuple[object, ...],
    shown: list[tuple[int, int]],
    styles: tuple[str, str],
    cells: int,
) -> Line:
    """Draw one row; the first style is that of the cells that name it."""
    line: Line = []
    for column, wide in shown:
        if line:
            line.append((styles[1], _GAP))
        text = padded(grid.table.fields[column], row[column], wide)
        line.append((styles[column >= grid.keys], text))
        if grid.bars is not None and _barred(grid, column, cells):
            value = row[column]
            part = value / grid.bars[1] if isinstance(value, int | float) else 0
            line.append((styles[1] or "class:bar", " " + bar(part, _BAR)))
    return exactly(line, cells, styles[1])
