"""Run the benchmark's pipeline as a process of its own, and answer for its costs.

Talks in lines: says a JSON object once the probes are attached; answers `mark` with the CPU
time and the books as they stand, `stop` with the books at the end and the time that
attaching and detaching took.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import msgspec

from ior.pipeline import spec
from ior.pipeline.abc import Context
from ior.pipeline.graph import build
from ior.pipeline.run import Run
from ior.sources.bpf.source import BpfSource

RECORD_BYTES = 128  # one record in the ring, with its header


def timed(node: BpfSource, seconds: dict[str, float]) -> None:
    """Note in `seconds` how long `node` takes to start, and to stop and close."""
    start, stop, close = node.start, node.stop, node.close

    async def timed_start(ctx: Context) -> None:
        begin = time.perf_counter()
        await start(ctx)
        seconds["attach"] = time.perf_counter() - begin

    def timed_stop() -> None:
        begin = time.perf_counter()
        stop()
        seconds["detach"] = seconds.get("detach", 0.0) + time.perf_counter() - begin

    async def timed_close() -> None:
        begin = time.perf_counter()
        await close()
        seconds["detach"] = seconds.get("detach", 0.0) + time.perf_counter() - begin

    node.start, node.stop, node.close = (  # type: ignore[method-assign]  # to time them
        timed_start,
        timed_stop,
        timed_close,
    )


def name_bytes(source: BpfSource) -> int:
    """Return the bytes of names that were taken from their ring so far."""
    rings = source._rings
    return rings[1].consumer_position() if rings else 0


def say(**facts: Any) -> None:
    """Write one line of JSON."""
    print(msgspec.json.encode(facts).decode(), flush=True)


def books(run: Run, source: BpfSource) -> dict[str, Any]:
    """Return CPU time and counters as they stand."""
    ledger = run.ledger()
    return {
        "cpu_s": time.process_time(),
        "calls": ledger.calls,
        "lost": ledger.kernel.get("lost", 0),
        "dropped": sum(edge.dropped for edge in ledger.edges.values()),
        "ring_bytes": RECORD_BYTES * ledger.kernel.get("read", 0) + name_bytes(source),
        "names_lost": ledger.kernel.get("names_lost", 0),
    }


async def converse(run: Run, source: BpfSource) -> None:
    """Answer lines until `stop` or the end of input."""
    await run.started.wait()
    say(**books(run, source))
    while True:
        line = await anyio.to_thread.run_sync(sys.stdin.readline)
        if line.strip() != "mark":
            run.stop()
            return
        say(**books(run, source))


async def work(settings: list[str], filters: list[str]) -> None:
    """Run the pipeline until told to stop."""
    pipeline = spec.load(Path(__file__).with_name("pipeline.toml"))
    for setting in settings:
        pipeline = spec.set_value(pipeline, setting)
    for where in filters:
        pipeline = spec.add_filter(pipeline, where)
    graph = build(pipeline)
    source = graph.members["kernel"].node
    assert isinstance(source, BpfSource)
    seconds: dict[str, float] = {}
    timed(source, seconds)
    run = Run(graph)
    async with anyio.create_task_group() as group:
        group.start_soon(converse, run, source)
        ledger = await run.run()
    final = books(run, source) | {"closed": ledger.closed, "open_because": ledger.open_because}
    say(**final, attach_s=seconds["attach"], detach_s=seconds["detach"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", action="append", default=[], metavar="STAGE.KEY=VALUE")
    parser.add_argument("--where", action="append", default=[], metavar="EXPR")
    arguments = parser.parse_args()
    anyio.run(work, arguments.set, arguments.where)


if __name__ == "__main__":
    main()
