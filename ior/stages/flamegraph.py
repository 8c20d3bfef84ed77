"""Calls as a tree of frames: where the time, the bytes and the calls go.

A stack is what the user asks for, in any order: command, process, path, syscall, ... Each
call adds its weights to the last frame of its stack. A stack is built in Python once; from
then on its calls find their frame by a key made of the columns' values.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from ior import syscalls
from ior.calls import RAW, Batch, Column, Schema, decoder
from ior.errors import SpecError
from ior.findings import Code, Problem, choice
from ior.pipeline.abc import Config, Stage
from ior.snapshots import Field, Table
from ior.stages.grouped import grouped
from ior.stages.groups import Groups, can_add
from ior.stages.keys import Combinations, Numbers

Array = npt.NDArray[Any]
Weight = Literal["calls", "latency", "gap", "bytes", "errors"]

WEIGHTS = {
    "calls": "count",
    "latency": "duration",
    "gap": "duration",
    "bytes": "size",
    "errors": "count",
}
"""The weights, each with the kind of `ior.snapshots.Field` that it is."""

OTHER = "[other]"  # the frame of all calls whose stack had no room
NO_FILE = "[no file]"  # the frame of a call whose stack would have none
UNKNOWN = "[unknown]"  # the frame of a command without a name
_ROOT, _OTHER = 0, 1  # node numbers
_SHOWN = 50  # rows of the table
_ONE = np.int64(1)


class _Level(NamedTuple):
    """Where a frame comes from: the column, and its frames' texts."""

    column: str
    frames: Callable[[Batch, list[int]], list[tuple[str, ...]]]


def _texts(batch: Batch, values: list[int]) -> list[tuple[str, ...]]:
    return [(text or UNKNOWN,) for text in batch.names.texts(values)]


def _numbers(_: Batch, values: list[int]) -> list[tuple[str, ...]]:
    return [(str(value),) for value in values]


def _syscalls(batch: Batch, values: list[int]) -> list[tuple[str, ...]]:
    table = syscalls.table(batch.origin.arch)
    return [(table.name(value),) for value in values]


def _families(batch: Batch, values: list[int]) -> list[tuple[str, ...]]:
    families = syscalls.table(batch.origin.arch).families
    return [(families[value],) for value in values]


def _errnos(_: Batch, values: list[int]) -> list[tuple[str, ...]]:
    return [(syscalls.errno_name(value) or "ok",) for value in values]


def _paths(batch: Batch, values: list[int]) -> list[tuple[str, ...]]:
    return [path_frames(text) for text in batch.names.texts(values)]


def path_frames(text: str) -> tuple[str, ...]:
    """Return one frame a component of an absolute path; the first keeps its slash.

    `/dev/zero` is (`/dev`, `zero`), the root (`/`,). What is no absolute path (`pipe:[1]`,
    `unix /run/x`) is one frame, the empty text none.
    """
    if not text.startswith("/"):
        return (text,) if text else ()
    parts = text[1:].split("/")
    if "" in parts:
        parts = [part for part in parts if part] or [""]
    parts[0] = f"/{parts[0]}"
    return tuple(parts)


def _any(name: str) -> Callable[[Batch, list[int]], list[tuple[str, ...]]]:
    """Return what makes frames of a column of any kind; an empty value is no frame."""

    def frames(batch: Batch, values: list[int]) -> list[tuple[str, ...]]:
        column = batch.column(name)
        decode = decoder(column.kind, batch)
        assert decode is not None
        return [() if value == column.empty else (decode(value),) for value in values]

    return frames


_LEVELS = {
    "comm": _Level("comm", _texts),
    "pid": _Level("pid", _numbers),
    "tid": _Level("tid", _numbers),
    "syscall": _Level("syscall", _syscalls),
    "family": _Level("family", _families),
    "path": _Level("file", _paths),
    "errno": _Level("errno", _errnos),
}


