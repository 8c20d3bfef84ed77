"""What is drawn of a flamegraph: the tree, the boxes of its frames, and where the cursor is."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from ior.snapshots import Field
from ior.stages.flamegraph import WEIGHTS, FlameSnapshot
from ior.ui.grid import cell
from ior.ui.icicle import Box, Rows
from ior.ui.tabs.abc import Size
from ior.ui.tree import ROOT, Path, Tree
from ior.units import format_count

COLOURS = ("family", "mean latency", "errors", "change")
HEIGHTS = ("", "latency", "gap", "bytes", "errors")
"""The weights whose means can be the frames' height."""

_TALLEST = 4  # lines of a row of frames


class Zoom(msgspec.Struct, frozen=True):
    """What is shown: all under `path`, without its `skip` heaviest children."""

    path: Path = ()
    skip: int = 0


class Shown(msgspec.Struct, frozen=True, eq=False):
    """A picture prepared: the tree (since `base`), that of `base`, the families of its nodes.

    `left` is True where some calls of `base` are not there any more.
    """

    snapshot: FlameSnapshot
    base: FlameSnapshot | None
    tree: Tree
    old: Tree | None
    family: npt.NDArray[np.int16]
    left: bool = False


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
    height: str = ""  # the weight whose mean is the frames' height, "" for none
    most: float = 0.0  # the greatest mean of those

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
        """Lines a row of frames: two where all have room, with the frame's weight.

        As many as can be told apart where the height means something.
        """
        if self.height:
            return min(_TALLEST, max(1, self.lines // 2))
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

    def mean(self, box: Box) -> float:
        """Return what the height of a box means: the mean of its calls."""
        return self.value(box, self.height) / max(1, self.value(box, "calls"))

    def filled(self, box: Box) -> int:
        """Return how many of the lines of its row a box is high."""
        if not self.height or not self.most:
            return self.tall
        return max(1, round(self.tall * self.mean(box) / self.most))

    def value(self, box: Box, weight: str) -> int:
        """Return what a box weighs."""
        if not box.folded:
            return int(self.tree.sums[weight][box.node])
        kids, _ = self.tree.children(box.node, self.weight)
        return int(self.tree.sums[weight][kids[box.first :]].sum())


def spoken(name: str, folded: int, values: Mapping[str, int]) -> str:
    """Return a part as one line to be pasted: its name and what it weighs, by weight.

    `folded` is how many of its children are meant, 0 for all of it.
    """
    said = f"{format_count(folded)} others of {name or 'all'}" if folded else name or "all"
    cells = (f"{weight} {cell(Field(weight, WEIGHTS[weight]), n)}" for weight, n in values.items())
    return "  ".join((said, *cells))
