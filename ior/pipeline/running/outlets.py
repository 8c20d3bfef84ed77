"""Where the rows of one node leave: its ports, the edges behind them, what may leave there."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

from ior.calls import Batch, Schema
from ior.pipeline.abc import Output
from ior.pipeline.channel import Edge
from ior.pipeline.running.context import NodeContext
from ior.pipeline.running.steps import parts


class Outlets:
    """The output ports of a node; its books count what leaves."""

    def __init__(self, ctx: NodeContext) -> None:
        self._ctx = ctx
        self._edges: dict[str, list[Edge]] = {port: [] for port in ctx.books.out}
        self._cut: list[Edge] = []  # edges that are no more
        self._seen: dict[str, Schema] = {}  # by port the last schema that was looked at

    @property
    def taken(self) -> bool:
        """Whether there is anybody behind any port."""
        return any(self._edges.values())

    def taken_at(self, port: str) -> bool:
        """Return whether there is anybody behind a port."""
        return bool(self._edges[port])

    def add(self, port: str, edge: Edge) -> None:
        """Give what leaves by `port` to `edge` too, after those that never wait for room."""
        self._edges[port].append(edge)
        self._edges[port].sort(key=lambda one: one.when_full == "block")

    def cut(self, port: str, edge: Edge) -> None:
        """Give no more to `edge`; what waits in it can still be taken."""
        self._edges[port].remove(edge)
        self._cut.append(edge)
        edge.books.until = self._ctx.books.out[port]
        edge.end()

    def end(self) -> None:
        """Say to everybody behind that no more comes."""
        for edge in chain(*self._edges.values()):
            edge.end()

    def blocked_ns(self) -> dict[str, int]:
        """Return how long each edge, also one that is no more, has made the node wait."""
        return {edge.name: edge.blocked_ns for edge in chain(self._cut, *self._edges.values())}

    def check(self, output: Any) -> None:
        """Refuse what cannot be given: no batch, a port or columns other than was declared."""
        if isinstance(output, list):
            for one in output:
                self.check(one)
            return
        if isinstance(output, Batch):
            output = {next(iter(self._edges), "out"): output}
        if not isinstance(output, Mapping):
            raise TypeError(f"gave {type(output).__name__}, not a Batch")
        for port, batch in output.items():
            if port not in self._edges:
                ports = ", ".join(self._edges) or "none"
                raise ValueError(f"gave a batch for the port '{port}'; its ports: {ports}")
            if not isinstance(batch, Batch):
                raise TypeError(f"gave {type(batch).__name__}, not a Batch, for the port '{port}'")
            if self._seen.get(port) is not batch.schema:
                self._declared(port, batch.schema)

    def _declared(self, port: str, schema: Schema) -> None:
        """Refuse rows that lack a column that the edges behind `port` were checked for."""
        self._seen[port] = schema
        promised = self._ctx.gives.get(port)
        if promised is None or schema == promised:
            return
        lacking = [name for name in promised.names if name not in schema.names]
        if lacking:
            raise ValueError(
                f"gave rows of {schema.name} without the column '{lacking[0]}' for the port "
                f"'{port}'; 'gives' must say what leaves there"
            )

    async def give(self, output: Output) -> None:
        """Give a batch to the first port, or batches by port; empty ones go nowhere.

        What is larger than a batch may be goes in parts: buffers count batches.
        """
        if isinstance(output, list):
            for one in output:
                await self.give(one)
            return
        if isinstance(output, Batch):
            output = {next(iter(self._edges)): output}
        for port, batch in (output or {}).items():
            for part in parts(batch, self._ctx.batching.max_calls) if len(batch) else ():
                self._ctx.books.out[port] += len(part)
                for edge in self._edges[port]:
                    await edge.put(part)
