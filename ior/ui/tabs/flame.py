"""The Flame tab: the live flamegraph, hanging from its root, drawn in cells."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from msgspec.structs import replace

from ior.calls import CALLS
from ior.errors import SpecError
from ior.sinks.folded import escape_frame
from ior.stages.flamegraph import Flamegraph, FlamegraphConfig, FlameSnapshot
from ior.stages.stream import Stream
from ior.ui.flame import COLOURS, Drawing, Shown, Zoom, draw, drawn, matcher
from ior.ui.icicle import Box
from ior.ui.keys import Action, Key, Pressed
from ior.ui.sight import Nodes, Sight
from ior.ui.tabs.abc import (
    Answered,
    AnyTab,
    Clicked,
    Question,
    Size,
    Step,
    Tab,
    TabEvent,
    View,
    WrongAnswer,
)
from ior.ui.tree import Path, before, families, of_snapshot
from ior.ui.widgets import Line

STACKS: tuple[tuple[str, ...], ...] = (
    ("comm", "path", "syscall"),
    ("path", "comm", "syscall"),
    ("syscall", "comm", "path"),
    ("family", "syscall", "path"),
    ("comm", "pid", "tid", "syscall"),
    ("errno", "syscall", "path"),
)
"""The orders that `s` goes through, after the node's own."""

STACK = "flame stack"
SEARCH = "flame search"


class FlameView(View, frozen=True, kw_only=True):
    """How the flamegraph is looked at. Frames are known by their paths, which stay."""

    stack: tuple[str, ...] = ()  # empty: that of the node
    weight: str = ""  # empty: that of the node
    colour: str = COLOURS[0]
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


class FlameTab(Tab[FlameView, FlameSnapshot, Drawing]):
    """Shows a `flamegraph` node; other orders of frames are made of the retained rows."""

    name = "Flame"
    exports = "folded"
    wheel = 1
    begin = FlameView()
    keys: ClassVar[tuple[Key, ...]] = (
        Key(Action.DRILL, ("enter",), "Enter", "zoom", "zoom into the frame"),
        Key(
            Action.POP,
            ("backspace", "F"),
            "Backspace F",
            "back",
            "undo the zoom; without one, take the last term off the filter",
        ),
        Key(Action.METRIC, ("m",), "m", "width", "width by calls, latency, gap, bytes, errors"),
        Key(Action.VIEW, ("v",), "v", "colour", "colour by family, mean latency, errors, change"),
        Key(Action.SORT, ("s",), "s", "stack", "the next order of frames, of the retained rows"),
        Key(Action.REVERSE, ("S",), "S", "", "type an order of frames: comm path syscall"),
        Key(Action.SEARCH, ("/",), "/", "search", "search frames by a regular expression"),
        Key(Action.NEXT_MATCH, ("n",), "n", "", "to the next match"),
        Key(Action.PREVIOUS_MATCH, ("N",), "N", "", "to the match before"),
        Key(Action.BASELINE, ("r",), "r", "since now", "count from now on; again: from the start"),
        Key(Action.UP, ("up", "k"), "Up k", "", "to the frame that this one is in"),
        Key(Action.DOWN, ("down", "j"), "Down j", "", "to the heaviest frame in this one"),
        Key(Action.LEFT, ("left", "h"), "Left h", "", "to the frame on the left"),
        Key(Action.RIGHT, ("right", "l"), "Right l", "", "to the frame on the right"),
        Key(Action.PAGE_UP, ("pageup",), "PgUp", "", "one page of rows up"),
        Key(Action.PAGE_DOWN, ("pagedown",), "PgDn", "", "one page of rows down"),
        Key(Action.FIRST, ("g", "home"), "g Home", "", "to the root of what is shown"),
        Key(Action.LAST, ("G", "end"), "G End", "", "to the last row"),
    )

    def __init__(self, node: str, config: FlamegraphConfig, *, rows: bool) -> None:
        self._node, self._config, self._rows = node, config, rows

    @classmethod
    def find(cls, nodes: Nodes) -> Sequence[AnyTab]:
        """Return a tab for the first `flamegraph` node."""
        node = nodes.first(Flamegraph)
        config = None if node is None else nodes.config(node)
        if node is None or not isinstance(config, FlamegraphConfig):
            return []
        return [cls(node, config, rows=nodes.first(Stream) is not None)]

    def look(self, sight: Sight, view: FlameView) -> FlameSnapshot | None:
        """Return the node's tree, or one of another order of frames of the retained rows."""
        if not view.stack:
            found = sight.answer(self._node)
            return found if isinstance(found, FlameSnapshot) else None
        config = replace(self._config, stack=list(view.stack))
        return sight.added(Flamegraph(config)).snapshot()

    def export(self, view: FlameView, layout: Drawing) -> Iterator[str]:  # noqa: ARG002 (all of it)
        """Yield the tree as folded stacks, with the weight that is shown."""
        for stack, weight in layout.shown.snapshot.folded(layout.weight):
            yield f"{';'.join(map(escape_frame, stack))} {weight}\n"

    def arrange(
        self, view: FlameView, seen: FlameSnapshot, size: Size, last: Drawing | None
    ) -> tuple[FlameView, Drawing]:
        """Place the frames; keep the cursor on its frame and in sight."""
        weight = view.weight or seen.weight
        base = view.base if view.base is not None and view.base.stack == seen.stack else None
        if last is not None and last.shown.snapshot is seen and last.shown.base is base:
            shown = last.shown
        else:
            tree = of_snapshot(seen, base)
            old = None if base is None else before(seen, base)
            shown = Shown(seen, base, tree, old, families(tree, seen.stack, "calls"))
        zoom = view.zooms[-1] if view.zooms else Zoom()
        drawing = draw(Drawing(shown, weight, zoom, size, view.pattern), last)
        at = drawing.nearest(view.at, view.folded)
        box = drawing.boxes[at[0]][at[1]]
        top = max(0, min(view.top, at[0], len(drawing.boxes) - drawing.page))
        top = max(top, at[0] - drawing.page + 1)
        drawing = replace(drawing, at=at)
        path, folded = drawing.tree.path(box.node), box.first if box.folded else -1
        if (path, folded, top) != (view.at, view.folded, view.top):
            view = replace(view, at=path, folded=folded, top=top)
        return view, drawing

    def reduce(self, view: FlameView, layout: Drawing, event: TabEvent) -> Step | None:
        """Move, zoom, search, or show something else."""
        match event:
            case Answered(name, text):
                return self._answered(view, layout, name, text)
            case Clicked(column, row):
                return _clicked(view, layout, column, row)
            case Pressed(Action.SORT):
                return self._next_stack(view, layout)
            case Pressed(Action.REVERSE):
                return self._ask_stack(view, layout)
            case Pressed(action):
                change = _CHANGES.get(action)
                return None if change is None else change(view, layout)

    def _next_stack(self, view: FlameView, layout: Drawing) -> Step:
        if not self._rows:
            return Step(view, "another order of frames needs the rows of a stage of type 'stream'")
        own = tuple(self._config.stack)
        stacks = ((), *(stack for stack in STACKS if stack != own))
        at = stacks.index(view.stack) if view.stack in stacks else 0
        return _stacked(view, layout, stacks[(at + 1) % len(stacks)])

    def _ask_stack(self, view: FlameView, layout: Drawing) -> Step:
        if not self._rows:
            return self._next_stack(view, layout)
        hint = "frames from the root on: comm, path, syscall, family, pid, tid, errno or any column"
        text = " ".join(layout.shown.snapshot.stack)
        return Step(view, ask=Question(STACK, "stack: ", hint, text))

    def _answered(self, view: FlameView, layout: Drawing, name: str, text: str) -> Step:
        if name == SEARCH:
            return _searched(view, layout, text)
        stack = tuple(part for part in re.split(r"[\s,;>›]+", text) if part)
        if not stack or stack == tuple(self._config.stack):
            return _stacked(view, layout, ())
        self._check(stack)
        return _stacked(view, layout, stack)

    def _check(self, stack: tuple[str, ...]) -> None:
        try:
            Flamegraph(replace(self._config, stack=list(stack))).connect(CALLS)
        except SpecError as error:
            raise WrongAnswer(str(error)) from None

    def line(self, view: FlameView, layout: Drawing, row: int) -> Line:
        """Draw a line: what is shown, a row of frames, or at the bottom the frame's details."""
        return drawn(layout, view.colour, view.top, row)


