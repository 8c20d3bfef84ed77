"""What keys and clicks make of the view of the flamegraph; frames are known by their paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from ior.stages.flamegraph import FlameSnapshot
from ior.ui.frames import COLOURS, HEIGHTS, Drawing, Zoom, spoken
from ior.ui.icicle import Box
from ior.ui.keys import Action
from ior.ui.tabs.abc import Question, Step, View
from ior.ui.tree import Path

SEARCH = "flame search"


class FlameView(View, frozen=True, kw_only=True):
    """How the flamegraph is looked at. Frames are known by their paths, which stay."""

    stack: tuple[str, ...] = ()  # empty: that of the node
    weight: str = ""  # empty: that of the node
    colour: str = COLOURS[0]
    height: str = ""  # the weight whose mean is the frames' height
    zooms: tuple[Zoom, ...] = ()  # the last is what is shown
    at: Path = ()  # the frame under the cursor
    folded: int = -1  # of its children from this one on, if the cursor is on their box
    top: int = 0  # the first visible row
    pattern: str = ""
    base: FlameSnapshot | None = None

    @property
    def wants(self) -> tuple[str, ...]:
        """Another order of frames is another picture."""
        return self.stack

    def renewed(self) -> FlameView:
        """Count from the start again: what came since can only be told of the same rows."""
        return self if self.base is None else replace(self, base=None)


def _matches(layout: Drawing) -> list[tuple[int, int]]:
    return [
        (i, k)
        for i, row in enumerate(layout.boxes)
        for k, box in enumerate(row)
        if not box.folded and layout.found is not None and layout.found[box.node]
    ]


def _match(step: int) -> Callable[[FlameView, Drawing], Step]:
    def go(view: FlameView, layout: Drawing) -> Step:
        matches = _matches(layout)
        if not matches:
            return Step(view, "nothing drawn here matches" if view.pattern else "search with /")
        later = [at for at in matches if (at > layout.at if step > 0 else at < layout.at)]
        if step > 0:
            return _to(view, layout, later[0] if later else matches[0])
        return _to(view, layout, later[-1] if later else matches[-1])

    return go


def _to(view: FlameView, layout: Drawing, at: tuple[int, int]) -> Step:
    box = layout.boxes[at[0]][at[1]]
    folded = box.first if box.folded else -1
    return Step(replace(view, at=layout.tree.path(box.node), folded=folded))


def _side(step: int) -> Callable[[FlameView, Drawing], Step]:
    def go(view: FlameView, layout: Drawing) -> Step:
        row, k = layout.at
        return _to(view, layout, (row, max(0, min(k + step, len(layout.boxes[row]) - 1))))

    return go


def _rows(delta: Callable[[Drawing], int]) -> Callable[[FlameView, Drawing], Step]:
    """Return what goes some rows up or down, staying over or under the same cells."""

    def go(view: FlameView, layout: Drawing) -> Step:
        row, k = layout.at
        to = max(0, min(row + delta(layout), len(layout.boxes) - 1))
        while row != to:
            step = 1 if to > row else -1
            box = layout.boxes[row][k]
            near = _touching(layout.boxes[row + step], box)
            if near is None:
                break
            row, k = row + step, near
        return _to(view, layout, (row, k))

    return go


def _touching(boxes: Sequence[Box], box: Box) -> int | None:
    """Return the first of a row's boxes that shares a column with `box`."""
    end = box.column + box.width
    for k, other in enumerate(boxes):
        if other.column < end and other.column + other.width > box.column:
            return k
    return None


def _zoom(view: FlameView, layout: Drawing) -> Step:
    box = layout.boxes[layout.at[0]][layout.at[1]]
    zoom = Zoom(layout.tree.path(box.node), box.first if box.folded else 0)
    shown = view.zooms[-1] if view.zooms else Zoom()
    if zoom == shown:
        return Step(view)
    return Step(replace(view, zooms=(*view.zooms, zoom), at=zoom.path, folded=-1, top=0))


