"""How the live view ends when something goes wrong, in a real pty: nothing stays broken."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
from ptys import Pty

pytestmark = pytest.mark.timeout(90)

HERE = Path(__file__).parent
PATIENCE_S = 5  # for a run that was asked to stop


def pipeline(folder: Path, source: str, *stages: str) -> str:
    """Write a pipeline of the nodes of these tests; return its path."""
    path = folder / "mine.toml"
    nodes = HERE / "own_nodes.py"
    lines = ["version = 1", "[stage.made]", f'use = "{nodes}:Made"', source]
    behind = "made"
    for name in stages:
        lines += [f"[stage.{name.lower()}]", f'use = "{nodes}:{name}"', f'inputs = "{behind}"']
        behind = name.lower()
    lines += ["[stage.stats]", 'type = "stats"', f'inputs = "{behind}"']
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


def test_a_stop_that_hangs_ends_after_five_seconds(tmp_path: Path) -> None:
    books = tmp_path / "books.json"
    with Pty(pipeline(tmp_path, "deaf = true"), "--ledger", str(books)) as pty:
        pty.see("3,020")
        pty.child.send("q")
        pty.see("stopping")
        begun = time.monotonic()
        code, said = pty.leave()
        took = time.monotonic() - begun
    assert code == 1
    assert "made" in said  # who did not stop
    assert PATIENCE_S - 1 < took < 3 * PATIENCE_S
    ledger = json.loads(books.read_bytes())
    assert ledger["closed"] is False
    assert ledger["stages"]["stats"]["in"] == 3020


def test_a_second_q_does_not_wait_for_a_stop_that_hangs(tmp_path: Path) -> None:
    with Pty(pipeline(tmp_path, "deaf = true")) as pty:
        pty.see("3,020")
        pty.child.send("q")
        pty.see("stopping")
        begun = time.monotonic()
        pty.child.send("q")
        assert pty.leave()[0] == 1
        assert time.monotonic() - begun < PATIENCE_S


def test_a_graph_that_fails_leaves_the_picture_the_error_and_the_books(tmp_path: Path) -> None:
    books = tmp_path / "books.json"
    with Pty(pipeline(tmp_path, "", "Broken"), "--ledger", str(books)) as pty:
        lines = pty.see("failed 0:0")
        assert any("division by zero" in line for line in lines[-4:-1])
        assert any(line.split()[:2] == ["calls", "1,510"] for line in lines)
        pty.child.send("2")
        pty.wait(lambda lines: lines[4].split()[:2] == ["read", "1,000"])
        pty.child.send("q")
        code, said = pty.leave()
    assert code == 1
    assert said.startswith("ior: stage 'broken': ZeroDivisionError: division by zero")
    ledger = json.loads(books.read_bytes())
    assert ledger["stages"]["broken"]["failed"] == 1510
    assert ledger["stages"]["stats"]["consumed"] == 1510


def test_a_crash_of_the_view_restores_the_terminal(tmp_path: Path) -> None:
    books = tmp_path / "books.json"
    with Pty(pipeline(tmp_path, "ends = false", "Crashing"), "--ledger", str(books)) as pty:
        code, said = pty.leave()
    assert code == 1
    assert "ior: AssertionError: a defect in drawing" in said
    assert json.loads(books.read_bytes())["closed"] is True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_restore_the_terminal_while_a_stop_hangs(
    tmp_path: Path, number: signal.Signals
) -> None:
    with Pty(pipeline(tmp_path, "deaf = true")) as pty:
        pty.see("3,020")
        for _ in range(2):  # the second does not wait
            os.kill(pty.pid(), number)
            pty.see("stopping")
        assert pty.leave()[0] == 1
