"""The line of `ior run --status`: rate, loss and the slow stage, kept up to date on a terminal."""

from __future__ import annotations

import os
import sys
import time
from typing import NamedTuple

import anyio

from ior.cli.console import put, say, warn
from ior.pipeline.ledger import EdgeBooks, Ledger
from ior.pipeline.pace import NodeTimes, between, slowest
from ior.pipeline.run import Run
from ior.text import fit
from ior.units import format_count, format_rate

INTERVAL_S = 0.5


class Reading(NamedTuple):
    """What a run had done at one moment."""

    at_s: float
    ledger: Ledger
    times: dict[str, NodeTimes]

    @classmethod
    def of(cls, run: Run, at_s: float) -> Reading:
        """Take a reading of a run; `at_s` is the time of any steady clock."""
        return cls(at_s, run.ledger(), run.times())

    @property
    def rows(self) -> int:
        """How many calls there were; records, where nothing makes calls of them."""
        return self.ledger.calls or self.ledger.kernel.get("read", 0) or self._made

    @property
    def _made(self) -> int:
        return sum(books.made for books in self.ledger.stages.values())


def line(now: Reading, before: Reading) -> str:
    """Return the status: the rate and the slow stage are those of the time in between."""
    seconds = max(now.at_s - before.at_s, 1e-9)
    word = "calls" if now.ledger.calls else "records"
    parts = [
        f"{format_count(now.rows)} {word}",
        format_rate(max(now.rows - before.rows, 0) / seconds),
        f"{format_count(now.ledger.lost)} lost",
    ]
    dropped = {
        name: EdgeBooks(dropped=edge.dropped - before.ledger.edges[name].dropped)
        for name, edge in now.ledger.edges.items()
        if name in before.ledger.edges
    }
    slow = slowest(between(before.times, now.times), dropped)
    if slow is not None:
        parts.append(f"slowest {slow}")
    return " · ".join(parts)


class StatusLine:
    """Keeps one line at the bottom of the terminal behind stderr; silent without one.

    What else is said goes above it, by `say`. Without `wanted` there is never a line.
    """

    def __init__(self, *, wanted: bool) -> None:
        self.visible = wanted and sys.stderr.isatty()
        self._shown = False

    def say(self, message: str) -> None:
        """Print one line on stderr, as `console.say` does."""
        self.clear()
        say(message)

    def warn(self, node: str, message: str) -> None:
        """Print a warning of a node, as `console.warn` does."""
        self.clear()
        warn(node, message)

    def show(self, text: str) -> None:
        """Replace the line, unless somebody else has the terminal now."""
        if not self.visible or not _in_front():
            return
        try:
            columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80
        except OSError:  # it was closed
            return
        put(f"\r{fit(f'ior: {text}', columns - 1).rstrip()}\x1b[K")
        self._shown = True

    def clear(self) -> None:
        """Take the line away."""
        if self._shown and _in_front():
            put("\r\x1b[K")
        self._shown = False

    async def follow(self, run: Run) -> None:
        """Show how a run goes until its results are due."""
        await run.started.wait()
        before = Reading.of(run, time.monotonic())
        while self.visible and not run.drained.is_set():
            with anyio.move_on_after(INTERVAL_S):
                await run.drained.wait()
                break
            now = Reading.of(run, time.monotonic())
            self.show(line(now, before))
            before = now
        self.clear()


def _in_front() -> bool:
    """Return whether we are the job that the terminal belongs to."""
    try:
        return os.tcgetpgrp(sys.stderr.fileno()) == os.getpgrp()
    except OSError:  # not our controlling terminal: nobody else's job is on it
        return True
