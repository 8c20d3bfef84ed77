"""Rows of `ior run plain`: what a CSV parser reads of a real command is what it did."""

from __future__ import annotations

import errno
import subprocess
import sys
import time
from pathlib import Path

import pytest
from product import Row, ior, rows, started

pytestmark = pytest.mark.kernel

ENOENT = str(errno.ENOENT)  # a file holds numbers
OPENS = ("open", "openat", "openat2", "creat")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a directory that `ls` has something to say about."""
    (tmp_path / "tree").mkdir()
    for name in ("one", "two", "three"):
        (tmp_path / "tree" / name).write_text(name)
    (tmp_path / "tree" / "link").symlink_to("one")
    return tmp_path / "tree"


def test_rows_are_csv_and_every_open_has_an_absolute_path(tmp_path: Path) -> None:
    done = ior(tmp_path, "run", "plain", "--ledger", "l.json", "--", "ls", "-l", "/etc")
    assert done.code == 0, done.err
    assert len({len(row) for row in done.rows}) == 1
    assert not any(None in row or None in row.values() for row in done.rows)
    assert [int(row["seq"]) for row in done.rows] == list(range(len(done.rows)))
    opened = [row for row in done.rows if row["syscall"] in OPENS]
    assert len(opened) > 5
    assert [row for row in opened if not row["file"].startswith("/")] == []
    etc = next(row for row in opened if row["file"] == "/etc")
    assert (etc["comm"], etc["ret"], etc["is_error"]) == ("ls", etc["fd"], "false")
    missing = [row for row in opened if row["ret"] == "-2"]
    assert {(row["errno"], row["fd"], row["is_error"]) for row in missing} == {
        (ENOENT, "-1", "true")
    }


def test_the_commands_own_output_is_on_stderr(tmp_path: Path, tree: Path) -> None:
    done = ior(tmp_path, "run", "plain", "--", "ls", "-l", str(tree))
    listing = subprocess.run(["ls", "-l", str(tree)], capture_output=True, text=True, check=True)
    assert listing.stdout in done.err
    assert done.out.startswith(b"seq,time_ns,")
    assert b"total" not in done.out


def test_times_are_of_the_wall_clock_if_asked_for(tmp_path: Path) -> None:
    line = ("run", "plain", "--set", "csv.time=wall", "--syscalls", "execve")
    before = time.time_ns()
    done = ior(tmp_path, *line, "--", "true")
    assert done.code == 0, done.err
    (row,) = done.rows
    assert (
        before < int(row["time_ns"]) < int(row["time_ns"]) + int(row["latency_ns"]) < time.time_ns()
    )


def test_a_failing_command_passes_its_status_on(tmp_path: Path) -> None:
    done = ior(tmp_path, "run", "plain", "--", "ls", "-l", "/no/such/place")
    assert done.code == 2
    assert "/no/such/place" in done.err
    looked = [row for row in done.rows if row["file"] == "/no/such/place"]
    assert {row["errno"] for row in looked} == {ENOENT}


OPEN_EACH_WAY = """
import ctypes, os, struct, sys
os.chdir(sys.argv[1])
libc = ctypes.CDLL(None)
libc.syscall(2, b"one", 0)                           # open
libc.syscall(257, -100, b"one", 0, 0)                # openat
folder = os.open("..", os.O_RDONLY)
libc.syscall(257, folder, b"tree/two", 0, 0)
how = ctypes.create_string_buffer(struct.pack("QQQ", 0, 0, 0))
libc.syscall(437, folder, b"tree/three", how, 24)    # openat2
libc.syscall(85, b"made", 0o600)                     # creat
libc.syscall(85, b"no/such/made", 0o600)
"""


def test_every_way_to_open_shows_the_absolute_path(tmp_path: Path, tree: Path) -> None:
    work = (sys.executable, "-I", "-c", OPEN_EACH_WAY, str(tree))
    done = ior(tmp_path, "run", "plain", "--syscalls", ",".join(OPENS), "--", *work)
    assert done.code == 0, done.err
    mine = [row for row in done.rows if row["file"].startswith(str(tmp_path))]
    assert [(row["syscall"], row["file"], row["errno"]) for row in mine] == [
        ("open", f"{tree}/one", ""),
        ("openat", f"{tree}/one", ""),
        ("openat", f"{tmp_path}", ""),
        ("openat", f"{tree}/two", ""),
        ("openat2", f"{tree}/three", ""),
        ("creat", f"{tree}/made", ""),
        ("creat", f"{tree}/no/such/made", ENOENT),
    ]


MOVES = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)

def bind(source, target):
    if libc.mount(source.encode(), target.encode(), None, 4096, None):  # MS_BIND
        raise OSError(ctypes.get_errno(), "mount")

os.chdir(sys.argv[1])
os.makedirs("old/deep")
a = os.open("old/deep/file", os.O_CREAT | os.O_RDWR, 0o600)
os.write(a, b"1")
os.rename("old", "new")
os.write(a, b"22")
os.rename("new/deep", "new/other")
os.write(a, b"333")
os.mkdir("seen")
bind("new", "seen")
b = os.open("seen/other/inside", os.O_CREAT | os.O_RDWR, 0o600)
os.write(b, b"4444")
os.write(a, b"55555")
os.rename("new/other", "new/moved")
os.write(b, b"666666")
os.unlink("new/moved/file")
os.write(a, b"7777777")
c = os.open("new/moved/file", os.O_CREAT | os.O_RDWR, 0o600)
os.write(c, b"88888888")
os.write(a, b"999999999")
os.close(a)
"""


