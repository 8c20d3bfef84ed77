"""Which stage is slow: where everybody's time went, and who made others wait.

A stage that waits for room is not the slow one: the one that it waits for is, or the one
that that waits for. Where nobody waited, and nothing was dropped, the stage that worked
most is named, with how little that was.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ior.pipeline.ledger import EdgeBooks
from ior.units import format_duration

_NOTICEABLE = 0.01  # of the run: waits that are shorter in all do not name anybody


class NodeTimes(msgspec.Struct, frozen=True):
    """Where a node's time went, in nanoseconds: waiting for input, working, waiting for room.

    `blocked_ns` is by edge. A source's waiting is the time that its `read` was suspended.
    """

    starved_ns: int
    busy_ns: int
    blocked_ns: dict[str, int]

    @property
    def elapsed_ns(self) -> int:
        """How long the node has worked, waited and been blocked."""
        return self.starved_ns + self.busy_ns + sum(self.blocked_ns.values())

    @property
    def busy(self) -> float:
        """The part of the time that it worked, 0 to 1."""
        return self.busy_ns / self.elapsed_ns if self.elapsed_ns else 0.0


class Slowest(msgspec.Struct, frozen=True):
    """The stage that sets the pace. `says` is why, for people, without the stage's name."""

    stage: str
    busy: float
    says: str

    def __str__(self) -> str:
        return f"{self.stage}: {self.says}"


def between(before: Mapping[str, NodeTimes], now: Mapping[str, NodeTimes]) -> dict[str, NodeTimes]:
    """Return the times from one reading to a later one, of the nodes that are in both."""
    return {
        name: NodeTimes(
            max(node.starved_ns - before[name].starved_ns, 0),
            max(node.busy_ns - before[name].busy_ns, 0),
            {
                edge: max(ns - before[name].blocked_ns.get(edge, 0), 0)
                for edge, ns in node.blocked_ns.items()
            },
        )
        for name, node in now.items()
        if name in before
    }


def slowest(times: Mapping[str, NodeTimes], edges: Mapping[str, EdgeBooks]) -> Slowest | None:
    """Return the stage that sets the pace, None before anything has worked.

    `times` are by node, `edges` by `A.port->B`.
    """
    blocked = {edge: ns for node in times.values() for edge, ns in node.blocked_ns.items()}
    elapsed = max((node.elapsed_ns for node in times.values()), default=0)
    worst = max(blocked, key=blocked.__getitem__, default=None)
    if worst is not None and blocked[worst] > _NOTICEABLE * elapsed:
        edge = _follow(worst, times)
        producer = edge.partition("->")[0].rpartition(".")[0]
        waits = format_duration(blocked[edge])
        whole = format_duration(times[producer].elapsed_ns)
        return _say(edge, times, f"{producer} waited {waits} of {whole} for it")
    worst = max(edges, key=lambda name: edges[name].dropped, default=None)
    if worst is not None and edges[worst].dropped:
        return _say(worst, times, f"{edges[worst].dropped:,} rows before it were dropped")
    busiest = max(times, key=lambda name: times[name].busy_ns, default=None)
    if busiest is None or not times[busiest].busy_ns:
        return None
    return Slowest(busiest, times[busiest].busy, f"{_percent(times[busiest].busy)} busy")


def _follow(edge: str, times: Mapping[str, NodeTimes]) -> str:
    """Return the edge that is to blame for the waiting on `edge`: itself, or one further on."""
    while True:
        consumer = times[edge.partition("->")[2]]
        onward = max(consumer.blocked_ns, key=consumer.blocked_ns.__getitem__, default=None)
        if onward is None or consumer.blocked_ns[onward] <= consumer.busy_ns:
            return edge
        edge = onward


def _say(edge: str, times: Mapping[str, NodeTimes], why: str) -> Slowest:
    stage = edge.partition("->")[2]
    busy = times[stage].busy
    return Slowest(stage, busy, f"{_percent(busy)} busy, {why}")


def _percent(part: float) -> str:
    return "under 1 %" if part < 0.01 else f"{100 * part:.0f} %"
