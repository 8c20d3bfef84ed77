"""From the ring to the screen: what a real command did, counted on the screen and in the books."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ptys import Pty

from ior import syscalls

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(120)]

READS = 200_000
DD = ("dd", "if=/dev/zero", "of=/dev/null", "bs=1", f"count={READS}")


def count(lines: list[str], syscall: str) -> int:
    row = next((line for line in lines if line.startswith(f"{syscall} ")), f"{syscall} 0")
    return int(row.split()[1].replace(",", ""))


def test_the_count_on_the_screen_is_that_of_the_books(tmp_path: Path) -> None:
    books = tmp_path / "books.json"
    with Pty("--ledger", str(books), "--syscalls", "read", "--", *DD) as pty:
        pty.see("the run has ended; q leaves")
        pty.child.send("3")
        lines = pty.wait(lambda lines: any(line.startswith("read ") for line in lines))
        reads = count(lines, "read")
        assert "lost 0" in lines[1]
        assert lines[1].split()[:2] == ["calls", f"{reads:,}"]
        pty.child.send("2")
        pty.wait(
            lambda lines: any(line.split()[:2] == ["calls", f"{reads:,}"] for line in lines[4:])
        )
        pty.child.send("q")
        assert pty.leave() == (0, "")
    ledger = json.loads(books.read_bytes())
    assert ledger["closed"] is True
    assert ledger["kernel"]["lost"] == 0
    assert ledger["calls"] == reads
    assert reads >= READS


def test_what_is_only_counted_is_on_the_screen_with_a_sign(tmp_path: Path) -> None:
    books, line = tmp_path / "books.json", ("--syscalls", "read", "--sample", "read=0")
    with Pty("--ledger", str(books), *line, "--", *DD) as pty:
        pty.see("the run has ended; q leaves")
        pty.child.send("3")
        lines = pty.see("counted only")
        row = next(line for line in lines if line.startswith("read "))
        calls = int(row.split()[3].replace(",", ""))
        assert row.split()[1:3] == ["counted", "only"]
        pty.child.send("q")
        assert pty.leave() == (0, "")
    ledger = json.loads(books.read_bytes())
    assert ledger["closed"] is True
    assert ledger["kernel"]["counted_only"] == calls >= READS
    assert ledger["calls"] == ledger["kernel"]["attempted"] == 0


FUTEXES = """
import ctypes, threading
libc, word = ctypes.CDLL(None), ctypes.c_int(0)
for _ in range(3000):
    libc.syscall({nr}, ctypes.byref(word), 1, 1, 0, 0, 0)
"""


def test_futexes_are_only_counted_unless_asked_for(tmp_path: Path) -> None:
    program = FUTEXES.format(nr=syscalls.table().nr("futex"))
    command = ("--", sys.executable, "-I", "-S", "-c", program)
    books = tmp_path / "books.json"
    counts = []
    for options in ((), ("--syscalls", "futex")):
        with Pty("--ledger", str(books), *options, *command) as pty:
            pty.see("the run has ended; q leaves")
            pty.child.send("3")
            lines = pty.wait(lambda lines: any(line.startswith("futex ") for line in lines))
            row = next(line for line in lines if line.startswith("futex "))
            counts.append(int(row.replace("counted only", "").split()[1].replace(",", "")))
            assert ("counted only" in row) == (not options)
            for where, listed in (("pid > 0", True), ("syscall != futex", False)):
                pty.child.send(f"f\x15{where}\r")
                pty.see(f" filter {where} ")
                pty.wait(lambda lines, n=listed: any("futex " in s[:6] for s in lines) == n)
            pty.child.send("q")
            assert pty.leave() == (0, "")
        kernel = json.loads(books.read_bytes())["kernel"]
        assert (kernel["counted_only"] >= 3000) == (not options)
    assert counts[0] >= 3000
    assert counts[1] >= 3000


def seconds_to_first_numbers() -> float:
    """Return the time from the command to numbers, but for what it waited while others ran."""
    begun = time.monotonic()
    with Pty("--", "sh", "-c", "while :; do : < /etc/passwd; done") as pty:
        lines = pty.wait(lambda lines: any("│sh" in line for line in lines))
        took = time.monotonic() - begun
        waited_ns = Path(f"/proc/{pty.pid()}/schedstat").read_text(encoding="ascii").split()[1]
        assert re.match(r" calls [1-9]", lines[1])
        pty.child.send("q")
        assert pty.leave() == (0, "")
    return took - int(waited_ns) / 1e9


def test_first_numbers_within_two_seconds() -> None:
    """The best of three: the host may be busy with other things."""
    tried: list[float] = []
    while not tried or (min(tried) >= 2 and len(tried) < 3):
        tried.append(seconds_to_first_numbers())
    assert min(tried) < 2


def test_numbers_go_on_while_a_command_runs() -> None:
    with Pty("--", "sh", "-c", "while :; do : < /etc/passwd; done") as pty:
        pty.wait(lambda lines: any("│sh" in line for line in lines))
        pty.child.send("3")
        pty.wait(lambda lines: any(line.startswith("openat ") for line in lines))
        assert "running" in pty.lines[0]
        pty.child.send("q")
        assert pty.leave() == (0, "")


def test_quitting_ends_the_command_that_ior_started(tmp_path: Path) -> None:
    told = tmp_path / "told"
    script = f"trap 'echo told > {told}; exit' TERM; while :; do : < /etc/passwd; done"
    with Pty("--", "sh", "-c", script) as pty:
        pty.wait(lambda lines: any("│sh" in line for line in lines))
        pty.child.send("q")
        assert pty.leave() == (0, "")
    assert told.read_text(encoding="ascii") == "told\n"


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that opens a file again and again."""
    child = subprocess.Popen(["sh", "-c", "while :; do : < /etc/passwd; done", "a-worker"])
    yield child
    child.kill()
    child.wait()


