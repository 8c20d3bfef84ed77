"""What there is to see in a run: tabs over its snapshots, and the filter on retained rows.

A filter typed in the UI changes no running node. It chooses among the rows that a `stream`
stage retains, and a `stats` of one's own adds those up; the header says how many they are.
"""

from __future__ import annotations

import time
from typing import Protocol

import msgspec

from ior.errors import UsageError
from ior.expr import Predicate
from ior.pipeline import registry
from ior.pipeline.abc import Stage
from ior.pipeline.clock import Clock
from ior.pipeline.ledger import Ledger
from ior.pipeline.pace import NodeTimes
from ior.pipeline.spec import NodeSpec, PipelineSpec
from ior.snapshots import Snapshot, Table
from ior.stages.stats import Stats, StatsSnapshot, Totals
from ior.stages.stream import Stream, StreamSnapshot
from ior.ui.events import Matched, Picture
from ior.ui.tabs.pipeline import PipelineTab
from ior.ui.tabs.syscalls import SyscallsTab
from ior.ui.tabs.table import TableTab


class Watched(Protocol):
    """The part of a run that may be looked at."""

    def snapshot(self, name: str) -> Snapshot:
        """Return the present snapshot of a node."""

    def ledger(self) -> Ledger:
        """Return the books as they stand."""

    def times(self) -> dict[str, NodeTimes]:
        """Return how the time of every node was split."""


class Viewer:
    """Takes pictures of a run.

    Raises UsageError if the pipeline has nothing to look at.
    """

    def __init__(self, run: Watched, spec: PipelineSpec, clock: Clock) -> None:
        self._run, self._clock = run, clock
        nodes = {node.name: _class(node, spec) for node in spec.nodes.values() if node.enabled}
        self._nodes = [name for name, cls in nodes.items() if _answers(cls)]
        if not self._nodes:
            raise UsageError(f"{spec.label} has nothing to look at: add a stage of type 'stats'")
        self._stats = next((n for n, cls in nodes.items() if cls and issubclass(cls, Stats)), None)
        self._stream = next(
            (n for n, cls in nodes.items() if cls and issubclass(cls, Stream)), None
        )
        keys = spec.nodes[self._stats].keys if self._stats else {}
        self._config = msgspec.convert(keys, Stats.Config)
        self.tabs: list[TableTab] = []
        self._pipeline = PipelineTab()

    def open(self) -> tuple[str, ...]:
        """Make the tabs from what the nodes answer now, Syscalls first; return their names."""
        self.tabs = []
        if self._stats is not None:
            self._add(self._stats)
        for node in self._nodes:
            if node != self._stats:
                self._add(node)
        self.tabs.append(TableTab(PipelineTab.name, "", 0, filtered=False))
        return tuple(tab.name for tab in self.tabs)

    def _add(self, node: str) -> None:
        filtered = node == self._stats and self._stream is not None
        try:
            tables = self._run.snapshot(node).tables()
        except Exception:  # a user's own stage may answer anything; its tab says what is wrong
            self.tabs.append(TableTab(node, node, 0, filtered=False))
            return
        for i, table in enumerate(tables):
            if node == self._stats and table.fields[0].name == "syscall":
                self.tabs.insert(0, SyscallsTab(node, i, filtered=filtered))
                continue
            taken = any(tab.name == table.title for tab in self.tabs)
            name = f"{node}: {table.title}" if taken else table.title
            self.tabs.append(TableTab(name, node, i, filtered=filtered))

    def picture(self, tab: int, where: Predicate | None) -> Picture:
        """Look at one tab, through a filter where the tab can be filtered."""
        table, matched = None, None
        if tab < len(self.tabs):
            table, matched = self._table(self.tabs[tab], where)
        return Picture(
            table,
            self._run.ledger(),
            self._clock.now_ns(),
            matched,
            self._totals(),
            time.process_time_ns(),
        )

    def _totals(self) -> Totals | None:
        snapshot = None if self._stats is None else self._run.snapshot(self._stats)
        return snapshot.totals if isinstance(snapshot, StatsSnapshot) else None

    def _table(
        self, shown: TableTab, where: Predicate | None
    ) -> tuple[Table | None, Matched | None]:
        if shown is self.tabs[-1]:
            now_ns = self._clock.now_ns()
            return self._pipeline.look(now_ns, self._run.ledger(), self._run.times()), None
        if where is not None and shown.filtered:
            snapshot, matched = self._retained(where)
            return shown.table(snapshot), matched
        return shown.table(self._run.snapshot(shown.node)), None

    def _retained(self, where: Predicate) -> tuple[Snapshot, Matched]:
        """Add up the retained rows that the filter matches."""
        assert self._stream is not None
        stream = self._run.snapshot(self._stream)
        assert isinstance(stream, StreamSnapshot)
        stats = Stats(self._config)
        retained = rows = 0
        for batch in stream.batches:
            chosen = batch.select(where(batch))
            retained += len(batch)
            rows += len(chosen)
            if len(chosen):
                stats.process(chosen)
        return stats.snapshot(), Matched(rows, retained)


def _class(node: NodeSpec, spec: PipelineSpec) -> type[Stage] | None:
    found = registry.resolve(node.type, node.use, spec.directory)
    return found if issubclass(found, Stage) else None


def _answers(cls: type[Stage] | None) -> bool:
    return cls is not None and cls.snapshot is not Stage.snapshot
