"""Which columns travel along an edge: what arrives, what is needed, what is given.

The columns of every edge are settled before anything runs, producers first: `arriving` of
the inputs, `lacking` for what a node needs and does not get, then the node's `connect`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ior.calls import CALLS, HALVES, Column, Schema
from ior.pipeline.abc import Node, Sink, Source, Stage

if TYPE_CHECKING:
    from ior.pipeline.abc import Gives

ERROR = Column("error", "u4", "text", "why the stage could not take the row", 0)
"""What an error port adds to the rows that a stage failed at."""


def declared(node: Node | type[Node]) -> Gives:
    """Return what a node or its class says that it gives, by port; a source's port is `out`."""
    if isinstance(node, Source) or (isinstance(node, type) and issubclass(node, Source)):
        return {"out": node.gives}
    if isinstance(node, Stage) or (isinstance(node, type) and issubclass(node, Stage)):
        return node.gives
    return {}


def makes_calls(node: Any) -> bool:
    """Return whether a node (or class) makes calls of halves on its first port, as `pair` does."""
    takes = getattr(node, "takes", None)
    if takes is None or takes.name != HALVES.name:
        return False
    first = next(iter(declared(node).values()), None)
    return isinstance(first, Schema) and first.name == CALLS.name


def counts_calls(node: Node) -> bool:
    """Return whether what a node gives first are calls that nobody before it had.

    They are those that it makes of halves, or reads from a recording of calls.
    """
    is_source = isinstance(node, Source) and node.gives.name == CALLS.name
    return is_source or makes_calls(node)


def arriving(given: Iterable[Schema]) -> Schema | None:
    """Return the columns that all of several inputs have; None without an input."""
    schemas = list(given)
    if not schemas:
        return None
    first, *others = schemas
    if all(other == first for other in others):
        return first
    common = tuple(c for c in first.columns if all(_has(other, c) for other in others))
    return Schema(first.name, common)


def _has(schema: Schema, column: Column) -> bool:
    return any(
        (c.name, c.dtype, c.kind) == (column.name, column.dtype, column.kind)
        for c in schema.columns
    )


def lacking(node: Node, given: Schema) -> list[str]:
    """Return the names of the columns that a node needs and that are not given."""
    needs = node.needs if isinstance(node, (Stage, Sink)) else ()
    return [name for name in needs if name not in given.names]


def connect(node: Node, takes: Schema | None) -> Mapping[str, Schema]:
    """Return what a node gives by port when rows of `takes` arrive.

    Raises SpecError where a key of the node asks for what does not arrive.
    """
    if isinstance(node, Source):
        return {"out": node.gives}
    if takes is None or not isinstance(node, (Stage, Sink)):
        return {}
    return node.connect(takes)
