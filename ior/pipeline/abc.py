"""The seams of a graph: what a source, a stage and a sink promise.

A node is made from its config alone and does nothing until `start`. The framework calls
the methods of one node one at a time, never two at once: `start`, then any number of
`process` and `tick`, then `drain` once, then `close` (once, also after a failure; it must
bear a second call and a node that never started). Methods may be plain or `async`. Plain
ones of a user's own nodes run in a thread of the node's own, all in the same, and may
block; `async` ones run on the event loop and must not.

**Ownership.** A batch that arrives is shared with other consumers and read-only; a batch
that is given away must not be changed any more. **Order.** Batches of one port arrive in
the order in which they were given. **Loss.** Only an edge drops, and it counts what it
drops; a node that leaves rows out on purpose books them with `Context.book`.
**Cancellation.** Ending is orderly: the sources are stopped, then everybody drains. A task
is cancelled only after a deadline.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import msgspec

from ior.calls import CALLS, HALVES, Batch, Column, Schema
from ior.expr.tree import Tree
from ior.host.command import Command
from ior.pipeline.clock import Clock
from ior.pipeline.ledger import Ledger
from ior.pipeline.pace import Slowest
from ior.pipeline.settings import Batching
from ior.snapshots import Snapshot

Output = Batch | Mapping[str, Batch] | list[Any] | None
"""What a stage gives: a batch for its first port, batches by port, a list of such, or nothing."""

MaybeAsync = Output | Awaitable[Output]

WhenFull = Literal["block", "drop_newest", "drop_oldest"]
"""What an edge does when its buffer is full: make the producer wait, or drop a batch."""

Gives = Mapping[str, Schema | Sequence[Column]]
"""By port: a schema, or the columns that are added to (or replaced in) what arrives."""

Isolation = Literal["inline", "thread", "process"]
"""Where a node's methods run: on the event loop, plain ones in a thread of the node's own, or
all in a process of its own, without privileges."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A node's own keys in the TOML. Subclass it; fields are the keys, defaults the defaults."""


