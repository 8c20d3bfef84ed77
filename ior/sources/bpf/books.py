"""The counters of the kernel side: what the ledger says of it, and when to warn.

Reading them costs a few system calls and one run of an iterator over all tasks, so live
views get the calls in flight at most a second old.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ior.counted import Standing
from ior.sources.bpf import records
from ior.sources.bpf.flight import RECORD
from ior.sources.bpf.loader import Object
from ior.sources.bpf.totals import Counts
from ior.units import format_size

_IN_FLIGHT_AGE_S: Final = 1.0
_LOOK_S: Final = 0.5

# What the programs could not do, by counter, beside losing a record.
_FAILURES: Final = {
    "names_lost": "{:,} names lost: the ring of names is full",
    "storage_failed": "{:,} times no memory to follow a task: its calls are missing",
    "lookup_failed": "{:,} failed lookups in the programs' own maps",
}


class KernelBooks:
    """What the programs of one loaded object have counted; `read` is the reader's own count."""

    def __init__(self, loaded: Object, ring_size: int, counts: Counts) -> None:
        self.read = 0
        self.unresolved = 0  # ids in records whose names did not arrive, counted by the reader
        self._object, self._ring_size, self._counts = loaded, ring_size, counts
        self._warned: dict[str, int] = {}
        self._looked_s = time.monotonic()
        self._in_flight: tuple[float, int] | None = None  # until when it holds

    def counters(self) -> dict[str, int]:
        """Return the programs' counters, summed over the CPUs."""
        counted = self._object.maps["counters"].get_per_cpu(0, records.COUNTERS)
        assert counted is not None
        sums = counted.view(np.uint64).sum(axis=0)
        return dict(zip(records.COUNTERS.names or (), sums.tolist(), strict=True))

    def settled(self) -> bool:
        """Tell whether every record that a program began has been read or lost."""
        sums = self.counters()
        return sums["attempted"] == self.read + sums["lost"]

    def now(self) -> Mapping[str, int]:
        """Return the `kernel` part of the ledger.

        `skipped` are runs of the programs that did nothing, so that a call or a new task of a
        followed one is missing: the kernel does not run a program inside itself, or there was
        no memory for a task's state.
        """
        sums = self.counters()
        return {
            "attempted": sums["attempted"],
            "read": self.read,
            "lost": sums["lost"],
            "skipped": self._skipped(sums),
            "in_flight": self.in_flight(),
            "names_lost": sums["names_lost"] + self.unresolved,
            "compat": sums["compat"],
            "deselected": sums["deselected"],
            "filtered_in_kernel": sums["filtered"],
            "counted_only": self._counts.counted_only(),
        }

    def _skipped(self, sums: Mapping[str, int]) -> int:
        programs = [p for p in self._object.programs.values() if not p.iterator]
        return sums["storage_failed"] + sum(program.recursion_misses() for program in programs)

    def standing(self) -> Standing:
        """Return whether every call was counted that was to be."""
        sums = self.counters()
        missed = self._skipped(sums) or sums["lookup_failed"]
        return Standing.AT_LEAST if missed else Standing.EXACT

    def calls_in_flight(self) -> npt.NDArray[Any]:
        """Return the records of the calls that have been entered and have not returned."""
        return np.frombuffer(self._object.iterate("list_in_flight"), RECORD)

    def calls_from_before(self) -> npt.NDArray[Any]:
        """Return records of the calls that tasks have been asleep in since before the trace."""
        return np.frombuffer(self._object.iterate("list_entered_before"), RECORD)

    def in_flight(self) -> int:
        """Return how many calls have not returned; up to a second old."""
        now_s = time.monotonic()
        if self._in_flight is None or now_s > self._in_flight[0]:
            self._in_flight = now_s + _IN_FLIGHT_AGE_S, len(self.calls_in_flight())
        return self._in_flight[1]

    def freeze(self) -> None:
        """Count the calls in flight now and for good: what ends later does so unseen.

        Those that are not wanted any more are counted as such where they are parked.
        """
        self._object.globals["ending"] = 1
        self._in_flight = float("inf"), len(self.calls_in_flight())
        self._object.globals["ending"] = 0

    def complaints(self, *, at_once: bool = False) -> Iterator[str]:
        """Give a sentence for every loss that has grown, looking at most twice a second."""
        now_s = time.monotonic()
        if not at_once and now_s - self._looked_s < _LOOK_S:
            return
        self._looked_s = now_s
        sums = self.counters()
        lost = f"{{:,}} records lost: the ring of {format_size(self._ring_size)} is full"
        for name, sentence in {"lost": lost, **_FAILURES}.items():
            if sums[name] > self._warned.get(name, 0):
                self._warned[name] = sums[name]
                yield sentence.format(sums[name])
