"""A table as a treemap: its parts as areas in those of their wholes."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from ior.snapshots import Field
from ior.stages.flamegraph import WEIGHTS as KINDS
from ior.text import fit, width
from ior.ui.frames import Zoom, spoken
from ior.ui.grid import cell
from ior.ui.keys import Action, Pressed
from ior.ui.parts import WEIGHTS, Parts
from ior.ui.tabs.abc import Clicked, Size, Step, TabEvent, View
from ior.ui.terms import NoTerm
from ior.ui.tree import ROOT, Path
from ior.ui.treemap import Rect, place
from ior.ui.widgets import Line, exactly
from ior.units import format_count

_COLOURS = 6
_ABOVE, _BELOW = 1, 2  # lines over and under the areas


class AreaView(View, frozen=True, kw_only=True):
    """How the treemap is looked at. Parts are known by their paths, which stay."""

    weight: str = next(iter(WEIGHTS))
    zooms: tuple[Zoom, ...] = ()  # the last is what is shown
    at: Path = ()  # the part under the cursor; the root: not moved yet
    folded: int = -1  # of its children from this one on, if the cursor is on their area


class Areas(msgspec.Struct, frozen=True, eq=False):
    """The layout: the areas, and which of them the cursor is on, -1 without any."""

    parts: Parts
    weight: str
    zoom: Zoom
    size: Size
    rects: tuple[Rect, ...]
    at: int

    @property
    def below(self) -> int:
        """Lines under the areas."""
        return _BELOW if self.size.rows >= 8 else 0


def lay_out(parts: Parts, view: AreaView, size: Size, last: Areas | None) -> tuple[AreaView, Areas]:
    """Place the parts; keep the cursor on its part, or on what that is in now."""
    zoom = view.zooms[-1] if view.zooms else Zoom()
    empty = Areas(parts, view.weight, zoom, size, (), -1)
    known = last is not None and (last.parts, last.weight, last.zoom, last.size) == (
        *(parts, view.weight),
        *(zoom, size),
    )
    if known and last is not None:
        rects = last.rects
    else:
        cells = (size.columns, max(1, size.rows - _ABOVE - empty.below))
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


def step(view: AreaView, layout: Areas, event: TabEvent) -> Step | None:
    """Return what comes of an event; its view is the treemap's."""
    if isinstance(event, Clicked):
        row = event.row - _ABOVE
        hit = [i for i, rect in enumerate(layout.rects) if rect.holds(event.column, row)]
        if hit and hit[-1] == layout.at and view.at:
            return _drill(view, layout)
        return Step(_on(view, layout, hit[-1])) if hit else None
    if not isinstance(event, Pressed):
        return None
    if event.action in _TURNS:
        weights = list(WEIGHTS)
        at = weights.index(view.weight)
        return Step(replace(view, weight=weights[(at + _TURNS[event.action]) % len(weights)]))
    if event.action is Action.COPY:
        return _copy(view, layout)
    if event.action is Action.POP:
        if not view.zooms:
            return None
        undone = view.zooms[-1]
        return Step(replace(view, zooms=view.zooms[:-1], at=undone.path, folded=undone.skip or -1))
    if event.action is Action.DRILL:
        return _drill(view, layout)
    move = _MOVES.get(event.action)
    if move is None:
        return None
    return Step(view if layout.at < 0 else _on(view, layout, move(layout)))


def _drill(view: AreaView, layout: Areas) -> Step:
    """Filter by the part; into what shares an area one zooms."""
    if layout.at < 0:
        return Step(view)
    rect, tree = layout.rects[layout.at], layout.parts.tree
    if rect.folded:
        zoom = Zoom(tree.path(rect.node), rect.first)
        return Step(replace(view, zooms=(*view.zooms, zoom), at=zoom.path, folded=-1))
    try:
        return Step(view, term=layout.parts.term(rect.node))
    except NoTerm as why:
        return Step(view, str(why))


def _copy(view: AreaView, layout: Areas) -> Step:
    if layout.at < 0:
        return Step(view)
    rect = layout.rects[layout.at]
    values = {weight: _value(layout, rect, weight) for weight in WEIGHTS}
    return Step(view, copy=spoken(layout.parts.text(rect.node), rect.folded, values))


