"""What keys and clicks make of the view of a treemap; its parts are known by their paths."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from ior.ui.frames import Zoom, spoken
from ior.ui.keys import Action
from ior.ui.parts import WEIGHTS
from ior.ui.patterns import matcher
from ior.ui.tabs import tablesearch
from ior.ui.tabs.abc import Answered, Clicked, Step, TabEvent
from ior.ui.tabs.area import ABOVE, Areas, AreaView, found, value_of
from ior.ui.terms import NoTerm
from ior.ui.treemap import Rect


def step(view: AreaView, layout: Areas, event: TabEvent) -> Step | None:
    """Return what comes of an event; its view is the treemap's."""
    if isinstance(event, Clicked):
        row = event.row - ABOVE
        hit = [i for i, rect in enumerate(layout.rects) if rect.holds(event.column, row)]
        if hit and hit[-1] == layout.at and view.at:
            return _drill(view, layout)
        return Step(_on(view, layout, hit[-1])) if hit else None
    if isinstance(event, Answered):
        return _match(0)(tablesearch.answered(view, event.text), layout)
    if event.action in _SEARCHES:
        return _SEARCHES[event.action](view, layout)
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
    values = {weight: value_of(layout, rect, weight) for weight in WEIGHTS}
    return Step(view, copy=spoken(layout.parts.text(rect.node), rect.folded, values))


def _on(view: AreaView, layout: Areas, at: int) -> AreaView:
    rect = layout.rects[at]
    path = layout.parts.tree.path(rect.node)
    return replace(view, at=path, folded=rect.first if rect.folded else -1)


def _match(step: int) -> Callable[[AreaView, Areas], Step]:
    """Go to an area that is searched for."""

    def go(view: AreaView, layout: Areas) -> Step:
        parts, rects = layout.parts, layout.rects
        drawn = [i for i, rect in enumerate(rects) if found(parts, rect, view.pattern)]
        if view.pattern and not drawn and parts.tree.covered(matcher(view.pattern))[0].any():
            return Step(view, "matches are in areas too small to be drawn: zoom in")
        return tablesearch.gone(view, drawn, layout.at, step, lambda v, at: _on(v, layout, at))

    return go


_SEARCHES: dict[Action, Callable[[AreaView, Areas], Step]] = {
    Action.SEARCH: lambda view, _: tablesearch.asked(view),
    Action.NEXT_MATCH: _match(1),
    Action.PREVIOUS_MATCH: _match(-1),
}


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
