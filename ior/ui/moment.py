"""A run as it was at one moment, so that all that is shown of it is of that moment."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Protocol

from ior.pipeline.ledger import Ledger
from ior.pipeline.pace import NodeTimes
from ior.snapshots import Snapshot


class Watched(Protocol):
    """The part of a run that may be looked at."""

    def snapshot(self, name: str) -> Snapshot:
        """Return the present snapshot of a node."""

    def ledger(self) -> Ledger:
        """Return the books as they stand."""

    def times(self) -> dict[str, NodeTimes]:
        """Return how the time of every node was split."""


class Moment:
    """A run as it was at `now_ns`: each node answers once, and again the same."""

    def __init__(self, run: Watched, now_ns: int) -> None:
        self._run, self.now_ns = run, now_ns
        self._answers: dict[str, Snapshot] = {}
        self._ledger: Ledger | None = None
        self._times: dict[str, NodeTimes] | None = None
        self._whole = False

    def hold(self, names: Iterable[str]) -> None:
        """Ask the nodes of these names now, so that none of them answers later."""
        if self._whole:
            return
        self._whole = True
        self.ledger()
        self.times()
        for name in names:
            with contextlib.suppress(Exception):  # of a stage of one's own; its tab says it
                self.snapshot(name)

    def snapshot(self, name: str) -> Snapshot:
        """Return what a node answered when it was first asked for."""
        if name not in self._answers:
            self._answers[name] = self._run.snapshot(name)
        return self._answers[name]

    def ledger(self) -> Ledger:
        """Return the books as they stood when they were first asked for."""
        if self._ledger is None:
            self._ledger = self._run.ledger()
        return self._ledger

    def times(self) -> dict[str, NodeTimes]:
        """Return how the time of every node was split then."""
        if self._times is None:
            self._times = self._run.times()
        return self._times
