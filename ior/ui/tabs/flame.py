"""The Flame tab: the live flamegraph, hanging from its root, drawn in cells."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import ClassVar

from msgspec.structs import replace

from ior.calls import CALLS
from ior.errors import SpecError
from ior.sinks.folded import escape_frame
from ior.stages.flamegraph import Flamegraph, FlamegraphConfig, FlameSnapshot
from ior.stages.stream import Stream
from ior.ui.flame import draw, drawn
from ior.ui.frames import Drawing, Shown, Zoom
from ior.ui.keys import MATCHES, Action, Key, Pressed
from ior.ui.nodes import Nodes
from ior.ui.patterns import TOO_SLOW, typed
from ior.ui.sight import Sight
from ior.ui.tabs.abc import (
    Answered,
    AnyTab,
    Clicked,
    Question,
    Size,
    Step,
    Tab,
    TabEvent,
    WrongAnswer,
)
from ior.ui.tabs.flamemoves import CHANGES, SEARCH, FlameView, clicked
from ior.ui.tree import before, families, has_left, of_snapshot
from ior.ui.widgets import Line

STACKS: tuple[tuple[str, ...], ...] = (
    ("comm", "path", "syscall"),
    ("path", "comm", "syscall"),
    ("syscall", "comm", "path"),
    ("family", "syscall", "path"),
    ("comm", "pid", "tid", "syscall"),
    ("errno", "syscall", "path"),
    ("cgroup", "comm", "syscall"),
)
"""The orders that `s` goes through, after the node's own."""

STACK = "flame stack"


class FlameTab(Tab[FlameView, FlameSnapshot, Drawing]):
    """Shows a `flamegraph` node; other orders of frames are made of the retained rows."""

    name = "Flame"
    short = "Flame"
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
        Key(Action.HEIGHT, ("M",), "M", "", "height by mean latency, gap, bytes, errors, or none"),
        Key(Action.SORT, ("s",), "s", "stack", "the next order of frames, of the retained rows"),
        Key(Action.REVERSE, ("S",), "S", "", "type an order of frames: comm path syscall"),
        Key(Action.SEARCH, ("/",), "/", "search", "search frames by a regular expression"),
        *MATCHES,
        Key(Action.COPY, ("y",), "y", "", "copy the frame to the terminal's clipboard"),
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
        found = sight.added(Flamegraph, config)
        return found if isinstance(found, FlameSnapshot) else None

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
            left = base is not None and has_left(seen, base)
            shown = Shown(seen, base, tree, old, families(tree, seen.stack, "calls"), left)
        zoom = view.zooms[-1] if view.zooms else Zoom()
        drawing = draw(Drawing(shown, weight, zoom, size, view.pattern, height=view.height), last)
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
                return clicked(view, layout, column, row)
            case Pressed(Action.SORT):
                return self._next_stack(view, layout)
            case Pressed(Action.REVERSE):
                return self._ask_stack(view, layout)
            case Pressed(action):
                change = CHANGES.get(action)
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
        hint = "frames from the root on: comm path syscall family pid tid errno, any column"
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
    search = typed(text)
    view = replace(view, pattern=text)
    if not text:
        return Step(view)
    tree = layout.tree
    found, _ = tree.covered(search)
    if search.slow:
        raise WrongAnswer(TOO_SLOW)
    shown = [box.node for row in layout.boxes for box in row if not box.folded and found[box.node]]
    if not found.any():
        return Step(view, f"no frame matches {text}")
    if not shown:
        return Step(view, "matches are in frames too narrow to be drawn: zoom in")
    return Step(replace(view, at=tree.path(shown[0]), folded=-1))
