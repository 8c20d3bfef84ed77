"""A sink that cannot keep up with the kernel: who is named, and that every row is accounted for."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from product import books, ior, started, wait_for

pytestmark = pytest.mark.kernel

PIPELINE = """
version = 1
[stage.kernel]
type = "bpf"
syscalls = ["read", "write"]
ring_size = "{ring}"
[stage.pair]
type = "pair"
inputs = "kernel"
[stage.keep]
type = "csv"
inputs = "pair"
path = "rows.csv"
columns = ["seq"]
[stage.slow]
use = "./slow.py:Slow"
inputs = "pair"
buffer = {{ batches = 1, when_full = "{policy}" }}
[stage.stats]
type = "stats"
inputs = "pair"
[stage.report]
type = "report"
of = "stats"
"""

SLOW = """
import time
from ior import Sink

class Slow(Sink):
    def process(self, batch):
        time.sleep(0.3)
"""

CALLS = 300_000
WORK = ("dd", "if=/dev/zero", "of=/dev/null", "bs=1", f"count={CALLS}", "status=none")


def traced(folder: Path, policy: str, ring: str) -> str:
    (folder / "slow.py").write_text(SLOW)
    (folder / "p.toml").write_text(PIPELINE.format(policy=policy, ring=ring))
    done = ior(folder, "run", "p.toml", "--ledger", "l.json", "--", *WORK)
    assert done.code == 0, done.err
    return done.err


def kept(folder: Path) -> list[int]:
    return [int(line) for line in (folder / "rows.csv").read_text().splitlines()[1:]]


def test_with_block_the_report_names_it_and_the_kernels_loss_is_exact(tmp_path: Path) -> None:
    said = traced(tmp_path, "block", "1MiB")
    ledger = books(tmp_path / "l.json")
    assert ledger["closed"] is True
    kernel = ledger["kernel"]
    assert kernel["lost"] > 0
    assert kernel["attempted"] == kernel["read"] + kernel["lost"] >= 2 * CALLS
    assert ledger["edges"]["pair.out->slow"]["dropped"] == 0
    assert ledger["stages"]["slow"]["consumed"] == ledger["calls"] == len(kept(tmp_path))
    assert ledger["slowest"]["stage"] == "slow"
    assert "waited" in ledger["slowest"]["says"]
    line = next(line for line in said.splitlines() if line.startswith("slowest"))
    assert line.split()[1] == "slow:"


def test_with_drop_newest_its_siblings_get_every_call(tmp_path: Path) -> None:
    said = traced(tmp_path, "drop_newest", "256MiB")
    ledger = books(tmp_path / "l.json")
    assert ledger["closed"] is True
    assert ledger["kernel"]["lost"] == 0
    assert len(kept(tmp_path)) == ledger["calls"] >= 2 * CALLS
    assert kept(tmp_path) == sorted(set(kept(tmp_path)))
    edge = ledger["edges"]["pair.out->slow"]
    assert edge["dropped"] > 0
    assert edge["delivered"] + edge["dropped"] == edge["offered"] == ledger["calls"]
    assert ledger["stages"]["slow"]["consumed"] == edge["delivered"]
    assert edge["high_water"] == edge["batches"] == 1
    assert f"{edge['dropped']:,} rows on pair.out->slow" in said


def test_a_second_signal_names_what_was_abandoned(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    stuck = f"open({str(begun)!r}, 'x').close(); time.sleep(600)"
    (tmp_path / "slow.py").write_text(SLOW.replace("time.sleep(0.3)", stuck))
    (tmp_path / "p.toml").write_text(PIPELINE.format(policy="block", ring="4MiB"))
    with started(tmp_path, "run", "p.toml", "--ledger", "l.json", "--", *WORK) as run:
        assert run.stderr is not None
        assert "tracing" in run.stderr.readline()
        wait_for(begun.exists, "a batch in the slow stage")
        run.send_signal(signal.SIGINT)
        run.send_signal(signal.SIGTERM)
        said = run.stderr.read()
        assert run.wait(60) == 1, said
    assert "'slow'" in said.splitlines()[-1].partition("abandoned: ")[2]
    ledger = books(tmp_path / "l.json")
    assert ledger["closed"] is False
    assert ledger["open_because"]
