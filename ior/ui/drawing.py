"""Lines of a table: which columns fit, the heading, one row.

The column that the table goes by has bars beside it where there is room.
"""

from __future__ import annotations

from ior.ui.bars import bar
from ior.ui.grid import Grid, columns_shown, padded
from ior.ui.widgets import Line, exactly

GAP = "  "
BAR, _BARS_FROM = 6, 70  # cells of a bar; columns from which on there are bars


def fitting(grid: Grid, first: int, columns: int) -> list[tuple[int, int]]:
    """Return (column, width) of what fits; a column with bars has room for them beside it."""
    if grid.bars is None or columns < _BARS_FROM:
        return columns_shown(grid, first, columns)
    shown = columns_shown(grid, first, columns - BAR - 1)
    return shown if grid.bars[0] in dict(shown) else columns_shown(grid, first, columns)


def in_sight(grid: Grid, first: int, column: int, columns: int) -> int:
    """Return the first column that scrolls, as near to `first` as shows another one."""
    first = min(first, column - grid.keys)
    while column not in dict(fitting(grid, first, columns)):
        if first >= column - grid.keys:
            break
        first += 1
    return first


def column_at(grid: Grid, first: int, columns: int, at: int) -> int | None:
    """Return the column of the table at a column of the screen, None beside all of them."""
    end = 0
    for i, wide in fitting(grid, first, columns):
        end += wide + (BAR + 1) * is_barred(grid, i, columns)
        if at < end:
            return i
        end += len(GAP)
    return None


def is_barred(grid: Grid, column: int, cells: int) -> bool:
    """Return whether a column has bars on a line of so many cells."""
    return grid.bars is not None and grid.bars[0] == column and cells >= _BARS_FROM


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
            line.append(("class:heading", GAP))
        line.append(("class:heading.sorted" if here else "class:heading", text[:wide]))
        if is_barred(grid, column, columns):
            line.append(("class:heading", " " * (BAR + 1)))
    return exactly(line, columns, "class:heading")


def row_line(
    grid: Grid,
    row: tuple[object, ...],
    shown: list[tuple[int, int]],
    styles: tuple[str, str],
    cells: int,
    *,
    cursor: int | None = None,
) -> Line:
    """Draw one row; the first style is that of the cells that name it.

    With `cursor`, the cell of that column is under the cursor.
    """
    line: Line = []
    for column, wide in shown:
        if line:
            line.append((styles[1], GAP))
        text = padded(grid.table.fields[column], row[column], wide)
        line.append(("class:cursor" if column == cursor else styles[column >= grid.keys], text))
        if grid.bars is not None and is_barred(grid, column, cells):
            value = row[column]
            part = value / grid.bars[1] if isinstance(value, int | float) else 0
            line.append((styles[1] or "class:bar", " " + bar(part, BAR)))
    return exactly(line, cells, styles[1])
