"""Call by call, argument by argument: what ior says of a run is what strace says of the same.

Both see the same programs in the same directory, made anew for each. strace prints numbers
(`-X raw`) and the file behind every descriptor (`-y`), one log per process (`-ff`); a row of
ior is compared with its line: syscall, return, error, every column that an argument fills,
and the file. Where the two may differ, `differences.tsv` says so, with the cause.
"""

from __future__ import annotations

import errno
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from product import Row, environment, ior, rows

from ior import kinds, syscalls

pytestmark = pytest.mark.kernel

HERE = Path(__file__).parent
PLAIN = ("u32", "s32", "s64", "size", "size32", "mode", "creating")  # strace shows the same number
NUMBER = re.compile(r"-?(?:0x[0-9a-f]+|0[0-7]*|[1-9]\d*)")
LINE = re.compile(
    r"(\w+)\((.*)\) += (-?\d+|0x[0-9a-f]+|\?)(?:<.*>)?"
    r"(?: (E[A-Z0-9]+) \(.*\)| \(flags .*\))? <[\d.]+>"
)
PROC = re.compile(r"^/proc/\d+")  # the process's own, which has another number in each run
OPENER, CLOSER = "([{", ")]}"


class Call(NamedTuple):
    """One line of strace."""

    name: str
    ret: int
    errno: str
    arguments: list[str]


def split(text: str) -> list[str]:
    """Split arguments at the commas that stand outside strings, files and structures."""
    found, depth, i, start = [], 0, 0, 0
    while i < len(text):
        character = text[i]
        if character == '"':
            i = re.compile(r'"(?:[^"\\]|\\.)*"').match(text, i).end() - 1  # type: ignore[union-attr]
        elif character == "<":  # a descriptor's file, in which strace escapes angle brackets
            i = text.index(">", i)
        elif text.startswith("/*", i):
            i = text.index("*/", i) + 1
        elif character in OPENER:
            depth += 1
        elif character in CLOSER:
            depth -= 1
        elif character == "," and not depth:
            found.append(text[start:i].strip())
            start = i + 1
        i += 1
    return [*found, text[start:].strip()] if text else []


def number(text: str) -> int | None:
    """Return an argument's number, None for anything else."""
    if re.fullmatch(r"(?:0x[0-9a-f]+)?\|0x[0-9a-f]+", text):  # flags of statx: two groups of bits
        return sum(int(part, 16) for part in text.split("|") if part)
    found = NUMBER.match(text)
    if found is None or not re.fullmatch(r"(?:<.*>|\s*/\*.*\*/)?", text[found.end() :]):
        return None
    digits = found[0].lstrip("-")
    value = int(digits, 16 if "x" in digits else 8 if digits.startswith("0") else 10)
    return -value if found[0].startswith("-") else value


def by_strace(folder: Path, wanted: set[int]) -> list[list[Call]]:
    """Return each process's calls, in the order of the processes' ids."""
    table = syscalls.table()
    processes = []
    for log in sorted(folder.glob("log.*"), key=lambda path: int(path.suffix[1:])):
        calls = []
        for line in log.read_text(encoding="utf-8").splitlines():
            found = LINE.fullmatch(line)
            assert found or line.startswith(("---", "+++", "exit_group(")), line
            if found is None or table.nr(found[1]) not in wanted or found[3] == "?":
                continue
            ret = -getattr(errno, found[4]) if found[4] else int(found[3], 0)
            calls.append(Call(found[1], ret, found[4] or "", split(found[2])))
        processes.append(calls)
    return [calls for calls in processes if calls]


def by_ior(found: list[Row]) -> list[list[Row]]:
    """Return each process's rows, in the order of the processes' ids."""
    tids = sorted({int(row["tid"]) for row in found})
    return [[row for row in found if int(row["tid"]) == tid] for tid in tids]


