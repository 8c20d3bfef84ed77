"""How the programs read each syscall's arguments, as data.

One row a syscall (`records.SYSCALL`): which argument is the descriptor, the path and its
directory, which words go into the record, and what else is special. The programs hold the
table in read-only memory, so the verifier's work does not grow with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ior import syscalls
from ior.expr.sieve import Sieve
from ior.sources.bpf import records

# HOW_*, ADDRESS_* and WANT_* of bpf/ior.bpf.c
RETURNS_FD, OPENS, NO_RETURN, RAW_PATH2, MEMORY = 1, 2, 4, 8, 16
CREAT, DUPS, RETURNS_CWD, ANONYMOUS, EXECS = 32, 64, 128, 256, 512
BREAK, CLOCK, FUTEX, LEFT = 1024, 2048, 4096, 8192
RING_ENTER, RING_REGISTER = 16384, 32768
GIVEN, TAKEN, MESSAGE, NAMES, PAIR = 1, 2, 4, 8, 16
WANT_ROWS, WANT_MOVES, WANT_ARMED, WANT_ALWAYS = 1, 2, 4, 8
WANT_NONE_NOW, WANT_TASKS, WANT_RETURNS, WANT_EXECED = 16, 32, 64, 128

IA32_EXECVE: Final = 11

MOVES: Final = (
    "rename",
    "renameat",
    "renameat2",
    "mount",
    "umount",
    "move_mount",
    "pivot_root",
    "chroot",
    "unshare",
)
"""Their success may change the path of any file."""

NEVER_RETURNS: Final = ("exit", "exit_group", "rt_sigreturn")
CLONES: Final = ("clone", "clone3", "fork", "vfork")

_KINDS: Final[dict[str, dict[str, int]]] = {
    "fd": {"fd": 0},
    "fcntl": {"fd": 0},
    "dup3": {"fd2": 0},
    "epoll-ctl": {"fd": 0},
    "fd-pathname": {"fd": 0, "path": 1},
    "pathname": {"path": 0},
    "exec": {"path": 0, "how": EXECS},
    "open": {"path": 0},
    "anon-fd": {"how": RETURNS_FD},
    "mq-open": {"how": RETURNS_FD},
    "perf-open": {"how": RETURNS_FD},
    "pidfd": {"how": RETURNS_FD},
    "socket": {"how": RETURNS_FD},
    "accept": {"fd2": 0, "how": RETURNS_FD},
}
"""What most syscalls of a kind share, by tracepoint name below where one differs."""

_AT: Final = {"dir": 0, "path": 1}
_CALLS: Final[dict[str, dict[str, int]]] = {
    "open": {"path": 0, "how": OPENS | RETURNS_FD},
    "openat": {**_AT, "how": OPENS | RETURNS_FD},
    "openat2": {**_AT, "how": OPENS | RETURNS_FD},
    "execveat": {**_AT, "how": EXECS},
    "creat": {"path": 0, "how": OPENS | RETURNS_FD | CREAT},
    "open_tree": {**_AT, "how": OPENS | RETURNS_FD},
    "open_tree_attr": {**_AT, "how": OPENS | RETURNS_FD},
    "open_by_handle_at": {"fd2": 0, "how": RETURNS_FD},
    "fspick": {**_AT, "how": RETURNS_FD},
    "fsmount": {"fd2": 0, "how": RETURNS_FD},
    "dup": {"fd2": 0, "how": RETURNS_FD},
    "dup2": {"fd2": 0, "how": RETURNS_FD},
    "dup3": {"fd2": 0, "how": RETURNS_FD},
    "fcntl": {"fd": 0, "how": DUPS},
    "pidfd_getfd": {"fd2": 0, "how": RETURNS_FD},
    "getcwd": {"how": RETURNS_CWD},
    "copy_file_range": {"fd2": 0, "fd": 2},
    "splice": {"fd2": 0, "fd": 2},
    "tee": {"fd2": 0, "fd": 1},
    "sendfile64": {"fd": 0, "fd2": 1},
    "rename": {"path": 1, "path2": 0},
    "renameat": {"dir": 2, "path": 3, "dir2": 0, "path2": 1},
    "renameat2": {"dir": 2, "path": 3, "dir2": 0, "path2": 1},
    "link": {"path": 1, "path2": 0},
    "linkat": {"dir": 2, "path": 3, "dir2": 0, "path2": 1},
    "symlink": {"path": 1, "path2": 0, "how": RAW_PATH2},
    "symlinkat": {"dir": 1, "path": 2, "path2": 0, "how": RAW_PATH2},
    "move_mount": {"dir": 2, "path": 3, "dir2": 0, "path2": 1},
    "mount": {"path": 1, "path2": 0, "how": RAW_PATH2},
    "quotactl": {"path": 1},
    "pivot_root": {"path": 0, "path2": 1},
    "fanotify_mark": {"fd": 0, "dir": 3, "path": 4},
    "io_uring_enter": {"fd": 0, "how": RING_ENTER},
    "io_uring_register": {"fd": 0, "how": RING_REGISTER},
    "mmap": {"fd": 4, "how": ANONYMOUS},
    "signalfd": {"how": RETURNS_FD},
    "signalfd4": {"how": RETURNS_FD},
    "kcmp": {},
    "close_range": {},
    "exit": {"how": NO_RETURN},
    "exit_group": {"how": NO_RETURN},
    "rt_sigreturn": {"how": NO_RETURN},
}
for _name in (
    *("faccessat", "faccessat2", "fchmodat", "fchmodat2", "fchownat", "newfstatat", "statx"),
    *("unlinkat", "mkdirat", "mknodat", "readlinkat", "futimesat", "utimensat"),
    *("mount_setattr", "name_to_handle_at", "file_getattr", "file_setattr", "setxattrat"),
    *("getxattrat", "listxattrat", "removexattrat"),
):
    _CALLS[_name] = _AT

_MEMORY: Final = {
    "openat2": (2, 0, 16),  # flags, mode
    "clone3": (0, 0, 16),  # flags, pidfd
    "perf_event_open": (0, 0, 16),  # type and size, config
    "epoll_ctl": (3, 2, 8),  # events
    "nanosleep": (0, 0, 16),  # from here on: seconds, nanoseconds or microseconds
    "clock_nanosleep": (2, 2, 16),
    "futex": (3, 3, 16),
    "ppoll": (2, 2, 16),
    "select": (4, 3, 16),
    "pselect6": (4, 3, 16),
    "epoll_pwait2": (3, 2, 16),
    "rt_sigtimedwait": (2, 2, 16),
    "semtimedop": (3, 3, 16),
    "recvmmsg": (4, 3, 16),
    "io_getevents": (4, 3, 16),
    "io_pgetevents": (4, 3, 16),
}
"""The argument that points to a structure, the first of two words for it, how many bytes."""

_WORDS: Final = {"perf_event_open": (0, 0, 1, 2, 4)}  # where not those that are not shown

_HOW: Final = {"brk": BREAK, "clock_nanosleep": CLOCK, "futex": FUTEX} | dict.fromkeys(
    ("ppoll", "select", "pselect6", "recvmmsg"), LEFT
)

_ADDRESS: Final = {
    "connect": (1, GIVEN | NAMES),
    "bind": (1, GIVEN | NAMES),
    "sendto": (4, GIVEN),
    "sendmsg": (1, GIVEN | MESSAGE),
    "recvfrom": (4, TAKEN),
    "recvmsg": (1, TAKEN | MESSAGE),
    "sendmmsg": (1, GIVEN | MESSAGE),  # of several messages the first one's
    "recvmmsg": (1, TAKEN | MESSAGE),
    "pipe": (0, PAIR),
    "pipe2": (0, PAIR),
    "socketpair": (3, PAIR),
}
"""The argument that points to a socket address or to two new descriptors, and which."""

_ARGUMENTS: Final = ("fd", "fd2", "dir", "path", "dir2", "path2")


def descriptions(arch: str | None = None) -> npt.NDArray[Any]:
    """Return the table by syscall number, shape (NR_LIMIT,), dtype `records.SYSCALL`."""
    rows = np.zeros(syscalls.NR_LIMIT, records.SYSCALL)
    for argument in (*_ARGUMENTS, "words"):
        rows[argument] = -1
    for call in syscalls.table(arch).by_nr.values():
        known = _CALLS.get(call.tracepoint, _KINDS.get(call.kind, {}))
        row = rows[call.nr]
        for key, value in known.items():
            row[key] = value
        shown = {known[a] for a in _ARGUMENTS if a in known}
        words = _WORDS.get(call.tracepoint, [i for i in range(6) if i not in shown][:5])
        row["words"][: len(words)] = words
        row["how"] |= _HOW.get(call.tracepoint, 0)
        if call.tracepoint in _MEMORY:
            row["how"] |= MEMORY
            row["memory"], row["memory_word"], row["memory_size"] = _MEMORY[call.tracepoint]
        row["address"], row["address_how"] = _ADDRESS.get(call.tracepoint, (-1, 0))
    return rows


def wanted(
    numbers: Iterable[int], sieve: Sieve | None = None, *, arch: str | None = None
) -> npt.NDArray[np.uint8]:
    """Return the byte map of wanted syscalls by number, shape (NR_LIMIT,): bits WANT_*."""
    table = syscalls.table(arch)
    bits = np.zeros(syscalls.NR_LIMIT, np.uint8)
    sieve = sieve or Sieve()
    asked = 0
    of_task = (sieve.pid, sieve.tid, sieve.uid, sieve.cgroup_id, sieve.cgroup, sieve.comm)
    if any(one is not None for one in of_task):
        asked |= WANT_TASKS
    if (sieve.ret, sieve.latency_ns) != (None, None):
        asked |= WANT_RETURNS
    for nr in numbers:
        bits[nr] |= WANT_ROWS | asked
        if sieve.syscall is not None and nr not in sieve.syscall:
            bits[nr] |= WANT_NONE_NOW
    for name, bit in [(n, WANT_MOVES) for n in MOVES] + [
        ("execve", WANT_ARMED),
        ("execveat", WANT_ARMED),
        ("restart_syscall", WANT_ALWAYS),
    ]:
        if (nr := table.nr(name)) >= 0:
            bits[nr] |= bit
    # It may go on with another call: only one that does not is left out.
    bits[(bits & WANT_ALWAYS != 0) & (bits & WANT_NONE_NOW != 0)] &= ~np.uint8(
        WANT_NONE_NOW | WANT_ROWS
    )
    if table.arch == "x86_64":
        bits[IA32_EXECVE] |= WANT_EXECED
    return bits


def recorded(wanted: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return of which syscalls records are made, given the byte map `wanted`."""
    rows = (wanted & (WANT_ROWS | WANT_NONE_NOW)) == WANT_ROWS
    return np.asarray(rows | ((wanted & WANT_ALWAYS) != 0))