class FlameSnapshot(msgspec.Struct, frozen=True, eq=False):
    """A tree of frames at one moment, as columns of shape (nodes,).

    Node 0 is the root and has no name; `parent` (int32, -1 for the root) is always less
    than the node's own number. `self_weight` holds for each of `WEIGHTS` what was added at
    the node itself (int64); nodes under a node are not in it. `total` is the sum of
    `weight`. `[other]` under the root is what the tree had no room for.
    """

    stack: tuple[str, ...]
    weight: str
    total: int
    parent: npt.NDArray[np.int32]
    depth: npt.NDArray[np.int32]
    name: tuple[str, ...]
    self_weight: dict[str, npt.NDArray[np.int64]]

    def inclusive(self, weight: str | None = None) -> npt.NDArray[np.int64]:
        """Return each node's weight with all that is under it."""
        sums = self.self_weight[weight or self.weight].copy()
        for depth in range(int(self.depth.max()), 0, -1):
            nodes = np.flatnonzero(self.depth == depth)
            np.add.at(sums, self.parent[nodes], sums[nodes])
        return sums

    def frames(self, node: int) -> tuple[str, ...]:
        """Return the names from under the root to `node`."""
        names: list[str] = []
        while node > _ROOT:
            names.append(self.name[node])
            node = int(self.parent[node])
        return tuple(reversed(names))

    def folded(self, weight: str | None = None) -> Iterator[tuple[tuple[str, ...], int]]:
        """Yield each stack with its own weight, by default `weight`, where that is not 0.

        Together they are the exact total. Names are in text-column form.
        """
        values = self.self_weight[weight or self.weight]
        for node in np.flatnonzero(values).tolist():
            yield self.frames(node), int(values[node])

    def tables(self) -> tuple[Table, ...]:
        """Return one table: the stacks with the most weight."""
        values = self.self_weight[self.weight]
        nodes = np.flatnonzero(values)
        nodes = nodes[np.argsort(-values[nodes], kind="stable")]
        shown = values[nodes[:_SHOWN]].tolist()
        whole = self.total or 1
        rows = tuple(
            (";".join(self.frames(node)), value, value / whole)
            for node, value in zip(nodes.tolist(), shown, strict=False)
        )
        left = self.total - sum(shown)
        fields = (
            Field("stack", "text"),
            Field(self.weight, WEIGHTS[self.weight]),
            Field("share", "ratio"),
        )
        rest = ("(other)", left, left / whole) if len(nodes) > _SHOWN else None
        return (Table(f"Stacks by {self.weight}", fields, rows, rest),)


class _Tree:
    """Nodes by parent and name; takes no more stacks once one did not fit."""

    def __init__(self, max_nodes: int) -> None:
        self._max = max_nodes
        self._full = False
        # By node: nothing (0), the only child, or the children by name. Most have one, and a
        # dict each would be half of all memory.
        self._children: list[int | dict[str, int]] = [0, 0]
        self.names: list[str] = ["", OTHER]
        self.parents = array("i", [-1, _ROOT])
        self.depths = array("i", [0, 1])

    def node(self, frames: list[str]) -> int:
        """Return the node at the end of `frames`, `_OTHER` where there is no room for it."""
        node, names = _ROOT, self.names
        for level, name in enumerate(frames):
            children = self._children[node]
            if isinstance(children, dict):
                child = children.get(name, 0)
            else:
                child = children if names[children] == name else 0
            if not child:
                return self._grow(node, frames[level:])
            node = child
        return node

    def _grow(self, node: int, frames: list[str]) -> int:
        child = len(self.names)
        last = child + len(frames) - 1
        self._full = self._full or last >= self._max
        if self._full:
            return _OTHER
        siblings = self._children[node]
        if not siblings:
            self._children[node] = child
        elif isinstance(siblings, dict):
            siblings[frames[0]] = child
        else:
            self._children[node] = {self.names[siblings]: siblings, frames[0]: child}
        depth = self.depths[node] + 1
        self.names += frames
        self.parents.append(node)
        self.parents.extend(range(child, last))
        self.depths.extend(range(depth, depth + len(frames)))
        self._children += (*range(child + 1, last + 1), 0)
        return last


class FlamegraphConfig(Config, frozen=True, kw_only=True):
    """Keys of `flamegraph`.

    `stack` is the frames from the root on: `path`, or any column that arrives.
    `path` is one frame a component of `file`, and none for a call without one.
    `weight` is what is shown unless another is asked for.
    With `max_nodes` frames the tree is full: calls of further stacks go to `[other]`.
    """

    stack: Annotated[list[str], msgspec.Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: ["comm", "path", "syscall"]
    )
    weight: Weight = "calls"
    max_nodes: Annotated[int, msgspec.Meta(ge=2)] = 2**18


