"""A tab that shows one table of any node: the seam through which every snapshot is seen."""

from __future__ import annotations

from ior.snapshots import Snapshot, Table
from ior.ui.grid import Grid, columns_shown, padded
from ior.ui.state import State
from ior.ui.widgets import Line, exactly

_GAP = "  "


class TableTab:
    """Shows the `index`-th table of what `node` answers.

    `filtered` says whether the typed filter can be applied: then the snapshot that `table`
    gets may be one of the retained rows alone.
    """

    def __init__(self, name: str, node: str, index: int, *, filtered: bool) -> None:
        self.name, self.node, self.index, self.filtered = name, node, index, filtered

    def table(self, snapshot: Snapshot) -> Table | None:
        """Pick the table to show, None where the snapshot has none (now)."""
        tables = snapshot.tables()
        return tables[self.index] if self.index < len(tables) else None

    def line(self, state: State, row: int) -> Line:
        """Draw line `row` of the body, exactly as wide as the terminal."""
        if state.grid is None:
            said = "" if row or state.picture is None else " nothing to see here yet"
            return exactly([("", said)], state.columns)
        return grid_line(state, state.grid, row)


def grid_line(state: State, grid: Grid, row: int) -> Line:
    """Draw line `row` of a table: its heading, a visible row, or at the bottom the rest."""
    shown = columns_shown(grid, state.first_column, state.columns)
    if row == 0:
        return _heading(state, grid, shown)
    rest = grid.table.rest
    at = state.top + row - 1
    if rest is not None and row == min(len(grid.rows) - state.top, state.page) + 1:
        return _cells(grid, rest, shown, ("class:rest", "class:rest"), state.columns)
    if row > state.page or at >= len(grid.rows):
        said = " no calls" if row == 1 and not grid.rows and rest is None else ""
        return exactly([("", said)], state.columns)
    styles = ("class:cursor", "class:cursor") if at == state.cursor else ("class:key", "")
    return _cells(grid, grid.rows[at], shown, styles, state.columns)


def _heading(state: State, grid: Grid, shown: list[tuple[int, int]]) -> Line:
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
    return exactly(line, state.columns, "class:heading")


def _cells(
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
    return exactly(line, cells, styles[1])
