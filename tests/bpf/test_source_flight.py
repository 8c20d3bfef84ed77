"""What is it stuck on? Calls that have not returned, while a run goes on and at its end."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from tracing import KINDS, MODES, compiled, trace

from ior.pipeline.run import Run
from ior.waiting import InFlight, Waiting

pytestmark = pytest.mark.kernel

STUCK = r"""
#include <sys/file.h>
static char byte;
static void *reads(void *fd) { syscall(SYS_read, *(int *)fd, &byte, 1); return NULL; }
static void *locks(void *fd) { syscall(SYS_flock, *(int *)fd, LOCK_EX); return NULL; }
static void *sleeps(void *none) {
	struct timespec long_time = { 1000, 0 };
	syscall(SYS_nanosleep, &long_time, NULL);
	return NULL;
}
int main(int argc, char **argv) {
	int pipes[2], pair[2], one, two, fifo;
	pthread_t other;
	must(chdir(argv[1]) == 0 && mkfifo("fifo", 0600) == 0 && pipe(pipes) == 0, "pipes");
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
	must((fifo = open("fifo", O_RDWR)) >= 0, "fifo");
	must((one = open("lock", O_CREAT | O_RDWR, 0600)) >= 0, "lock");
	must((two = open("lock", O_RDWR)) >= 0, "lock again");
	must(flock(one, LOCK_EX) == 0, "flock");
	syscall(SYS_read, 0, &byte, 1); /* until the trace has begun */
	pthread_create(&other, NULL, reads, &fifo);
	pthread_create(&other, NULL, reads, &pipes[0]);
	pthread_create(&other, NULL, reads, &pair[0]);
	pthread_create(&other, NULL, locks, &two);
	pthread_create(&other, NULL, sleeps, NULL);
	pause();
	return 0;
}
"""
CALLS = ["read", "flock", "nanosleep", "pause"]


def kind(call: Waiting) -> tuple[str, str]:
    """Return the call and what it waits on, without the numbers of inodes."""
    return call.syscall, call.file.partition("[")[0]


@pytest.mark.core
@pytest.mark.parametrize(("pairing", "probe_reads"), KINDS)
def test_a_call_that_has_not_returned_is_known_by_its_file_and_age(
    tmp_path: Path, pairing: str, probe_reads: bool
) -> None:
    seen: list[InFlight] = []
    runs: list[Run] = []
    expected = {
        ("read", f"{tmp_path}/fifo"),
        ("read", "pipe:"),
        ("read", "unix socket:"),
        ("flock", f"{tmp_path}/lock"),
        ("nanosleep", ""),
        ("pause", ""),
    }

    async def look(run: Run) -> None:
        while not seen or {kind(call) for call in seen[-1].calls} != expected:
            picture = run.snapshot("kernel")
            assert isinstance(picture, InFlight)
            seen.append(picture)
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        run.stop()

    def on_start(run: Run) -> None:
        runs.append(run)
        tasks.append(asyncio.ensure_future(look(run)))
        assert child.stdin is not None
        child.stdin.write(b"x")
        child.stdin.flush()

    tasks: list[asyncio.Future[None]] = []
    began_ns = time.monotonic_ns()
    with subprocess.Popen([compiled(STUCK), str(tmp_path)], stdin=subprocess.PIPE) as child:
        try:
            traced = trace(
                pid=child.pid,
                on_start=on_start,
                pairing=pairing,
                probe_reads=probe_reads,
                syscalls=CALLS,
            )
        finally:
            child.kill()
    took_ns = time.monotonic_ns() - began_ns
    calls = seen[-1].calls
    tids = {call.tid for call in calls}
    assert len(tids) == 6
    assert {call.pid for call in calls} == {child.pid}
    assert {call.comm for call in calls} == {Path(compiled(STUCK)).name[:15]}
    assert next(call.tid for call in calls if call.syscall == "pause") == child.pid
    ages = [call.age_ns for call in calls]
    assert ages == sorted(ages, reverse=True)
    assert 0 < max(ages) < took_ns
    last = runs[0].snapshot("kernel")
    assert isinstance(last, InFlight)
    assert [kind(c) for c in last.calls] == [kind(c) for c in calls]
    assert all(
        late.age_ns >= early.age_ns + 40_000_000
        for late, early in zip(last.calls, calls, strict=True)
    )
    assert traced.ledger.kernel["in_flight"] == 6


@pytest.mark.core
@pytest.mark.parametrize(("pairing", "probe_reads"), KINDS)
def test_a_call_from_before_the_trace_is_known_until_it_returns(
    pairing: str, probe_reads: bool
) -> None:
    seen: list[InFlight] = []
    reading, writing = os.pipe()
    inode = os.stat(reading).st_ino

    async def look(run: Run) -> None:
        while not seen or seen[-1].earlier:
            picture = run.snapshot("kernel")
            assert isinstance(picture, InFlight)
            if not seen:
                os.write(writing, b"x")
            seen.append(picture)
            await asyncio.sleep(0.01)
        run.stop()

    def on_start(run: Run) -> None:
        tasks.append(asyncio.ensure_future(look(run)))

    tasks: list[asyncio.Future[None]] = []
    program = "import os, time; os.read(0, 1); time.sleep(1000)"
    with subprocess.Popen([sys.executable, "-c", program], stdin=reading) as child:
        try:
            while "pipe" not in Path(f"/proc/{child.pid}/wchan").read_text():
                time.sleep(0.01)
            traced = trace(
                pid=child.pid,
                on_start=on_start,
                pairing=pairing,
                probe_reads=probe_reads,
                syscalls=["read"],
            )
        finally:
            child.kill()
            os.close(reading)
            os.close(writing)
    comm = Path(sys.executable).resolve().name[:15]
    (call,) = seen[0].earlier
    assert (call.pid, call.tid, call.syscall, call.fd) == (child.pid, child.pid, "read", 0)
    assert (call.file, call.deaf) == (f"pipe:[{inode}]", False)
    assert call.comm in (comm, "python", "python3")
    assert seen[-1].earlier == ()
    assert traced.ledger.kernel["in_flight"] == 0


@pytest.mark.parametrize("pairing", MODES)
def test_the_ledger_says_what_a_run_left_waiting(tmp_path: Path, pairing: str) -> None:
    line = [sys.executable, "-m", "ior", "run", "summary", "--duration", "1s", "-q"]
    line += ["--ledger", "l.json", "--pairing", pairing, "--syscalls", ",".join(CALLS)]
    ran = subprocess.run(
        [*line, "--", compiled(STUCK), "."],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        input=b"x",
        capture_output=True,
        timeout=60,
        check=True,
    )
    books = json.loads((tmp_path / "l.json").read_text())
    assert books["kernel"]["in_flight"] == 6, ran.stderr
    assert books["in_flight"]["left_out"] == 0
    calls = {(c["syscall"], c["file"].partition("[")[0]): c for c in books["in_flight"]["calls"]}
    assert calls.keys() == {
        *(("read", f"{tmp_path}/fifo"), ("read", "pipe:"), ("read", "unix socket:")),
        *(("flock", f"{tmp_path}/lock"), ("nanosleep", ""), ("pause", "")),
    }
    flock, sleep = calls["flock", f"{tmp_path}/lock"], calls["nanosleep", ""]
    assert flock["fd"] > calls["read", f"{tmp_path}/fifo"]["fd"] > 2
    assert sleep["fd"] == -1
    assert len({call["tid"] for call in calls.values()}) == 6
    assert {call["pid"] for call in calls.values()} == {calls["pause", ""]["tid"]}
    assert {call["comm"] for call in calls.values()} == {Path(compiled(STUCK)).name[:15]}
    ages = [call["age_ns"] for call in books["in_flight"]["calls"]]
    assert 100_000_000 < ages[-1] <= ages[0] < 60_000_000_000
    assert ages == sorted(ages, reverse=True)


def test_the_report_says_what_a_run_left_waiting() -> None:
    line = [sys.executable, "-m", "ior", "run", "summary", "--duration", "1s", "--"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # a short name
        os.mkfifo(f"{folder}/fifo")
        ran = subprocess.run(
            [*line, "sh", "-c", "exec 3<>fifo; exec cat <&3"],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    table = ran.stderr.partition("\nIn flight")[2].partition("\n\n")[0]
    waiting = next(line.split() for line in table.splitlines() if line.startswith("cat"))
    assert waiting[3:6] == ["read", "0", f"{folder}/fifo"]
    assert float(waiting[6]) > 0.1
    assert waiting[7] in ("s", "ms")
