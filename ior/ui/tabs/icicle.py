"""The rows of a table as an icicle: what they are part of, and how much each part weighs.

Files hang under their directories, syscalls under their families, processes under their
commands; it is drawn, and moved about in, as the flamegraph is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from ior import syscalls
from ior.snapshots import Table
from ior.stages.flamegraph import FlamegraphConfig, FlameSnapshot, path_frames
from ior.ui.flame import Drawing
from ior.ui.keys import Action, Pressed
from ior.ui.tabs.abc import Clicked, Size, Step, TabEvent
from ior.ui.tabs.flame import FlameTab, FlameView
from ior.ui.terms import literal
from ior.ui.tree import Path

WEIGHTS = {"calls": "calls", "latency": "total", "bytes": "bytes", "errors": "errors"}
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
)


class Icicle(msgspec.Struct, frozen=True, eq=False):
    """The layout: the table, its rows as a tree, and their drawing."""

    key: str
    table: Table
    snapshot: FlameSnapshot
    drawing: Drawing


def lay_out(
    key: str, table: Table, view: FlameView, size: Size, last: Icicle | None
) -> tuple[FlameView, Icicle]:
    """Place the rows of a table that goes by `key`."""
    known = last is not None and last.table is table
    snapshot = last.snapshot if known and last is not None else _snapshot(key, table)
    view, drawing = _FLAME.arrange(view, snapshot, size, last.drawing if last else None)
    return view, Icicle(key, table, snapshot, drawing)


def step(view: FlameView, layout: Icicle, event: TabEvent) -> Step | None:
    """Return what comes of an event; its view is the flamegraph's."""
    drawing = layout.drawing
    if isinstance(event, Clicked) or (isinstance(event, Pressed) and event.action in _TAKEN):
        return _FLAME.reduce(view, drawing, event)
    if not isinstance(event, Pressed) or event.action is not Action.DRILL:
        return None
    row, k = drawing.at
    box = drawing.boxes[row][k]
    if box.folded or not box.node:
        return _FLAME.reduce(view, drawing, event)
    inner = bool(drawing.tree.children(box.node, "calls")[0])
    return Step(view, term=_TERMS[layout.key](drawing.tree.path(box.node), inner))


def _snapshot(key: str, table: Table) -> FlameSnapshot:
    """Return the rows as a tree, with the row of what has no row of its own."""
    names, parents = [""], [-1]
    known: dict[tuple[int, str], int] = {}
    at = [field.name for field in table.fields]
    columns = {weight: at.index(name) for weight, name in WEIGHTS.items()}
    own: dict[str, list[int]] = {weight: [0] for weight in WEIGHTS}
    paths = [(_PATHS[key](row), row) for row in table.rows]
    if table.rest is not None:
        paths.append((("(other)",), table.rest))
    for path, row in paths:
        node = 0
        for name in path:
            child = known.get((node, name))
            if child is None:
                child = known[node, name] = len(names)
                names.append(name)
                parents.append(node)
                for values in own.values():
                    values.append(0)
            node = child
        for weight, column in columns.items():
            own[weight][node] += int(row[column] or 0)
    weights = {weight: np.array(values, np.int64) for weight, values in own.items()}
    parent = np.array(parents, np.int32)
    return FlameSnapshot(
        stack=_STACKS[key],
        weight="calls",
        total=int(weights["calls"].sum()),
        parent=parent,
        depth=np.zeros(len(parents), np.int32),  # drawing takes its own from `parent`
        name=tuple(names),
        self_weight=weights,
    )


def _family(name: str) -> str:
    table = syscalls.table()
    return table.family(table.nr(name))


def _file_term(path: Path, inner: bool) -> str:
    text = literal("/".join(path))
    return f"path under {text}" if inner and path[0].startswith("/") else f"file == {text}"


_STACKS = {"syscall": ("family", "syscall"), "file": ("path",), "process": ("comm", "pid")}
_PATHS: dict[str, Callable[[tuple[Any, ...]], Path]] = {
    "syscall": lambda row: (_family(row[0]), row[0]),
    "file": lambda row: path_frames(row[0]),
    "process": lambda row: (row[1] or "[unknown]", str(row[0])),
}
_TERMS: dict[str, Callable[[Path, bool], str]] = {
    "syscall": lambda path, inner: (
        f"family == {literal(path[0])}" if inner else f"syscall == {literal(path[-1])}"
    ),
    "file": _file_term,
    "process": lambda path, inner: f"comm == {literal(path[0])}" if inner else f"pid == {path[-1]}",
}
