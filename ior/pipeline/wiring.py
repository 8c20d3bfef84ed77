"""From an inert graph to workers with edges between them, ready to be started."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ior.host.command import Command
from ior.pipeline.channel import Edge
from ior.pipeline.clock import Clock
from ior.pipeline.context import NodeContext, Warnings
from ior.pipeline.graph import Graph
from ior.pipeline.lane import Lane
from ior.pipeline.ledger import Ledger
from ior.pipeline.pace import Slowest
from ior.pipeline.process import apart
from ior.pipeline.worker import Worker
from ior.snapshots import Snapshot


class Seams(NamedTuple):
    """What a run gives to all its nodes."""

    clock: Clock
    command: Command | None
    warnings: Warnings
    snapshot: Callable[[str], Snapshot]
    ledger: Callable[[], Ledger]
    slowest: Callable[[], Slowest | None]
    stop: Callable[[], None]
    on_failure: Callable[[Worker, Exception], None]


def wire(graph: Graph, seams: Seams) -> tuple[dict[str, Worker], dict[str, Edge]]:
    """Return the workers by name, and the edges by `A.port->B`."""
    outputs: dict[str, dict[str, list[Edge]]] = {
        name: {port: [] for port in member.gives} for name, member in graph.members.items()
    }
    edges: dict[str, Edge] = {}
    workers: dict[str, Worker] = {}
    for name, member in graph.members.items():
        inputs = []
        for producer, port in member.inputs:
            key = f"{producer}.{port}->{name}"
            on_drop = _drop_warning(seams.warnings, name, producer)
            edges[key] = Edge(key, member.batches, member.when_full, on_drop)
            inputs.append(edges[key])
            outputs[producer][port].append(edges[key])
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
            ports=tuple(outputs[name]),
            on_warning=seams.warnings.warn,
            snapshot=seams.snapshot,
            ledger=seams.ledger,
            slowest=seams.slowest,
            on_stop=seams.stop,
        )
        node = apart(member.node) if member.isolation == "process" else member.node
        workers[name] = Worker(
            node, context, inputs, outputs[name], seams.on_failure, on_error=member.on_error
        )
    for ports in outputs.values():
        for fan in ports.values():  # whoever never waits gets its batch first
            fan.sort(key=lambda edge: edge.when_full == "block")
    return workers, edges


def _drop_warning(warnings: Warnings, consumer: str, producer: str) -> Callable[[Edge], None]:
    def warn(edge: Edge) -> None:
        rows = f"{edge.books.dropped:,} rows from '{producer}' dropped so far"
        warnings.warn(consumer, f"{rows}: it cannot keep up")

    return warn
