"""Parts as areas: rectangles of cells within those of their wholes, as square as can be.

The rows of rectangles are laid along the shorter side, a cell counting as twice as high as it
is wide, as long as that makes them more square (the "squarified" treemap of Bruls, Huizing and
van Wijk, 2000). Nothing vanishes: parts too small to be seen share one rectangle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ior.ui.tree import Tree

HIGH = (2, 4, 8)  # widths that a cell is high; taken for more where parts come out too narrow
LEAST_WIDTH, LEAST_AREA = 4, 8  # cells of a rectangle that can be seen
INNER_WIDTH, INNER_HEIGHT = 8, 3  # of one whose parts are drawn in it


class Rect(NamedTuple):
    """A part's place. `folded` children of `node` share it if that is not 0.

    Those are the children from the `first`-th heaviest on. With `inner` its parts are drawn
    under its first line. `above` is how many wholes it stands for that have no other part.
    """

    column: int
    row: int
    width: int
    height: int
    node: int
    folded: int = 0
    first: int = 0
    inner: bool = False
    above: int = 0

    def holds(self, column: int, row: int) -> bool:
        """Return whether a cell lies in it."""
        inside = self.column <= column < self.column + self.width
        return inside and self.row <= row < self.row + self.height


def place(tree: Tree, weight: str, root: int, skip: int, size: tuple[int, int]) -> tuple[Rect, ...]:
    """Place all under a node, wholes before their parts.

    With `skip`, without the heaviest `skip` children of `root`.
    """
    whole = Rect(0, 0, *size, root)
    found: list[Rect] = []
    _fill(tree, weight, whole, skip, found)
    return tuple(found)


def _fill(tree: Tree, weight: str, whole: Rect, skip: int, found: list[Rect]) -> None:
    """Place the children of a whole in all its cells, and what is in them."""
    kids, weights = tree.children(whole.node, weight)
    kids, weights = kids[skip:], weights[skip:]
    if not kids or whole.width < 1 or whole.height < 1:
        return
    shown, boxes = _placed(weights, whole.width, whole.height)
    for i, (column, row, width, height) in enumerate(boxes):
        at = (whole.column + column, whole.row + row, width, height)
        if i == shown:
            many = len(kids) - shown
            node = kids[shown] if many == 1 else whole.node
            found.append(Rect(*at, node, many if many > 1 else 0, skip + shown if many > 1 else 0))
            return
        kid, above = _alone(tree, weight, kids[i])
        inner = width >= INNER_WIDTH and height >= INNER_HEIGHT
        inner = inner and bool(tree.children(kid, weight)[0])
        found.append(Rect(*at, kid, inner=inner, above=above))
        if inner:
            below = Rect(at[0] + 1, at[1] + 1, width - 1, height - 1, kid)
            _fill(tree, weight, below, 0, found)


def _alone(tree: Tree, weight: str, node: int) -> tuple[int, int]:
    """Go down from wholes that are nothing but one part; return that, and how many these are."""
    above = 0
    while True:
        kids, weights = tree.children(node, weight)
        if len(kids) != 1 or weights[0] != tree.sums[weight][node]:
            return node, above
        node, above = kids[0], above + 1


def _placed(
    weights: Sequence[int], width: int, height: int
) -> tuple[int, list[tuple[int, int, int, int]]]:
    """Return how many of the weights (largest first) have rectangles, and the rectangles.

    If not all have, one more rectangle is for the others together.
    """
    cells, total = width * height, sum(weights)
    count = sum(weight * cells >= LEAST_AREA * total for weight in weights)
    while count > 0:
        rest = sum(weights[count:])
        areas = [weight * cells / total for weight in weights[:count]]
        if rest:
            least = min(float(LEAST_AREA), cells / 2)
            share = max(rest * cells / total, least)
            areas = [area * (cells - share) / sum(areas) for area in areas] + [share]
        for high in HIGH:
            boxes = squarified(areas, width, height, high)
            if all(w >= min(LEAST_WIDTH, width) and h >= 1 for _, _, w, h in boxes):
                return count, boxes
        count -= 1
    return 0, [(0, 0, width, height)]


def squarified(
    areas: Sequence[float], width: int, height: int, high: int = HIGH[0]
) -> list[tuple[int, int, int, int]]:
    """Return (column, row, width, height) by area, which together fill the cells.

    `areas` are in cells, add up to all of them, and may come in any order.
    """
    order = sorted(range(len(areas)), key=lambda i: -areas[i])
    found = [(0, 0, 0, 0)] * len(areas)
    left, top, right, bottom = 0.0, 0.0, float(width), float(height)
    while order:
        upright = right - left >= (bottom - top) * high  # parts stand on one another
        side = (bottom - top) * high if upright else right - left
        count = _alike([areas[i] * high for i in order], side)
        strip, order = order[:count], order[count:]
        length = bottom - top if upright else right - left
        deep = sum(areas[i] for i in strip) / max(length, 1e-9)
        far = (right if upright else bottom) if not order else (left if upright else top) + deep
        at = top if upright else left
        for i in strip:
            end = at + areas[i] / max(deep, 1e-9)
            if i == strip[-1]:
                end = bottom if upright else right
            corners = (left, at, far, end) if upright else (at, top, end, far)
            found[i] = _cells(*corners)
            at = end
        left, top = (far, top) if upright else (left, far)
    return found


def _cells(left: float, top: float, right: float, bottom: float) -> tuple[int, int, int, int]:
    column, row = round(left), round(top)
    return column, row, round(right) - column, round(bottom) - row


def _alike(areas: Sequence[float], side: float) -> int:
    """Return how many of the areas, largest first, are most square in one strip along `side`."""
    best, total = float("inf"), 0.0
    for i, area in enumerate(areas):
        total += area
        deep = total / max(side, 1e-9)
        worst = max(_aspect(areas[0], deep), _aspect(area, deep))
        if worst > best:
            return i
        best = worst
    return len(areas)


def _aspect(area: float, deep: float) -> float:
    """Return how far from a square a part of a strip is, 1 for one that is."""
    long = area / max(deep, 1e-9)
    return max(long / max(deep, 1e-9), deep / max(long, 1e-9))
