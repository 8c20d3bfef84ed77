"""A node of a checked graph, and what it is wired to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ior.calls import Schema
from ior.pipeline.abc import Isolation, Node, Sink, Stage, WhenFull
from ior.pipeline.spec import DEFAULT_BATCHES, OnError


class Input(NamedTuple):
    """Where rows come from: a port of a node."""

    node: str
    port: str


class Member(NamedTuple):
    """A node and what it is wired to. The buffer is the one in front of each input.

    `takes` is what arrives by all inputs, `gives` what leaves by each port, settled; the
    error port of `on_error` is among the ports.
    """

    node: Node
    inputs: tuple[Input, ...] = ()
    of: tuple[str, ...] = ()
    batches: int = DEFAULT_BATCHES
    when_full: WhenFull = "block"
    isolation: Isolation = "inline"
    on_error: OnError = "fail"
    takes: Schema | None = None
    gives: Mapping[str, Schema] = {}


def default_policy(node: Node) -> WhenFull:
    """Return the overflow policy of a node whose pipeline names none."""
    return node.when_full if isinstance(node, (Stage, Sink)) else "block"
