"""One command traced by two sources at once, one of which pushes down: both see the same calls.

Each source has programs and readings of the clock of its own, one after the other at every call.
Between the two a machine can stand still, an emulated one for milliseconds: then one source sees
a short call take long, and the other does not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import anyio
from tracing import Collect

from ior.host.command import Command
from ior.pipeline.ledger import Ledger
from ior.pipeline.run import Run
from ior.sources.bpf.source import BpfSource
from ior.stages.filter import Filter
from ior.stages.pair import Pair
from ior.testing import graph

SAME = ("comm", "tid", "pid", "syscall", "ret", "errno", "file", "fd", "bytes", "restarts", "mode")


class Both:
    """What the two sources gave for one command."""

    def __init__(self, where: str, argv: Sequence[str], **keys: Any) -> None:
        """Trace `argv`; `keys` are those of either source."""
        self.pushed, self.plain = Collect(), Collect()
        nodes, inputs = {}, {}
        for name, sink in (("pushed", self.pushed), ("plain", self.plain)):
            config = BpfSource.Config(**keys, push_down=name == "pushed")
            nodes |= {
                name: BpfSource(config),
                f"{name}-pair": Pair(Pair.Config()),
                f"{name}-where": Filter(Filter.Config(where=where)),
                f"{name}-rows": sink,
            }
            inputs |= {
                f"{name}-pair": name,
                f"{name}-where": f"{name}-pair",
                f"{name}-rows": f"{name}-where",
            }
        sources = [node for node in nodes.values() if isinstance(node, BpfSource)]
        with Command.start(list(argv)) as command:
            run = Run(graph(nodes, inputs), command=command)
            self.ledger: Ledger = anyio.run(run.run)
            assert command.wait(10) == 0
        assert self.ledger.closed, self.ledger.open_because
        self.kernel, self.without = (source.books() for source in sources)

    def rows(self, sink: Collect) -> dict[int, list[tuple[Any, ...]]]:
        """Return by thread what was asked of it, in order."""
        found: dict[int, list[tuple[Any, ...]]] = {}
        for row in sink.rows():
            found.setdefault(row["tid"], []).append(tuple(map(str, (row[n] for n in SAME))))
        return found

    def differ(self) -> list[dict[str, str]]:
        """Return the rows that one source gave and the other did not."""
        one, two = (
            Counter((tid, row) for tid, rows in self.rows(sink).items() for row in rows)
            for sink in (self.pushed, self.plain)
        )
        found = (one - two) + (two - one)
        return [dict(zip(SAME, row, strict=True)) for _, row in found.elements()]

    def gaps(self) -> list[tuple[int | None, int | None]]:
        """Return the gap of every row as either source has it."""
        rows = [
            sorted(sink.rows(), key=lambda row: (row["tid"], row["time_ns"]))
            for sink in (self.pushed, self.plain)
        ]
        return [(one["gap_ns"], two["gap_ns"]) for one, two in zip(*rows, strict=True)]


def _is_short(row: dict[str, str]) -> bool:
    """Tell whether a call takes long only where the machine stands still.

    The others are sleeps to their end, and calls whose first part a signal has ended.
    """
    slept = row["syscall"].endswith("nanosleep") and row["ret"] == "0"
    return not slept and row["restarts"] == "0"


def check(where: str, argv: Sequence[str], **keys: Any) -> Both:
    """Return what was traced; both sources have given the same rows, and the books say so.

    Under a filter of latencies a run is done again in which the machine stood still.
    """
    both = Both(where, argv, **keys)
    for _ in range(4):
        if "latency" not in where or not both.differ():
            break
        assert all(_is_short(row) for row in both.differ())
        both = Both(where, argv, **keys)
    assert both.rows(both.pushed) == both.rows(both.plain)
    gaps = both.gaps()  # a gap is given where none was left out, and is the same
    assert all(plain is not None for pushed, plain in gaps if pushed is not None)
    apart = sorted(abs(one - two) for one, two in gaps if one is not None and two is not None)
    assert not apart or apart[len(apart) * 9 // 10] < 10_000_000
    filtered = both.kernel["filtered_in_kernel"]
    made = {name: both.ledger.stages[f"{name}-pair"].out["out"] for name in ("pushed", "plain")}
    # A call that is restarted is entered anew.
    assert made["plain"] <= made["pushed"] + filtered <= made["plain"] + 2
    return both
