"""The workload that `synthetic` makes up: who calls what on which files, and who waits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ior import kinds, syscalls
from ior.names import Names
from ior.tasks import Task

Array = npt.NDArray[Any]

_BLOCKS = (512, 4096, 8192)  # bytes that are always moved whole
_O_CLOEXEC = 0o2000000


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


class Model:
    """The workload's tables as arrays: one row a thread, one a habit."""

    def __init__(self, names: Names, arch: str) -> None:
        table = syscalls.table(arch)
        files = {group: [names.intern(text) for text in texts] for group, texts in FILES.items()}
        starts = np.cumsum([0, *(len(codes) for codes in files.values())])
        start_of = dict(zip(files, starts.tolist(), strict=False))
        self.codes = np.array([code for codes in files.values() for code in codes], np.uint32)
        threads, habits, chances = [], [], []
        tasks = [Task(p.ppid, p.uid, 900 + p.pid, p.cgroup) for p in PROCESSES]
        self.task = np.array([names.intern(task.text()) for task in tasks], np.uint32)
        for number, process in enumerate(PROCESSES):
            comm = names.intern(process.comm)
            share = process.share / process.threads
            threads += [
                (number, process.pid, process.pid + i, comm, share) for i in range(process.threads)
            ]
            known = [habit for habit in process.habits if table.nr(habit.syscall) >= 0]
            weights = np.cumsum([habit.weight for habit in known])
            chances += (number + weights / weights[-1]).tolist()
            habits += known
        columns = list(zip(*threads, strict=True))
        self.process, self.pid, self.tid, self.comm = (np.array(c) for c in columns[:4])
        self.share = np.array(columns[4])
        self.chance = np.array(chances)  # ascending; process p's habits share p to p + 1
        calls = [table.by_nr[table.nr(habit.syscall)] for habit in habits]
        self.nr = np.array([call.nr for call in calls], np.uint16)
        self.opens = np.array([call.kind == "open" for call in calls])
        self.named_by_fd = np.array([call.kind == "fd" for call in calls])
        self.first_file = np.array([start_of[habit.files] for habit in habits])
        self.files = np.array([len(files[habit.files]) for habit in habits])
        self.latency = np.log([habit.latency_ns for habit in habits])
        self.size = np.array([habit.size for habit in habits])
        self.errno = np.array([habit.errno for habit in habits])
        self.failing = np.array([habit.failing for habit in habits])
        self.writes = np.array([call.byte_class == "write" for call in calls])
        self.word = {
            name: np.array([_word(kinds.arguments(arch, name), call.nr) for call in calls])
            for name in ("requested_bytes", "offset", "call_flags")
        }
        self.word["call_flags"][~self.opens] = -1
        self.seeks = np.array([call.name == "lseek" for call in calls])

    def arguments(self, rng: np.random.Generator, habit: Array, ret: Array) -> Array:
        """Return the argument words of calls, shape (n, 5): how much, where, and how to open."""
        size = self.size[habit]
        room = 2 ** np.ceil(np.log2(4.0 * np.maximum(size, 1))).astype(np.int64)
        asked = np.where(np.isin(size, _BLOCKS) | self.writes[habit], size, room)
        words = np.zeros((len(habit), 5), np.uint64)
        values = {
            "requested_bytes": np.where(
                self.writes[habit] & (ret > 0), ret, np.maximum(asked, ret)
            ),
            "offset": 8192 * rng.integers(0, 5000, len(habit)),
            "call_flags": np.full(len(habit), _O_CLOEXEC),  # and O_RDONLY, which is 0
        }
        for name, value in values.items():
            word = self.word[name][habit]
            rows = np.flatnonzero(word >= 0)
            words[rows, word[rows]] = value[rows].astype(np.uint64)
        return words


def _word(filled: Mapping[int, kinds.Argument], nr: int) -> int:
    """Return the word of `args` that a syscall's argument is in, -1 without one."""
    return filled[nr].word if nr in filled else -1


def sizes_moved(rng: np.random.Generator, median: Array) -> Array:
    """Return what calls move: whole blocks where the median is one, else around it."""
    around = (median * rng.lognormal(0, 0.5, len(median))).astype(np.int64)
    return np.where(np.isin(median, _BLOCKS), median, around)
