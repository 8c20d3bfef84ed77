"""A sink of one's own that blocks holds up its own edge, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from product import books, ior, rows

pytestmark = pytest.mark.kernel

SLEEPER = """
import time
from ior import Sink

class Sleeper(Sink):
    seen = 0
    def process(self, batch):
        time.sleep(1)
        self.seen += len(batch)
    def drain(self):
        open("seen", "w").write(str(self.seen))
"""
PIPELINE = """
version = 1
[stage.kernel]
type = "bpf"
syscalls = ["read", "write"]
[stage.pair]
type = "pair"
inputs = "kernel"
[stage.slow]
use = "./sleeper.py:Sleeper"
inputs = "pair"
buffer = { batches = 1, when_full = "drop_newest" }
[stage.file]
type = "csv"
path = "calls.csv"
columns = ["seq", "syscall", "comm"]
inputs = "pair"
[stage.stats]
type = "stats"
inputs = "pair"
"""


def test_a_sink_that_sleeps_drops_what_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    (tmp_path / "p.toml").write_text(PIPELINE)
    count = 200_000
    dd = ("dd", "if=/dev/zero", "of=/dev/null", "bs=1", f"count={count}")
    done = ior(tmp_path, "run", "p.toml", "--ledger", "l.json", "--", *dd)
    assert done.code == 0, done.err
    ledger = books(tmp_path / "l.json")
    assert ledger["closed"] is True
    assert ledger["kernel"]["lost"] == 0
    slow, file = ledger["edges"]["pair.out->slow"], ledger["edges"]["pair.out->file"]
    assert slow["dropped"] > 0
    assert slow["delivered"] + slow["dropped"] == slow["offered"] == ledger["calls"]
    assert int((tmp_path / "seen").read_text()) == slow["delivered"]
    assert (file["dropped"], file["delivered"]) == (0, ledger["calls"])
    assert ledger["stages"]["stats"]["consumed"] == ledger["calls"]
    written = [row for row in rows((tmp_path / "calls.csv").read_bytes()) if row["comm"] == "dd"]
    called = [row["syscall"] for row in written]
    assert min(called.count("write"), called.count("read")) >= count
    assert "stage 'slow': " in done.err
