"""The workload that `synthetic` makes up: who calls what on which files, and who waits."""

from __future__ import annotations

from typing import NamedTuple


class Habit(NamedTuple):
    """A call that a process makes: how often, on which files, how long, how it fails."""

    syscall: str
    files: str
    weight: float
    latency_ns: int  # median; log-normal around it
    size: int = 0  # bytes, median
    errno: int = 0
    failing: float = 0.0  # the part of the calls that end in `errno`


class Process(NamedTuple):
    """A process, and what its threads do."""

    comm: str
    pid: int
    threads: int
    share: float  # of all calls, beside the others' shares
    habits: tuple[Habit, ...]
    ppid: int = 1
    uid: int = 0
    cgroup: str = "/"


FILES = {
    "tables": [f"/var/lib/postgresql/15/main/base/16384/{16_400 + i}" for i in range(120)],
    "wal": [f"/var/lib/postgresql/15/main/pg_wal/0000000100000000000000{i:02X}" for i in range(16)],
    "modules": [f"/usr/lib/python3/dist-packages/web/part{i % 24}/m{i}.py" for i in range(900)],
    "caches": [f"/usr/lib/python3/dist-packages/web/part{i % 24}/m{i}.pyc" for i in range(900)],
    "sockets": [f"tcp 10.0.0.5:443 → 10.0.2.{i}:{40_000 + 7 * i}" for i in range(200)],
    "pages": [f"/srv/www/{part}/{i}.html" for part in ("docs", "news") for i in range(300)],
    "tree": [f"/usr/share/doc/package-{i}" for i in range(1500)],
    "logs": ["/var/log/syslog", "/var/log/auth.log", "/var/log/nginx/access.log"],
    "zero": ["/dev/zero"],
    "null": ["/dev/null"],
    "pipes": [f"pipe:[{90_000 + i}]" for i in range(12)],
}

PROCESSES = (
    Process(
        "nginx",
        812,
        4,
        5.0,
        (
            Habit("read", "sockets", 4, 1_800, 620, 11, 0.12),
            Habit("openat", "pages", 1, 5_200, 0, 2, 0.06),
            Habit("fstat", "pages", 1, 600),
            Habit("pread64", "pages", 2, 2_600, 11_000),
            Habit("write", "sockets", 3, 7_500, 9_000, 32, 0.004),
            Habit("write", "logs", 1, 3_000, 180),
            Habit("close", "pages", 1, 450),
        ),
        1,
        33,
        "/system.slice/nginx.service",
    ),
    Process(
        "postgres",
        1044,
        3,
        4.0,
        (
            Habit("pread64", "tables", 8, 4_200, 8192),
            Habit("pwrite64", "tables", 3, 9_000, 8192),
            Habit("lseek", "tables", 2, 350),
            Habit("pwrite64", "wal", 2, 11_000, 8192),
            Habit("fdatasync", "wal", 0.3, 900_000),
        ),
        1021,
        999,
        f"/system.slice/docker-{'3f9a' * 16}.scope",
    ),
    Process(
        "python3",
        2301,
        2,
        3.0,
        (
            Habit("openat", "caches", 2, 4_800, 0, 2, 0.3),
            Habit("fstat", "caches", 2, 550),
            Habit("read", "caches", 3, 3_600, 5_000),
            Habit("openat", "modules", 1, 5_000, 0, 2, 0.1),
            Habit("read", "modules", 1, 3_900, 7_000),
            Habit("close", "caches", 2, 420),
        ),
        1021,
        1001,
        f"/system.slice/docker-{'c07e' * 16}.scope",
    ),
    Process(
        "find",
        2417,
        1,
        2.0,
        (
            Habit("newfstatat", "tree", 6, 1_500, 0, 13, 0.01),
            Habit("getdents64", "tree", 2, 6_500, 700),
            Habit("close", "tree", 1, 400),
            Habit("write", "pipes", 1, 2_100, 4096),
        ),
        2301,
        1001,
        f"/system.slice/docker-{'c07e' * 16}.scope",
    ),
    Process(
        "dd",
        2502,
        1,
        2.5,
        (Habit("read", "zero", 1, 480, 512), Habit("write", "null", 1, 310, 512)),
        2417,
        1000,
        "/user.slice/user-1000.slice/session-3.scope",
    ),
    Process(
        "rsyslogd",
        640,
        2,
        0.5,
        (Habit("write", "logs", 1, 4_000, 130),),
        1,
        104,
        "/system.slice/rsyslog.service",
    ),
)


class Wait(NamedTuple):
    """A call that begins `after_s` seconds after the start and never returns."""

    after_s: float
    pid: int
    tid: int
    comm: str
    syscall: str
    fd: int
    file: str


WAITS = (
    Wait(0, 1044, 1047, "postgres", "fdatasync", 9, FILES["wal"][3]),
    Wait(0.7, 812, 816, "nginx", "read", 5, FILES["pipes"][2]),
    Wait(1.1, 640, 642, "rsyslogd", "write", 7, "/var/log/mail.log"),
)
