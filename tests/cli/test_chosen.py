"""What the command line chooses of a real workload, with either pairing: these calls, no others."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.kernel

PIPELINE = """
version = 1
[stage]
kernel = { type = "bpf", syscalls = ["/access/", "clock_nanosleep"] }
pair = { type = "pair", inputs = "kernel" }
rows = { type = "csv", inputs = "pair", path = "rows.csv" }
"""

WORK = """
import os, sys, threading, time

def calls(mark):
    for _ in range(10):
        os.access(f"/ior-{mark}", 0)
        os.access("/", 0)
    time.sleep(0.05)

def works():
    with open("/proc/thread-self/comm", "w") as comm:
        comm.write("worker")
    calls("thread")

sys.stdin.read(1)
thread = threading.Thread(target=works)
thread.start()
thread.join()
calls("main")
if not os.fork():
    calls("child")
    os._exit(0)
os.wait()
"""
ALL = {"/ior-thread": 10, "/ior-main": 10, "/ior-child": 10, "/": 30, "sleep": 3}


def counted(folder: Path) -> dict[str, int]:
    """Return how often each path of the workload was asked for, and how often it slept."""
    with (folder / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = Counter("sleep" if "sleep" in r["syscall"] else r["file"] for r in rows)
    return {name: found[name] for name in ALL if found[name]}


def run(folder: Path, *argv: str) -> dict[str, Any]:
    """Trace the workload as a command; return the kernel's part of the books, which are closed."""
    (folder / "p.toml").write_text(PIPELINE)
    line = [sys.executable, "-m", "ior", "run", "p.toml", "--ledger", "l.json", *argv]
    done = subprocess.run(
        [*line, "--", sys.executable, "-I", "-S", "-c", WORK],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        input=b"x",
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return closed(folder)


def closed(folder: Path) -> dict[str, Any]:
    books = json.loads((folder / "l.json").read_text())
    assert books["closed"], books["open_because"]
    assert books["kernel"]["lost"] == 0
    kernel: dict[str, Any] = books["kernel"]
    return kernel


@pytest.mark.parametrize("pairing", ["kernel", "user"])
@pytest.mark.parametrize(
    ("options", "seen", "at_return"),
    [
        ((), ALL, False),
        (("--comm", "worker"), {"/ior-thread": 10, "/": 10, "sleep": 1}, False),
        (("--comm", "worker", "--comm", "nobody", "--errors"), {"/ior-thread": 10}, False),
        (("--syscalls", "clock_nanosleep"), {"sleep": 3}, False),
        (("--no-syscalls", "/nanosleep/"), {k: v for k, v in ALL.items() if k != "sleep"}, False),
        (("--where", "syscall ~ 'sleep'"), {"sleep": 3}, False),
        (("--errors",), {k: v for k, v in ALL.items() if k[1:4] == "ior"}, True),
        (("--min-latency", "45ms"), {"sleep": 3}, True),
        (("--min-latency", "45ms", "--errors"), {}, True),
    ],
)
def test_an_option_leaves_what_it_says(
    tmp_path: Path,
    options: tuple[str, ...],
    seen: dict[str, int],
    pairing: str,
    *,
    at_return: bool,
) -> None:
    kernel = run(tmp_path, "--pairing", pairing, *options)
    assert counted(tmp_path) == seen
    filters = {"--comm", "--where", "--errors", "--min-latency"} & set(options)
    pushed = bool(filters) and not (at_return and pairing == "user")
    assert (kernel["filtered_in_kernel"] > 0) == pushed


@pytest.mark.parametrize("pairing", ["kernel", "user"])
def test_without_push_down_the_rows_are_the_same(tmp_path: Path, pairing: str) -> None:
    given = ("--comm", "worker", "--errors", "--min-latency", "0ns", "--no-push-down")
    kernel = run(tmp_path, "--pairing", pairing, *given)
    assert counted(tmp_path) == {"/ior-thread": 10}
    assert kernel["filtered_in_kernel"] == 0


@pytest.mark.parametrize("pairing", ["kernel", "user"])
@pytest.mark.parametrize(
    ("options", "seen"),
    [
        (("--pid", "PID"), {"/ior-thread": 10, "/ior-main": 10, "/": 20, "sleep": 2}),
        (("--pid", "PID", "--follow-forks"), ALL),
        (("--tid", "PID"), {"/ior-main": 10, "/": 10, "sleep": 1}),
        (("--tid", "PID", "--follow-forks", "--errors"), {"/ior-main": 10, "/ior-child": 10}),
        (("--where", "pid == PID"), {"/ior-thread": 10, "/ior-main": 10, "/": 20, "sleep": 2}),
        (("--where", "tid == PID and is_error"), {"/ior-main": 10}),
    ],
)
def test_a_process_or_a_thread_that_runs_already(
    tmp_path: Path, options: tuple[str, ...], seen: dict[str, int], pairing: str
) -> None:
    (tmp_path / "p.toml").write_text(PIPELINE)
    line = [sys.executable, "-m", "ior", "run", "p.toml", "--ledger", "l.json"]
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", WORK], stdin=subprocess.PIPE
    ) as target:
        given = [option.replace("PID", str(target.pid)) for option in options]
        with subprocess.Popen(
            [*line, "--pairing", pairing, *given],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            stderr=subprocess.PIPE,
        ) as tracer:
            assert tracer.stderr is not None
            assert b"tracing" in tracer.stderr.readline()
            target.communicate(b"x", timeout=60)
            if "--where" in options:
                tracer.send_signal(signal.SIGINT)
            assert tracer.wait(60) == 0, tracer.stderr.read()
    kernel = closed(tmp_path)
    assert counted(tmp_path) == seen
    if "--where" in options:
        assert kernel["filtered_in_kernel"] > 0
