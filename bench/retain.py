"""Measure what each stage that a live view looks at costs a call, beside each other.

The calls are those of the synthetic source, which has many files and processes. What a batch adds
up to by group, if many of its calls are alike, is shared by all stages but `stream`, and stands by
itself. What counts is the ratio: `history` must not be the stage that sets the pace, so it may cost
no more than twice what `stats` does, and `stream` less: it copies rows.

Then a look back at five minutes of them, second by second: what it takes to add all of it up, and
what it takes with what the looks before have left, four times a second while calls go on. The same
of a look through a filter at the retained rows.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator

import anyio
import numpy as np

from bench import variants
from bench.framework import print_aim
from ior.calls import Batch
from ior.expr import compile_filter
from ior.host.memory import keep_freed_memory
from ior.pipeline.abc import Stage
from ior.sources.synthetic import Synthetic
from ior.stages.flamegraph import Flamegraph
from ior.stages.grouped import grouped
from ior.stages.history import SECOND_NS, History
from ior.stages.pair import Pair, PairConfig
from ior.stages.stats import Stats
from ior.stages.stream import Stream
from ior.testing import context
from ior.ui.chunks import Chunks
from ior.ui.lookback import Lookback
from ior.ui.spans import chunks_of

AIM = 2  # times what `stats` costs
SHARED = "by group"
RATE = 1e6  # calls a second that must leave time to spare
ROUNDS = 5
SPAN_S, LOOKS = 300, 40  # of a window, and at it
LOOK_AIM = 0.3  # of a look that is made anew, in the mean
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


def costs_ns(batches: list[Batch]) -> dict[str, float]:
    """Return nanoseconds a call that each stage takes, batch by batch in turn as in a graph."""
    nodes = stages()
    works: dict[str, Callable[[Batch], object]] = {SHARED: grouped}
    works |= {name: node.process for name, node in nodes.items()}
    spent = dict.fromkeys(works, 0.0)
    for batch in batches:
        fresh = batch.with_columns({})  # nobody has added it up yet
        for name, work in works.items():
            begin = time.perf_counter()
            work(fresh)
            spent[name] += time.perf_counter() - begin
    calls = sum(map(len, batches))
    return {name: seconds * 1e9 / calls for name, seconds in spent.items()}


def second(batch: Batch, number: int, quarter: int) -> Batch:
    """Return calls that all return within a quarter of a second of the clock."""
    begin = number * SECOND_NS + quarter * SECOND_NS // 4
    returned = begin + np.arange(len(batch)) * (SECOND_NS // 4 // len(batch))
    latency = np.minimum(batch["latency_ns"], SECOND_NS)
    column = {column.name: column for column in batch.schema.columns}
    times = (returned - np.maximum(latency, 0)).astype(np.uint64)
    return batch.with_columns({column["time_ns"]: times, column["latency_ns"]: latency})


def looks_ms(batches: list[Batch]) -> tuple[list[float], list[float]]:
    """Return how long looks at five minutes take, made anew and with what is kept of the last."""
    history, lookback, given = History(History.Config()), Lookback(), iter(batches * 4)
    for number in range(SPAN_S):
        history.process(second(next(given), number, 0))
    anew, kept = [], []
    for number in range(SPAN_S, SPAN_S + LOOKS // 4):
        for quarter in range(4):
            history.process(second(next(given), number, quarter))
            end_ns = (number + 1) * SECOND_NS
            seconds = history.snapshot().within(end_ns - SPAN_S * SECOND_NS, end_ns)
            begin = time.perf_counter()
            stage, _ = lookback.added("stats", Stats(Stats.Config()), None, seconds)
            stage.snapshot()
            kept.append((time.perf_counter() - begin) * 1e3)
        begin = time.perf_counter()
        whole = Stats(Stats.Config())
        for one in seconds:
            whole.add(one.groups)
        whole.snapshot()
        anew.append((time.perf_counter() - begin) * 1e3)
    return anew, kept


def filtered_ms(batches: list[Batch]) -> tuple[list[float], list[float]]:
    """Return how long looks through a filter at the rows take, anew and with what is kept."""
    stream, chunks, where = Stream(Stream.Config(rows=0)), Chunks(), compile_filter("fd >= 0")
    for batch in batches:
        stream.process(batch)
    anew, kept = [], []
    for number in range(ROUNDS * 2):
        for batch in batches[number * 4 : number * 4 + 4]:
            stream.process(batch)
        snapshot = stream.snapshot()
        begin = time.perf_counter()
        stage = Stats(Stats.Config())
        chunks.add_to(stage, where, chunks_of(snapshot, None))
        stage.snapshot()
        kept.append((time.perf_counter() - begin) * 1e3)
        if number < ROUNDS:
            begin = time.perf_counter()
            whole = Stats(Stats.Config())
            for batch in snapshot.batches:
                whole.process(batch.select(where(batch)))
            whole.snapshot()
            anew.append((time.perf_counter() - begin) * 1e3)
    return anew, kept


def main() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(variants.load_cpu())})
    keep_freed_memory()
    try:
        batches = anyio.run(made)
        _measure(batches)
        _measure_looks(batches)
    finally:
        os.sched_setaffinity(0, before)


def _measure(batches: list[Batch]) -> None:
    rounds = [costs_ns(batches) for _ in range(ROUNDS)]
    middle = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    print("Stages of the live view: nanoseconds a call, on one core")
    for name, cost in middle.items():
        print(f"  {name:<12} {cost:6.0f}   {cost / middle['stats']:.2f} times stats")
    ratio = middle["history"] / middle["stats"]
    aim = f"at most {AIM:g} x stats"
    print_aim("history", aim, f"{ratio:.2f} x", met=ratio <= AIM)
    share = RATE * sum(middle.values()) / 1e9
    print_aim("all at 1 M calls/s", "less than a core", f"{share:.0%}", met=share < 1)


def _measure_looks(batches: list[Batch]) -> None:
    print(f"A look back at {SPAN_S} s with {len(batches[0]):,} calls in each, and more in the last")
    _print_looks(*looks_ms(batches))
    rows = sum(map(len, batches))
    print(f"A look through a filter at {rows:,} rows and more, of which some are new each time")
    _print_looks(*filtered_ms(batches))


def _print_looks(anew: list[float], kept: list[float]) -> None:
    first, *later = kept
    whole, middle = statistics.median(anew), statistics.median(later)
    print(f"  made anew {whole:.0f} ms, the first {first:.0f} ms")
    print(f"  later ones {middle:.0f} ms, {max(later):.0f} ms at the most")
    aim, share = f"at most {LOOK_AIM:.0%}", statistics.mean(later) / whole
    print_aim("a later look", aim, f"{share:.0%} of anew", met=share <= LOOK_AIM)


if __name__ == "__main__":
    main()
