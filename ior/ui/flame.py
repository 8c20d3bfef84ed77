"""How a flamegraph is drawn: what is shown, its boxes, their colours, and the words around.

The root of what is shown stands on top and its callees hang under it: the heaviest is at the
left, where one reads first, and a screen of few rows cuts the leaves and not the root.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from ior.snapshots import Field
from ior.stages.flamegraph import WEIGHTS
from ior.text import fit, sanitise, width
from ior.ui.frames import Drawing
from ior.ui.grid import cell
from ior.ui.icicle import Box, place
from ior.ui.patterns import matcher
from ior.ui.shading import legend, shares, style_of
from ior.ui.tree import ROOT
from ior.ui.widgets import Line, exactly, spread
from ior.units import format_count, format_duration

_BAR = "│"


def draw(drawing: Drawing, last: Drawing | None) -> Drawing:
    """Place the frames and find the matches, keeping of `last` what still holds."""
    tree, weight, zoom = drawing.tree, drawing.weight, drawing.zoom
    old = last if last is not None and last.shown is drawing.shown else None
    if old and (old.weight, old.zoom, old.size.columns) == (weight, zoom, drawing.size.columns):
        boxes = old.boxes
    else:
        boxes = place(tree, weight, tree.find(zoom.path), zoom.skip, drawing.size.columns)
    drawing = replace(drawing, boxes=boxes)
    if drawing.height:
        same = old is not None and (old.boxes, old.height) == (boxes, drawing.height)
        drawing = replace(drawing, most=old.most if same and old else _most(drawing))
    if not drawing.pattern:
        return drawing
    if old and (old.pattern, old.weight) == (drawing.pattern, weight):
        return replace(drawing, found=old.found, covered=old.covered)
    found, tops = tree.covered(matcher(drawing.pattern))
    return replace(drawing, found=found, covered=int(tree.sums[weight][tops].sum()))


def _most(drawing: Drawing) -> float:
    """Return the greatest mean of the frames; of the root only where there is nothing else."""
    rows = drawing.boxes[1:] or drawing.boxes
    return max(drawing.mean(box) for row in rows for box in row)


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
    return _frames(drawing, colour, top + at, second)


def _frames(drawing: Drawing, colour: str, row: int, second: int) -> Line:
    """Draw line `second` of a row of frames: their names, their weights, what they are high."""
    line: Line = []
    text_of = (_label, _weight, _nothing)[min(second, 2)]
    end = 0
    for k, box in enumerate(drawing.boxes[row]):
        if box.column > end:
            line.append(("", " " * (box.column - end)))
        here = (row, k) == drawing.at
        style = "class:cursor" if here else style_of(drawing, colour, box)
        if second >= drawing.filled(box):
            style = "class:rest"
        text = fit(text_of(drawing, box), box.width - 1)
        line += [(f"{style} class:flame.edge", _BAR), (style, text)]
        end = box.column + box.width
    return exactly(line, drawing.size.columns)


def _label(drawing: Drawing, box: Box) -> str:
    if box.folded:
        text = f"+{format_count(box.folded)}"
        return f"{text} other" if len(text) < box.width else "+"
    if box.node == ROOT:
        return "all"
    return drawing.tree.name[box.node]


def _nothing(drawing: Drawing, box: Box) -> str:  # noqa: ARG001 (one of several)
    return ""


def _weight(drawing: Drawing, box: Box) -> str:
    """Return a frame's share and weight, as much as has room."""
    value = drawing.value(box, drawing.weight)
    share = f"{value / max(1, int(drawing.tree.sums[drawing.weight][ROOT])):.1%}"
    both = f"{share} {_cell(drawing.weight, value)}"
    if len(both) < box.width:
        return both
    return share if len(share) < box.width else ""


