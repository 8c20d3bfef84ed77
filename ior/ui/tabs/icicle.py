"""A table as an icicle: what its rows are part of, and how much each part weighs.

It is drawn, and moved about in, as the flamegraph is.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ior.stages.flamegraph import FlamegraphConfig
from ior.ui.frames import Drawing
from ior.ui.keys import Action, Pressed
from ior.ui.parts import Parts
from ior.ui.tabs.abc import Size, Step, TabEvent
from ior.ui.tabs.flame import FlameTab
from ior.ui.tabs.flamemoves import CHANGES, FlameView, copied, weighed
from ior.ui.terms import NoTerm

_FLAME = FlameTab("", FlamegraphConfig(), rows=False)
_TAKEN = (
    Action.METRIC,
    Action.POP,
    Action.UP,
    Action.DOWN,
    Action.LEFT,
    Action.RIGHT,
    Action.PAGE_UP,
    Action.PAGE_DOWN,
    Action.FIRST,
    Action.LAST,
    Action.SEARCH,
    Action.NEXT_MATCH,
    Action.PREVIOUS_MATCH,
)
_AS_IN_TABLES: dict[Action, Callable[[FlameView, Drawing], Step | None]] = {
    Action.SORT: weighed(1),  # what is widest stands first
    Action.REVERSE: weighed(-1),
    Action.OPEN: CHANGES[Action.DOWN],
    Action.CLOSE: CHANGES[Action.UP],
}


class Icicle(msgspec.Struct, frozen=True, eq=False):
    """The layout: the parts, and their drawing."""

    parts: Parts
    drawing: Drawing


def lay_out(
    parts: Parts, view: FlameView, size: Size, last: Icicle | None
) -> tuple[FlameView, Icicle]:
    """Place the parts."""
    view, drawing = _FLAME.arrange(view, parts.snapshot, size, last.drawing if last else None)
    return view, Icicle(parts, drawing)


def step(view: FlameView, layout: Icicle, event: TabEvent) -> Step | None:
    """Return what comes of an event; its view is the flamegraph's."""
    drawing = layout.drawing
    if not isinstance(event, Pressed) or event.action in _TAKEN:
        return _FLAME.reduce(view, drawing, event)
    if event.action in _AS_IN_TABLES:
        return _AS_IN_TABLES[event.action](view, drawing)
    row, k = drawing.at
    box = drawing.boxes[row][k]
    if event.action is Action.COPY:
        return copied(view, drawing, layout.parts.text(box.node))
    if event.action is not Action.DRILL:
        return None
    if box.folded or not box.node:
        return _FLAME.reduce(view, drawing, event)
    try:
        return Step(view, term=layout.parts.term(box.node))
    except NoTerm as why:
        return Step(view, str(why))