def _on(view: AreaView, layout: Areas, at: int) -> AreaView:
    rect = layout.rects[at]
    path = layout.parts.tree.path(rect.node)
    return replace(view, at=path, folded=rect.first if rect.folded else -1)


def _beside(columns: int, rows: int) -> Callable[[Areas], int]:
    """Return what finds the nearest area in a direction, the one under the cursor without any."""

    def find(layout: Areas) -> int:
        here = layout.rects[layout.at]
        best, found = (1 << 30, 1 << 30), layout.at
        for i, rect in enumerate(layout.rects):
            if rect.inner:
                continue
            right = rect.column - here.column - here.width
            left = here.column - rect.column - rect.width
            under = rect.row - here.row - here.height
            over = here.row - rect.row - rect.height
            ahead = {(1, 0): right, (-1, 0): left, (0, 1): under, (0, -1): over}[columns, rows]
            aside = max(under, over) if columns else max(left, right)
            if ahead >= -1 and (max(ahead, 0), max(aside, 0)) < best and not _within(rect, here):
                best, found = (max(ahead, 0), max(aside, 0)), i
        return found

    return find


def _within(rect: Rect, whole: Rect) -> bool:
    return whole.holds(rect.column, rect.row) or rect.holds(whole.column, whole.row)


def _outer(layout: Areas) -> int:
    """Return the smallest area that the present one is in."""
    here = layout.rects[layout.at]
    around = [i for i in range(layout.at) if layout.rects[i].holds(here.column, here.row)]
    return around[-1] if around else layout.at


def _inner(layout: Areas) -> int:
    """Return the area of the heaviest part of the present one."""
    return layout.at + 1 if layout.rects[layout.at].inner else layout.at


_TURNS = {Action.METRIC: 1, Action.SORT: 1, Action.REVERSE: -1}  # the largest stands first
_MOVES: dict[Action, Callable[[Areas], int]] = {
    Action.LEFT: _beside(-1, 0),
    Action.RIGHT: _beside(1, 0),
    Action.UP: _beside(0, -1),
    Action.DOWN: _beside(0, 1),
    Action.CLOSE: _outer,
    Action.OPEN: _inner,
    Action.PAGE_UP: _outer,
    Action.PAGE_DOWN: _inner,
    Action.FIRST: lambda _: 0,
    Action.LAST: lambda layout: len(layout.rects) - 1,
}


def line(layout: Areas, row: int) -> Line:
    """Draw a line: the title, the areas, or at the bottom what the cursor is on."""
    columns, rows = layout.size
    if row == 0:
        by = "›".join(layout.parts.snapshot.stack)
        return exactly(
            [("class:value", f" {by}"), ("class:label", "  area "), ("", layout.weight)], columns
        )
    if layout.at < 0:
        return exactly([("class:rest", " no calls" if row == 1 else "")], columns)
    if row >= rows - layout.below:
        return _details(layout, row - rows + layout.below)
    return _areas(layout, row - _ABOVE)


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
        value = cell(Field(layout.weight, KINDS[layout.weight]), _value(layout, rect))
        text = value if len(value) < rect.width else ""
    edge = "│" if start == rect.column else ""
    return [(style, (edge + text).ljust(end - start))]


def _style(layout: Areas, rect: Rect) -> str:
    if rect.folded:
        return "class:flame.other"
    if rect.inner:
        return "class:heading"
    tree, node = layout.parts.tree, rect.node
    while int(tree.parent[node]) > ROOT:
        node = int(tree.parent[node])
    return f"class:flame.f{node % _COLOURS}"


def _label(layout: Areas, rect: Rect) -> str:
    if rect.folded:
        return f"+{format_count(rect.folded)} other"
    return layout.parts.label(rect.node, rect.above)


def _value(layout: Areas, rect: Rect, weight: str = "") -> int:
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
    value, whole = _value(layout, rect), max(1, int(tree.sums[layout.weight][ROOT]))
    said = cell(Field(layout.weight, KINDS[layout.weight]), value)
    said_of: Line = [("class:value", f" {said} "), ("", f"{value / whole:.1%} of all")]
    if layout.weight != "calls" and not rect.folded:
        calls = int(tree.sums["calls"][rect.node])
        said_of += [("class:label", "  calls "), ("", format_count(calls))]
    return exactly(said_of, columns)
