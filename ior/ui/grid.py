"""A table in display order: which rows, which columns, how wide, and each cell's text.

The reducer arranges a snapshot's table once per tick or sort; views then format only the
rows that are visible. Counts are written in full, so that what is on the screen can be
compared with the books.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ior.snapshots import Field, Table
from ior.text import fit, sanitise, width
from ior.units import format_count, format_duration, format_rate, format_size

KEY_KINDS = ("text", "int")  # the leading fields of these kinds name a row
KEY_MIN, KEY_SHARE, SEPARATOR = 12, 0.4, 2
_FIXED = {"duration": 10, "size": 10, "ratio": 7, "rate": 10}
_INDENT = " ▾▸"  # of a line in a tree
_PATHS = ("file", "old_file", "asked", "path")  # the end of these says more than the start


class Sort(msgspec.Struct, frozen=True):
    """By which field, and whether in the order that is not natural for it.

    Numbers are naturally sorted from large to small, names from a to z. `field` is None for
    the table's own order, best first.
    """

    field: str | None = None
    reverse: bool = False


class Grid(msgspec.Struct, frozen=True):
    """A table's rows in display order, with the width of every column.

    `keys` is how many leading columns name a row; they stay when columns scroll.
    """

    table: Table
    rows: tuple[tuple[Any, ...], ...]
    widths: tuple[int, ...]
    keys: int
    sort: Sort
    bars: tuple[int, float] | None = None  # the column that has bars, and its greatest value


def arrange(table: Table, sort: Sort, held: Grid | None = None) -> Grid:
    """Sort a table's rows and measure its columns; empty cells sort last.

    With `held`, rows that it has keep their order, and new ones come after them.
    """
    rows = tuple(table.rows)
    names = [field.name for field in table.fields]
    if sort.field in names:
        rows = _sorted(rows, names.index(sort.field), table.fields, reverse=sort.reverse)
    elif sort.reverse:
        rows = rows[::-1]
    measured = rows if table.rest is None else (*rows, table.rest)
    widths = tuple(_measure(field, i, measured) for i, field in enumerate(table.fields))
    keys = key_count(table.fields)
    if held is not None and held.sort == sort and held.table.fields == table.fields:
        place = {row[:keys]: i for i, row in enumerate(held.rows)}
        rows = tuple(sorted(rows, key=lambda row: place.get(row[:keys], len(place))))
    return Grid(table, rows, widths, keys, sort, bars_of(table, sort, keys, rows))


def bars_of(
    table: Table, sort: Sort, keys: int, rows: tuple[tuple[Any, ...], ...]
) -> tuple[int, float] | None:
    """Return which column has bars: the sorted one, or the first that is no key."""
    names = [field.name for field in table.fields]
    at = names.index(sort.field) if sort.field in names else keys
    if at < keys or at >= len(names) or table.fields[at].kind not in _FORMATS:
        return None
    most = max((row[at] for row in rows if row[at] is not None), default=0)
    return (at, most) if most > 0 else None


def _sorted(
    rows: tuple[tuple[Any, ...], ...], column: int, fields: Sequence[Field], *, reverse: bool
) -> tuple[tuple[Any, ...], ...]:
    full = [row for row in rows if row[column] is not None]
    empty = [row for row in rows if row[column] is None]
    descending = (fields[column].kind != "text") != reverse
    full.sort(key=lambda row: row[column], reverse=descending)
    return (*full, *empty)


def key_count(fields: Sequence[Field]) -> int:
    """Return how many leading fields name a row, at least one where there is a field."""
    count = 0
    while count < len(fields) and fields[count].kind in KEY_KINDS:
        count += 1
    return count or min(1, len(fields))


def _measure(field: Field, column: int, rows: Sequence[tuple[Any, ...]]) -> int:
    title = len(field.name) + 1  # room for the sort mark
    if field.kind in _FIXED:
        return max(title, _FIXED[field.kind])
    values = [row[column] for row in rows if row[column] is not None]
    if field.kind == "text":
        return max(title, KEY_MIN, max(map(_cells, values), default=0))
    if not values:
        return max(title, 7)
    return max(title, 7, *(len(cell(field, value)) for value in (min(values), max(values))))


def _cells(text: str) -> int:
    return len(text) if text.isascii() else width(sanitise(text))


def _ratio(value: float) -> str:
    return f"{value:.1%}"


_FORMATS: dict[str, Callable[[Any], str]] = {
    "count": format_count,
    "duration": lambda ns: format_duration(int(ns)),
    "size": lambda size: format_size(int(size)),
    "ratio": _ratio,
    "rate": format_rate,
}


def cell(field: Field, value: Any) -> str:
    """Return one cell as people read it, neither cut nor padded; "" for an empty one."""
    if value is None:
        return ""
    return _FORMATS.get(field.kind, str)(value)


def padded(field: Field, value: Any, width: int) -> str:
    """Return one cell in exactly `width` terminal cells; numbers stand at the right."""
    text = cell(field, value)
    if field.name == "directory":
        begun = len(text) - len(text.lstrip(_INDENT))
        return fit(text[:begun] + fit(text[begun:], width - begun, keep="end"), width)
    if field.kind == "text":
        return fit(text, width, keep="end" if field.name in _PATHS else "start")
    return fit(text.rjust(width), width)


def columns_shown(grid: Grid, first: int, cells: int) -> list[tuple[int, int]]:
    """Return (column, width) of the columns that fit into `cells`, keys first.

    Columns other than the keys begin with the `first`-th of them; of these a text that is too
    wide is cut. Keys that are wide keep `KEY_SHARE` of the line between them, and take what the
    others leave over.
    """
    keys = range(grid.keys)
    share = max(KEY_MIN, int(cells * KEY_SHARE) // max(grid.keys, 1))
    sizes = {i: min(grid.widths[i], share) for i in keys}
    room = cells - sum(sizes.values()) - SEPARATOR * max(grid.keys - 1, 0)
    others = []
    for i in range(grid.keys + first, len(grid.widths)):
        if grid.widths[i] + SEPARATOR > room:
            if grid.table.fields[i].kind == "text" and room >= KEY_MIN + SEPARATOR:
                others.append((i, room - SEPARATOR))
                room = 0
            break
        others.append((i, grid.widths[i]))
        room -= grid.widths[i] + SEPARATOR
    for i in keys:
        more = min(grid.widths[i] - sizes[i], max(room, 0))
        sizes[i] += more
        room -= more
    return [*sizes.items(), *others]


def key_of(grid: Grid, row: int) -> tuple[Any, ...] | None:
    """Return what names a row, None outside the table."""
    return grid.rows[row][: grid.keys] if 0 <= row < len(grid.rows) else None


def find(grid: Grid, key: tuple[Any, ...]) -> int | None:
    """Return where the row of that name stands now."""
    for i, row in enumerate(grid.rows):
        if row[: grid.keys] == key:
            return i
    return None
