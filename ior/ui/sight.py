"""What tabs may see of a run: its nodes, and at one moment their snapshots and the books.

A filter typed in the UI changes no running node. It chooses among the rows that a `stream`
stage retains, and a stage of one's own adds those up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol, TypeVar

import msgspec

from ior.calls import Batch
from ior.expr import Predicate
from ior.pipeline import registry
from ior.pipeline.abc import Config, Stage
from ior.pipeline.ledger import Ledger
from ior.pipeline.pace import NodeTimes
from ior.pipeline.spec import NodeSpec, PipelineSpec
from ior.snapshots import Snapshot
from ior.stages.flamegraph import Flamegraph
from ior.stages.stats import Stats
from ior.stages.stream import Stream, StreamSnapshot
from ior.ui.trend import Trend

ADDING: tuple[type[Stage], ...] = (
    Stats,
    Flamegraph,
)  # stages that can add up retained rows as they do live ones
StageT = TypeVar("StageT", bound=Stage)


class Watched(Protocol):
    """The part of a run that may be looked at."""

    def snapshot(self, name: str) -> Snapshot:
        """Return the present snapshot of a node."""

    def ledger(self) -> Ledger:
        """Return the books as they stand."""

    def times(self) -> dict[str, NodeTimes]:
        """Return how the time of every node was split."""


class Matched(msgspec.Struct, frozen=True):
    """How many of the retained rows the filter matches."""

    rows: int
    retained: int


class Nodes:
    """The nodes of a pipeline that answer when they are looked at, in the pipeline's order."""

    def __init__(self, run: Watched, spec: PipelineSpec) -> None:
        self._run, self._spec = run, spec
        classes = {node.name: _class(node, spec) for node in spec.nodes.values() if node.enabled}
        self.classes = {name: cls for name, cls in classes.items() if cls and _answers(cls)}

    def of(self, kind: type[Stage]) -> list[str]:
        """Return the names of the nodes of a kind."""
        return [name for name, cls in self.classes.items() if issubclass(cls, kind)]

    def first(self, kind: type[Stage]) -> str | None:
        """Return the name of the first node of a kind, None without any."""
        return next(iter(self.of(kind)), None)

    def config(self, name: str) -> Config:
        """Return the config of a node."""
        return msgspec.convert(self._spec.nodes[name].keys, self.classes[name].Config)

    def snapshot(self, name: str) -> Snapshot:
        """Return what a node answers now, unfiltered. What it raises is its own."""
        return self._run.snapshot(name)


class Sight:
    """What there is to see at one moment, through a filter.

    `matched` says, after a look, how many retained rows it was made of; it stays None where
    the nodes' own answers were looked at.
    """

    def __init__(
        self, run: Watched, nodes: Nodes, now_ns: int, where: Predicate | None, trend: Trend
    ) -> None:
        self._run, self._nodes = run, nodes
        self.now_ns, self.where, self.trend = now_ns, where, trend
        self.matched: Matched | None = None

    def ledger(self) -> Ledger:
        """Return the books as they stand."""
        return self._run.ledger()

    def times(self) -> Mapping[str, NodeTimes]:
        """Return how the time of every node was split."""
        return self._run.times()

    def answer(self, node: str) -> Snapshot:
        """Return what a node answers: through the filter if it can be, else all it has."""
        cls = self._nodes.classes[node]
        if self.where is not None and cls in ADDING and self._nodes.first(Stream):
            added = self.added(cls(self._nodes.config(node))).snapshot()
            if added is not None:
                return added
        return self._run.snapshot(node)

    def rows(self) -> StreamSnapshot | None:
        """Return the retained rows, unfiltered; None without a `stream` stage."""
        stream = self._nodes.first(Stream)
        snapshot = None if stream is None else self._run.snapshot(stream)
        return snapshot if isinstance(snapshot, StreamSnapshot) else None

    def chosen(self) -> Iterator[Batch]:
        """Yield the retained rows that the filter matches, oldest first."""
        retained = matching = 0
        snapshot = self.rows()
        for batch in snapshot.batches if snapshot else ():
            part = batch if self.where is None else batch.select(self.where(batch))
            retained += len(batch)
            matching += len(part)
            yield part
        self.matched = Matched(matching, retained)

    def added(self, stage: StageT) -> StageT:
        """Add the retained rows that the filter matches to a new stage, and return it."""
        connected = False
        for batch in self.chosen():
            if not connected:
                stage.connect(batch.schema)
                connected = True
            if len(batch):
                stage.process(batch)
        return stage


def _class(node: NodeSpec, spec: PipelineSpec) -> type[Stage] | None:
    found = registry.resolve(node.type, node.use, spec.directory)
    return found if issubclass(found, Stage) else None


def _answers(cls: type[Stage]) -> bool:
    return cls.snapshot is not Stage.snapshot
