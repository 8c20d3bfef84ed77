"""Names of numbers: what people read instead of what files hold."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ior import decode, kinds
from ior.calls import CALLS, Column
from ior.testing import calls

ROOT = Path(__file__).parents[2]
ARCH = "x86_64"


@pytest.mark.parametrize(
    ("group", "value", "text"),
    [
        ("O", 0, "O_RDONLY"),
        ("O", 2 | 0o100, "O_RDWR|O_CREAT"),
        ("O", 0o1101, "O_WRONLY|O_CREAT|O_TRUNC"),
        ("O", 0o2200000, "O_RDONLY|O_DIRECTORY|O_CLOEXEC"),
        ("O", 0o20200002, "O_RDWR|O_TMPFILE"),
        ("O", 0o4010000, "O_RDONLY|O_SYNC"),
        ("O", 0o10000, "O_RDONLY|O_DSYNC"),
        ("O", 3, "0x3"),
        ("O", 1 << 30, "O_RDONLY|0x40000000"),
        ("NEW_FD", 0, "0"),
        ("NEW_FD", 0o2004000, "O_NONBLOCK|O_CLOEXEC"),
        ("mode", 0o640, "0640"),
        ("mode", 0, "0"),
        ("access", 0, "F_OK"),
        ("access", 6, "W_OK|R_OK"),
        ("AF", 10, "AF_INET6"),
        ("AF", 999, "999"),
        ("SOCK", 1, "SOCK_STREAM"),
        ("SIG", 15, "SIGTERM"),
        ("SIG", 34, "34"),
        ("F", 4, "F_SETFL"),
        ("F", 1030, "F_DUPFD_CLOEXEC"),
        ("IOCTL", 0x5413, "TIOCGWINSZ"),
        ("IOCTL", 0x5401, "TCGETS"),
        ("IOCTL", 0xDEAD, "0xdead"),
        ("SEEK", 2, "SEEK_END"),
        ("FUTEX", 128, "FUTEX_WAIT|FUTEX_PRIVATE_FLAG"),
        ("FUTEX", 393, "FUTEX_WAIT_BITSET|FUTEX_PRIVATE_FLAG|FUTEX_CLOCK_REALTIME"),
        ("MAP", 0x22, "MAP_PRIVATE|MAP_ANONYMOUS"),
        ("MAP", 3, "MAP_SHARED_VALIDATE"),
        ("PROT", 0, "PROT_NONE"),
        ("PROT", 5, "PROT_READ|PROT_EXEC"),
        ("IPC", 0o1600, "IPC_CREAT|0600"),
        ("CLONE", 0x200, "CLONE_FS"),
        ("EPOLL", 3, "EPOLLIN|EPOLLPRI"),
        ("LOCK", 6, "LOCK_EX|LOCK_NB"),
        ("W", 0x40000001, "WNOHANG|__WALL"),
        ("BPF", 5, "BPF_PROG_LOAD"),
        ("no such group", 7, "7"),
    ],
)
def test_names(group: str, value: int, text: str) -> None:
    assert decode.named(group, value, ARCH) == text


def test_names_are_those_of_the_architecture() -> None:
    assert decode.named("O", 0o40000, "x86_64") == "O_RDONLY|O_DIRECT"
    assert decode.named("O", 0o40000, "arm64") == "O_RDONLY|O_DIRECTORY"
    assert decode.named("MAP", 0x42, "x86_64") == "MAP_PRIVATE|MAP_32BIT"
    assert decode.named("MAP", 0x42, "arm64") == "MAP_PRIVATE|0x40"


GROUPS = sorted(decode.constants(ARCH))


@given(st.sampled_from(GROUPS), st.integers(0, 2**63 - 1))
def test_no_bit_is_lost_and_none_is_made_up(group: str, value: int) -> None:
    by_name = {c.name: c.number for c in decode.constants(ARCH)[group]}
    parts = decode.named(group, value, ARCH).split("|")
    numbers = [
        by_name[p] if p in by_name else int(p, 8 if p[0] == "0" and p[1:2] != "x" else 0)
        for p in parts
    ]
    whole = 0
    for number in numbers:
        whole |= number
    assert whole == value


def test_every_group_of_the_table_has_names_and_is_used() -> None:
    used = {row.names for row in kinds.table()} - {"-", "mode"} | {"FD"}
    for arch in ("x86_64", "arm64"):
        assert used == decode.constants(arch).keys()


def test_the_names_are_those_of_the_headers() -> None:
    line = [sys.executable, str(ROOT / "scripts/constants.py"), "--check"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_columns_as_text() -> None:
    args = np.zeros((7, 5), np.uint64)
    args[0, :2] = (0o101, 0o644)
    args[1, :2] = (2, 1)
    args[2, :2] = (4, 0o4000)
    args[3, :3] = (0, 2, 2**32 - 1)
    args[4, :3] = (10, 0o2000001, 6)
    args[5, 1] = 8192
    args[6, :2] = (7, 15)
    syscall = ["openat", "fcntl", "fcntl", "poll", "socket", "read", "kill"]
    batch = calls(syscall=syscall, args=args, fd_flags=[0o101, 0, 0, 0, 0, 0, 0])
    assert decode.texts(batch, "call_flags") == [
        *("O_WRONLY|O_CREAT", "FD_CLOEXEC", "O_RDONLY|O_NONBLOCK"),
        *("", "O_CLOEXEC", "", ""),
    ]
    assert decode.texts(batch, "fd_flags")[:2] == ["O_WRONLY|O_CREAT", ""]
    assert decode.summaries(batch) == [
        "call_flags=O_WRONLY|O_CREAT mode=0644",
        "op=F_SETFD call_flags=FD_CLOEXEC",
        "op=F_SETFL call_flags=O_RDONLY|O_NONBLOCK",
        "nfds=2 timeout=infinite",
        "call_flags=O_CLOEXEC socket_family=AF_INET6 socket_type=SOCK_STREAM socket_protocol=6",
        "requested_bytes=8.0KiB",
        "signal=SIGTERM target_pid=7",
    ]
    with pytest.raises(KeyError):
        decode.texts(batch, "fd")


def test_a_stage_s_own_column_is_left_alone() -> None:
    mine = Column("mode", "i8", "int", "mine")
    batch = calls(syscall=["mkdir"], args=np.array([[0o700, 0, 0, 0, 0]], np.uint64))
    assert decode.summaries(batch) == ["mode=0700"]
    changed = batch.with_columns({mine: np.array([3])})
    assert not decode.is_ours(changed, "mode")
    assert decode.summaries(changed) == [""]
    assert set(CALLS.names) >= decode.COLUMNS
