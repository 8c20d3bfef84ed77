"""Graphs of nodes that were made by hand, and a context for a node without a graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path

from anyio.lowlevel import checkpoint

from ior.calls import CALLS, Batch, Schema
from ior.pipeline.abc import Config, Node, Source, WhenFull
from ior.pipeline.checking import columns
from ior.pipeline.checking.member import Input, Member, default_policy
from ior.pipeline.clock import Clock
from ior.pipeline.graph import Graph
from ior.pipeline.ledger import Ledger, balance
from ior.pipeline.pace import Slowest
from ior.pipeline.running.context import NodeContext
from ior.pipeline.settings import Settings
from ior.pipeline.spec import Buffer
from ior.snapshots import Snapshot
from ior.testing.clock import VirtualClock


class ListSource(Source):
    """Gives the batches of a list, then ends."""

    def __init__(self, batches: Iterable[Batch]) -> None:
        super().__init__(Config())
        self._batches = iter(batches)
        first = next(self._batches, None)  # there may be no end of them
        if first is not None:
            self.gives = first.schema  # type: ignore[misc]  # each list has its own
            self._batches = chain([first], self._batches)
        self._stopped = False

    async def read(self) -> Batch | None:
        """Return the next batch of the list, None at its end or after `stop`."""
        await checkpoint()
        return None if self._stopped else next(self._batches, None)

    def stop(self) -> None:
        """Leave the rest of the list out."""
        self._stopped = True


def graph(
    nodes: Mapping[str, Node],
    inputs: Mapping[str, str | Sequence[str]] | None = None,
    *,
    of: Mapping[str, Sequence[str]] | None = None,
    buffers: Mapping[str, Buffer] | None = None,
    directory: Path | None = None,
    settings: Settings = Settings(),  # noqa: B008 - frozen
) -> Graph:
    """Return a graph of `nodes`, named producers first, wired by `inputs` (`NAME` or `NAME.port`).

    Schemas are not checked. Raises KeyError for a node or port that does not exist.
    """
    members: dict[str, Member] = {}
    for name, node in nodes.items():
        words = (inputs or {}).get(name, ())
        wires = [_input(nodes, word) for word in ((words,) if isinstance(words, str) else words)]
        buffer = (buffers or {}).get(name, Buffer())
        policy: WhenFull = buffer.when_full or default_policy(node)
        looks = tuple((of or {}).get(name, ()))
        takes = columns.arriving(members[i.node].gives[i.port] for i in wires)
        given = columns.connect(node, takes)
        members[name] = Member(
            node, tuple(wires), looks, buffer.batches, policy, takes=takes, gives=given
        )
    return Graph(members, directory or Path(), settings)


def _input(nodes: Mapping[str, Node], word: str) -> Input:
    name, _, port = word.partition(".")
    ports = columns.declared(nodes[name])
    if port and port not in ports:
        raise KeyError(word)
    return Input(name, port or next(iter(ports)))


def context(
    name: str = "stage",
    *,
    clock: Clock | None = None,
    directory: Path | None = None,
    snapshots: Mapping[str, Snapshot] | None = None,
    ledger: Ledger | None = None,
    slowest: Slowest | None = None,
    takes: Schema = CALLS,
    warnings: list[str] | None = None,
) -> NodeContext:
    """Return a context for a node that runs without a graph.

    `snapshots` is what it looks at; warnings are appended to `warnings`. What the node
    books is in the context's `books`.
    """
    shown = [] if warnings is None else warnings
    pictures = dict(snapshots or {})
    empty = balance(kernel={}, calls=0, stages={}, edges={})
    return NodeContext(
        name,
        directory=directory or Path(),
        clock=clock or VirtualClock(),
        of=tuple(pictures),
        takes=takes,
        on_warning=lambda _, message: shown.append(message),
        snapshot=pictures.__getitem__,
        ledger=lambda: ledger or empty,
        slowest=lambda: slowest,
    )
