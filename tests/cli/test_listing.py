"""What there is to choose from, compared with what /proc holds and with what hangs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ior.host.listing import Lister


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """Run a process with a hostile name in its command line, and four threads."""
    program = (
        "import threading, time\n"
        "for _ in range(3):\n"
        "    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "print('up', flush=True)\n"
        "time.sleep(60)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, "\x1b[2J", b"\xff"], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"up\n"
    yield child
    child.kill()
    child.wait()
    child.stdout.close()


def test_processes_with_their_command_lines(sleeper: subprocess.Popen[bytes]) -> None:
    found = {one.id: one for one in Lister().processes().candidates}
    assert os.getpid() not in found
    assert 2 not in found, "the kernel's own threads make no syscalls"
    one = found[sleeper.pid]
    assert one.threads == 4
    assert one.comm.startswith("python")
    assert one.command.startswith(sys.executable)
    assert one.command.endswith("\x1b[2J \\xff"), "text-column form, not yet fit for a screen"


def test_threads_of_a_process(sleeper: subprocess.Popen[bytes]) -> None:
    tids = {int(name) for name in os.listdir(f"/proc/{sleeper.pid}/task")}
    assert {one.id for one in Lister().threads(sleeper.pid).candidates} == tids
    assert Lister().threads(2**30).candidates == ()


def fake(proc: Path, pid: int, *, hangs: bool = False) -> None:
    folder = proc / str(pid)
    folder.mkdir()
    status = f"Name:\tp{pid}\nState:\tS\nTgid:\t{pid}\nThreads:\t1\nVmSize:\t1 kB\n"
    (folder / "status").write_text(status, encoding="ascii")
    if hangs:
        os.mkfifo(folder / "cmdline")  # a read waits as it does for a locked memory
    else:
        (folder / "cmdline").write_bytes(b"/bin/p\0%d\0" % pid)


def test_a_command_line_that_hangs_is_left_out_and_not_tried_again(tmp_path: Path) -> None:
    for pid in (3, 4, 5, 6):
        fake(tmp_path, pid, hangs=pid in (4, 5))
    lister = Lister(tmp_path, patience_s=0.02)
    before = threading.active_count()
    for _ in range(2):
        listing = lister.processes()
        lines = {one.id: one.command for one in listing.candidates}
        assert lines == {3: "/bin/p 3", 4: "", 5: "", 6: "/bin/p 6"}
        assert "pid 4, 5 cannot be read" in listing.note
        assert threading.active_count() == before + 2
    for pid in (4, 5):  # let the threads go
        os.close(os.open(tmp_path / str(pid) / "cmdline", os.O_WRONLY))
