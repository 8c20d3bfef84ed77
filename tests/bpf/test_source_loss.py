"""Both pairing modes, with and without loss: the same rows, exact books, nothing mispaired."""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from tracing import MODES, Traced, compiled, program, trace

from ior.pipeline.run import Run

pytestmark = pytest.mark.kernel

SEQUENCES = r"""
/* Each thread has a descriptor table of its own, so that its numbers do not depend on others. */
static char *dir;
static void *works(void *number) {
	long k = (long)number;
	char name[16], file[32], other[32], bytes[64] = {};
	sprintf(name, "w%ld", k);
	must(unshare(CLONE_FILES) == 0, "unshare");
	prctl(PR_SET_NAME, name);
	sprintf(file, "f%ld", k);
	sprintf(other, "g%ld", k);
	for (int i = 0; i < 60; i++) {
		int fd = open(file, O_RDWR | O_CREAT, 0600);
		pwrite(fd, bytes, (i + k) % 40 + 1, 0);
		pread(fd, bytes, 64, i % 3);
		int copy = dup(fd);
		lseek(copy, i, SEEK_SET);
		write(copy, bytes, i % 5);
		open("no/such/file", O_RDONLY);
		close(copy);
		read(copy, bytes, 1);
		rename(file, other);
		fsync(fd);
		ftruncate(fd, k);
		link(other, file);
		unlink(other);
		access(other, R_OK);
		close(fd);
		if (i % 7 == k % 7)
			unlink(file);
	}
	return NULL;
}
int main(int argc, char **argv) {
	pthread_t threads[8];
	must(chdir(argv[1]) == 0, "chdir");
	for (long k = 0; k < 8; k++)
		pthread_create(&threads[k], NULL, works, (void *)k);
	for (long k = 0; k < 8; k++)
		pthread_join(threads[k], NULL);
	return 0;
}
"""
SAME = ("syscall", "fd", "ret", "errno", "bytes", "file", "old_file", "file_state")


def sequences(traced: Traced) -> dict[str, list[tuple[Any, ...]]]:
    """Return what each thread did, by its name."""
    return {
        f"w{k}": [
            tuple(row[name] for name in SAME) for row in traced.rows if row["comm"] == f"w{k}"
        ]
        for k in range(8)
    }


def test_both_modes_give_each_thread_the_same_calls(tmp_path: Path) -> None:
    seen = {}
    for pairing in MODES:
        traced = program(SEQUENCES, str(tmp_path), pairing=pairing)
        assert traced.ledger.kernel["lost"] == 0
        assert not traced.unmatched
        seen[pairing] = sequences(traced)
        for file in tmp_path.iterdir():
            file.unlink()
    assert seen["kernel"] == seen["user"]
    lengths = {len(rows) for rows in seen["kernel"].values()}
    assert all(60 * 16 < length < 60 * 18 for length in lengths)
    first = seen["kernel"]["w3"][0]
    assert first[0] == "openat"
    assert first[5] == f"{tmp_path}/f3"


BUSY = r"""
/* Thread k writes to its own file; the i-th call writes i % 97 + 1 bytes at offset i. */
static void *works(void *number) {
	static char bytes[128];
	char name[16];
	sprintf(name, "file-%ld", (long)number);
	int fd = open(name, O_RDWR | O_CREAT, 0600);
	prctl(PR_SET_NAME, name);
	for (int i = 0; i < 6000; i++) {
		syscall(i % 2 ? SYS_pread64 : SYS_pwrite64, fd, bytes, i % 97 + 1, i);
		if (i % 600 == 0)
			usleep(1000); /* so that a ring that was full is read */
	}
	return NULL;
}
int main(int argc, char **argv) {
	pthread_t threads[8];
	must(chdir(argv[1]) == 0, "chdir");
	for (long k = 0; k < 8; k++)
		pthread_create(&threads[k], NULL, works, (void *)k);
	for (long k = 0; k < 8; k++)
		pthread_join(threads[k], NULL);
	return 0;
}
"""


