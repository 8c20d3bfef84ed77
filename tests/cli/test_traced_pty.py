"""A traced command in a real terminal, under an interactive shell: as it would be without ior."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
from test_traced import environment

IOR = f"{sys.executable} -m ior run"

pytestmark = pytest.mark.kernel


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Any]:
    """Return an interactive shell with job control, in an empty directory."""
    child = pexpect.spawn(
        "/bin/bash",
        ["--norc", "--noprofile", "-i"],
        cwd=tmp_path,
        env=environment() | {"PS1": "$ ", "TERM": "dumb"},
        dimensions=(24, 80),
        encoding="utf-8",
        echo=False,
        timeout=60,
    )
    child.expect_exact("$ ")
    yield child
    child.sendline("kill %1 2>/dev/null; exit")
    child.close(force=True)


def status(shell: Any) -> int:
    """Return the exit status of the last line."""
    shell.expect_exact("$ ")
    shell.sendline("echo status=$?")
    shell.expect(r"status=(\d+)")
    found = int(shell.match[1])
    shell.expect_exact("$ ")
    return found


def files(folder: Path) -> set[str]:
    with (folder / "rows.csv").open(newline="") as lines:
        return {row["file"] for row in csv.DictReader(lines)}


def closed(folder: Path) -> bool:
    return bool(json.loads((folder / "l.json").read_text())["closed"])


LINE = f"{IOR} plain --status -o rows.csv --ledger l.json --"


def test_it_reads_the_terminal(shell: Any, tmp_path: Path) -> None:
    shell.sendline(f"{LINE} sh -c 'echo ask; read x; echo got-$x; : < /etc/passwd; exit 4'")
    shell.expect_exact("ask")
    shell.sendline("this")
    shell.expect_exact("got-this")
    assert status(shell) == 4
    assert "/etc/passwd" in files(tmp_path)
    assert closed(tmp_path)


def test_ctrl_z_stops_both_and_fg_lets_both_go_on(shell: Any, tmp_path: Path) -> None:
    shell.sendline(f"{LINE} sh -c 'echo ask; read x; : < /etc/passwd; read y; echo end-$x-$y'")
    shell.expect_exact("ask")
    shell.send("\x1a")
    shell.expect("Stopped")
    shell.expect_exact("$ ")
    shell.sendline("jobs -l; ps -o pid=,stat=,comm= --ppid $(jobs -p)")
    found = shell.expect([r"(\d+)\s+T\S*\s+sh\b", pexpect.TIMEOUT], timeout=20)
    assert found == 0, "the command is not stopped"
    shell.expect_exact("$ ")
    shell.sendline("fg")
    shell.sendline("one")
    shell.sendline("two")
    shell.expect_exact("end-one-two")
    assert status(shell) == 0
    assert "/etc/passwd" in files(tmp_path)
    assert closed(tmp_path)


def test_in_the_background_it_goes_on_by_itself(shell: Any, tmp_path: Path) -> None:
    shell.sendline(f"{LINE} sh -c ': < /etc/passwd; exit 5' 2>/dev/null & wait $!")
    assert status(shell) == 5
    assert "/etc/passwd" in files(tmp_path)


def test_ctrl_c_reaches_the_command_and_its_own_status_is_kept(shell: Any, tmp_path: Path) -> None:
    work = 'trap "exit 6" INT; echo ask; while :; do : < /etc/passwd; done'
    shell.sendline(f"{LINE} sh -c '{work}'")
    shell.expect_exact("ask")
    shell.send("\x03")
    assert status(shell) == 6
    assert closed(tmp_path)
    ledger = json.loads((tmp_path / "l.json").read_text())
    with (tmp_path / "rows.csv").open(newline="") as lines:
        assert sum(1 for _ in csv.DictReader(lines)) == ledger["calls"] > 0


def test_the_command_learns_the_size_of_the_terminal(shell: Any, tmp_path: Path) -> None:
    work = (
        "import os, signal\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH])\n"
        "print('ask', flush=True)\n"
        "signal.sigwait([signal.SIGWINCH])\n"
        "print(os.get_terminal_size().columns)\n"
    )
    (tmp_path / "work.py").write_text(work)
    shell.sendline(f"{LINE} {sys.executable} work.py")
    shell.expect_exact("ask")
    shell.setwinsize(30, 77)
    shell.expect_exact("77")
    assert status(shell) == 0


def test_a_command_that_daemonises_is_followed_to_its_end(shell: Any, tmp_path: Path) -> None:
    work = '(setsid sh -c "sleep 0.5; : < /etc/hostname" >/dev/null 2>&1 &); exit 3'
    shell.sendline(f"{LINE} sh -c '{work}'")
    assert status(shell) == 3
    assert "/etc/hostname" in files(tmp_path)
    assert closed(tmp_path)


def test_a_closed_terminal_ends_the_run_and_the_command(tmp_path: Path) -> None:
    """No tracer outlives its ssh session."""
    child = pexpect.spawn(
        "/bin/sh",
        ["-c", f"exec {LINE} sh -c 'echo ask-$$; exec sleep 600'"],
        cwd=tmp_path,
        env=environment(),
        encoding="utf-8",
        timeout=60,
    )
    child.expect(r"ask-(\d+)")
    pid = int(child.match[1])
    os.close(child.fileno())  # hangs up
    assert os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1]) == 0
    assert "sleep" not in comm(pid)
    assert closed(tmp_path)


def comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
