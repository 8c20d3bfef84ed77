"""What a running node is given: its books, its clock, and a way to say something.

`NodeContext` is the `Context` of `ior.pipeline.abc`; `Warnings` keeps a repeated warning
from filling a terminal, and counts what it kept back.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ior.calls import Schema
from ior.host.command import Command
from ior.pipeline.clock import Clock
from ior.pipeline.ledger import Ledger, StageBooks
from ior.pipeline.pace import Slowest
from ior.pipeline.running.lane import Lane
from ior.pipeline.settings import Batching
from ior.snapshots import Snapshot

T = TypeVar("T")

WARNING_INTERVAL_NS = 1_000_000_000
MAX_WARNINGS = 256
MAX_KINDS = 16  # of one node; what it says beyond them counts as one more


class Warned(msgspec.Struct, frozen=True):
    """A warning as it was shown. `repeats` counts those of its kind kept back before it."""

    time_ns: int
    node: str
    message: str
    repeats: int

    def __str__(self) -> str:
        more = f" ({self.repeats:,} more like it before)" if self.repeats else ""
        return f"{self.node}: {self.message}{more}"


class _Kind:
    __slots__ = ("kept_back", "last", "shown_ns")

    def __init__(self, now_ns: int) -> None:
        self.shown_ns, self.kept_back, self.last = now_ns - WARNING_INTERVAL_NS, 0, ""


class Warnings:
    """Lets one warning a second through for each node and kind of message.

    Messages that differ only in numbers are of one kind, and so are all that a node says
    beyond its 16th kind. `recent` holds the last 256 shown.
    """

    def __init__(self, clock: Clock, show: Callable[[str, str], None] | None) -> None:
        self.recent: deque[Warned] = deque(maxlen=MAX_WARNINGS)
        self.suppressed = 0
        self._clock, self._show = clock, show
        self._kinds: dict[str, dict[str, _Kind]] = {}  # by node

    def warn(self, node: str, message: str) -> None:
        """Show a warning, or count it if one of its kind was shown within the last second."""
        now_ns = self._clock.now_ns()
        kinds = self._kinds.setdefault(node, {})
        key = re.sub(r"\d[\d,.]*", "#", message)
        if key not in kinds and len(kinds) >= MAX_KINDS:
            key = ""
        kind = kinds.setdefault(key, _Kind(now_ns))
        if now_ns - kind.shown_ns < WARNING_INTERVAL_NS:
            self.suppressed += 1
            kind.kept_back += 1
            kind.last = message
            return
        self._emit(node, message, kind, now_ns, kind.kept_back)

    def flush(self) -> None:
        """Show the last of every kind that was kept back, so that its numbers are final."""
        for node, kinds in self._kinds.items():
            for kind in kinds.values():
                if kind.kept_back:
                    self._emit(node, kind.last, kind, self._clock.now_ns(), kind.kept_back - 1)

    def _emit(self, node: str, message: str, kind: _Kind, now_ns: int, repeats: int) -> None:
        kind.shown_ns, kind.kept_back = now_ns, 0
        shown = Warned(now_ns, node, message, repeats)
        self.recent.append(shown)
        if self._show is not None:
            more = f" ({repeats:,} more like it before)" if repeats else ""
            self._show(node, message + more)


class NodeContext:
    """The context of one node; `books` is where its rows are accounted for.

    Its methods may be called on the event loop and in the node's lane.
    """

    def __init__(
        self,
        name: str,
        *,
        directory: Path,
        clock: Clock,
        of: tuple[str, ...] = (),
        takes: Schema | None = None,
        gives: Mapping[str, Schema] | None = None,
        batching: Batching = Batching(),  # noqa: B008 - frozen
        command: Command | None = None,
        lane: Lane | None = None,
        ports: tuple[str, ...] = (),
        on_warning: Callable[[str, str], None] = lambda _node, _message: None,
        snapshot: Callable[[str], Snapshot],
        ledger: Callable[[], Ledger],
        slowest: Callable[[], Slowest | None] = lambda: None,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        self.name, self.directory, self.clock = name, directory, clock
        self.of, self.command, self.lane = of, command, lane
        self.takes, self.gives = takes, gives or {}
        self.on_spawn: Callable[[Callable[[], Awaitable[object]]], None] | None = None
        self.batching = batching
        self.log = logging.getLogger(f"ior.stage.{name}")
        self.books = StageBooks(out=dict.fromkeys(ports, 0))
        self._on_warning, self._on_stop = on_warning, on_stop
        self._snapshot, self._ledger, self._slowest = snapshot, ledger, slowest

    def warn(self, message: str) -> None:
        """Report something that the user should know now; repeated ones are rate-limited."""
        self._soon(self._on_warning, self.name, message)

    def book(self, *, filtered: int = 0, joined: int = 0, made: int = 0, failed: int = 0) -> None:
        """Account for rows: left out on purpose, merged into others, made anew, failed."""
        books = self.books
        books.filtered += int(filtered)
        books.joined += int(joined)
        books.made += int(made)
        books.failed += int(failed)

    def hold(self, rows: int) -> None:
        """Say how many rows this node holds back now, to be given later."""
        self.books.held = int(rows)

    def snapshot(self, name: str) -> Snapshot:
        """Return the present snapshot of a node named in `of`. Raises KeyError for another."""
        if name not in self.of:
            raise KeyError(f"'{name}' is not in 'of' of stage '{self.name}'")
        return self._now(self._snapshot, name)

    def ledger(self) -> Ledger:
        """Return the books as they stand."""
        return self._now(self._ledger)

    def slowest(self) -> Slowest | None:
        """Return the stage that sets the pace of the run, None before anything has worked."""
        return self._now(self._slowest)

    def spawn(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run an async function beside the node until it returns or the node has drained.

        Raises RuntimeError for a node that no graph runs.
        """
        if self.on_spawn is None:
            raise RuntimeError("there is no graph to spawn a task in")
        self._soon(self.on_spawn, partial(function, *args))

    def request_stop(self) -> None:
        """Ask for the orderly end of the run, as Ctrl-C does; may be called again."""
        self._soon(self._on_stop)

    def _soon(self, function: Callable[..., None], *args: Any) -> None:
        """Call on the event loop what belongs there."""
        if self.lane is not None and self.lane.inside:
            self.lane.post(function, *args)
        else:
            function(*args)

    def _now(self, function: Callable[..., T], *args: Any) -> T:
        if self.lane is not None and self.lane.inside:
            return self.lane.ask(function, *args)
        return function(*args)