class Flamegraph(Stage):
    """Adds up calls by stack; ends the graph."""

    takes: ClassVar[Schema | None] = None
    needs = ("latency_ns", "gap_ns", "bytes", "is_error")
    gives: ClassVar[Mapping[str, Schema]] = {}
    Config = FlamegraphConfig

    def __init__(self, config: FlamegraphConfig) -> None:
        super().__init__(config)
        self._levels = [_LEVELS.get(name) or _Level(name, _any(name)) for name in config.stack]
        self._tree = _Tree(config.max_nodes)
        self._stacks = Combinations([level.column for level in self._levels])
        self._sums = np.zeros((len(WEIGHTS), 1024), np.int64)
        self._last: FlameSnapshot | None = None
        self._by_group = can_add(self)

    def connect(self, takes: Schema) -> Mapping[str, Schema]:
        """Look whether the columns of `stack` arrive. Raises SpecError."""
        by_name = {column.name: column for column in takes.columns}
        usable = [c.name for c in takes.columns if c.kind not in RAW and c.dtype[0] in "iu?"]
        choices = sorted({*usable, *(name for name in _LEVELS if _LEVELS[name].column in by_name)})
        problems = [
            Problem(Code.COLUMN, _unfit(name, by_name), choice(name, choices), ("stack", number))
            for number, (name, level) in enumerate(
                zip(self.config.stack, self._levels, strict=True)
            )
            if name not in choices or level.column not in usable
        ]
        if problems:
            raise SpecError.of(problems)
        return super().connect(takes)

    def process(self, batch: Batch) -> None:
        """Add a batch of calls."""
        groups = grouped(batch) if self._by_group and len(batch) else None
        if groups is not None:
            self.add(groups)
            return
        durations = (np.maximum(batch[name], 0) for name in ("latency_ns", "gap_ns"))  # -1 is none
        errors = batch["is_error"].astype(np.int64)
        self._count(batch, _ONE, *durations, batch["bytes"], errors)

    @property
    def columns(self) -> frozenset[str]:
        """The columns of the frames."""
        return frozenset(level.column for level in self._levels)

    def add(self, groups: Groups) -> None:
        """Add calls that were added up by group; `stack` must be of columns that groups have."""
        sums = [groups[name] for name in ("calls", "latency_ns", "gap_ns", "bytes")]
        errors = np.where(groups.keys["is_error"], groups["calls"], 0)
        self._count(groups.keys, *sums, errors)

    def _count(self, batch: Batch, *weights: Any) -> None:
        """Add a row's weights, in the order of `WEIGHTS`, at the end of its stack."""
        self._last = None
        nodes = self._stacks.resolve(batch, lambda rows: self._place(batch, rows))
        if len(self._tree.names) > self._sums.shape[1]:
            room = max(len(self._tree.names), 2 * self._sums.shape[1])
            grown = np.zeros((len(WEIGHTS), room), np.int64)
            grown[:, : self._sums.shape[1]] = self._sums
            self._sums = grown
        for sums, values in zip(self._sums, weights, strict=True):
            np.add.at(sums, nodes, values)

    def _place(self, batch: Batch, rows: Array) -> list[int]:
        columns = [
            level.frames(batch, batch[level.column][rows].tolist()) for level in self._levels
        ]
        node = self._tree.node
        return [node([*chain(*parts)] or [NO_FILE]) for parts in zip(*columns, strict=True)]

    def snapshot(self) -> FlameSnapshot:
        """Return the tree of the calls until now."""
        if self._last is None:
            tree, config = self._tree, self.config
            weights: dict[str, Numbers] = {}
            for name, sums in zip(WEIGHTS, self._sums[:, : len(tree.names)].copy(), strict=True):
                sums.flags.writeable = False
                weights[name] = sums
            self._last = FlameSnapshot(
                stack=tuple(config.stack),
                weight=config.weight,
                total=int(weights[config.weight].sum()),
                parent=np.array(tree.parents),
                depth=np.array(tree.depths),
                name=tuple(tree.names),
                self_weight=weights,
            )
        return self._last


def _unfit(name: str, arriving: Mapping[str, Column]) -> str:
    if name in arriving:
        return f"'{name}' makes no frames: it is neither text nor a whole number"
    return f"no column '{name}' arrives"
