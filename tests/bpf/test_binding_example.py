"""The example that traces something of its own through the binding, as a user runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).parents[2]


def start(*arguments: str) -> subprocess.Popen[str]:
    probe = subprocess.Popen(
        [sys.executable, "examples/own_probe.py", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert probe.stderr is not None
    assert probe.stderr.readline() == "tracing\n"
    return probe


def test_own_probe_counts_what_is_executed() -> None:
    probe = start("--seconds", "60", "--events", "25", "--uid", "54321")
    for _ in range(24):
        subprocess.run(["/bin/true"], check=True, user=54321)
    subprocess.run(["/bin/echo", "-n"], check=True, user=54321)
    subprocess.run(["/bin/echo", "-n"], check=True)  # of another user: not counted
    out, err = probe.communicate(timeout=60)
    assert (probe.returncode, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert rows == [
        ["executed", "users", "command"],
        ["24", "1", "true"],
        ["1", "1", "echo"],
        ["25", "executed,", "0", "lost"],
    ]


def test_own_probe_ends_by_itself() -> None:
    probe = start("--seconds", "0.2")
    out, _ = probe.communicate(timeout=60)
    assert probe.returncode == 0
    assert re.search(r"^\d+ executed, 0 lost$", out, re.MULTILINE)
