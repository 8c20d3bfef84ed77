"""Targets: the numbers that `--pid` and `--tid` take."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from ior.errors import NoSuchTarget, UsageError
from ior.host import procs


def test_a_process() -> None:
    found = procs.process(os.getpid())
    assert (found.pid, found.tid) == (os.getpid(), os.getpid())
    assert found.ns_pids[0] == os.getpid()
    assert not found.ended


def test_a_thread_knows_its_process() -> None:
    tids: list[int] = []
    known, done = threading.Event(), threading.Event()

    def work() -> None:
        tids.append(threading.get_native_id())
        known.set()
        done.wait(20)

    thread = threading.Thread(target=work)
    thread.start()
    assert known.wait(20)
    try:
        assert procs.thread(tids[0]).pid == os.getpid()
        with pytest.raises(UsageError, match=f"--tid {tids[0]} or --pid {os.getpid()}"):
            procs.process(tids[0])
    finally:
        done.set()
        thread.join()
    while Path(f"/proc/self/task/{tids[0]}").exists():  # it is joined before the kernel ends it
        os.sched_yield()
    with pytest.raises(NoSuchTarget, match=f"no thread with tid {tids[0]}"):
        procs.thread(tids[0])


@pytest.mark.parametrize("pid", [0, -1, 2**31 - 1])
def test_no_such_process(pid: int) -> None:
    with pytest.raises(NoSuchTarget, match=f"no process with pid {pid}") as caught:
        procs.process(pid)
    assert caught.value.exit_code == 2


def test_a_zombie_is_gone() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    try:
        with pytest.raises(NoSuchTarget):
            procs.process(pid)
        with pytest.raises(NoSuchTarget):
            procs.thread(pid)
    finally:
        os.waitpid(pid, 0)


def test_a_leader_that_ended_before_its_threads_is_a_target(tmp_path: Path) -> None:
    folder = tmp_path / "77"
    folder.mkdir()
    text = "Name:\tx\\n:\ty\nState:\tZ (zombie)\nTgid:\t77\nNSpid:\t77\t3\nThreads:\t2\n"
    (folder / "status").write_text(text)
    found = procs.process(77, tmp_path)
    assert found == procs.Process(77, 77, "x\\n:\ty", 2, "Z", (77, 3))
