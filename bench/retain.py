"""Measure what each stage that a live view looks at costs a call, beside each other.

The calls are those of the synthetic source, which has many files and processes. What counts is
the ratio: `history` must not be the stage that sets the pace, so it may cost no more than twice
what `stats` does, and `stream` less: it copies rows.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator

import anyio

from bench import variants
from bench.framework import print_aim
from ior.calls import Batch
from ior.host.memory import keep_freed_memory
from ior.pipeline.abc import Stage
from ior.sources.synthetic import Synthetic
from ior.stages.flamegraph import Flamegraph
from ior.stages.history import History
from ior.stages.pair import Pair, PairConfig
from ior.stages.stats import Stats
from ior.stages.stream import Stream
from ior.testing import context

AIM = 2  # times what `stats` costs
RATE = 1e6  # calls a second that must leave time to spare
ROUNDS = 5
BATCHES = 100  # ten seconds of 250,000 calls each; thousands of groups in each


async def made() -> list[Batch]:
    """Return batches of calls, a second's worth and more."""
    source = Synthetic(Synthetic.Config(rate=0, profile="moving", batch=16384))
    pair = Pair(PairConfig())
    await source.start(context())
    await pair.start(context())
    batches: list[Batch] = []
    while len(batches) < BATCHES:
        halves = await source.read()
        assert halves is not None
        given = pair.process(halves)
        batches += [part for part in _parts(given) if len(part)]
    return batches


def _parts(given: object) -> Iterator[Batch]:
    if isinstance(given, Batch):
        yield given
    elif isinstance(given, dict):
        yield from (part for port, part in given.items() if port == "out")


def stages() -> dict[str, Stage]:
    """Return new ones of those that a live view looks at."""
    return {
        "stats": Stats(Stats.Config()),
        "flamegraph": Flamegraph(Flamegraph.Config()),
        "history": History(History.Config()),
        "stream": Stream(Stream.Config(rows=2_000_000)),
    }


def each_ns(stage: Stage, batches: list[Batch]) -> float:
    """Return nanoseconds a call that a stage takes."""
    begin = time.perf_counter()
    for batch in batches:
        stage.process(batch)
    return (time.perf_counter() - begin) * 1e9 / sum(map(len, batches))


def main() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(variants.load_cpu())})
    keep_freed_memory()
    try:
        _measure(anyio.run(made))
    finally:
        os.sched_setaffinity(0, before)


def _measure(batches: list[Batch]) -> None:
    costs: dict[str, list[float]] = {name: [] for name in stages()}
    for _ in range(ROUNDS):
        for name, stage in stages().items():
            costs[name].append(each_ns(stage, batches))
    middle = {name: statistics.median(found) for name, found in costs.items()}
    print("Stages of the live view: nanoseconds a call, on one core")
    for name, cost in middle.items():
        print(f"  {name:<12} {cost:6.0f}   {cost / middle['stats']:.2f} times stats")
    ratio = middle["history"] / middle["stats"]
    aim = f"at most {AIM:g} x stats"
    print_aim("history", aim, f"{ratio:.2f} x", met=ratio <= AIM)
    share = RATE * sum(middle.values()) / 1e9
    print_aim("all at 1 M calls/s", "less than a core", f"{share:.0%}", met=share < 1)


if __name__ == "__main__":
    main()