def test_every_row_shows_the_name_that_is_true_at_that_call(tmp_path: Path) -> None:
    work = ("unshare", "--mount", sys.executable, "-I", "-c", MOVES, str(tmp_path))
    selected = ("--syscalls", "write,close,/^rename/,/^unlink/")
    done = ior(tmp_path, "run", "plain", *selected, "--", *work)
    assert done.code == 0, done.err
    mine = [row for row in done.rows if row["file"].startswith(f"{tmp_path}/")]

    def shown(row: Row) -> tuple[str, str, str, str]:
        file, old = (row[name].removeprefix(f"{tmp_path}/") for name in ("file", "old_file"))
        return row["syscall"], file, row["file_state"] or old, row["bytes"]

    assert [shown(row) for row in mine] == [
        ("write", "old/deep/file", "", "1"),
        ("rename", "new", "old", "0"),
        ("write", "new/deep/file", "", "2"),
        ("rename", "new/other", "new/deep", "0"),
        ("write", "new/other/file", "", "3"),
        ("write", "seen/other/inside", "", "4"),
        ("write", "new/other/file", "", "5"),
        ("rename", "new/moved", "new/other", "0"),
        ("write", "seen/moved/inside", "", "6"),
        ("unlink", "new/moved/file", "", "0"),
        ("write", "new/moved/file", "deleted", "7"),
        ("write", "new/moved/file", "", "8"),
        ("write", "new/moved/file", "deleted", "9"),
        ("close", "new/moved/file", "deleted", "0"),
    ]


def test_rows_reach_a_pipe_within_a_tenth_of_a_second(tmp_path: Path) -> None:
    opener = 'while read name; do : < "$name"; done'
    target = subprocess.Popen(["sh", "-c", opener], stdin=subprocess.PIPE, text=True, bufsize=1)
    line = ("run", "plain", "--syscalls", "openat", "--pid", str(target.pid))
    late_s = []
    with target, started(tmp_path, *line) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        assert target.stdin is not None
        assert f"of pid {target.pid}" in run.stderr.readline()
        names = run.stdout
        for number in range(9):
            path = tmp_path / str(number)
            path.touch()
            target.stdin.write(f"{path}\n")
            if number == 0:
                columns = names.readline().strip().split(",")
            text = names.readline()
            now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            row = rows(f"{','.join(columns)}\n{text}".encode())[0]
            assert row["file"] == str(path)
            late_s.append((now_ns - int(row["time_ns"]) - int(row["latency_ns"])) / 1e9)
        target.stdin.close()
        assert run.wait(60) == 0
    assert sorted(late_s)[len(late_s) // 2] < 0.1, late_s