def differences(call: Call, row: Row) -> Iterator[tuple[str, object, object]]:
    """Yield each field of a row in which strace says something else: field, its value, ours."""
    table = syscalls.table()
    shown = table.by_name[call.name]
    failed = str(-call.ret) if call.errno else ""
    for field, theirs in (("syscall", shown.name), ("ret", str(call.ret)), ("errno", failed)):
        if row[field] != theirs:
            yield field, theirs, row[field]
    if row["syscall"] != shown.name:
        return
    for about in kinds.table():
        if about.syscall != shown.tracepoint or about.reads not in PLAIN or about.argument < 0:
            continue
        said = call.arguments[about.argument] if about.argument < len(call.arguments) else ""
        value, ours = number(said), row[about.column]
        if value is not None and about.reads in ("u32", "size32"):
            value &= 0xFFFFFFFF
        if (value is None) != (not ours) or (value is not None and int(ours) != value):
            yield about.column, said, ours
    behind = re.match(r"(\d+)<(/.*)>$", call.arguments[0]) if call.arguments else None
    if behind is not None and row["fd"] == behind[1]:
        ours = row["file"] + (" (deleted)" if row["file_state"] == "deleted" else "")
        shown_file, our_file = (PROC.sub("/proc/PID", text) for text in (behind[2], ours))
        if our_file != shown_file:
            yield "file", shown_file, our_file


def known() -> dict[tuple[str, str], str]:
    """Return the differences that are meant: the cause by syscall and field."""
    lines = (HERE / "differences.tsv").read_text("ascii").splitlines()[1:]
    return {(call, field): cause for call, field, cause in (line.split("\t") for line in lines)}


def compared(
    theirs: list[list[Call]], ours: list[list[Row]]
) -> set[tuple[str, str, object, object]]:
    """Return what differs: syscall, field, strace's value, ours."""
    assert [len(calls) for calls in theirs] == [len(part) for part in ours]
    return {
        (call.name, *found)
        for calls, part in zip(theirs, ours, strict=True)
        for call, row in zip(calls, part, strict=True)
        for found in differences(call, row)
    }


COREUTILS = """
mkdir -p a/b; printf 'one\\ntwo\\n' > a/one; cp a/one a/b/two; ln -s one a/link; ln a/one a/hard
mv a/b/two a/b/three; chmod 640 a/hard; touch -d 2001-01-01 a/one; truncate -s 1M a/b/large
ls -R a > list; ls -l a > /dev/null; cat a/link a/missing 2> /dev/null; find . -name 't*' > found
dd if=a/b/large of=copy bs=64k count=4 seek=1 conv=notrunc status=none; sort -r list > sorted
head -c 3 a/one; tail -c 3 a/one; wc -l list; cmp a/one a/hard; du -s a
stat -c %s a/link; df --output=target . > free
grep -r two a; sync copy; rm -r a/b; rmdir a 2> /dev/null; readlink a/link; od -c a/one
"""
ARCHIVE = "mkdir t; seq 9999 > t/n; tar cf x.tar t; mkdir u; tar xf x.tar -C u; tar tvf x.tar"
PYTHON = """
import ctypes, fcntl, mmap, os
libc = ctypes.CDLL(None)
fd = os.open("file", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
os.pwrite(fd, b"hello", 1 << 32); os.pread(fd, 9, 1 << 32); os.lseek(fd, -2, os.SEEK_END)
os.read(fd, 100); os.write(fd, b"x"); os.ftruncate(fd, 12345); os.truncate("file", 77777)
os.posix_fallocate(fd, 4096, 8192); os.posix_fadvise(fd, 0, 100, os.POSIX_FADV_DONTNEED)
libc.fallocate(fd, 3, ctypes.c_long(0), ctypes.c_long(4096))
fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB); fcntl.flock(fd, fcntl.LOCK_UN)
fcntl.fcntl(fd, fcntl.F_GETFL); fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND | os.O_NONBLOCK)
fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
two = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 30); os.dup2(fd, 40); os.dup2(fd, 41, False)
os.fchmod(fd, 0o600); os.chmod("file", 0o444); os.mkdir("sub", 0o711); os.umask(0o27)
sub = os.open("sub", os.O_RDONLY | os.O_DIRECTORY)
os.link("file", "hard", dst_dir_fd=sub); os.symlink("../file", "soft", dir_fd=sub)
os.rename("hard", "moved", src_dir_fd=sub, dst_dir_fd=sub); os.readlink("soft", dir_fd=sub)
os.mknod("fifo", 0o10600, dir_fd=sub); os.unlink("fifo", dir_fd=sub)
os.access("soft", os.R_OK | os.W_OK, dir_fd=sub, effective_ids=True); os.access("file", os.F_OK)
os.utime("soft", (1, 2), dir_fd=sub, follow_symlinks=False)
os.chown("file", -1, -1); os.chown("soft", -1, -1, dir_fd=sub, follow_symlinks=False)
libc.renameat2(sub, b"moved", sub, b"soft", 2)
os.statvfs("file"); os.fstatvfs(fd); os.getcwd(); os.listdir("sub"); os.listdir(sub)
out = os.open("out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
os.copy_file_range(fd, out, 100, 0); os.sendfile(out, fd, 0, 200)
os.preadv(fd, [bytearray(10)], 5); os.pwritev(out, [b"ab"], 7)
os.writev(out, [b"a", b"b"]); os.readv(fd, [bytearray(4)])
os.fsync(fd); os.fdatasync(fd); libc.syncfs(fd)
libc.sync_file_range(fd, ctypes.c_long(0), ctypes.c_long(99), 2)
libc.readahead(fd, ctypes.c_long(5), ctypes.c_long(6)); libc.close_range(60, 70, 4)
for call in (lambda: os.open("missing/file", os.O_RDONLY), lambda: os.close(999),
             lambda: os.mkdir("sub"), lambda: os.lseek(fd, -1, os.SEEK_SET)):
    try: call()
    except OSError: pass
os.unlink("out"); os.write(out, b"gone"); os.chdir("sub"); os.fchdir(sub)
os.close(two); os.close(40); os.close(out)
"""
OFFSETS = """
import os
fd = os.open("file", os.O_RDWR | os.O_CREAT)
os.pwritev(fd, [b"ab"], 7, os.RWF_DSYNC); os.preadv(fd, [bytearray(2)], 7, os.RWF_HIPRI)
"""
WORKLOADS = {
    "coreutils": ("sh", "-c", COREUTILS),
    "archive": ("sh", "-c", ARCHIVE),
    "python": (sys.executable, "-I", "-S", "-c", PYTHON),
}


