"""Measure what tracing costs, all variants in turn in every round, and print a table.

The load is `dd if=/dev/zero of=/dev/null bs=1`: two calls a block, nothing but syscalls. A
variant's added time is against the untraced runs of the same round, and its ratio to
bpftrace's is within the round as well. Shown are the median and the interval that holds
90 % of the rounds.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench import framework, live, retain, screen, variants
from bench.variants import Costs, Variant

BLOCKS = 400_000
CALLS = 2 * BLOCKS
MIN_ROUNDS = 11
ROUNDS = 21  # two to three minutes


class Spread(NamedTuple):
    """Median and the interval of 90 % of the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Return the spread of one value a round."""
        low, median, high = np.quantile(values, [0.05, 0.5, 0.95])
        return cls(float(median), float(low), float(high))

    def show(self, digits: int) -> str:
        """Return it as text with so many decimals."""
        return f"{self.median:.{digits}f} [{self.low:.{digits}f} {self.high:.{digits}f}]"


class Measured(NamedTuple):
    """One variant in every round."""

    emits: bool
    ns_per_call: list[float]
    costs: list[Costs]


def dd() -> float:
    """Run the load; return its own measure of its time in ns per call."""
    command = ["taskset", "-c", variants.load_cpu()]
    command += ["dd", "if=/dev/zero", "of=/dev/null", "bs=1", f"count={BLOCKS}"]
    done = subprocess.run(
        command, env={**os.environ, "LC_ALL": "C"}, capture_output=True, text=True, check=True
    )
    seconds = re.search(r"copied, ([0-9.e+-]+) s", done.stderr)
    assert seconds is not None, done.stderr
    return float(seconds[1]) * 1e9 / CALLS


def measure(all_variants: list[Variant], rounds: int) -> dict[str, Measured]:
    """Run every variant once a round, in an order that changes, between two untraced runs."""
    measured = {"untraced": Measured(False, [], [])}
    measured |= {variant.name: Measured(variant.emits, [], []) for variant in all_variants}
    order = random.Random(1)
    dd()  # the first run finds cold caches
    for number in range(rounds):
        if sys.stderr.isatty():
            print(f"\rround {number + 1} of {rounds} ", end="", file=sys.stderr, flush=True)
        before = dd()
        for variant in order.sample(all_variants, len(all_variants)):
            with variant.tracing() as stay:
                measured[variant.name].ns_per_call.append(dd())
            if stay.costs is not None:
                measured[variant.name].costs.append(stay.costs)
        measured["untraced"].ns_per_call.append((before + dd()) / 2)
    if sys.stderr.isatty():
        print("\r" + " " * 24 + "\r", end="", file=sys.stderr)
    return measured


def added(measured: dict[str, Measured], name: str) -> list[float]:
    """Return a variant's added ns per call, by round."""
    plain = measured["untraced"].ns_per_call
    return [b - a for a, b in zip(plain, measured[name].ns_per_call, strict=True)]


def ratios(measured: dict[str, Measured], name: str, peer: str) -> list[float]:
    """Return the ratio of the added times of two variants, by round."""
    pairs = zip(added(measured, name), added(measured, peer), strict=True)
    return [own / other for own, other in pairs]


def print_table(measured: dict[str, Measured], peer: str) -> None:
    row = "{:<28} {:>9} {:>17} {:>18} {:>17} {:>6} {:>9} {:>10} {:>10}"
    print(
        row.format(
            *("variant", "ns/call", "added ns/call", "of bpftrace's", "CPU us/call"),
            *("lost", "ring B", "attach ms", "detach ms"),
        )
    )
    for name, results in measured.items():
        cells = [f"{Spread.of(results.ns_per_call).median:.0f}", "", "", "", "", "", "", ""]
        if name != "untraced":
            cells[1] = Spread.of(added(measured, name)).show(0)
            cells[2] = Spread.of(ratios(measured, name, peer)).show(2)
        if results.costs:
            costs = results.costs
            cells[3] = Spread.of([c.cpu_us for c in costs]).show(2) if results.emits else "-"
            cells[4] = str(sum(c.lost for c in costs))
            cells[5] = (
                f"{Spread.of([c.ring_bytes for c in costs]).median:.1f}" if results.emits else "-"
            )
            cells[6] = f"{1e3 * Spread.of([c.attach_s for c in costs]).median:.0f}"
            cells[7] = f"{1e3 * Spread.of([c.detach_s for c in costs]).median:.0f}"
        print(row.format(name, *cells).rstrip())


def print_aims(measured: dict[str, Measured], own: str, peer: str) -> None:
    """Print what was aimed at, what was measured, and whether the median meets it."""
    costs = measured[own].costs
    aims = [
        ("added time, of bpftrace's", 0.55, Spread.of(ratios(measured, own, peer)), 2),
        ("ior's CPU us per call", 0.6, Spread.of([c.cpu_us for c in costs]), 2),
        ("lost calls, all rounds", 0.0, Spread.of([float(sum(c.lost for c in costs))]), 0),
        ("attach + detach, s", 0.3, Spread.of([c.attach_s + c.detach_s for c in costs]), 3),
    ]
    print(f"\nAims for '{own}'")
    for what, limit, spread, digits in aims:
        verdict = "met" if spread.median <= limit else "NOT met"
        print(f"  {what:<28} at most {limit:<5g} measured {spread.show(digits):<22} {verdict}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = max(parser.parse_args().rounds, MIN_ROUNDS)
    if os.geteuid() != 0:
        raise SystemExit("the benchmark attaches probes and runs bpftrace; run: sudo make bench")
    begin = time.monotonic()
    own, peer = "ior, names, kernel pairing", variants.bpftrace()
    with (
        tempfile.TemporaryDirectory() as directory,
        subprocess.Popen(["sleep", "infinity"]) as other,
    ):
        try:
            all_variants = [
                variants.empty(Path(directory)),
                variants.ior("ior, rejecting by pid", [f"kernel.pid={other.pid}"], emits=False),
                variants.ior(own, ["kernel.pairing=kernel"]),
                variants.ior("ior, names, user pairing", ["kernel.pairing=user"]),
                variants.ior("ior, filter by comm", [], where='comm == "nobody"', emits=False),
                variants.ior("ior, filter by latency", [], where="latency >= 1s", emits=False),
                variants.ior("ior, counting only", ["kernel.sample={ default = 0 }"], emits=False),
                variants.ior("ior, one in 10", ["kernel.sample={ default = 10 }"], emits=False),
                variants.ior("ior, names, reads of 6.1", ["kernel.probe_reads=true"]),
                peer,
            ]
            measured = measure(all_variants, rounds)
        finally:
            other.kill()
    print(
        f"Linux {platform.release()} on {platform.machine()}, {os.cpu_count()} CPUs;"
        f" {rounds} rounds of {CALLS:,} calls, {time.monotonic() - begin:.0f} s;"
        " median [90 % interval of the rounds]\n"
    )
    print_table(measured, peer.name)
    print_aims(measured, own, peer.name)
    print()
    framework.main()
    print()
    retain.main()
    print()
    screen.main()
    print()
    live.main()


if __name__ == "__main__":
    main()
