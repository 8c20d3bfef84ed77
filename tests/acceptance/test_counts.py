"""Numbers that are exact, books that close, and losses that are said, at a million calls."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from product import books, folded, ior, number, report, runs, started, traced_pid

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(180)]

MILLION = 1_000_000
DD = ("dd", "if=/dev/zero", "of=/dev/null", "bs=1", "status=none")
SELECTED = ("--syscalls", "read,write")
WIDE = ("--set", "report.width=120")


class Traced(NamedTuple):
    """A run whose stderr was read while it went on."""

    code: int
    err: str
    books: dict[str, Any]
    warned: list[str]  # warnings that came while the traced command still ran


def traced(folder: Path, *argv: str) -> Traced:
    with started(folder, *argv, "--ledger", "l.json", *WIDE, "--", *DD, f"count={MILLION}") as run:
        assert run.stderr is not None
        status = run.stderr.readline()
        dd, lines, warned = traced_pid(status), [], []
        for line in run.stderr:
            lines.append(line)
            if "warning" in line and runs(dd):
                warned.append(line)
        code = run.wait(60)
    return Traced(code, "".join(lines), books(folder / "l.json"), warned)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Traced:
    return traced(tmp_path_factory.mktemp("whole"), "run", "summary", *SELECTED)


@pytest.fixture(scope="module")
def squeezed(tmp_path_factory: pytest.TempPathFactory) -> Traced:
    line = ("run", "summary", *SELECTED, "--set", "kernel.ring_size=4KiB", "--fail-on-loss")
    return traced(tmp_path_factory.mktemp("squeezed"), *line)


def test_a_million_reads_and_writes_are_a_million_in_the_report(whole: Traced) -> None:
    assert whole.code == 0, whole.err
    tables = report(whole.err)
    files = tables["Files"]
    assert files["/dev/zero"]["calls"] == files["/dev/null"]["calls"] == "1,000,000"
    assert files["/dev/zero"]["errors"] == files["/dev/null"]["errors"] == "-"
    assert files["/dev/zero"]["bytes"] == files["/dev/null"]["bytes"] == "976.6 KiB"
    listed = sum(number(row["calls"]) for row in files.values())
    assert listed == sum(number(row["calls"]) for row in tables["Syscalls"].values())
    assert listed == number(next(iter(tables["Processes"].values()))["calls"])
    assert set(tables["Syscalls"]) == {"read", "write"}
    assert "0 lost" in whole.err
    assert not whole.warned


def test_a_million_calls_leave_closed_books(whole: Traced) -> None:
    kernel = whole.books["kernel"]
    assert whole.books["closed"] is True
    assert whole.books["calls"] == kernel["attempted"] == kernel["read"] >= 2 * MILLION
    assert kernel["lost"] == kernel["names_lost"] == kernel["in_flight"] == 0
    assert whole.books["stages"]["pair"]["out"] == {"out": kernel["read"], "unmatched": 0}
    shown = report(whole.err)["Syscalls"]
    assert sum(number(row["calls"]) for row in shown.values()) == whole.books["calls"]


def test_a_ring_that_is_too_small_loses_and_counts_every_call(
    whole: Traced, squeezed: Traced
) -> None:
    kernel = squeezed.books["kernel"]
    assert kernel["attempted"] == whole.books["kernel"]["attempted"]
    assert kernel["attempted"] == kernel["read"] + kernel["lost"]
    assert kernel["lost"] > 0
    assert squeezed.books["closed"] is True
    assert f"{kernel['lost']:,} records in the kernel's ring" in squeezed.err
    lost, attempted = (f"{kernel[key]:,}" for key in ("lost", "attempted"))
    said = f"{lost} of {attempted} records lost in the kernel's ring"
    assert said in squeezed.err.splitlines()[-1]
    shown = report(squeezed.err)["Files"]
    assert 0 < number(shown["/dev/zero"]["calls"]) < MILLION


def test_a_loss_is_an_exit_code_if_asked_for(squeezed: Traced, tmp_path: Path) -> None:
    assert squeezed.code == 3
    assert squeezed.err.splitlines()[-1].endswith("and --fail-on-loss was given")
    line = ("run", *SELECTED, "--set", "kernel.ring_size=4KiB", "--ledger", "l.json")
    unasked = ior(tmp_path, *line, "--", *DD, "count=50000")
    assert books(tmp_path / "l.json")["kernel"]["lost"] > 0
    assert unasked.code == 0, unasked.err


def test_a_loss_is_said_while_it_happens(squeezed: Traced) -> None:
    assert squeezed.warned, squeezed.err
    assert "lost" in squeezed.warned[0]
    assert "stage 'kernel'" in squeezed.warned[0]


SUMS = '''
import json
import msgspec
from ior import Config, Sink


class SumsConfig(Config, frozen=True, kw_only=True):
    path: str


class Sums(Sink):
    """Writes the exact totals of `stats`, which a report rounds."""

    Config = SumsConfig
    looks = True

    def drain(self):
        totals = msgspec.to_builtins(self.ctx.snapshot("stats").totals)
        (self.ctx.directory / self.config.path).write_text(json.dumps(totals))
'''

WEIGHTS = """
version = 1
[stage]
kernel = { type = "bpf", families = ["FS"] }
pair = { type = "pair", inputs = "kernel" }
stats = { type = "stats", inputs = "pair" }
flame = { type = "flamegraph", inputs = "pair", stack = ["syscall", "path"] }
calls = { type = "folded", of = "flame", path = "calls.folded", weight = "calls" }
latency = { type = "folded", of = "flame", path = "latency.folded", weight = "latency" }
gap = { type = "folded", of = "flame", path = "gap.folded", weight = "gap" }
bytes = { type = "folded", of = "flame", path = "bytes.folded", weight = "bytes" }
sums = { use = "./sums.py:Sums", of = "stats", path = "sums.json" }
"""


def test_folded_stacks_sum_to_the_books_and_to_the_statistics(tmp_path: Path) -> None:
    (tmp_path / "weights.toml").write_text(WEIGHTS)
    (tmp_path / "sums.py").write_text(SUMS)
    line = ("run", "weights.toml", "--ledger", "l.json")
    work = ("sh", "-c", f"{' '.join(DD)} count={MILLION}; ls -lR /etc /no/such/place > listing")
    done = ior(tmp_path, *line, "--", *work)
    assert done.code == 2, done.err  # of ls: one of its arguments does not exist
    ledger, sums = books(tmp_path / "l.json"), json.loads((tmp_path / "sums.json").read_text())
    stacks = {w: folded(tmp_path / f"{w}.folded") for w in ("calls", "latency", "gap", "bytes")}
    assert ledger["closed"] is True
    assert ledger["kernel"]["lost"] == 0
    assert sum(stacks["calls"].values()) == ledger["calls"] == sums["calls"]
    assert sum(stacks["latency"].values()) == sums["latency_ns"] > 0
    assert sum(stacks["gap"].values()) == sums["gap_ns"] > 0
    assert sum(stacks["bytes"].values()) == sums["bytes"] > 2 * MILLION
    assert stacks["calls"]["read", "/dev", "zero"] == MILLION
    assert stacks["calls"]["write", "/dev", "null"] == MILLION
    assert stacks["bytes"]["read", "/dev", "zero"] == MILLION
    assert stacks["bytes"]["write", "/dev", "null"] == MILLION


STALL = '''
import anyio
from ior import Sink


class Stall(Sink):
    """Sleeps for a second over its second batch, and counts the rows that reach it."""

    batches = rows = 0

    async def process(self, batch):
        self.batches += 1
        self.rows += len(batch)
        if self.batches == 2:
            await anyio.sleep(1)

    def drain(self):
        (self.ctx.directory / "reached").write_text(str(self.rows))
'''

STALLED = """
version = 1
[stage]
kernel = { type = "bpf" }
pair = { type = "pair", inputs = "kernel" }
stats = { type = "stats", inputs = "pair" }
flame = { type = "flamegraph", inputs = "pair", stack = ["path", "syscall"], weight = "calls" }
folded = { type = "folded", of = "flame", path = "calls.folded" }
report = { type = "report", of = ["stats"], width = 120 }
[stage.stall]
use = "./stall.py:Stall"
inputs = "pair"
buffer = { batches = 2, when_full = "drop_newest" }
"""


def test_a_stalled_sink_drops_its_own_rows_only_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "stalled.toml").write_text(STALLED)
    (tmp_path / "stall.py").write_text(STALL)
    run = traced(tmp_path, "run", "stalled.toml", *SELECTED)
    assert run.code == 0, run.err
    ledger = run.books
    edge = ledger["edges"]["pair.out->stall"]
    assert ledger["closed"] is True
    assert ledger["kernel"]["lost"] == 0
    assert edge["dropped"] > 0
    assert edge["offered"] == edge["delivered"] + edge["dropped"] == ledger["calls"]
    assert edge["delivered"] == int((tmp_path / "reached").read_text())
    assert "stage 'stall'" in run.warned[0]
    assert "dropped" in run.warned[0]
    assert f"{edge['dropped']:,} rows on pair.out->stall" in run.err
    shown = report(run.err)
    assert sum(number(row["calls"]) for row in shown["Syscalls"].values()) == ledger["calls"]
    assert shown["Files"]["/dev/zero"]["calls"] == "1,000,000"
    counted: Counter[str] = Counter()
    for stack, calls in folded(tmp_path / "calls.folded").items():
        counted[stack[-1]] += calls
    assert counted == {n: number(row["calls"]) for n, row in shown["Syscalls"].items()}
