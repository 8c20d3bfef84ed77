"""The list of the Stream tab: which lines are in sight, their cells, and how they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from ior.text import fit
from ior.ui.cells import first_shown, shown_from
from ior.ui.notes import Noted
from ior.ui.stream.columns import Column, columns_of, when
from ior.ui.stream.rows import Rows, grouped
from ior.ui.stream.search import Found
from ior.ui.tabs.abc import Size
from ior.ui.widgets import Line, exactly, spread
from ior.units import format_count

_STYLES = {"time": "class:rest", "syscall": "class:key"}
HELD = 1  # columns that stay while the others scroll: the time
_EDGE = 1  # cells at the right edge: room for the sign that there are more columns


class Row(NamedTuple):
    """A row in sight: which of the rows that are shown, and the texts of the shown columns."""

    row: int
    texts: tuple[str, ...]


class Cursor(NamedTuple):
    """The row under the cursor (None: the latest are followed), and how it is to stand.

    `lead` is how many lines below the top the row is to be, if it can; `first` the first of the
    columns that scroll, `column` the one under the cursor.
    """

    row: int | None
    lead: int
    first: int
    column: int


class Listing(msgspec.Struct, frozen=True, eq=False):
    """The lines in sight.

    `columns` are those of the rows, `shown` says which of them are in sight and how wide, `top`
    is the number of the first line, `row` which of the rows is under the cursor, None while the
    latest are followed.
    """

    size: Size
    columns: tuple[Column, ...]
    shown: tuple[tuple[int, int], ...]
    top: int
    row: int | None
    lines: tuple[Row | Noted, ...]
    wall_offset_ns: int


def page(size: Size) -> int:
    """Return how many lines of rows and warnings there are between heading and last line."""
    return max(1, size.rows - 2)


def listing(rows: Rows, size: Size, cursor: Cursor) -> Listing:
    """Return what is in sight: the cursor, and what is around it."""
    row, lead, first, column = cursor
    schema = rows.parts[0].batch.schema if rows.parts else None
    columns = columns_of(schema) if schema is not None else ()
    high = page(size)
    last = max(0, rows.lines - high)
    top = last
    if row is not None:
        line = rows.line_of(row)
        top = max(0, min(line - max(0, min(lead, high - 1)), last))
        if row == rows.count - 1:  # warnings behind the last row
            top = min(last, line)
        elif row == 0 and line < high:
            top = 0
    shown = tuple(_sizes(columns, size.columns, first, column))
    offset_ns = rows.parts[-1].batch.origin.wall_offset_ns if rows.parts else 0
    chosen = [columns[i] for i, _ in shown]
    lines = _lines(rows, range(top, min(top + high, rows.lines)), chosen)
    return Listing(size, columns, shown, top, row, tuple(lines), offset_ns)


def scrolled(columns: Sequence[Column], size: Size, first: int, column: int) -> int:
    """Return the first column to show so that the one under the cursor is in sight."""
    widths = [one.width(size.columns) for one in columns]
    room = size.columns - _EDGE
    return first_shown(widths, first, column, room, held=HELD) if widths else 0


def _sizes(columns: Sequence[Column], cells: int, first: int, cursor: int) -> list[tuple[int, int]]:
    """Return (column, width) of what is in sight; those that grow share what is left over."""
    if not columns:
        return []
    widths = [column.width(cells) for column in columns]
    room = cells - _EDGE
    first = first_shown(widths, first, cursor, room, held=HELD)
    shown = shown_from(widths, first, room, held=HELD)
    left = room - sum(widths[i] for i in shown) - (len(shown) - 1)
    after = shown[-1] + 1
    if after < len(columns) and columns[after].grow and columns[after].narrow < left:
        shown.append(after)  # not as wide as it would like to be
        widths[after] = min(columns[after].wide, left - 1)
        left -= widths[after] + 1
    growing = [i for i in shown if columns[i].grow] or shown[-1:]
    for k, i in enumerate(growing):
        more = left // (len(growing) - k)
        widths[i] += more
        left -= more
    return [(i, widths[i]) for i in shown]


def _lines(rows: Rows, lines: Sequence[int], columns: Sequence[Column]) -> list[Row | Noted]:
    """Decode lines; rows of one batch together."""
    stands = [rows.at(line) for line in lines]
    shown = [at for at in stands if isinstance(at, int)]
    texts: dict[int, tuple[str, ...]] = {}
    for some, run in grouped([rows.place(at) for at in shown]):
        have = set(some.schema.names)
        cells = [
            column.texts(some) if have.issuperset(column.reads) else [""] * len(some)
            for column in columns
        ]
        texts |= zip([shown[i] for i in run], zip(*cells, strict=True), strict=True)
    return [Row(at, texts[at]) if isinstance(at, int) else at for at in stands]


def heading(seen: Listing, column: int) -> Line:
    """Draw the titles; the column under the cursor stands out."""
    line: Line = []
    for i, wide in seen.shown:
        if line:
            line.append(("class:heading", " "))
        title = seen.columns[i].title
        text = title.rjust(wide) if seen.columns[i].right else title.ljust(wide)
        line.append(("class:heading.sorted" if i == column else "class:heading", text[:wide]))
    more = seen.columns and seen.shown[-1][0] < len(seen.columns) - 1
    drawn = exactly(line, seen.size.columns - 1 if more else seen.size.columns, "class:heading")
    return [*drawn, ("class:heading", "›")] if more else drawn


def drawn(seen: Listing, found: Found | None, column: int, at: int) -> Line:
    """Draw a line of the list: a row, or a warning."""
    if at >= len(seen.lines):
        said = " no calls" if at == 0 and not seen.lines else ""
        return exactly([("", said)], seen.size.columns)
    line = seen.lines[at]
    if not isinstance(line, Row):
        return _warning(seen, line)
    here = line.row == seen.row
    matches = found is not None and found.has(line.row)
    cells: Line = []
    for (i, wide), text in zip(seen.shown, line.texts, strict=True):
        one = seen.columns[i]
        style = "class:value" if here else _STYLES.get(one.title, "")
        if one.title == "result" and text.startswith("E"):
            style += " class:bad"
        if matches and found is not None and text and found.pattern.search(text):
            style += " class:match"
        if here and i == column:
            style = "class:cursor"
        if cells:
            cells.append(("", " "))
        cells.append((style, _cell(one, text, wide)))
    return exactly(cells, seen.size.columns)


def _cell(column: Column, text: str, wide: int) -> str:
    if column.keep == "digits":
        return fit(text[:wide], wide)
    return fit(text.rjust(wide) if column.right else text, wide, keep=column.keep)


def _warning(seen: Listing, note: Noted) -> Line:
    style = "class:bad" if note.bad else "class:message"
    time = when(note.now_ns, seen.wall_offset_ns)[: seen.shown[0][1]] if seen.shown else ""
    kind = "error" if note.bad else "warning"
    return exactly([(style, f"{time} ── {kind}: {note.message}")], seen.size.columns)


def status(rows: Rows, seen: Listing, found: Found | None, column: int) -> Line:
    """Draw the last line: where one is, the cell under the cursor in full, how many match."""
    right: Line = []
    if found is not None:
        which = ""
        if seen.row is not None and found.has(seen.row):
            which = f"{format_count(found.before(seen.row) + 1)} of "
        right.append(("class:match", f" {which}{format_count(len(found.at))} match "))
    count = format_count(rows.count)
    if seen.row is None:
        left = [("class:label", f" the latest of {count} rows; Space stops to select")]
        return spread(left, right, seen.size.columns)
    left = [("class:label", f" row {format_count(seen.row + 1)} of {count} ")]
    row = next((one for one in seen.lines if isinstance(one, Row) and one.row == seen.row), None)
    shown = [i for i, _ in seen.shown]
    if row is not None and column in shown:
        text = row.texts[shown.index(column)] or "(empty)"
        left += [("class:key", f" {seen.columns[column].title} "), ("", text)]
    return spread(left, right, seen.size.columns)
