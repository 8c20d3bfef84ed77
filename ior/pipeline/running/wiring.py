"""From an inert graph to workers with edges between them, ready to be started."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from ior.host.command import Command
from ior.pipeline.channel import Edge
from ior.pipeline.checking.member import Member
from ior.pipeline.clock import Clock
from ior.pipeline.graph import Graph
from ior.pipeline.ledger import Ledger
from ior.pipeline.pace import Slowest
from ior.pipeline.running.context import NodeContext, Warnings
from ior.pipeline.running.gate import Gate
from ior.pipeline.running.lane import Lane
from ior.pipeline.running.process import apart
from ior.pipeline.running.worker import Worker
from ior.snapshots import Snapshot


class Seams(NamedTuple):
    """What a run gives to all its nodes."""

    clock: Clock
    command: Command | None
    gate: Gate
    warnings: Warnings
    snapshot: Callable[[str], Snapshot]
    ledger: Callable[[], Ledger]
    slowest: Callable[[], Slowest | None]
    stop: Callable[[], None]
    on_failure: Callable[[Worker, Exception], None]


def make(graph: Graph, names: Iterable[str], seams: Seams) -> dict[str, Worker]:
    """Return workers for these members, by name, with no edges yet."""
    return {name: _worker(name, graph.members[name], graph, seams) for name in names}


def join(graph: Graph, workers: Mapping[str, Worker], edges: dict[str, Edge], seams: Seams) -> None:
    """Add the edges that are not there yet, by `A.port->B`, and let the workers use them."""
    for name, member in graph.members.items():
        for producer, port in member.inputs:
            key = f"{producer}.{port}->{name}"
            if key in edges:
                continue
            on_drop = _drop_warning(seams.warnings, name, producer)
            edges[key] = Edge(key, member.batches, member.when_full, on_drop)
            edges[key].books.since = workers[producer].ctx.books.out[port]
            workers[producer].give_to(port, edges[key])
            workers[name].take_from(edges[key])


def _worker(name: str, member: Member, graph: Graph, seams: Seams) -> Worker:
    context = NodeContext(
        name,
        directory=graph.directory,
        clock=seams.clock,
        of=member.of,
        takes=member.takes,
        gives=member.gives,
        batching=graph.settings.batch,
        command=seams.command,
        lane=Lane(f"ior {name}") if member.isolation != "inline" else None,
        ports=tuple(member.gives),
        on_warning=seams.warnings.warn,
        snapshot=seams.snapshot,
        ledger=seams.ledger,
        slowest=seams.slowest,
        on_stop=seams.stop,
    )
    node = apart(member.node) if member.isolation == "process" else member.node
    return Worker(node, context, seams.gate, seams.on_failure, on_error=member.on_error)


def _drop_warning(warnings: Warnings, consumer: str, producer: str) -> Callable[[Edge], None]:
    def warn(edge: Edge) -> None:
        rows = f"{edge.books.dropped:,} rows from '{producer}' dropped so far"
        warnings.warn(consumer, f"{rows}: it cannot keep up")

    return warn
