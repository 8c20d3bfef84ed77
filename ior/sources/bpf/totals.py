"""Calls that the programs count, of the syscalls whose rate is not 1: set up, and read.

A call that makes no record is in these totals only; of one that does, they hold what a loss on
the way to user space takes nothing from. What is answered is in `ior.counted`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from ior import sampling, syscalls, transfers
from ior.counted import Counted
from ior.histogram import BUCKETS, Histogram, HistogramSnapshot
from ior.sources.bpf import records, selection
from ior.sources.bpf.loader import Object, ObjectSpec

# BYTES_* of bpf/rates.bpf.h, by what ior.transfers calls the rule
_BYTES: Final = {"return": 1, "sized": 2, "peeked": 3, "received": 4}


class Counts:
    """The totals of one run, by the rates of its syscalls (`ior.sampling.rates`)."""

    def __init__(self, rates: Mapping[int, int]) -> None:
        self.rates: sampling.Rates = tuple(sorted(rates.items()))
        self._loaded: Object | None = None
        self._final: tuple[Counted, ...] = ()
        self._latencies: dict[int, tuple[int, HistogramSnapshot]] = {}  # by slot: of how many

    def edit(self, spec: ObjectSpec) -> None:
        """Set up the programs, which are not loaded yet."""
        table = np.zeros(syscalls.NR_LIMIT, records.RATE)
        table["every"] = 1
        words = selection.descriptions()["words"]
        rules = transfers.rules()
        for slot, (nr, rate) in enumerate(self.rates):
            rule = rules.get(nr)
            table[nr] = (rate, slot, *((0, 0) if rule is None else (_BYTES[rule.name], 0)))
            if rule is not None and rule.word is not None:
                table[nr]["argument"] = words[nr][rule.word]
        spec.globals["sampling"] = int(bool(self.rates))
        spec.globals["rates"] = table.tobytes()
        for name in ("totals", "latencies"):
            spec.maps[name].max_entries = max(len(self.rates), 1)

    def begin(self, loaded: Object) -> None:
        """Read from the maps of a loaded object from now on."""
        self._loaded = loaded

    def end(self) -> None:
        """Keep what was counted; the object is about to be closed."""
        self._final, self._loaded = self.now(), None

    def counted_only(self) -> int:
        """Return how many calls were counted and made no record."""
        assert self._loaded is not None
        sums = [self._sums(self._loaded, slot) for slot in range(len(self.rates))]
        return sum(int(one["calls"].sum() - one["recorded"].sum()) for one in sums)

    def now(self) -> tuple[Counted, ...]:
        """Return what was counted until now, of the syscalls that occurred."""
        if self._loaded is None:
            return self._final
        found = []
        for slot, (nr, rate) in enumerate(self.rates):
            one = self._counted(self._loaded, slot, nr, rate)
            if one.calls or one.unmatched:
                found.append(one)
        return tuple(sorted(found, key=lambda one: (-one.calls, one.syscall)))

    @staticmethod
    def _sums(loaded: Object, slot: int) -> Any:
        """Return `records.TOTALS` of every CPU."""
        found = loaded.maps["totals"].get_per_cpu(slot, records.TOTALS)
        assert found is not None
        return found

    def _counted(self, loaded: Object, slot: int, nr: int, rate: int) -> Counted:
        cpus = self._sums(loaded, slot)
        names = ("calls", "recorded", "errors", "bytes", "latency_ns", "untimed", "unmatched")
        sums = {name: int(cpus[name].sum()) for name in names}
        timed, latency = self._latencies.get(slot, (0, Histogram().snapshot()))
        if sums["calls"] - sums["untimed"] > timed:
            timed = sums["calls"] - sums["untimed"]
            least = ~int(cpus["not_least"].max()) & (1 << 64) - 1
            latency = self._latency(loaded, slot, least, int(cpus["greatest"].max()))
            self._latencies[slot] = timed, latency
        return Counted(syscalls.table().name(nr), rate, **sums, latency=latency)

    @staticmethod
    def _latency(loaded: Object, slot: int, least: int, greatest: int) -> HistogramSnapshot:
        cpus = loaded.maps["latencies"].get_per_cpu(slot, records.LATENCIES)
        assert cpus is not None
        calls = cpus["calls"]  # by CPU, 1, bucket
        sums = calls.sum(axis=(0, 1))[:BUCKETS].astype(np.int64)
        histogram, used = Histogram(), np.flatnonzero(sums)
        histogram.add_counts(used, sums[used], least, greatest)
        return histogram.snapshot()