def _back(view: FlameView, _: Drawing) -> Step | None:
    """Undo the last zoom, with the cursor on what it was; None leaves the key to the filter."""
    if not view.zooms:
        return None
    last = view.zooms[-1]
    return Step(replace(view, zooms=view.zooms[:-1], at=last.path, folded=last.skip or -1))


def clicked(view: FlameView, layout: Drawing, column: int, row: int) -> Step | None:
    """Point at a frame; a click on the one under the cursor zooms into it."""
    at = view.top + (row - layout.above) // layout.tall
    if row < layout.above or at >= min(len(layout.boxes), view.top + layout.page):
        return None
    k = _touching(layout.boxes[at], Box(column, 1, 0))
    if k is None:
        return None
    return _zoom(view, layout) if (at, k) == layout.at else _to(view, layout, (at, k))


def weighed(by: int) -> Callable[[FlameView, Drawing], Step]:
    """Return what turns to another weight, so many further."""

    def turn(view: FlameView, layout: Drawing) -> Step:
        weights = list(layout.shown.snapshot.self_weight)
        at = weights.index(layout.weight)
        return Step(replace(view, weight=weights[(at + by) % len(weights)]))

    return turn


def copied(view: FlameView, layout: Drawing, name: str) -> Step:
    """Copy what is under the cursor, called `name`, with all that it weighs."""
    box = layout.boxes[layout.at[0]][layout.at[1]]
    weights = layout.shown.snapshot.self_weight
    values = {weight: layout.value(box, weight) for weight in weights}
    return Step(view, copy=spoken(name, box.folded, values))


def _copy(view: FlameView, layout: Drawing) -> Step:
    box = layout.boxes[layout.at[0]][layout.at[1]]
    return copied(view, layout, " › ".join(layout.tree.path(box.node)))


def _colour(view: FlameView, layout: Drawing) -> Step:
    colours = layout.colours
    at = colours.index(view.colour) if view.colour in colours else 0
    return Step(replace(view, colour=colours[(at + 1) % len(colours)]))


def _height(view: FlameView, layout: Drawing) -> Step:
    known = [name for name in HEIGHTS if not name or name in layout.shown.snapshot.self_weight]
    at = known.index(view.height) if view.height in known else 0
    return Step(replace(view, height=known[(at + 1) % len(known)]))


def _baseline(view: FlameView, layout: Drawing) -> Step:
    if view.base is not None:
        return Step(replace(view, base=None), "counting from the start again")
    return Step(
        replace(view, base=layout.shown.snapshot), "counting from now on; v colours by change"
    )


def _ask_search(view: FlameView, _: Drawing) -> Step:
    hint = "a regular expression, in any case if it has no capital; empty ends the search"
    return Step(view, ask=Question(SEARCH, "search: ", hint, view.pattern))


CHANGES: dict[Action, Callable[[FlameView, Drawing], Any]] = {
    Action.DRILL: _zoom,
    Action.POP: _back,
    Action.METRIC: weighed(1),
    Action.VIEW: _colour,
    Action.HEIGHT: _height,
    Action.BASELINE: _baseline,
    Action.COPY: _copy,
    Action.SEARCH: _ask_search,
    Action.NEXT_MATCH: _match(1),
    Action.PREVIOUS_MATCH: _match(-1),
    Action.UP: _rows(lambda _: -1),
    Action.DOWN: _rows(lambda _: 1),
    Action.LEFT: _side(-1),
    Action.RIGHT: _side(1),
    Action.PAGE_UP: _rows(lambda layout: -layout.page),
    Action.PAGE_DOWN: _rows(lambda layout: layout.page),
    Action.FIRST: lambda view, layout: _to(view, layout, (0, 0)),
    Action.LAST: _rows(lambda layout: len(layout.boxes)),
}
