"""How a flamegraph is drawn: what is shown, its boxes, their colours, and the words around.

The root of what is shown stands on top and its callees hang under it: the heaviest is at the
left, where one reads first, and a screen of few rows cuts the leaves and not the root.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from ior import syscalls
from ior.snapshots import Field
from ior.stages.flamegraph import WEIGHTS, FlameSnapshot
from ior.text import fit, sanitise, width
from ior.ui.grid import cell
from ior.ui.icicle import Box, Rows, place
from ior.ui.tabs.abc import Size
from ior.ui.tree import ROOT, Path, Tree
from ior.ui.widgets import Line, exactly, spread
from ior.units import format_count, format_duration

COLOURS = ("family", "mean latency", "errors", "change")
HEAT = ((10_000, "<10us"), (100_000, "<100us"), (10**6, "<1ms"), (10**7, "<10ms"), (0, ">=10ms"))
ERRORS = ((0.0001, "none"), (0.01, "<1%"), (0.1, "<10%"), (0.5, "<50%"), (0, ">=50%"))
CHANGES = ("shrank", "same", "grew")
SAME = 0.01  # a share that changed by less than this part of all is the same
_SHADES = 6  # colours for families
_BAR = "│"


class Zoom(msgspec.Struct, frozen=True):
    """What is shown: all under `path`, without its `skip` heaviest children."""

    path: Path = ()
    skip: int = 0


class Shown(msgspec.Struct, frozen=True, eq=False):
    """A picture prepared: the tree (since `base`), that of `base`, the families of its nodes."""

    snapshot: FlameSnapshot
    base: FlameSnapshot | None
    tree: Tree
    old: Tree | None
    family: npt.NDArray[np.int16]


class Drawing(msgspec.Struct, frozen=True, eq=False):
    """The layout: boxes from the root of what is shown on, and where the cursor is (row, box)."""

    shown: Shown
    weight: str
    zoom: Zoom
    size: Size
    pattern: str
    boxes: Rows = ()
    found: npt.NDArray[np.bool_] | None = None  # nodes that match
    covered: int = 0  # the weight of what matches
    at: tuple[int, int] = (0, 0)

    above = 1  # lines over the frames

    @property
    def tree(self) -> Tree:
        """The tree that is drawn."""
        return self.shown.tree

    @property
    def below(self) -> int:
        """Lines under the frames."""
        return 2 if self.size.rows >= 6 else min(1, self.size.rows - 2)

    @property
    def lines(self) -> int:
        """Lines for frames."""
        return max(1, self.size.rows - self.above - max(0, self.below))

    @property
    def tall(self) -> int:
        """Lines a row of frames: two where all have room, with the frame's weight."""
        return 2 if 2 * len(self.boxes) <= self.lines else 1

    @property
    def page(self) -> int:
        """Rows of frames that are visible at once."""
        return self.lines // self.tall

    @property
    def colours(self) -> list[str]:
        """What the frames can be coloured by."""
        return [name for name in COLOURS if name != "change" or self.shown.old is not None]

    def nearest(self, path: Path, folded: int) -> tuple[int, int]:
        """Return the row and box of a frame, or of the lowest frame on the way to it.

        A frame that is folded is at its box. `folded` is the first child of the box meant, -1 for
        the frame itself.
        """
        tree = self.tree
        node = tree.find(path)
        way = [node]
        while way[-1] > ROOT:
            way.append(int(tree.parent[way[-1]]))
        at = (0, 0)
        for i, row in enumerate(self.boxes):
            found = next(
                (
                    k
                    for k, box in enumerate(row)
                    if (box.node == node and bool(box.folded) == (folded >= 0))
                    or (not box.folded and box.node in way)
                ),
                None,
            )
            if found is not None:
                at = (i, found)
        return at

    def value(self, box: Box, weight: str) -> int:
        """Return what a box weighs."""
        if not box.folded:
            return int(self.tree.sums[weight][box.node])
        kids, _ = self.tree.children(box.node, self.weight)
        return int(self.tree.sums[weight][kids[box.first :]].sum())


