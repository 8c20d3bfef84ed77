"""Totals of calls that a source counts where they happen, as it answers them when looked at.

They are of the syscalls whose rate is not 1 (`ior.sampling`): of a call that made no record
nothing else is known. Latencies are in the buckets of `ior.histogram`, so a percentile means the
same as in any other table.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

import msgspec

from ior import sampling
from ior.histogram import HistogramSnapshot
from ior.snapshots import QUANTILES, VALUES, Field, Table
from ior.waiting import InFlight


class Standing(Enum):
    """How far totals can be trusted."""

    EXACT = ""
    AT_LEAST = "at least"  # the kernel skipped runs of the programs: calls may be missing
    UNAVAILABLE = "unavailable"  # the kernel counts more than what a filter behind it passes


class Counted(msgspec.Struct, frozen=True):
    """One syscall's calls: how many there were, and how many of them made records.

    Calls that never return are `untimed`; `unmatched` are returns without an entry, which are
    no calls. Durations are in nanoseconds.
    """

    syscall: str
    rate: int
    calls: int
    recorded: int
    errors: int
    bytes: int
    latency_ns: int
    untimed: int
    unmatched: int
    latency: HistogramSnapshot

    def values(self) -> tuple[Any, ...]:
        """Return the sums as in the tables of `stats`; durations are None without any."""
        timed = self.calls - self.untimed
        mean = self.latency_ns // timed if timed else None
        total, middles = self.latency_ns, [self.latency.quantile(q) for q in QUANTILES]
        spread = (self.latency.least, mean, *middles, self.latency.greatest)
        return (self.calls, self.errors, self.bytes, total, *spread)


class Totals(msgspec.Struct, frozen=True):
    """The syscalls of which calls were counted, those with most calls first."""

    counted: tuple[Counted, ...]
    standing: Standing = Standing.EXACT

    @property
    def available(self) -> bool:
        """Whether they are totals of what the pipeline asks for."""
        return self.standing is not Standing.UNAVAILABLE

    def table(self) -> Table:
        """Return them as a table; without values where they are not available."""
        fields = (Field("syscall", "text"), Field("sampled", "text"), *VALUES)
        empty = (None,) * len(VALUES)
        rows = tuple(
            (one.syscall, sampling.label(one.rate), *(one.values() if self.available else empty))
            for one in self.counted
        )
        return Table(", ".join(filter(None, ("Kernel totals", self.standing.value))), fields, rows)


class KernelSnapshot(InFlight, frozen=True):
    """What only the kernel knows: the calls in flight, and the totals of those with a rate."""

    totals: Totals = Totals(())

    def tables(self) -> Sequence[Table]:
        """Return the totals and the calls in flight, where there are any."""
        totals = [self.totals.table()] if self.totals.counted else []
        return (*totals, *super().tables())
