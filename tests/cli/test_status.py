"""`ior run --status`: one line on a terminal, nothing anywhere else."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pexpect
import pyte
import pytest
from made import Invoke

from ior.cli.status import Reading, line
from ior.pipeline.ledger import EdgeBooks, Ledger, StageBooks, balance
from ior.pipeline.pace import NodeTimes

ROOT = Path(__file__).parents[2]
SECOND = 1_000_000_000


def books(calls: int = 0, lost: int = 0, dropped: int = 0, made: int = 0) -> Ledger:
    edge = EdgeBooks(offered=dropped, dropped=dropped)
    stages = {"in": StageBooks(made=made, out={"out": dropped}), "slow": StageBooks()}
    kernel = {"attempted": lost, "lost": lost}
    return balance(kernel=kernel, calls=calls, stages=stages, edges={"in.out->slow": edge})


def times(busy_s: float) -> dict[str, NodeTimes]:
    idle = NodeTimes(int((10 - busy_s) * SECOND), int(busy_s * SECOND), {})
    return {"in": NodeTimes(10 * SECOND, 0, {"in.out->slow": 0}), "slow": idle}


def test_the_rate_and_the_slow_stage_are_those_of_the_last_moments() -> None:
    before = Reading(100.0, books(calls=1_000_000, lost=7), times(9))
    slow = times(9) | {"slow": NodeTimes(SECOND, 10 * SECOND - 1, {})}
    now = Reading(102.0, books(calls=1_040_000, lost=9), slow)
    text = line(now, before)
    assert text == "1,040,000 calls · 20.0 k/s · 9 lost · slowest slow: 100 % busy"


def test_drops_before_the_last_moments_blame_nobody() -> None:
    before = Reading(0.0, books(calls=10, dropped=500), times(1))
    again = Reading(1.0, books(calls=10, dropped=500), times(1))
    assert line(again, before) == "10 calls · 0.0 /s · 500 lost"
    more = Reading(1.0, books(calls=10, dropped=600), times(2))
    assert line(more, before).endswith(
        "600 lost · slowest slow: 100 % busy, 100 rows before it were dropped"
    )


def test_without_calls_it_is_records() -> None:
    assert line(Reading(1.0, books(made=30), {}), Reading(0.0, books(), {})).startswith(
        "30 records"
    )


def test_no_terminal_no_line(ior: Invoke) -> None:
    endless = ("run", "made.toml", "--set", "kernel.endless=true", "--duration", "1.2")
    loud = ior(*endless, "--status", "-o", "rows.csv")
    assert loud.code == 0
    assert "slowest" not in loud.err
    assert "\r" not in loud.err
    assert "\x1b" not in loud.err


@pytest.mark.parametrize("quiet", [False, True])
def test_on_a_terminal_there_is_one_line_that_goes_away(folder: Path, quiet: bool) -> None:
    """The screen at the end has the other lines whole and nothing of the status."""
    endless = ["--set", "kernel.endless=true", "--duration", "2", "--set", "stats.enabled=false"]
    argv = ["-m", "ior", "run", "made.toml", "-o", "rows.csv", "--status", *endless]
    child = pexpect.spawn(
        sys.executable,
        [*argv, *(["-q"] if quiet else [])],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "TERM": "xterm", "PATH": "/usr/bin:/bin"},
        dimensions=(24, 70),
        timeout=60,
    )
    child.expect(pexpect.EOF)
    sent = child.before
    child.close()
    assert child.exitstatus == 0, sent
    shown = re.findall(rb"\r(ior: [^\r\n\x1b]*)\x1b\[K", sent)
    if quiet:
        assert shown == []
        return
    assert len(shown) >= 2
    assert all(
        re.match(rb"ior: [\d,]+ (calls|records) \xc2\xb7 .*/s \xc2\xb7 0 lost", x) for x in shown
    )
    screen = pyte.Screen(70, 24)
    pyte.ByteStream(screen).feed(sent)
    lines = [row.rstrip() for row in screen.display if row.strip()]
    assert len(lines) == 2
    assert lines[0].startswith("ior: running made.toml")
    assert lines[1].endswith("nothing lost, the books balance")