def check_consistent(rows: list[dict[str, Any]], folder: Path) -> None:
    """Every row is one call: enter side, exit side and names say the same."""
    for row in rows:
        count, offset = row["args"][1:3]
        assert count == offset % 97 + 1
        assert row["syscall"] == ("pread64" if offset % 2 else "pwrite64")
        if row["syscall"] == "pwrite64":
            assert row["ret"] == row["bytes"] == count
        else:
            assert 0 <= row["ret"] == row["bytes"] <= count
        assert row["file"] == f"{folder}/{row['comm']}"
        assert 0 < row["latency_ns"] < 10**10
    for thread in {row["tid"] for row in rows}:
        mine = [row for row in rows if row["tid"] == thread]
        assert len({row["fd"] for row in mine}) == 1
        for one, two in itertools.pairwise(mine):
            assert one["args"][2] < two["args"][2]
            followed = one["args"][2] + 1 == two["args"][2]
            end = one["time_ns"] + one["latency_ns"]
            assert two["time_ns"] >= end
            # A gap is given exactly where no call is missing in between.
            assert two["gap_ns"] == (two["time_ns"] - end if followed else None)


def jumps(rows: list[dict[str, Any]]) -> int:
    """Return how often a thread's rows go on behind a call that is missing."""
    threads = {row["tid"]: [r["offset"] for r in rows if r["tid"] == row["tid"]] for row in rows}
    return sum(
        one + 1 != two for offsets in threads.values() for one, two in itertools.pairwise(offsets)
    )


@pytest.mark.parametrize("pairing", MODES)
def test_a_ring_of_one_page_loses_and_never_mispairs(tmp_path: Path, pairing: str) -> None:
    page, kept, jumped = os.sysconf("SC_PAGESIZE"), list[dict[str, Any]](), 0
    for _ in range(20):  # how much gets through is the scheduler's affair
        traced = program(
            BUSY, str(tmp_path), pairing=pairing, ring_size=page, syscalls=["pread64", "pwrite64"]
        )
        kernel = traced.ledger.kernel
        whole = 48_000 + len([r for r in traced.rows if not r["comm"].startswith("file-")])
        assert kernel["lost"] > 0
        assert kernel["attempted"] == kernel["read"] + kernel["lost"]
        assert kernel["attempted"] >= whole * (2 if pairing == "user" else 1)
        assert any("records lost: the ring of 4.0 KiB is full" in text for text in traced.warnings)
        rows = [r for r in traced.rows if r["comm"].startswith("file-")]
        check_consistent(rows, tmp_path)
        assert set(traced.causes) <= {"lost", "in flight at end"}
        kept += rows
        jumped += jumps(rows)
        if len(kept) > 50 and jumped > 5:
            break
    assert len(kept) > 50
    assert jumped > 5


@pytest.mark.parametrize("pairing", MODES)
def test_nothing_is_lost_in_a_ring_that_is_large_enough(tmp_path: Path, pairing: str) -> None:
    traced = program(BUSY, str(tmp_path), pairing=pairing, syscalls=["pread64", "pwrite64"])
    rows = [r for r in traced.rows if r["comm"].startswith("file-")]
    assert len(rows) == 48_000
    check_consistent(rows, tmp_path)
    assert traced.ledger.kernel["lost"] == 0
    assert not traced.unmatched
    assert not traced.warnings


SPIN = r"""
static void *spins(void *x) { for (;;) syscall(SYS_getppid); }
int main(int argc, char **argv) {
	pthread_t threads[4];
	char byte;
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, spins, NULL);
	write(1, "", 1);
	read(0, &byte, 1);
	return 0;
}
"""


@pytest.mark.parametrize("pairing", MODES)
def test_a_trace_of_what_runs_begins_and_ends_at_one_instant(pairing: str) -> None:
    """However long it takes to attach: no call has half of itself recorded but those in flight."""

    def stop_soon(run: Run) -> None:
        time.sleep(0.02)
        run.stop()

    with subprocess.Popen(
        [compiled(SPIN)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as spinning:
        assert spinning.stdout is not None
        spinning.stdout.read(1)
        traced = trace(pairing=pairing, syscalls=["getppid"], on_start=stop_soon)
        assert spinning.stdin is not None
        spinning.stdin.close()
    assert traced.of("getppid", pid=spinning.pid)
    assert set(traced.causes) <= {"in flight at start", "in flight at end"}
    ends = [row for row in traced.unmatched if row["pid"] == spinning.pid]
    assert len(ends) <= 2 * 4  # one at the start and one at the end of each thread
