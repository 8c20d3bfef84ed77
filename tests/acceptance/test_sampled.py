"""Rates as users have them: `--sample`, the report, the books, and files."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from product import books, ior, number, report, rows

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(180)]

COUNT = 50_000
DD = ("--", "dd", "if=/dev/zero", "of=/dev/null", "bs=1", "status=none", f"count={COUNT}")
SELECTED = ("--syscalls", "read,write", "--ledger", "l.json", "--set", "report.width=120")
COUNTED, ONE_IN_TEN = "read  counted only", "write  1 in 10"


@pytest.mark.parametrize("pairing", ["kernel", "user"])
def test_the_report_has_exact_totals_of_what_is_not_recorded(tmp_path: Path, pairing: str) -> None:
    plain = ior(tmp_path, "run", *SELECTED, *DD)
    every = {name: number(row["calls"]) for name, row in report(plain.err)["Syscalls"].items()}
    sample = ("--sample", "read=0", "--sample", "write=10", "--pairing", pairing)
    done = ior(tmp_path, "run", *SELECTED, *sample, *DD)
    assert done.code == 0, done.err
    totals = report(done.err)["Kernel totals"]
    calls = {key.split()[0]: number(row["calls"]) for key, row in totals.items()}
    assert calls == every
    assert set(totals) == {COUNTED, ONE_IN_TEN}
    assert all(row["p99"] != "-" and row["bytes"].endswith("KiB") for row in totals.values())
    recorded = report(done.err)["Syscalls"]
    assert set(recorded) == {"write"}
    assert abs(number(recorded["write"]["calls"]) - COUNT / 10) <= 4
    ledger = books(tmp_path / "l.json")
    assert ledger["closed"] is True
    assert ledger["kernel"]["counted_only"] == sum(every.values()) - ledger["calls"]
    check_statement(ledger["totals"], every)
    assert f"{ledger['kernel']['counted_only']:,} calls counted in the kernel only" in done.err
    assert "LOST" not in done.err
    assert "\nTotals of recorded calls  " in done.err
    assert "tracing 2 syscalls (1 counted only) of 'dd'" in done.err


def check_statement(totals: dict[str, Any], every: dict[str, int]) -> None:
    """Hold the books' list of what was counted against the calls of a run that records all."""
    assert set(totals) == {"kernel"}
    assert totals["kernel"]["standing"] == "exact"
    found = {one["syscall"]: one for one in totals["kernel"]["syscalls"]}
    assert {name: one["calls"] for name, one in found.items()} == every
    assert (found["read"]["rate"], found["read"]["recorded"]) == (0, 0)
    assert found["write"]["rate"] == 10
    assert found["write"]["bytes"] == COUNT
    for one in found.values():
        assert sum(bucket["calls"] for bucket in one["latency"]) == one["calls"]
        assert one["latency"][0]["from_ns"] <= one["least_ns"] < one["latency"][0]["below_ns"]
        assert one["latency"][-1]["from_ns"] <= one["greatest_ns"]
        low = sum(bucket["from_ns"] * bucket["calls"] for bucket in one["latency"])
        high = sum(bucket["below_ns"] * bucket["calls"] for bucket in one["latency"])
        assert low <= one["latency_ns"] < high


def test_after_a_loss_sums_of_rows_are_at_least_so_many_and_the_kernels_are_whole(
    tmp_path: Path,
) -> None:
    """On one processor, as one call in two is recorded of those that begin on each."""
    tiny = ("--set", "kernel.ring_size=4KiB", "--sample", "write=2")
    pinned = ("--", "taskset", "-c", str(min(os.sched_getaffinity(0))), *DD[1:])
    done = ior(tmp_path, "run", *SELECTED, *tiny, *pinned)
    ledger = books(tmp_path / "l.json")
    assert ledger["kernel"]["lost"] > 0
    assert "\nTotals of recorded calls, at least  " in done.err
    assert number(report(done.err)["Kernel totals"]["write  1 in 2"]["calls"]) == COUNT
    assert ledger["kernel"]["counted_only"] == COUNT / 2
    (write,) = ledger["totals"]["kernel"]["syscalls"]
    assert (write["calls"], write["recorded"]) == (COUNT, COUNT / 2)


def test_under_a_filter_that_the_kernel_cannot_apply_they_are_unavailable(tmp_path: Path) -> None:
    sample = ("--sample", "default=0")
    done = ior(tmp_path, "run", *SELECTED, *sample, "--where", 'path under "/dev"', *DD)
    unavailable = report(done.err)["Kernel totals, unavailable"]
    assert {row["calls"] for row in unavailable.values()} == {"-"}
    assert "not available: a filter is not wholly applied in the kernel" in done.err
    stated = books(tmp_path / "l.json")["totals"]
    assert stated == {"kernel": {"standing": "unavailable", "syscalls": None}}
    done = ior(tmp_path, "run", *SELECTED, *sample, "--where", "syscall == write", *DD)
    (key,) = report(done.err)["Kernel totals"]
    assert number(report(done.err)["Kernel totals"][key]["calls"]) == COUNT


def test_files_say_of_which_rate_their_rows_are(tmp_path: Path) -> None:
    keys = ("--syscalls", "read,write,openat", "--sample", "read=10", "--sample", "write=0")
    done = ior(tmp_path, "run", "plain", *keys, *DD)
    rates = Counter((row["syscall"], row["sample_rate"]) for row in done.rows)
    assert set(rates) == {("read", "10"), ("openat", "1")}
    assert abs(rates["read", "10"] - COUNT / 10) <= 4
    done = ior(tmp_path, "run", "capture", "-o", "c.ior", *keys, *DD)
    assert done.code == 0, done.err
    again = ior(tmp_path, "run", "plain", "--replay", "c.ior")
    replayed = Counter((row["syscall"], row["sample_rate"]) for row in rows(again.out))
    assert set(replayed) == {("read", "10"), ("openat", "1")}


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        ("futex=0", "--sample futex: it is not traced; add it with --syscalls"),
        ("raed=0", "unknown syscall or family 'raed'; did you mean read"),
        ("read=often", "'read=often' is not NAME=N"),
    ],
)
def test_a_rate_of_nothing_is_refused(tmp_path: Path, sample: str, said: str) -> None:
    done = ior(tmp_path, "run", *SELECTED, "--sample", sample, *DD)
    assert done.code == 2
    assert said in done.err
