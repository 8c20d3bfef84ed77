"""Call by call, argument by argument: what ior says of a run is what strace says of it.

ior traces strace, and strace the workload, so both see the very same calls: thread by thread
the same syscalls in the same order, with the same returns, errors, arguments, descriptors and
files, in a time that is no longer than strace's. The workloads that do the same each time are
also traced by each alone, as strace's own looking changes what is in memory. Where the two may
differ, `differences.tsv` says so, with the cause.
"""

from __future__ import annotations

import copy
import errno
import functools
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import strace_log
import workloads
from expected import PATHS, Paths, differences, told
from normalised import Same, one_run, two_runs
from product import Row, environment, ior, rows
from strace_log import Call

from ior import kinds, syscalls

pytestmark = pytest.mark.kernel

MODES = ("kernel", "user")
COVERED = ("FS", "Network", "Process", "IPC", "Polling")
OF_A_FILE = ("fd", "fcntl", "dup3", "epoll-ctl", "anon-fd", "open", "accept", "pidfd", "pipe")
OF_A_FILE += ("open-by-handle-at", "socket", "mq-open", "open-tree")
FILE = ("fd", "file")
NAMES = {call.nr: call.name for call in syscalls.table().by_nr.values()}
HERE = Path(__file__).parent

Thread = tuple[list[Call], list[Row]]
Difference = tuple[str, str, object, object]


class Differs(NamedTuple):
    """One field of one row in which strace says something else."""

    syscall: str
    field: str
    theirs: object
    ours: object
    call: str


def traced(folder: Path, *options: str) -> dict[int, list[Row]]:
    """Return each thread's rows, in the order in which its calls began."""
    work = workloads.fresh(folder)
    done = ior(work, "run", "plain", "-o", "../rows.csv", *options)
    assert done.code == 0, done.err
    threads = defaultdict(list)
    for row in rows((folder / "rows.csv").read_bytes()):
        threads[int(row["tid"])].append(row)
    return {tid: sorted(found, key=lambda r: int(r["time_ns"])) for tid, found in threads.items()}


