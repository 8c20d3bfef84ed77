"""A tree of frames with what each holds, prepared for drawing: sums, children, families.

Trees have up to 2^18 nodes, so everything that runs over all of them is a handful of array
operations; Python touches only the frames that are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ior import syscalls
from ior.stages.flamegraph import FlameSnapshot

Ints = npt.NDArray[np.int64]
Path = tuple[str, ...]

ROOT = 0
_SINGLE = frozenset({"comm", "pid", "tid", "syscall", "family", "errno"})  # always one frame


class Tree:
    """Nodes as columns, as in `FlameSnapshot`; `sums` are inclusive, by weight."""

    def __init__(
        self, name: Sequence[str], parent: npt.NDArray[np.int32], own: Mapping[str, Ints]
    ) -> None:
        self.name, self.parent = name, parent
        self.depth = _depths(parent)
        self.own = dict(own)
        levels = [np.flatnonzero(self.depth == d) for d in range(int(self.depth.max()), 0, -1)]
        self.levels = levels
        self.sums = {weight: self._inclusive(values) for weight, values in own.items()}
        self._order = np.argsort(parent, kind="stable")
        self._start = np.searchsorted(parent[self._order], np.arange(len(parent) + 1))

    def _inclusive(self, values: Ints) -> Ints:
        sums = values.copy()
        for nodes in self.levels:
            np.add.at(sums, self.parent[nodes], sums[nodes])
        return sums

    def children(self, node: int, weight: str) -> tuple[list[int], list[int]]:
        """Return the children that weigh something, heaviest first, and their weights."""
        kids = self._order[self._start[node] : self._start[node + 1]]
        weights = self.sums[weight][kids]
        order = np.argsort(-weights, kind="stable")
        order = order[: int(np.count_nonzero(weights > 0))]
        return kids[order].tolist(), weights[order].tolist()

    def path(self, node: int) -> Path:
        """Return the names from under the root to a node."""
        names: list[str] = []
        while node > ROOT:
            names.append(self.name[node])
            node = int(self.parent[node])
        return tuple(reversed(names))

    def find(self, path: Path) -> int:
        """Return the node of a path, or of as much of it as there is."""
        node = ROOT
        for name in path:
            kids = self._order[self._start[node] : self._start[node + 1]].tolist()
            found = next((kid for kid in kids if self.name[kid] == name), None)
            if found is None:
                return node
            node = found
        return node

    def covered(self, matches: Callable[[str], object]) -> tuple[npt.NDArray[np.bool_], Ints]:
        """Return which nodes' names match, and the nodes under which everything is covered.

        The latter are the topmost of the former: their sums together are the coverage.
        """
        found = np.fromiter((bool(matches(name)) for name in self.name), bool, len(self.name))
        found[ROOT] = False
        under = found.copy()
        for nodes in reversed(self.levels):
            under[nodes] |= under[self.parent[nodes]]
        tops = np.flatnonzero(found & ~np.where(self.parent >= 0, under[self.parent], False))
        return found, tops

    def heaviest(self, marks: npt.NDArray[np.int16], weight: str) -> npt.NDArray[np.int16]:
        """Give nodes without a mark (-1) that of their heaviest child that has one."""
        marks, sums = marks.copy(), self.sums[weight]
        for level in self.levels:
            nodes = level[marks[level] >= 0]
            nodes = nodes[np.argsort(sums[nodes], kind="stable")]
            open_ = nodes[marks[self.parent[nodes]] < 0]
            marks[self.parent[open_]] = marks[open_]  # of several the last, heaviest, stays
        return marks


def _depths(parent: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Return the depths of nodes whose parents have lower numbers, the root's being 0."""
    depth = np.zeros(len(parent), np.int32)
    at = parent.copy()
    while True:
        inner = at >= 0
        if not inner.any():
            return depth
        depth[inner] += 1
        at = np.where(inner, parent[at], -1)


def of_snapshot(snapshot: FlameSnapshot, base: FlameSnapshot | None = None) -> Tree:
    """Return the tree of a snapshot, or with `base` of what came since."""
    own = snapshot.self_weight
    if base is not None:
        own = _since(snapshot, base)
    return Tree(snapshot.name, snapshot.parent, own)


def _since(now: FlameSnapshot, base: FlameSnapshot) -> dict[str, Ints]:
    """Return what each node weighs more than in `base`; never less than nothing."""
    at = _places(now, base)
    known = at >= 0
    own = {}
    for weight, values in now.self_weight.items():
        before = np.zeros_like(values)
        np.add.at(before, at[known], base.self_weight[weight][known])
        own[weight] = np.maximum(values - before, 0)
    return own


def _places(now: FlameSnapshot, base: FlameSnapshot) -> npt.NDArray[np.int64]:
    """Return where the nodes of `base` are in `now`, -1 where they are not."""
    count = len(base.name)
    if now.name[:count] == base.name and np.array_equal(now.parent[:count], base.parent):
        return np.arange(count)
    index = {key: i for i, key in enumerate(zip(now.parent.tolist(), now.name, strict=True))}
    at = [ROOT]
    for parent, name in zip(base.parent.tolist()[1:], base.name[1:], strict=True):
        at.append(index.get((at[parent], name), -1) if at[parent] >= 0 else -1)
    return np.array(at, np.int64)


def before(now: FlameSnapshot, base: FlameSnapshot) -> Tree:
    """Return the tree of `base` under the node numbers of `now`."""
    at = _places(now, base)
    known = at >= 0
    own = {}
    for weight, values in base.self_weight.items():
        own[weight] = np.zeros(len(now.name), np.int64)
        np.add.at(own[weight], at[known], values[known])
    return Tree(now.name, now.parent, own)


def has_left(now: FlameSnapshot, base: FlameSnapshot) -> bool:
    """Return whether calls of `base` are missing now: then what came since is more than is told.

    Retained rows make room for others, and a window of time goes on.
    """
    at, calls = _places(now, base), base.self_weight["calls"]
    known = at >= 0
    before = np.zeros(len(now.name), np.int64)
    np.add.at(before, at[known], calls[known])
    return bool(calls[~known].any() or (before > now.self_weight["calls"]).any())


def families(tree: Tree, stack: Sequence[str], weight: str) -> npt.NDArray[np.int16]:
    """Return each node's family as its number in the table of syscalls, -1 for unknown.

    A frame that holds several has that of its heaviest path. Known where `syscall` or
    `family` is in the stack.
    """
    marks = np.full(len(tree.name), -1, np.int16)
    at = next((i for i, level in enumerate(stack) if level in ("syscall", "family")), None)
    if at is None:
        return marks
    if all(level in _SINGLE for level in stack[:at]):
        nodes = np.flatnonzero(tree.depth == at + 1)
    else:
        ends = np.flatnonzero(tree.own["calls"]).astype(np.int32)
        for _ in stack[at + 1 :]:
            ends = tree.parent[ends]
        nodes = np.unique(ends[ends > ROOT]).astype(np.intp)
    number = _numbers()
    marks[nodes] = [number.get(tree.name[node], -1) for node in nodes.tolist()]
    if at + 1 < len(stack):
        for level in reversed(tree.levels):
            open_ = level[marks[level] < 0]
            marks[open_] = marks[tree.parent[open_]]
    return tree.heaviest(marks, weight)


def _numbers() -> dict[str, int]:
    table = syscalls.table()
    found: dict[str, int] = {name: i for i, name in enumerate(table.families)}
    found |= {call.name: found[call.family] for call in table.by_nr.values()}
    return found