def fresh(folder: Path) -> Path:
    """Return an empty directory of the same name every time."""
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    return work


def seen(folder: Path, command: tuple[str, ...]) -> tuple[list[list[Call]], list[list[Row]]]:
    """Return what strace and ior say of a command."""
    line = ("strace", "-ff", "-y", "-T", "-X", "raw", "-o", str(folder / "log"), *command)
    told = subprocess.run(
        line,
        cwd=fresh(folder),
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    done = ior(fresh(folder), "run", "plain", "-o", str(folder / "rows.csv"), "--", *command)
    assert done.code == told.returncode, done.err
    ours = by_ior(rows((folder / "rows.csv").read_bytes()))
    return by_strace(folder, set(syscalls.select(["FS"]))), ours


def test_every_difference_that_is_meant_has_a_call_that_shows_it(tmp_path: Path) -> None:
    found = compared(*seen(tmp_path, (sys.executable, "-I", "-S", "-c", OFFSETS)))
    assert {difference[:2] for difference in found} == set(known())
    assert all(known().values())


@pytest.mark.parametrize("workload", WORKLOADS)
def test_rows_are_what_strace_says(tmp_path: Path, workload: str) -> None:
    theirs, ours = seen(tmp_path, WORKLOADS[workload])
    assert sum(map(len, theirs)) > 150
    meant = known()
    unexplained = {found for found in compared(theirs, ours) if found[:2] not in meant}
    assert unexplained == set()
    # The comparison itself: an error that is planted in any field of any row is found.
    sized = [row for process in ours for row in process if row["requested_bytes"]]
    sized[len(sized) // 2]["requested_bytes"] = "987654321"
    named = next(row for process in ours for row in process if row["syscall"] == "read")
    named["file"] = "/planted"
    planted = {found[3] for found in compared(theirs, ours)}
    assert {"987654321", "/planted"} <= planted
