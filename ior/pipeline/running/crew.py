"""All workers and edges of a run: those at work, and those that a reload took out.

What was taken out stays in the books, as `NAME@1`, `NAME@2` and so on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

import anyio

from ior.expr.tree import Tree
from ior.pipeline.abc import Source
from ior.pipeline.channel import Edge
from ior.pipeline.checking.columns import counts_calls
from ior.pipeline.graph import Graph
from ior.pipeline.ledger import EdgeBooks, StageBooks
from ior.pipeline.pace import NodeTimes
from ior.pipeline.pushing import Pushed, behind_of, pushed
from ior.pipeline.running.changes import Changes, compare, written_by
from ior.pipeline.running.wiring import Seams, join, make
from ior.pipeline.running.worker import Worker
from ior.pipeline.selective import HoldingStage, SelectiveSource, SelectiveStage

_LOOK_S = 0.001
_PATIENCE_S = 1.0  # with slow stages when a person is waiting for the selection to change


class Crew:
    """Workers by name, producers before their consumers, and edges by `A.port->B`."""

    def __init__(self, graph: Graph, seams: Seams) -> None:
        self.graph, self._seams = graph, seams
        self.workers = make(graph, graph.members, seams)
        self.edges: dict[str, Edge] = {}
        join(graph, self.workers, self.edges, seams)
        self._leaving: dict[str, Worker] = {}
        self._past_books: dict[str, StageBooks] = {}
        self._past_times: dict[str, NodeTimes] = {}
        self._past_edges: dict[str, Edge] = {}
        self._past_calls: list[StageBooks] = []  # of those that made calls
        self._turns: Counter[str] = Counter()
        self._written = self._paths()
        self._push_down()
        self._introduce(self.workers)

    def _introduce(self, names: Collection[str]) -> None:
        """Tell those of the workers `names` that hold halves which source to ask about them."""
        sources = [name for name, w in self.workers.items() if isinstance(w.node, Source)]
        ways = [(source, behind_of(self.graph, source)) for source in sources]
        for name in names:
            node = self.workers[name].node
            feeding = [self.workers[source].node for source, found in ways if name in found]
            if isinstance(node, HoldingStage) and len(feeding) == 1:
                (source,) = feeding
                if isinstance(source, SelectiveSource):
                    node.heed(source.awaited)

    def _push_down(self) -> dict[str, Pushed]:
        """Tell the sources what the filters behind them will leave out; return it."""
        found = pushed(self.graph)
        for name, push in found.items():
            source = self.workers[name].node
            assert isinstance(source, SelectiveSource)
            source.sift(push.split.pushed, complete=push.complete)
        return found

    def refilter(self, name: str, where: str) -> dict[str, Pushed]:
        """Let a filter ask for more, at once; return what each source leaves out of it.

        What it has given and nobody has taken yet is asked too.
        """
        node = self.workers[name].node
        assert isinstance(node, SelectiveStage)
        node.also(where)
        for edge in self.edges.values():
            if edge.producer == name:  # one batch may be waiting for room
                self.workers[edge.consumer].sift(node.wanted, edge.books.waiting + 1)
        return self._push_down()

    @property
    def sources_ended(self) -> bool:
        """Whether no source gives any more."""
        return all(w.finished.is_set() for w in self.workers.values() if isinstance(w.node, Source))

    @property
    def dry(self) -> bool:
        """Whether no row is on its way; sources may be reading."""
        edges = [*self.edges.values(), *self._past_edges.values()]
        workers = [*self.workers.values(), *self._leaving.values()]
        return all(edge.empty for edge in edges) and all(worker.idle for worker in workers)

    async def run_dry(self) -> None:
        """Wait until no row is on its way."""
        while not self.dry:  # noqa: ASYNC110 - an event would cost every batch of every run
            await anyio.sleep(_LOOK_S)

    async def select(self, numbers: Collection[int] | None, where: Tree | None) -> None:
        """Choose what the sources give, at once; return when all that they gave is worked off.

        Where that takes long it is not waited for.
        """
        self._seams.gate.shut()
        try:
            for worker in self.workers.values():
                if isinstance(worker.node, SelectiveSource):
                    worker.node.select(numbers, where)
            with anyio.move_on_after(_PATIENCE_S):
                await self.run_dry()
        finally:
            self._seams.gate.open()

    def compare(self, graph: Graph) -> Changes:
        """Return what `graph` changes. Raises ReloadRefused."""
        finished = [name for name, worker in self.workers.items() if worker.finished.is_set()]
        return compare(self.graph, graph, finished, self._written)

    def make(self, graph: Graph, changes: Changes) -> dict[str, Worker]:
        """Return the workers that `changes` asks for, not started."""
        return make(graph, changes.fresh, self._seams)

    def change(
        self, graph: Graph, changes: Changes, fresh: Mapping[str, Worker]
    ) -> dict[str, Worker]:
        """Let `fresh`, which have started, take the places of those that are gone.

        To be called when the crew is dry. Returns those that are gone, by the names that they
        have in the books: they get no more rows, and are to drain.
        """
        names = {}
        for name in changes.gone:
            self._turns[name] += 1
            names[name] = f"{name}@{self._turns[name]}"
            self._retire(names[name], self.workers[name])
        for key, edge in list(self.edges.items()):
            producer, port, consumer = edge.producer, edge.port, edge.consumer
            if producer in names or consumer in names:
                if producer not in names:
                    self.workers[producer].outlets.cut(port, edge)
                edge.name = (
                    f"{names.get(producer, producer)}.{port}->{names.get(consumer, consumer)}"
                )
                self._past_edges[edge.name] = self.edges.pop(key)
        self.workers = {name: fresh.get(name) or self.workers[name] for name in graph.members}
        # Those that go on know what they were asked for since they started: `keeps` of a filter.
        at_work = {name: self.graph.members[name].node for name in changes.kept}
        self.graph = graph._replace(
            members={
                name: member._replace(node=at_work.get(name, member.node))
                for name, member in graph.members.items()
            }
        )
        join(self.graph, self.workers, self.edges, self._seams)
        self._written |= self._paths()
        self._push_down()
        self._introduce(changes.fresh)
        return {name: self._leaving[name] for name in names.values()}

    def _retire(self, name: str, worker: Worker) -> None:
        worker.ctx.name = name
        self._leaving[name] = worker
        self._past_books[name] = worker.ctx.books
        if counts_calls(worker.node):
            self._past_calls.append(worker.ctx.books)

    def forget(self, name: str) -> None:
        """Keep no more than the books and the times of one that is gone and closed."""
        self._past_times[name] = self._leaving.pop(name).times()

    def _paths(self) -> set[Path]:
        return {p for p in (written_by(self.graph, n) for n in self.graph.members) if p is not None}

    def stage_books(self) -> dict[str, StageBooks]:
        """Return the books of all stages that ever were."""
        return {name: worker.ctx.books for name, worker in self.workers.items()} | self._past_books

    def edge_books(self) -> dict[str, EdgeBooks]:
        """Return the books of all edges that ever were."""
        return {name: edge.books for name, edge in (self.edges | self._past_edges).items()}

    def calls(self) -> int:
        """Return how many calls there were: made of halves, or read as calls."""
        makers = [w.ctx.books for w in self.workers.values() if counts_calls(w.node)]
        return sum(next(iter(books.out.values())) for books in makers + self._past_calls)

    def rows(self) -> int:
        """Return how many rows all stages that ever were have taken, given and worked off."""
        books = [worker.ctx.books for worker in self.workers.values()]
        return sum(one.moved for one in (*books, *self._past_books.values()))

    def times(self) -> dict[str, NodeTimes]:
        """Return, for every node that ever was, how its time was split."""
        present = self.workers | self._leaving
        return {name: w.times() for name, w in present.items()} | self._past_times

    def close_edges(self) -> None:
        """Release the channels."""
        for edge in (self.edges | self._past_edges).values():
            edge.close()
