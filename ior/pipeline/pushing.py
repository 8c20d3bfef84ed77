"""What of a graph's filters its sources can apply where calls happen.

A filter is pushed into a source when all that the source gives comes to that filter: through
`pair`, which makes a row of a call and nothing else, and through other filters. The filter
stays where it is. So a source may pass more than is asked for, but never less.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ior.expr.sieve import Split, joined
from ior.expr.tree import Const, Tree, leaves
from ior.pipeline.abc import Stage
from ior.pipeline.graph import Graph
from ior.pipeline.selective import SelectiveSource

_BETWEEN = ("gap_ns", "seq")  # they say something of the calls that are left out


class Pushed(NamedTuple):
    """What becomes of the filters behind a source.

    `filters` are their names, `complete` says that the source does all that any filter of its
    rows does.
    """

    split: Split
    filters: tuple[str, ...]
    complete: bool


def pushed(graph: Graph) -> dict[str, Pushed]:
    """Return, by source, what it is to leave out."""
    found = {}
    for name, member in graph.members.items():
        if isinstance(member.node, SelectiveSource):
            behind = dict(_filters(graph, name))
            every = {
                n for n in behind_of(graph, name) if _condition(graph.members[n].node) is not None
            }
            where = None if _ask_between(graph) else joined(list(behind.values()))
            split = member.node.split(where or Const(True))
            complete = split.rest is None and (where is not None or not every)
            found[name] = Pushed(split, tuple(behind), complete and every <= behind.keys())
    return found


def behind_of(graph: Graph, source: str) -> set[str]:
    """Return the nodes that rows of a source come to."""
    found = {source}
    for name, member in graph.members.items():  # producers before their consumers
        if any(wire.node in found for wire in member.inputs):
            found.add(name)
    return found


def _condition(node: object) -> Tree | None:
    """Return what a filter asks for, None for any other node."""
    keeps = node.keeps if isinstance(node, Stage) else None
    return None if keeps == Const(True) else keeps


def _ask_between(graph: Graph) -> bool:
    trees = [_condition(member.node) for member in graph.members.values()]
    return any(
        leaf.column in _BETWEEN for tree in trees if tree is not None for leaf in leaves(tree)
    )


def _filters(graph: Graph, source: str) -> Iterator[tuple[str, Tree]]:
    """Yield the filters, and what they ask for, that all rows of a source come to."""
    name = source
    while True:
        takers = [
            taker
            for taker, member in graph.members.items()
            if any(wire.node == name for wire in member.inputs)
            # What a source answers is of the calls that it does not leave out.
            or (name in member.of and name != source)
        ]
        if len(takers) != 1:
            return
        (taker,) = takers
        member, ports = graph.members[taker], list(graph.members[name].gives)
        keeps = member.node.keeps if isinstance(member.node, Stage) else None
        if keeps is None or len(member.inputs) != 1 or member.inputs[0].port != ports[0]:
            return
        if keeps != Const(True):
            yield taker, keeps
        name = taker
