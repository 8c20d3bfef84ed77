"""Frames as boxes of cells: each row of children under its parent, wide as they weigh.

Nothing vanishes: children that are too narrow to be read share one box at the end, which
says how many they are. What a parent holds itself stays empty at its end.
"""

from __future__ import annotations

from typing import NamedTuple

from ior.ui.tree import Tree

NARROW = 3  # cells; a box with less holds no text worth reading


class Box(NamedTuple):
    """A frame's place in its row. `folded` children of `node` share it if that is not 0.

    Those are the children from the `first`-th heaviest on.
    """

    column: int
    width: int
    node: int
    folded: int = 0
    first: int = 0


Rows = tuple[tuple[Box, ...], ...]
"""Boxes by row, from what is shown as the root on down."""


def place(tree: Tree, weight: str, root: int, skip: int, columns: int) -> Rows:
    """Place a node and all under it; with `skip`, without its heaviest `skip` children."""
    rows: list[tuple[Box, ...]] = [(Box(0, columns, root),)]
    while True:
        under: list[Box] = []
        for box in rows[-1]:
            if not box.folded:
                first = skip if len(rows) == 1 else 0
                under += _children(tree, weight, box, first)
        if not under:
            return tuple(rows)
        rows.append(tuple(under))


def _children(tree: Tree, weight: str, parent: Box, skip: int) -> list[Box]:
    kids, weights = tree.children(parent.node, weight)
    whole = int(tree.sums[weight][parent.node])
    if skip:
        kids, weights = kids[skip:], weights[skip:]
        whole = sum(weights)
    boxes: list[Box] = []
    end = parent.column + parent.width
    so_far = 0
    for i, (kid, value) in enumerate(zip(kids, weights, strict=True)):
        left = parent.column + so_far * parent.width // whole
        so_far += value
        right = parent.column + so_far * parent.width // whole
        if right - left >= NARROW:
            boxes.append(Box(left, right - left, kid))
            continue
        rest = sum(weights[i:])
        right = parent.column + (so_far - value + rest) * parent.width // whole
        if left >= end:  # no cell is left over: the last box gives one
            left = end - 1
            boxes[-1] = boxes[-1]._replace(width=boxes[-1].width - 1)
        wide = max(right - left, 1)
        many = len(kids) - i
        boxes.append(
            Box(left, wide, kid) if many == 1 else Box(left, wide, parent.node, many, skip + i)
        )
        break
    return boxes
