"""`ior tap`: the rows of one edge, skipped rather than waited for."""

from __future__ import annotations

import csv
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

from made import Invoke

from ior.calls import CALLS, RAW

ROOT = Path(__file__).parents[2]
SAMPLE = str(ROOT / "ior/data/sample.ior")
COLUMNS = ",".join(column.name for column in CALLS.columns if column.kind not in RAW)

FLOOD = """
version = 1
[stage.kernel]
type = "synthetic"
calls = 300000
split = 0
[stage.pair]
type = "pair"
inputs = "kernel"
[stage.rows]
type = "csv"
inputs = "pair"
columns = ["seq"]
path = "rows.csv"
"""


def test_rows_as_csv(ior: Invoke) -> None:
    result = ior("tap", "made.toml", "kernel")
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0] == COLUMNS
    assert [row["seq"] for row in csv.DictReader(lines)] == [str(i) for i in range(10)] * 3
    assert "'csv' writes to stdout" in result.err
    assert "30 rows of 'kernel' shown, 0 skipped" in result.err


def test_the_rest_of_the_pipeline_runs_as_it_would(ior: Invoke, folder: Path) -> None:
    changes = ("--set", "csv.path=all.csv")
    assert ior("tap", "made.toml", "kernel", "-q", *changes).err == ""
    assert len((folder / "all.csv").read_text().splitlines()) == 31


def test_the_limit_ends_the_run(ior: Invoke) -> None:
    line = ("tap", "made.toml", "kernel", "--set", "kernel.endless=true", "--limit", "13")
    result = ior(*line)
    assert result.code == 0
    assert len(result.out.splitlines()) == 14
    assert "13 rows of 'kernel' shown, 0 skipped" in result.err
    assert ior("tap", "made.toml", "kernel", "--limit", "0").code == 2


def test_a_port_and_what_arrives_at_the_end_of_the_graph(ior: Invoke) -> None:
    replay = ("--replay", SAMPLE)
    calls = ior("tap", "summary", "pair.out", *replay).out
    assert calls.startswith(COLUMNS)
    assert ior("tap", "summary", "stats", *replay).out == calls
    halves = ior("tap", "summary", "kernel", *replay).out
    assert halves.startswith("enter_ns,exit_ns,ret,")
    filtered = ior("tap", "summary", "pair", *replay, "--where", "is_error").out
    assert filtered == calls  # the filter stands behind the edge
    where = ior("tap", "summary", "stats", *replay, "--where", "is_error").out.splitlines()
    errors = [row for row in csv.DictReader(calls.splitlines()) if row["is_error"] == "true"]
    assert list(csv.DictReader(where)) == errors != []


def test_places_that_are_none(ior: Invoke) -> None:
    for place, said in {
        "kernle": "did you mean 'kernel'?",
        "kernel.outt": "unknown port 'outt'; did you mean 'out'?",
    }.items():
        result = ior("tap", "made.toml", place)
        assert (result.code, result.out) == (2, "")
        assert said in result.err
    assert "it shows the results of stats" in ior("tap", "summary", "report").err


def start(folder: Path, stdout: int) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "ior", "tap", "flood.toml", "pair"]
    return subprocess.Popen(
        line,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_reader_that_waits_holds_up_nobody_and_is_told_what_it_missed(folder: Path) -> None:
    (folder / "flood.toml").write_text(FLOOD)
    with start(folder, subprocess.PIPE) as process:
        patience = time.monotonic() + 60
        while not (folder / "rows.csv").exists() and time.monotonic() < patience:
            time.sleep(0.02)  # nothing is read: the pipe is full, and the file grows
        written = (folder / "rows.csv").read_text().splitlines()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert len(written) == 300_001
    said = re.search(r"([\d,]+) rows of 'pair' shown, ([\d,]+) skipped", err)
    assert said
    shown, skipped = (int(number.replace(",", "")) for number in said.groups())
    assert shown == len(out.splitlines()) - 1
    assert shown + skipped == 300_000
    assert skipped > 0
    assert "cannot keep up" not in err


def test_rows_on_a_terminal_are_text_and_safe(folder: Path) -> None:
    reader, writer = pty.openpty()
    line = [sys.executable, "-m", "ior", "tap", "made.toml", "kernel", "--limit", "1"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, cwd=folder, env=env, stdout=writer, check=True)
    os.close(writer)
    shown = os.read(reader, 65536).decode()
    os.close(reader)
    assert done.returncode == 0
    assert shown.count("\n") == 1
    assert "seq=0 " in shown
    assert " latency=1.00us " in shown
    assert " bytes=5B " in shown
    assert "file=/tmp/a" in shown
    assert "\x1b" not in shown
    assert "gap=" not in shown  # an empty cell


def test_what_the_checker_warns_of_is_said(ior: Invoke, folder: Path) -> None:
    idle = '[stage.idle]\ntype = "filter"\ninputs = "kernel"\nwhere = "is_error"\n'
    (folder / "idle.toml").write_text((folder / "made.toml").read_text() + idle)
    assert "W101 stage.idle: nobody takes its rows" in ior("tap", "idle.toml", "kernel").err
    assert ior("tap", "idle.toml", "kernel", "-q").err == ""
