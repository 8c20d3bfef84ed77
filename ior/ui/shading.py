"""How frames are coloured: by family, mean latency, share of errors, change since a baseline."""

from __future__ import annotations

from collections.abc import Sequence

from ior import syscalls
from ior.ui.frames import Drawing
from ior.ui.icicle import Box
from ior.ui.tree import ROOT
from ior.ui.widgets import Line

HEAT = ((10_000, "<10us"), (100_000, "<100us"), (10**6, "<1ms"), (10**7, "<10ms"), (0, ">=10ms"))
ERRORS = ((0.0001, "none"), (0.01, "<1%"), (0.1, "<10%"), (0.5, "<50%"), (0, ">=50%"))
CHANGES = ("shrank", "same", "grew")
SAME = 0.01  # a share that changed by less than this part of all is the same
_SHADES = 6  # colours for families


def style_of(drawing: Drawing, colour: str, box: Box) -> str:
    """Return the style of a frame."""
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


def shares(drawing: Drawing, box: Box) -> tuple[float, float]:
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
    was, now = shares(drawing, box)
    if abs(now - was) < SAME:
        return 1
    return 2 if now > was else 0


def legend(drawing: Drawing, colour: str) -> Line:
    """Say what the colours mean."""
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