@functools.cache
def together(workload: str, pairing: str) -> list[Thread]:
    """Return what strace and ior say of the threads of one run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        strace = ("strace", *strace_log.OPTIONS, "-o", str(folder / "log"))
        selected = ("--pairing", pairing, "--families", ",".join(syscalls.table().families))
        ours = traced(folder, *selected, "--", *strace, *workloads.command(workload))
        theirs = strace_log.read(folder, NAMES)
    first = next(iter(theirs))  # what strace's child does before its execve strace does not show
    begin = next(i for i, row in enumerate(ours[first]) if row["syscall"] == "execve")
    ours[first] = ours[first][begin:]
    return [(calls, ours[tid]) for tid, calls in theirs.items() if calls]


def apart(folder: Path, workload: str, pairing: str) -> list[Thread]:
    """Return what strace says of one run and ior of another: the calls of the family FS."""
    command = workloads.command(workload)
    strace = ("strace", *strace_log.OPTIONS, "-o", str(folder / "log"), *command)
    work = workloads.fresh(folder)
    nothing, piped = subprocess.DEVNULL, subprocess.PIPE
    done = subprocess.run(
        strace, cwd=work, env=environment(), stdin=nothing, stdout=piped, stderr=piped, check=False
    )
    assert done.returncode == 0, done.stderr
    ours = traced(folder, "--pairing", pairing, "--families", "FS", "--", *command)
    table = syscalls.table()
    of_files = {name for name, call in table.by_name.items() if call.family == "FS"}
    theirs = [
        [call for call in calls if call.name in of_files]
        for calls in strace_log.read(folder, NAMES).values()
    ]
    by_process = [ours[tid] for tid in sorted(ours)]
    return list(zip([calls for calls in theirs if calls], by_process, strict=True))


def compared(threads: list[Thread], same: Same = one_run) -> Iterator[Differs]:
    """Yield what differs; the calls themselves must be the same ones."""
    for calls, found in threads:
        assert [call.name for call in calls] == [row["syscall"] for row in found]
        paths = Paths()
        for call, row in zip(calls, found, strict=True):
            for difference in differences(call, row, paths, same):
                yield Differs(call.name, *difference, str(call))


def table_of(name: str) -> list[list[str]]:
    """Return the lines of a checked-in table, without its head."""
    lines = (HERE / name).read_text("ascii").splitlines()[1:]
    return [line.split("\t") for line in lines]


def meant() -> set[tuple[str, str]]:
    """Return the differences that are meant: syscall and field."""
    return {(call, field) for call, field, _ in table_of("differences.tsv")}


@pytest.mark.parametrize("pairing", MODES)
@pytest.mark.parametrize("workload", [*workloads.BY_FAMILY, *workloads.REAL])
def test_rows_are_what_strace_says_of_the_same_run(workload: str, pairing: str) -> None:
    threads = together(workload, pairing)
    assert sum(len(calls) for calls, _ in threads) > 50
    unexplained = [d for d in compared(threads) if (d.syscall, d.field) not in meant()]
    assert unexplained == []


@pytest.mark.parametrize("pairing", MODES)
@pytest.mark.parametrize("workload", workloads.THE_SAME_EACH_TIME)
def test_rows_are_what_strace_says_of_another_run(
    tmp_path: Path, workload: str, pairing: str
) -> None:
    threads = apart(tmp_path, workload, pairing)
    assert sum(len(calls) for calls, _ in threads) > 150
    found = compared(threads, two_runs)
    assert [d for d in found if (d.syscall, d.field) not in meant()] == []


def test_every_difference_that_is_meant_has_a_call_that_shows_it() -> None:
    found = {
        (difference.syscall, difference.field)
        for workload in workloads.BY_FAMILY
        for difference in compared(together(workload, "kernel"))
    }
    assert found == meant()
    assert all(cause for *_, cause in table_of("differences.tsv"))


def test_every_syscall_of_these_families_is_compared() -> None:
    reached = {
        call.name
        for workload in workloads.BY_FAMILY
        for calls, _ in together(workload, "kernel")
        for call in calls
    }
    known = {c.name for c in syscalls.table().by_nr.values() if c.family in COVERED}
    assert known - reached == set()


NOT_TOLD = {(n, f) for n in ("open_by_handle_at", "cachestat", "open_tree_attr") for f in FILE}
"""Of these strace shows no files: test_source_meaning.py and test_new_syscalls.py have them."""


def test_every_column_of_every_syscall_is_compared_with_some_value() -> None:
    compared = {
        (call.name, field)
        for workload in workloads.BY_FAMILY
        for calls, _ in together(workload, "kernel")
        for paths in [Paths()]
        for call in calls
        for field, value in told(call, paths)
        if value is not True and str(value) not in ("", "0", "-1")
    }
    table = syscalls.table()
    covered = {c.name: c for c in table.by_nr.values() if c.family in COVERED}
    filled = {(table.by_name[a.syscall].name, a.column) for a in kinds.table()}
    filled |= {(name, field) for name, where in PATHS.items() for field in where.values()}
    filled |= {(c.name, field) for c in covered.values() if c.kind in OF_A_FILE for field in FILE}
    wanted = {(name, field) for name, field in filled if name in covered}
    assert len(wanted) > 400
    assert wanted - compared == NOT_TOLD


@pytest.mark.parametrize(
    ("syscall", "field"),
    [
        *(("read", "file"), ("read", "ret"), ("openat", "asked"), ("openat", "fd")),
        *(("pwrite64", "offset"), ("write", "requested_bytes"), ("rename", "old_file")),
        *(("fallocate", "call_flags"), ("close", "latency_ns"), ("mkdir", "mode")),
        *(("access", "errno"), ("fcntl", "op"), ("dup2", "fd2"), ("close", "file_state")),
    ],
)
def test_an_error_that_is_planted_in_a_row_is_found(syscall: str, field: str) -> None:
    threads = copy.deepcopy(together("fs", "kernel"))
    row = next(r for _, found in threads for r in found if r["syscall"] == syscall and r["file"])
    row[field] = "987654321"
    assert (syscall, field, "987654321") in {
        (d.syscall, d.field, d.ours) for d in compared(threads)
    }


@pytest.mark.parametrize("plant", ["missing", "twice", "swapped"])
def test_an_error_that_is_planted_in_the_sequence_is_found(plant: str) -> None:
    threads = copy.deepcopy(together("fs", "kernel"))
    found = threads[0][1]
    at = next(i for i, row in enumerate(found) if row["syscall"] == "dup")
    if plant == "missing":
        del found[at]
    elif plant == "twice":
        found.insert(at, found[at])
    else:
        found[at], found[at + 1] = found[at + 1], found[at]
    with pytest.raises(AssertionError):
        list(compared(threads))


WITHOUT_A_FILE = ("close_range", "listmount", "listns", "msync", "statmount", "sync", "ustat")
"""Calls of the family FS that take neither a descriptor nor a path."""


@pytest.mark.parametrize("pairing", MODES)
@pytest.mark.parametrize("workload", workloads.REAL)
def test_no_call_on_a_valid_descriptor_or_path_is_without_its_file(
    tmp_path: Path, workload: str, pairing: str
) -> None:
    """Without strace, whose looking makes every path resident before the programs read it."""
    command = workloads.command(workload)
    found = traced(tmp_path, "--pairing", pairing, "--families", "FS", "--", *command)
    calls = [row for thread in found.values() for row in thread]
    nameless = [
        row
        for row in calls
        if not row["file"]
        and row["syscall"] not in WITHOUT_A_FILE
        and row["errno"] not in (str(errno.EBADF), str(errno.EFAULT))
    ]
    assert workloads.COMMANDS[workload] <= {row["comm"] for row in calls}
    assert len(calls) > 100
    assert nameless == []