def test_a_process_is_chosen_by_typing(worker: subprocess.Popen[bytes]) -> None:
    with Pty() as pty:
        pty.see("every process")
        pty.child.send("a-worker")
        pty.wait(lambda lines: lines[3].split()[:1] == [str(worker.pid)])
        pty.child.send("\r")
        lines = pty.see("openat ")
        assert f"pid {worker.pid}" in lines[0]
        pty.child.send("q")
        assert pty.leave() == (0, "")


def test_from_one_process_to_another(worker: subprocess.Popen[bytes], tmp_path: Path) -> None:
    told = tmp_path / "told"
    script = f"trap 'echo told > {told}; exit' TERM; while :; do : < /etc/passwd; done"
    with Pty("--", "sh", "-c", script) as pty:
        pty.see("openat ")
        pty.child.send("p")
        pty.see("every process")
        pty.child.send(f"{worker.pid}\r")
        pty.wait(lambda lines: f"pid {worker.pid}" in lines[0])
        lines = pty.see("openat ")
        assert "running" in lines[0]
        assert told.read_text(encoding="ascii") == "told\n"
        pty.child.send("t")
        pty.see(f"which thread of process {worker.pid}?")
        pty.child.send("\x1b")
        pty.see("every process")
        pty.child.send("\x1b")
        pty.wait(lambda lines: f"pid {worker.pid}" in lines[0])
        pty.child.send("q")
        assert pty.leave() == (0, "")


def test_a_thread_is_chosen(worker: subprocess.Popen[bytes]) -> None:
    with Pty() as pty:
        pty.see("every process")
        pty.child.send(f"{worker.pid}\t")
        pty.see(f"which thread of process {worker.pid}?")
        pty.see("all threads of")
        pty.child.send("\x1b[F\r")
        lines = pty.see("openat ")
        assert f"tid {worker.pid}" in lines[0]
        pty.child.send("q")
        assert pty.leave() == (0, "")


def test_a_process_that_has_ended_meanwhile_is_said(worker: subprocess.Popen[bytes]) -> None:
    with Pty() as pty:
        pty.see("every process")
        pty.child.send(str(worker.pid))
        pty.see("1 match")
        worker.kill()
        worker.wait()
        pty.child.send("\r")
        pty.see(f"no process with pid {worker.pid}")
        pty.child.send("\x03")
        assert pty.leave() == (0, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_leave_the_picker(number: signal.Signals) -> None:
    with Pty() as pty:
        pty.see("every process")
        os.kill(pty.pid(), number)
        assert pty.leave() == (0, "")


def test_a_command_reads_nothing_and_never_writes_over_the_screen() -> None:
    script = "cat; echo to stdout; echo to stderr >&2; sleep 0.1; ls /no/such/place"
    with Pty("--", "sh", "-c", script) as pty:
        lines = pty.see("the run has ended")
        assert not any("to stdout" in line for line in lines)
        pty.child.send("O")
        lines = pty.see("No such file")
        at = next(i for i, line in enumerate(lines) if "to stdout" in line)
        assert lines[at + 1].strip() == "to stderr"
        pty.see("the run has ended; the command ended with 2; q leaves")
        pty.child.send("q")
        assert pty.leave() == (2, "")
