"""Sets a pipeline up for one test: what feeds it, what goes wrong, where it is looked at."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ior.calls import CALLS, Batch, Schema
from ior.pipeline.abc import Sink, Source, Stage
from ior.pipeline.checking.member import Input, Member
from ior.pipeline.graph import Graph
from ior.pipeline.reading.trials import Expect, Fault, Feed, Trial
from ior.sources.replay import batches as recorded
from ior.testing.trials import cells
from ior.testing.trials.nodes import Fed, Taker, Troubles, Watched
from ior.units import parse_duration

_ROOM = 1 << 20  # batches in front of whoever looks at an edge: it never holds anybody up


class Bench(NamedTuple):
    """A graph that is ready for a test.

    `seen` has for each expectation the batches that pass its place, `schemas` their columns.
    """

    graph: Graph
    troubles: list[Troubles]
    seen: list[list[Batch]]
    schemas: list[Schema]


def set_up(graph: Graph, trial: Trial) -> Bench:
    """Return a checked graph, changed for a checked test; sinks that only look are left out."""
    members = dict(graph.members)
    troubles: list[Troubles] = []
    for name, member in graph.members.items():
        faults = [fault for fault in trial.fault if fault.stage == name]
        node = member.node
        if isinstance(node, Source):
            given = [feed for feed in trial.feed if feed.stage == name]
            fed = _fed(given, node.gives, graph, faults, traces=True)
            members[name] = member._replace(node=fed, isolation="inline")
        elif isinstance(node, Sink) and node.looks:
            del members[name]
        else:
            stands: Taker | Watched = (
                Watched(node, faults) if isinstance(node, Stage) else Taker(faults)
            )
            troubles.append(stands.troubles)
            members[name] = member._replace(node=stands, isolation="inline")
    fed_members = _inject(members, trial, graph)
    looked = [_look(members, expect, i) for i, expect in enumerate(trial.expect)]
    return Bench(
        Graph(fed_members | members, graph.directory),
        troubles,
        [seen for seen, _ in looked],
        [schema for _, schema in looked],
    )


def _inject(members: dict[str, Member], trial: Trial, graph: Graph) -> dict[str, Member]:
    """Wire what is fed to stages that are no sources; return the members that give it."""
    made: dict[str, Member] = {}
    for i, feed in enumerate(trial.feed):
        target = members[feed.stage]
        if isinstance(target.node, Fed):
            continue
        schema = target.takes or CALLS
        name = f"feed {i + 1}"
        node = _fed([feed], schema, graph, [], traces=False)
        made[name] = Member(node, gives={"out": schema})
        inputs = (*target.inputs, Input(name, "out"))
        members[feed.stage] = target._replace(inputs=inputs)
    return made


def _look(members: dict[str, Member], expect: Expect, number: int) -> tuple[list[Batch], Schema]:
    """Return where the rows of an expectation are collected, and their columns."""
    name, _, port = expect.at.partition(".")
    member = members[name]
    ports = list(member.gives)
    if not ports:
        assert isinstance(member.node, (Watched, Taker))
        return member.node.seen, member.takes or CALLS
    wire = Input(name, port or ports[0])
    taker, schema = Taker([]), member.gives[wire.port]
    members[f"expect {number + 1}"] = Member(taker, inputs=(wire,), batches=_ROOM, takes=schema)
    return taker.seen, schema


def _fed(
    feeds: list[Feed], schema: Schema, graph: Graph, faults: list[Fault], *, traces: bool
) -> Fed:
    batches = []
    for feed in feeds:
        every_ns = parse_duration(feed.every)
        whole = list(_rows(feed, schema, graph))
        parts = [
            one.select(np.arange(at, min(at + feed.batch, len(one))))
            for one in whole
            for at in range(0, len(one), feed.batch)
        ]
        batches += [(every_ns, part) for part in parts]
    return Fed(schema, batches, faults, traces=traces)


def _rows(feed: Feed, schema: Schema, graph: Graph) -> list[Batch]:
    """Return what a feed gives."""
    if feed.fixture is None:
        return [cells.batch(feed.rows, schema, feed.repeat)]
    return list(recorded(str(graph.directory / feed.fixture))) * feed.repeat
