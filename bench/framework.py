"""Measure the framework alone: ready batches through a filter to three sinks, on one core.

Nothing is traced and nothing is written, so what is left is what the graph itself costs:
edges, books, the clock of each stage, the event loop's turns. A second part sends a hundred
thousand small batches through the same graph and prints how much memory that leaves. The last
reads recordings: one of large blocks, and one of blocks of few calls, as a slow trace makes them.
"""

from __future__ import annotations

import os
import resource
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, NamedTuple

import anyio
import numpy as np

from bench import variants
from ior.calls import CALLS, MAX_CALLS, Batch, Schema
from ior.host.memory import keep_freed_memory
from ior.pipeline.abc import Config, Node, Sink, Source
from ior.pipeline.run import Run
from ior.recording import Encoder
from ior.sources.replay import Replay
from ior.stages.filter import Filter
from ior.testing import calls, graph

AIM = 8e6  # calls a second on one core
ROUNDS = 5
BATCHES = 1000  # of the full size, in each round
SMALL_BATCHES = 100_000
SMALL = 64  # calls in each
RECORDED, FEW = 100_000, 20  # calls, and in a block of a slow trace
FLAT_KIB = 4 * 1024  # growth that counts as none: less than 42 bytes a batch


class Ready(Source):
    """Gives one of four batches that were made before, `count` times."""

    gives: ClassVar[Schema] = CALLS

    def __init__(self, batches: list[Batch], count: int) -> None:
        super().__init__(Config())
        self._batches, self._left = batches, count

    async def read(self) -> Batch | None:
        """Return the next batch."""
        if not self._left:
            return None
        self._left -= 1
        return self._batches[self._left % len(self._batches)]

    def stop(self) -> None:
        """Give no more."""
        self._left = 0


class Sum(Sink):
    """Adds up one column, as a sink does at the least."""

    def __init__(self) -> None:
        super().__init__(Config())
        self.total = 0

    def process(self, batch: Batch) -> None:
        """Read the bytes of all rows."""
        self.total += int(batch["bytes"].sum())


class Passed(NamedTuple):
    """One passage: how long it took, and what memory it left."""

    seconds: float
    grown_kib: int


def made(rows: int) -> list[Batch]:
    """Return batches of which the filter keeps nine rows in ten."""
    number = np.arange(rows)
    return [calls(rows=rows, latency_ns=1000 + 1000 * (number % 10 != i), ret=i) for i in range(4)]


def kept(batch: Batch) -> int:
    """Return how many rows the filter keeps."""
    return int((batch["latency_ns"] > 1000).sum())


def pass_through(rows: int, count: int) -> Passed:
    """Send `count` batches through the graph. Raises RuntimeError if the books do not close."""
    sinks: Mapping[str, Node] = {name: Sum() for name in ("a", "b", "c")}
    where = Filter(Filter.Config(where="latency > 1us"))
    batches = made(rows)
    expected = sum(kept(batches[i % len(batches)]) for i in range(count))
    nodes = {"in": Ready(batches, count), "where": where, **sinks}
    run = Run(graph(nodes, {"where": "in", "a": "where", "b": "where", "c": "where"}))
    before, begin = resident_kib(), time.perf_counter()
    ledger = anyio.run(run.run)
    seconds = time.perf_counter() - begin
    if not ledger.closed or ledger.stages["a"].consumed != expected:
        raise RuntimeError(f"the books do not close: {ledger.open_because}")
    return Passed(seconds, resident_kib() - before)


def replayed_s(directory: str, rows: int) -> float:
    """Return how many calls of a recording, with so many in a block, a second of the CPU reads."""
    path = Path(directory) / f"{rows}.ior"
    encoder, batch, count = Encoder(), made(rows)[0], RECORDED // rows
    with path.open("wb") as file:
        for _ in range(count):
            file.write(encoder.batch(batch))
        file.write(encoder.end({}))
    nodes: Mapping[str, Node] = {"in": Replay(Replay.Config(path=str(path))), "a": Sum()}
    run = Run(graph(nodes, {"a": "in"}))
    begin = time.process_time()
    ledger = anyio.run(run.run)
    if not ledger.closed or ledger.stages["a"].consumed != count * rows:
        raise RuntimeError(f"the books do not close: {ledger.open_because}")
    return count * rows / (time.process_time() - begin)


def resident_kib() -> int:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() // 1024


def main() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(variants.load_cpu())})
    keep_freed_memory()
    try:
        _measure()
    finally:
        os.sched_setaffinity(0, before)


def _measure() -> None:
    pass_through(MAX_CALLS, 100)  # imports, caches
    calls_s = [
        MAX_CALLS * BATCHES / pass_through(MAX_CALLS, BATCHES).seconds for _ in range(ROUNDS)
    ]
    pass_through(SMALL, 1000)
    small = pass_through(SMALL, SMALL_BATCHES)
    rate = statistics.median(calls_s)
    print("The framework: ready batches, a filter, three sinks, on one core")
    aim = f"at least {AIM / 1e6:g} M"
    spread = f"{rate / 1e6:.1f} M [{min(calls_s) / 1e6:.1f} {max(calls_s) / 1e6:.1f}]"
    print_aim("calls a second", aim, spread, met=rate >= AIM)
    aim = f"at most {FLAT_KIB} KiB"
    grown = f"{small.grown_kib} KiB"
    print_aim(
        f"memory after {SMALL_BATCHES:,} batches", aim, grown, met=small.grown_kib <= FLAT_KIB
    )
    each_us = 1e6 * small.seconds / SMALL_BATCHES
    print(f"  a batch of {SMALL} calls takes {each_us:.0f} us on its way through the graph")
    with tempfile.TemporaryDirectory() as directory:
        large, few = (replayed_s(directory, rows) for rows in (MAX_CALLS, FEW))
    print(
        f"  recordings: {large / 1e6:.1f} M calls a second, {few / 1e6:.2f} M with {FEW} in a block"
    )


def print_aim(what: str, aim: str, measured: str, *, met: bool) -> None:
    print(f"  {what:<30} {aim:<18} measured {measured:<20} {'met' if met else 'NOT met'}")


if __name__ == "__main__":
    main()