def _stacked(view: FlameView, layout: Drawing, stack: tuple[str, ...]) -> Step:
    said = f"stack {' › '.join(stack)}: of the retained rows" if stack else ""
    fresh = replace(view, stack=stack, zooms=(), at=(), folded=-1, top=0, base=None)
    return Step(replace(fresh, weight=layout.weight), said)


def _searched(view: FlameView, layout: Drawing, text: str) -> Step:
    try:
        re.compile(text)
    except re.error as error:
        at = error.pos or 0
        raise WrongAnswer(f"no regular expression: {error.msg}", at, at + 1) from None
    view = replace(view, pattern=text)
    if not text:
        return Step(view)
    tree = layout.tree
    found, _ = tree.covered(matcher(text))
    shown = [box.node for row in layout.boxes for box in row if not box.folded and found[box.node]]
    if not found.any():
        return Step(view, f"no frame matches {text}")
    if not shown:
        return Step(view, "matches are in frames too narrow to be drawn: zoom in")
    return Step(replace(view, at=tree.path(shown[0]), folded=-1))


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


def _clicked(view: FlameView, layout: Drawing, column: int, row: int) -> Step | None:
    """Point at a frame; a click on the one under the cursor zooms into it."""
    at = view.top + (row - layout.above) // layout.tall
    if row < layout.above or at >= min(len(layout.boxes), view.top + layout.page):
        return None
    k = _touching(layout.boxes[at], Box(column, 1, 0))
    if k is None:
        return None
    return _zoom(view, layout) if (at, k) == layout.at else _to(view, layout, (at, k))


def _weight(view: FlameView, layout: Drawing) -> Step:
    weights = list(layout.shown.snapshot.self_weight)
    at = weights.index(layout.weight)
    return Step(replace(view, weight=weights[(at + 1) % len(weights)]))


def _colour(view: FlameView, layout: Drawing) -> Step:
    colours = layout.colours
    at = colours.index(view.colour) if view.colour in colours else 0
    return Step(replace(view, colour=colours[(at + 1) % len(colours)]))


def _baseline(view: FlameView, layout: Drawing) -> Step:
    if view.base is not None:
        return Step(replace(view, base=None), "counting from the start again")
    return Step(
        replace(view, base=layout.shown.snapshot), "counting from now on; v colours by change"
    )


def _ask_search(view: FlameView, _: Drawing) -> Step:
    hint = "a regular expression, in any case if it has no capital; empty ends the search"
    return Step(view, ask=Question(SEARCH, "search: ", hint, view.pattern))


_CHANGES: dict[Action, Callable[[FlameView, Drawing], Any]] = {
    Action.DRILL: _zoom,
    Action.POP: _back,
    Action.METRIC: _weight,
    Action.VIEW: _colour,
    Action.BASELINE: _baseline,
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