class Context(Protocol):
    """What the framework gives a node when it starts."""

    name: str  # the node's name in the pipeline
    directory: Path  # relative paths in the pipeline are relative to this
    clock: Clock
    log: logging.Logger
    of: tuple[str, ...]  # the nodes that this one looks at
    takes: Schema | None  # the columns that arrive by all inputs, None without inputs
    gives: Mapping[str, Schema]  # the columns that leave, by port
    batching: Batching  # how a source is to gather rows
    command: Command | None  # the command under trace, stopped until every node has started

    def warn(self, message: str) -> None:
        """Report something that the user should know now; repeated ones are rate-limited."""

    def book(self, *, filtered: int = 0, joined: int = 0, made: int = 0, failed: int = 0) -> None:
        """Account for rows: left out on purpose, merged into others, made anew, failed."""

    def hold(self, rows: int) -> None:
        """Say how many rows this node holds back now, to be given later."""

    def snapshot(self, name: str) -> Snapshot:
        """Return the present snapshot of a node named in `of`."""

    def ledger(self) -> Ledger:
        """Return the books as they stand."""

    def slowest(self) -> Slowest | None:
        """Return the stage that sets the pace of the run, None before anything has worked."""

    def spawn(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run an async function beside the node until it returns or the node has drained.

        What it raises fails the node.
        """

    def request_stop(self) -> None:
        """Ask for the orderly end of the run, as Ctrl-C does; may be called again."""


class _Done:
    """What there is to await where nothing is left to do."""

    def __await__(self) -> Iterator[None]:
        return iter(())


_DONE = _Done()


class Node(ABC):
    """What sources, stages and sinks share."""

    Config: ClassVar[type[Config]] = Config
    ctx: Context  # there from `start` on

    def __init__(self, config: Any) -> None:
        self.config = config

    def start(self, ctx: Context) -> Any:
        """Acquire what is needed: open files, attach probes. Raise to refuse the whole run.

        Plain or `async`, like `close`; `super().start(ctx)` may be awaited or not.
        """
        self.ctx = ctx
        return _DONE

    def close(self) -> Any:
        """Release everything."""
        return _DONE


class Source(Node):
    """Makes batches.

    `read` waits for the next batch and returns None at the end. `stop` asks for the end: no
    more is captured, and what was captured before is still read. `books` gives the counters
    of the ledger's `kernel` part (see `ior.pipeline.ledger.KERNEL`), empty where there is none.
    """

    gives: ClassVar[Schema] = HALVES
    reads: ClassVar[Sequence[str]] = ()  # the keys of `Config` that name files to read

    @abstractmethod
    def read(self) -> Batch | Awaitable[Batch | None] | None:
        """Return the next batch, or None when there will be no more."""

    @abstractmethod
    def stop(self) -> None:
        """Ask for the end; `read` gives what is left and then None. May be called twice."""

    def books(self) -> Mapping[str, int]:
        """Return the kernel side's counters."""
        return {}

    def snapshot(self) -> Snapshot | None:
        """Return a frozen picture of what waits to be captured, None where there is none."""
        return None


class Stage(Node):
    """Computes: takes batches, gives batches to its ports, or answers `snapshot`.

    `takes` is the schema that arrives, by its name (None: any), `needs` the columns without
    which it cannot work. `gives` says for each output port, the first being the default,
    what leaves there; a stage that ends the graph has none. `tick_s` asks for `tick` at that
    interval, `when_full` is the overflow policy of its inputs where the pipeline names none.
    """

    takes: ClassVar[Schema | None] = CALLS
    needs: Sequence[str] = ()
    gives: ClassVar[Gives] = {"out": ()}
    tick_s: ClassVar[float | None] = None
    when_full: ClassVar[WhenFull] = "block"
    keeps: Tree | None = None
    """Where not None, all that the stage does is to make a row of a call, and to leave out those
    for which this does not hold: a source may leave them out in its place."""

    def connect(self, takes: Schema) -> Mapping[str, Schema]:
        """Return what leaves by each port when rows of `takes` arrive; `gives` says it.

        Called once before `start`, when the pipeline is checked. Override it where a key
        names columns: raise SpecError for one that does not arrive.
        """
        return {
            port: given if isinstance(given, Schema) else takes.adding(given)
            for port, given in self.gives.items()
        }

    @abstractmethod
    def process(self, batch: Batch) -> MaybeAsync:
        """Take one batch, never empty."""

    def tick(self, now_ns: int) -> MaybeAsync:  # noqa: ARG002 - a hook
        """Do what is due at `now_ns` of the clock."""
        return None

    def drain(self) -> MaybeAsync:
        """Give what is still held; no more input comes."""
        return None

    def snapshot(self) -> Snapshot | None:
        """Return a frozen picture of the present result, None where there is nothing to look at."""
        return None


class Sink(Node):
    """Writes outside the process: rows that arrive, or snapshots of the nodes in `of`.

    A sink with `of` has no inputs: it takes snapshots (`ctx.snapshot`) on its tick and once
    in `drain`, which comes after every stage has drained and the books are final.
    `takes` is None for one that writes rows of any schema; `needs` and `connect` are as in
    `Stage`.
    """

    takes: ClassVar[Schema | None] = None
    needs: Sequence[str] = ()
    looks: ClassVar[bool] = False  # True: it has `of`, not `inputs`
    writes: Sequence[str] = ()  # the keys of `Config` that name files to write
    tick_s: ClassVar[float | None] = None
    when_full: ClassVar[WhenFull] = "block"

    def connect(self, takes: Schema) -> Mapping[str, Schema]:  # noqa: ARG002 - a hook
        """Look at what arrives before anything starts; raise SpecError for what is missing."""
        return {}

    def process(self, batch: Batch) -> Awaitable[None] | None:  # noqa: ARG002 - a hook
        """Write one batch."""
        return None

    def tick(self, now_ns: int) -> Awaitable[None] | None:  # noqa: ARG002 - a hook
        """Do what is due at `now_ns` of the clock."""
        return None

    def drain(self) -> Awaitable[None] | None:
        """Write what is still to be written; no more input comes."""
        return None


def answers(node: Node) -> bool:
    """Return whether a node can be looked at: a stage or source with a `snapshot` of its own."""
    own = type(node).snapshot if isinstance(node, (Source, Stage)) else None
    return own not in (None, Source.snapshot, Stage.snapshot)