def draw(drawing: Drawing, last: Drawing | None) -> Drawing:
    """Place the frames and find the matches, keeping of `last` what still holds."""
    tree, weight, zoom = drawing.tree, drawing.weight, drawing.zoom
    old = last if last is not None and last.shown is drawing.shown else None
    if old and (old.weight, old.zoom, old.size.columns) == (weight, zoom, drawing.size.columns):
        boxes = old.boxes
    else:
        boxes = place(tree, weight, tree.find(zoom.path), zoom.skip, drawing.size.columns)
    drawing = replace(drawing, boxes=boxes)
    if not drawing.pattern:
        return drawing
    if old and (old.pattern, old.weight) == (drawing.pattern, weight):
        return replace(drawing, found=old.found, covered=old.covered)
    found, tops = tree.covered(matcher(drawing.pattern))
    return replace(drawing, found=found, covered=int(tree.sums[weight][tops].sum()))


def matcher(pattern: str) -> Callable[[str], object]:
    """Return what searches a text; case matters where the pattern has a capital."""
    return re.compile(pattern, 0 if pattern != pattern.lower() else re.IGNORECASE).search


def drawn(drawing: Drawing, colour: str, top: int, row: int) -> Line:
    """Return a line: the title, a row of frames, or at the bottom the details."""
    columns, rows = drawing.size
    if row == 0:
        return _title(drawing, colour)
    if row >= rows - drawing.below:
        details = (_where, _numbers) if drawing.below == 2 else (_numbers,)
        return details[row - rows + drawing.below](drawing)
    at, second = divmod(row - drawing.above, drawing.tall)
    if top + at >= len(drawing.boxes):
        none = row == drawing.above + drawing.tall and not drawing.value(
            drawing.boxes[0][0], "calls"
        )
        return exactly([("class:rest", " no calls" if none else "")], columns)
    return _frames(drawing, colour, top + at, _weight if second else _label)


def _frames(
    drawing: Drawing, colour: str, row: int, text_of: Callable[[Drawing, Box], str]
) -> Line:
    line: Line = []
    end = 0
    for k, box in enumerate(drawing.boxes[row]):
        if box.column > end:
            line.append(("", " " * (box.column - end)))
        here = (row, k) == drawing.at
        style = "class:cursor" if here else _style(drawing, colour, box)
        text = fit(text_of(drawing, box), box.width - 1)
        line += [(f"{style} class:flame.edge", _BAR), (style, text)]
        end = box.column + box.width
    return exactly(line, drawing.size.columns)


def _label(drawing: Drawing, box: Box) -> str:
    if box.folded:
        text = f"+{box.folded}"
        return f"{text} other" if len(text) < box.width else "+"
    if box.node == ROOT:
        return "all"
    return drawing.tree.name[box.node]


def _weight(drawing: Drawing, box: Box) -> str:
    """Return a frame's share and weight, as much as has room."""
    value = drawing.value(box, drawing.weight)
    share = f"{value / max(1, int(drawing.tree.sums[drawing.weight][ROOT])):.1%}"
    both = f"{share} {_cell(drawing.weight, value)}"
    if len(both) < box.width:
        return both
    return share if len(share) < box.width else ""


def _style(drawing: Drawing, colour: str, box: Box) -> str:
    style = f"class:{_shade(drawing, colour, box)}"
    found = drawing.found
    if found is not None and not box.folded and found[box.node]:
        style += " class:match"
    return style


def _shade(drawing: Drawing, colour: str, box: Box) -> str:
    if box.folded:
        return "flame.other"
    if colour == "family":
        family = int(drawing.shown.family[box.node])
        return "flame.none" if family < 0 else f"flame.f{family % _SHADES}"
    if colour == "change":
        return f"flame.c{_change(drawing, box)}"
    calls = max(1, drawing.value(box, "calls"))
    if colour == "errors":
        share = drawing.value(box, "errors") / calls
        return f"heat.{_step(ERRORS, share)}"
    return f"heat.{_step(HEAT, drawing.value(box, 'latency') / calls)}"


def _step(scale: Sequence[tuple[float, str]], value: float) -> int:
    return next((i for i, (limit, _) in enumerate(scale[:-1]) if value < limit), len(scale) - 1)


