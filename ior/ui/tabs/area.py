"""A table as a treemap: its parts as areas in those of their wholes."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from ior.snapshots import Field
from ior.stages.flamegraph import WEIGHTS as KINDS
from ior.text import fit, width
from ior.ui.frames import Zoom
from ior.ui.grid import cell
from ior.ui.parts import WEIGHTS, Parts
from ior.ui.tabs import tablesearch
from ior.ui.tabs.abc import Size, View
from ior.ui.tree import ROOT, Path
from ior.ui.treemap import Rect, place
from ior.ui.widgets import Line, exactly
from ior.units import format_count

_COLOURS = 6
ABOVE, _BELOW = 1, 2  # lines over and under the areas


class AreaView(View, frozen=True, kw_only=True):
    """How the treemap is looked at. Parts are known by their paths, which stay."""

    weight: str = next(iter(WEIGHTS))
    zooms: tuple[Zoom, ...] = ()  # the last is what is shown
    at: Path = ()  # the part under the cursor; the root: not moved yet
    folded: int = -1  # of its children from this one on, if the cursor is on their area
    pattern: str = ""  # what is searched for


class Areas(msgspec.Struct, frozen=True, eq=False):
    """The layout: the areas, and which of them the cursor is on, -1 without any."""

    parts: Parts
    weight: str
    zoom: Zoom
    size: Size
    rects: tuple[Rect, ...]
    at: int
    pattern: str = ""

    @property
    def below(self) -> int:
        """Lines under the areas."""
        return _BELOW if self.size.rows >= 8 else 0


def lay_out(parts: Parts, view: AreaView, size: Size, last: Areas | None) -> tuple[AreaView, Areas]:
    """Place the parts; keep the cursor on its part, or on what that is in now."""
    zoom = view.zooms[-1] if view.zooms else Zoom()
    empty = Areas(parts, view.weight, zoom, size, (), -1, view.pattern)
    known = last is not None and (last.parts, last.weight, last.zoom, last.size) == (
        *(parts, view.weight),
        *(zoom, size),
    )
    if known and last is not None:
        rects = last.rects
    else:
        cells = (size.columns, max(1, size.rows - ABOVE - empty.below))
        rects = place(parts.tree, view.weight, parts.tree.find(zoom.path), zoom.skip, cells)
    at = _nearest(parts, rects, view)
    return view, replace(empty, rects=rects, at=at)


def _nearest(parts: Parts, rects: tuple[Rect, ...], view: AreaView) -> int:
    """Return the area of the part, or of the smallest whole on the way to it."""
    tree, found = parts.tree, 0 if rects else -1
    node = tree.find(view.at)
    way = [node]
    while way[-1] > ROOT:
        way.append(int(tree.parent[way[-1]]))
    for i, rect in enumerate(rects):
        if rect.folded:
            if rect.node == node and view.folded >= 0:
                return i
        elif rect.node == node and view.folded < 0:
            return i
        elif rect.node in way:
            found = i
    return found


def found(parts: Parts, rect: Rect, pattern: str) -> bool:
    """Return whether an area's part is one that is searched for."""
    label = "" if rect.folded else parts.label(rect.node, rect.above)
    return tablesearch.matches(pattern, (label,), (Field(parts.by, "text"),))


def line(layout: Areas, row: int) -> Line:
    """Draw a line: the title, the areas, or at the bottom what the cursor is on."""
    columns, rows = layout.size
    if row == 0:
        by = "›".join(layout.parts.snapshot.stack)
        title: Line = [("class:value", f" {by}"), ("class:label", "  area "), ("", layout.weight)]
        if layout.pattern:
            title.append(("class:label", f"  /{layout.pattern}"))
        return exactly(title, columns)
    if layout.at < 0:
        return exactly([("class:rest", " no calls" if row == 1 else "")], columns)
    if row >= rows - layout.below:
        return _details(layout, row - rows + layout.below)
    return _areas(layout, row - ABOVE)


def _areas(layout: Areas, row: int) -> Line:
    """Draw one line of cells: of each the innermost area that holds it."""
    spans: list[tuple[int, int, int]] = [(0, layout.size.columns, -1)]
    for i, rect in enumerate(layout.rects):
        if rect.row <= row < rect.row + rect.height:
            start, end = rect.column, rect.column + rect.width
            spans = [part for span in spans for part in _cut(span, start, end)]
            spans.append((start, end, i))
    drawn: Line = []
    for start, end, i in sorted(spans):
        drawn += _piece(layout, i, row, start, end)
    return exactly(drawn, layout.size.columns)


def _cut(span: tuple[int, int, int], start: int, end: int) -> list[tuple[int, int, int]]:
    """Return what is left of a span without the cells from `start` to `end`."""
    left, right, i = span
    parts = [(left, min(right, start), i), (max(left, end), right, i)]
    return [part for part in parts if part[0] < part[1]]


def _piece(layout: Areas, i: int, row: int, start: int, end: int) -> Line:
    if i < 0:
        return [("", " " * (end - start))]
    rect = layout.rects[i]
    style = "class:cursor" if i == layout.at else _style(layout, rect)
    if row == rect.row:
        room = rect.width - 2
        text = fit(_label(layout, rect), room).rstrip() if room > 0 else ""
        return [(style, "┌" + text + "─" * (end - start - 1 - width(text)))]
    text = ""
    if row == rect.row + 1 and not rect.inner:
        value = cell(Field(layout.weight, KINDS[layout.weight]), value_of(layout, rect))
        text = value if len(value) < rect.width else ""
    edge = "│" if start == rect.column else ""
    return [(style, (edge + text).ljust(end - start))]


def _style(layout: Areas, rect: Rect) -> str:
    if rect.folded:
        return "class:flame.other"
    tree, node = layout.parts.tree, rect.node
    while int(tree.parent[node]) > ROOT:
        node = int(tree.parent[node])
    style = "class:heading" if rect.inner else f"class:flame.f{node % _COLOURS}"
    return style + " class:match" * found(layout.parts, rect, layout.pattern)


def _label(layout: Areas, rect: Rect) -> str:
    if rect.folded:
        return f"+{format_count(rect.folded)} other"
    return layout.parts.label(rect.node, rect.above)


def value_of(layout: Areas, rect: Rect, weight: str = "") -> int:
    """Return what an area weighs, by the weight that is shown unless told otherwise."""
    tree, weight = layout.parts.tree, weight or layout.weight
    if not rect.folded:
        return int(tree.sums[weight][rect.node])
    kids, _ = tree.children(rect.node, layout.weight)
    return int(tree.sums[weight][kids[rect.first :]].sum())


def _details(layout: Areas, row: int) -> Line:
    """Say what the cursor is on: its path, and what it weighs."""
    rect, tree = layout.rects[layout.at], layout.parts.tree
    columns = layout.size.columns
    if row == 0:
        path = " › ".join(tree.path(rect.node)) or "all"
        if rect.folded:
            path += f" › {format_count(rect.folded)} others"
        text = fit(path, columns - 2, keep="end").rstrip()
        return exactly([("class:value", f" {text}")], columns)
    value, whole = value_of(layout, rect), max(1, int(tree.sums[layout.weight][ROOT]))
    said = cell(Field(layout.weight, KINDS[layout.weight]), value)
    said_of: Line = [("class:value", f" {said} "), ("", f"{value / whole:.1%} of all")]
    if layout.weight != "calls" and not rect.folded:
        calls = int(tree.sums["calls"][rect.node])
        said_of += [("class:label", "  calls "), ("", format_count(calls))]
    return exactly(said_of, columns)