def _title(drawing: Drawing, colour: str) -> Line:
    columns = drawing.size.columns
    label, value = "class:label", "class:value"
    stack = "›".join(drawing.shown.snapshot.stack)
    line: Line = [(value, f" {stack}"), (label, "  width "), ("", drawing.weight)]
    if drawing.height:
        line += [(label, "  height "), ("", f"mean {drawing.height}")]
    if drawing.shown.base is not None:
        line.append(("class:message", "  since r"))
        if drawing.shown.left:
            line.append(("class:bad", ", less what has left"))
    if drawing.found is not None:
        whole = max(1, int(drawing.tree.sums[drawing.weight][ROOT]))
        line += [(label, f"  /{drawing.pattern} "), (value, f"{drawing.covered / whole:.1%}")]
    named, signs = [*line, (label, f"  {colour} ")], legend(drawing, colour)
    ways: list[tuple[Line, Line]] = [(named, signs), (line, [("", " "), *signs]), (named, [])]
    fitting = (way for way in ways if _width([*way[0], *way[1]]) <= columns)
    return spread(*next(fitting, (line, [])), columns)


def _where(drawing: Drawing) -> Line:
    """Say what frame the cursor is on: its whole path, of a long one the end."""
    box = drawing.boxes[drawing.at[0]][drawing.at[1]]
    path = " › ".join(drawing.tree.path(box.node)) or "all"
    if box.folded:
        path += f" › {format_count(box.folded)} other frames"
    hidden = len(drawing.boxes) - drawing.page
    more = f" {len(drawing.boxes)} rows " if hidden > 0 else " "
    room = drawing.size.columns - len(more) - 1
    shown = sanitise(path)
    text = fit(shown, room, keep="end") if width(shown) > room else shown
    return spread([("class:value", f" {text}")], [("class:rest", more)], drawing.size.columns)


def _numbers(drawing: Drawing) -> Line:
    """Tell what the frame under the cursor weighs; what has no room is left out whole."""
    columns = drawing.size.columns
    wide = _said(_facts(drawing, " of all"), gap="  ")
    line = wide if _width(wide) <= columns else _said(_facts(drawing, ""), gap=" ")
    while _width(line) > columns and len(line) > 3:
        del line[-2:]  # a label and what it is of
    return exactly(line, columns)


def _width(line: Line) -> int:
    return sum(width(text) for _, text in line)


def _said(facts: list[tuple[str, str]], *, gap: str) -> Line:
    (value, share), *more = facts
    line: Line = [("class:value", f" {value} "), ("", share)]
    for label, text in more:
        line += [("class:label", f"{gap}{label} "), ("", text)]
    return line


def _facts(drawing: Drawing, of_all: str) -> list[tuple[str, str]]:
    """Return the weight and the share of the frame under the cursor, then labels with numbers."""
    row, k = drawing.at
    box = drawing.boxes[row][k]
    value, weight = drawing.value(box, drawing.weight), drawing.weight
    whole = max(1, int(drawing.tree.sums[weight][ROOT]))
    calls = drawing.value(box, "calls")
    share = f"{value / whole:.1%}{of_all}"
    if drawing.shown.old is not None and not box.folded:
        was, now = shares(drawing, box)
        share += f" ({100 * (now - was):+.1f} points)"
    facts = [(_cell(weight, value), share)]
    if weight != "calls":
        facts.append(("calls", format_count(calls)))
    latency = drawing.value(box, "latency")
    if weight != "latency":
        facts.append(("latency", format_duration(latency)))
    facts.append(("mean", format_duration(latency / max(1, calls))))
    if drawing.height and drawing.height != "latency":
        mean = drawing.mean(box)
        said = f"{mean:.1%}" if drawing.height == "errors" else _cell(drawing.height, mean)
        facts.append((f"mean {drawing.height}", said))
    others = (name for name in ("bytes", "errors") if name != weight)
    facts += [(name, _cell(name, drawing.value(box, name))) for name in others]
    return facts


def _cell(weight: str, value: Any) -> str:
    return cell(Field(weight, WEIGHTS[weight]), value)