def _shares(drawing: Drawing, box: Box) -> tuple[float, float]:
    """Return a frame's share of all that came before the baseline, and of all since."""
    old, now, weight = drawing.shown.old, drawing.tree, drawing.weight
    if old is None:
        return 0.0, 0.0
    of = [
        int(tree.sums[weight][box.node]) / max(1, int(tree.sums[weight][ROOT]))
        for tree in (old, now)
    ]
    return of[0], of[1]


def _change(drawing: Drawing, box: Box) -> int:
    was, now = _shares(drawing, box)
    if abs(now - was) < SAME:
        return 1
    return 2 if now > was else 0


def _title(drawing: Drawing, colour: str) -> Line:
    columns = drawing.size.columns
    label, value = "class:label", "class:value"
    stack = "›".join(drawing.shown.snapshot.stack)
    line: Line = [(value, f" {stack}"), (label, "  width "), ("", drawing.weight)]
    if drawing.shown.base is not None:
        line.append(("class:message", "  since r"))
    if drawing.found is not None:
        whole = max(1, int(drawing.tree.sums[drawing.weight][ROOT]))
        line += [(label, f"  /{drawing.pattern} "), (value, f"{drawing.covered / whole:.1%}")]
    return spread([*line, (label, f"  {colour} ")], _legend(drawing, colour), columns)


def _legend(drawing: Drawing, colour: str) -> Line:
    if colour == "family":
        names = syscalls.table().families
        seen: list[int] = []
        for row in drawing.boxes:
            for box in row:
                family = int(drawing.shown.family[box.node])
                if family >= 0 and family not in seen:
                    seen.append(family)
        return [(f"class:flame.f{family % _SHADES}", f" {names[family]} ") for family in seen[:5]]
    if colour == "change":
        return [(f"class:flame.c{i}", f" {name} ") for i, name in enumerate(CHANGES)]
    scale: Sequence[tuple[float, str]] = ERRORS if colour == "errors" else HEAT
    return [(f"class:heat.{i}", f" {name} ") for i, (_, name) in enumerate(scale)]


def _where(drawing: Drawing) -> Line:
    """Say what frame the cursor is on: its whole path, of a long one the end."""
    box = drawing.boxes[drawing.at[0]][drawing.at[1]]
    path = " › ".join(drawing.tree.path(box.node)) or "all"
    if box.folded:
        path += f" › {box.folded} other frames"
    hidden = len(drawing.boxes) - drawing.page
    more = f" {len(drawing.boxes)} rows " if hidden > 0 else " "
    room = drawing.size.columns - len(more) - 1
    shown = sanitise(path)
    text = fit(shown, room, keep="end") if width(shown) > room else shown
    return spread([("class:value", f" {text}")], [("class:rest", more)], drawing.size.columns)


def _numbers(drawing: Drawing) -> Line:
    row, k = drawing.at
    box = drawing.boxes[row][k]
    value, weight = drawing.value(box, drawing.weight), drawing.weight
    whole = max(1, int(drawing.tree.sums[weight][ROOT]))
    calls = drawing.value(box, "calls")
    line: Line = [("class:value", f" {_cell(weight, value)} "), ("", f"{value / whole:.1%} of all")]
    if drawing.shown.old is not None and not box.folded:
        was, now = _shares(drawing, box)
        line.append(("", f" ({100 * (now - was):+.1f} points)"))
    if weight != "calls":
        line += [("class:label", "  calls "), ("", format_count(calls))]
    latency = drawing.value(box, "latency")
    if weight != "latency":
        line += [("class:label", "  latency "), ("", format_duration(latency))]
    line += [("class:label", "  mean "), ("", format_duration(latency / max(1, calls)))]
    for name in ("bytes", "errors"):
        if name != weight:
            line += [("class:label", f"  {name} "), ("", _cell(name, drawing.value(box, name)))]
    return exactly(line, drawing.size.columns)


def _cell(weight: str, value: Any) -> str:
    return cell(Field(weight, WEIGHTS[weight]), value)
