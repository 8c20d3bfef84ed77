"""A table as a tree: wholes that open and close, with the sums of what is below them.

A whole that has nothing but one part stands with that on one line. What a whole
holds itself (a directory that was read, a parent's own calls) is a line in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec.structs import replace

from ior.sinks.csv import quote
from ior.snapshots import Field, Table
from ior.ui.drawing import fitting, heading_line, in_sight, row_line
from ior.ui.grid import Grid, Sort, arrange, bars_of
from ior.ui.parts import Parts
from ior.ui.sums import Sums, order, sums_of
from ior.ui.tabs import tablesearch
from ior.ui.tabs.abc import Size, View
from ior.ui.tree import ROOT, Path
from ior.ui.widgets import Line, exactly

ITSELF = "(itself)"
_OPEN_FIRST = ("parent",)  # groupings whose wholes are open until one closes them
_MARKS = {True: "▾ ", False: "▸ ", None: "  "}


class BranchView(View, frozen=True, kw_only=True):
    """How the tree is looked at. Wholes are known by their paths, which stay."""

    sort: Sort = Sort()
    first_column: int = 0  # of those that scroll
    column: int = 0  # of the cell under the cursor; the first stands for the line
    at: Path = ()  # under the cursor; the root: not moved yet
    itself: bool = False  # the cursor is on what `at` holds itself
    top: int = 0
    toggled: frozenset[Path] = frozenset()  # not as they are until one opens or closes them
    pattern: str = ""  # what is searched for


class Branch(NamedTuple):
    """A line: a node of the tree or, with `itself`, what it holds itself.

    It stands for so many wholes `above` the node as have no other part.
    """

    node: int
    path: Path
    depth: int
    is_open: bool | None = None  # None: nothing below
    itself: bool = False
    above: int = 0


class Branches(msgspec.Struct, frozen=True, eq=False):
    """The layout: the lines, the cells of those in sight as a grid, those under the cursor."""

    parts: Parts
    sums: Sums
    lines: tuple[Branch, ...]
    grid: Grid
    size: Size
    cursor: int
    row: tuple[Any, ...] = ()

    @property
    def page(self) -> int:
        """Lines that are visible at once."""
        return max(1, self.size.rows - 1)


def lay_out(
    parts: Parts, view: BranchView, size: Size, last: Branches | None
) -> tuple[BranchView, Branches]:
    """Lay out the tree; keep the cursor on its line and in sight.

    While the cursor is on a line, lines keep their order.
    """
    known = last is not None and last.parts is parts
    sums = last.sums if known and last is not None else sums_of(parts, _keys(parts))
    held = last if last is not None and view.at and last.grid.sort == view.sort else None
    lines = tuple(_lines(parts, sums, view, held))
    cursor = _cursor(lines, view)
    page = max(1, size.rows - 1)
    top = max(0, min(view.top, cursor, len(lines) - page))
    top = max(top, cursor - page + 1)
    grid = _grid(parts, sums, lines, (top, top + page), view.sort)
    column = max(0, min(view.column, len(grid.widths) - 1))
    first = max(0, min(view.first_column, len(grid.widths) - 1 - grid.keys))
    if column >= grid.keys:
        first = in_sight(grid, first, column, size.columns)
    if (top, first, column) != (view.top, view.first_column, view.column):
        view = replace(view, top=top, first_column=first, column=column)
    row = grid.rows[cursor - top] if lines else ()
    return view, Branches(parts, sums, lines, grid, size, cursor, row)


def line(view: BranchView, layout: Branches, row: int) -> Line:
    """Draw a line: the heading, or one of the tree."""
    grid, columns = layout.grid, layout.size.columns
    chosen = fitting(grid, view.first_column, columns)
    if row == 0:
        return heading_line(grid, chosen, columns)
    at = view.top + row - 1
    if at >= len(layout.lines):
        return exactly([("", " no calls" if not layout.lines and row == 1 else "")], columns)
    cells, column = grid.rows[row - 1], view.column
    if at == layout.cursor and column > 0:
        styles = ("class:value", "class:value")
        return row_line(grid, cells, chosen, styles, columns, cursor=column)
    styles = ("class:match" if found(layout.lines[at], layout.parts, view) else "class:key", "")
    if at == layout.cursor:
        styles = ("class:cursor", "class:cursor")
    return row_line(grid, cells, chosen, styles, columns)


def found(one: Branch, parts: Parts, view: BranchView) -> bool:
    """Return whether a line is one that is searched for."""
    label = "" if one.itself else parts.label(one.node, one.above)
    return tablesearch.matches(view.pattern, (label,), (Field(parts.by, "text"),))


def opened(view: BranchView, layout: Branches) -> list[Branch]:
    """Return the lines that there are when everything is open."""
    parts = layout.parts
    toggled = frozenset[Path]() if is_open_first(parts) else wholes(parts)
    return list(_lines(parts, layout.sums, replace(view, toggled=toggled), None))


def wholes(parts: Parts) -> frozenset[Path]:
    """Return the paths of everything that has parts."""
    inner = (node for node in parts.under(ROOT) if node != ROOT and parts.kids[node])
    return frozenset(map(parts.tree.path, inner))


def export(layout: Branches) -> Iterator[str]:
    """Yield all of the tree as CSV: whole paths, exact values, also of what is closed."""
    parts, sums = layout.parts, layout.sums
    names = [parts.by, *(field.name for field in sums.fields)]
    yield ",".join(map(quote, names)) + "\n"
    for node in parts.under(ROOT):
        if node != ROOT:
            row = (parts.text(node), *sums.row(node))
            yield ",".join("" if one is None else quote(str(one)) for one in row) + "\n"


def is_open_first(parts: Parts) -> bool:
    """Return whether wholes are open until one closes them."""
    return parts.by in _OPEN_FIRST


def _keys(parts: Parts) -> int:
    return [field.name for field in parts.table.fields].index("calls")


def _lines(parts: Parts, sums: Sums, view: BranchView, held: Branches | None) -> Iterator[Branch]:
    rank = {} if held is None else {one.path: i for i, one in enumerate(held.lines)}
    names = [field.name for field in sums.fields]
    by, reverse = view.sort.field, view.sort.reverse

    def under(whole: int, path: Path, depth: int) -> list[Branch]:
        found = {}
        for kid in parts.kids[whole]:
            node, above, way = kid, 0, [*path, parts.tree.name[kid]]
            while len(parts.kids[node]) == 1 and parts.row[node] < 0:
                node, above = parts.kids[node][0], above + 1
                way.append(parts.tree.name[node])
            is_open = is_open_first(parts) != (tuple(way) in view.toggled)
            shown = is_open if parts.kids[node] else None
            found[node] = Branch(node, tuple(way), depth, shown, above=above)
        if by == parts.by:
            lines = sorted(found.values(), key=lambda one: one.path, reverse=reverse)
        else:
            known = by if by in names else "calls"
            lines = [found[node] for node in order(sums, list(found), known, reverse=reverse)]
        if rank:
            lines.sort(key=lambda one: rank.get(one.path, len(rank)))
        return lines

    def walk(whole: int, path: Path, depth: int) -> Iterator[Branch]:
        for one in under(whole, path, depth):
            yield one
            if one.is_open:
                if parts.row[one.node] >= 0:
                    yield Branch(one.node, one.path, depth + 1, itself=True)
                yield from walk(one.node, one.path, depth + 1)

    return walk(ROOT, (), 0)


def _grid(
    parts: Parts, sums: Sums, lines: tuple[Branch, ...], sight: tuple[int, int], sort: Sort
) -> Grid:
    """Return the cells of the lines in sight; bars are to the greatest of all lines."""
    fields = (Field(parts.by, "text"), *sums.fields)
    keys = _keys(parts)
    rows = []
    for one in lines[slice(*sight)]:
        own = parts.own(one.node) if one.itself else None
        values = sums.row(one.node) if own is None else own[keys:]
        name = ITSELF if one.itself else parts.label(one.node, one.above)
        rows.append(("  " * one.depth + _MARKS[one.is_open] + name, *values))
    table = Table(parts.table.title, fields, tuple(rows))
    grid = replace(arrange(table, Sort()), sort=sort, keys=1)
    bars = bars_of(table, sort, 1, grid.rows)
    if bars is not None:
        values_ = sums.columns[bars[0] - 1, [one.node for one in lines]]
        bars = bars[0], float(np.nanmax(values_))
    return replace(grid, bars=bars)


def _cursor(lines: tuple[Branch, ...], view: BranchView) -> int:
    """Return the line under the cursor: that of its path, or of as much of it as is open."""
    best, length = 0, -1
    for i, one in enumerate(lines):
        if one.path == view.at and one.itself == view.itself:
            return i
        if length < len(one.path) <= len(view.at) and view.at[: len(one.path)] == one.path:
            best, length = i, len(one.path)
    return best
