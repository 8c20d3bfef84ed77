"""What a row has to say of a call that strace shows: computed from strace's text alone.

Of ior this takes only which argument fills which column (`kinds.table()`); how a number is
read, which descriptor and which path a row names, is said here once more.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator

from normalised import Same, one_run, two_runs
from product import Row
from strace_log import Call, descriptor, member, number, split, string

from ior import kinds, syscalls

FOREVER = 2**63 - 1
PAGE = 4096
O_CREAT, O_TMPFILE = 0o100, 0o20000000
CREAT = 0o1 | O_CREAT | 0o1000  # O_WRONLY, O_TRUNC
AT_FDCWD, MSG_PEEK = -100, 2
FUTEX_UNTIL = (6, 9, 11, 13)  # whose timeout is a point in time, which no column holds
CLOCK_SLACK_S = 5e-6  # strace's times have six digits

# Of these strace joins the two arguments that hold the offset: what follows is one place earlier.
OFFSET_IN_TWO = {"preadv2": 5, "pwritev2": 5}

# Which argument is which descriptor: where bytes go, or what is new, and where they come from.
FD, FD2 = "fd", "fd2"
SOURCES = {  # the first descriptor is where it comes from; what is returned is new
    *("dup", "dup2", "dup3", "pidfd_getfd", "accept", "accept4"),
    *("open_by_handle_at", "fsmount"),
}
DESCRIPTORS = {
    "copy_file_range": {0: FD2, 2: FD},
    "splice": {0: FD2, 2: FD},
    "tee": {0: FD2, 1: FD},
    "sendfile": {0: FD, 1: FD2},
    "mmap": {4: FD},
    "pipe": {},
    "pipe2": {},
    "socketpair": {},
} | {name: {0: FD2} for name in SOURCES}
PAIRS = {"pipe": 0, "pipe2": 0, "socketpair": 3}
# What these take first is an old descriptor that they change, not one that a row names.
NONE_OF_THEIR_OWN = ("signalfd", "signalfd4", "mount_setattr")

FILE, OLD = "file", "old_file"
PATHS = {
    name: {0: FILE}
    for name in (
        *("open", "creat", "stat", "lstat", "access", "chdir", "chroot", "mkdir", "rmdir"),
        *("unlink", "readlink", "chmod", "chown", "lchown", "truncate", "statfs", "utime"),
        *("utimes", "mknod", "setxattr", "lsetxattr", "getxattr", "lgetxattr", "listxattr"),
        *("llistxattr", "removexattr", "lremovexattr", "swapon", "swapoff", "acct", "umount2"),
        "execve",
    )
} | {
    name: {1: FILE}
    for name in (
        *("openat", "openat2", "newfstatat", "statx", "faccessat", "faccessat2", "unlinkat"),
        *("mkdirat", "mknodat", "readlinkat", "fchmodat", "fchownat", "futimesat", "utimensat"),
        *("name_to_handle_at", "open_tree", "fspick", "mount_setattr", "execveat", "quotactl"),
        "inotify_add_watch",
    )
}
PATHS |= {
    "fanotify_mark": {4: FILE},
    "rename": {0: OLD, 1: FILE},
    "link": {0: OLD, 1: FILE},
    "symlink": {0: OLD, 1: FILE},
    "symlinkat": {0: OLD, 2: FILE},
    "mount": {0: OLD, 1: FILE},
    "pivot_root": {0: FILE, 1: OLD},
}
PATHS |= {name: {1: OLD, 3: FILE} for name in ("renameat", "renameat2", "linkat", "move_mount")}
AS_IT_STANDS = {("symlink", 0), ("symlinkat", 0), ("mount", 0)}  # relative to nothing
OPENS = ("open", "creat", "openat", "openat2", "open_tree")
NEITHER = ("inotify_add_watch", "quotactl")  # the argument before the path is no directory


def _structure(unit: str, unit_ns: int, absent: int | None) -> Callable[[str], int | None]:
    """Return a reader of `{tv_sec=..., unit=...}`; `absent` is what NULL means."""

    def read(text: str) -> int | None:
        if text == "NULL":
            return absent
        seconds, part = member(text, "tv_sec"), member(text, unit)
        return None if seconds is None or part is None else seconds * 10**9 + part * unit_ns

    return read


def _clone(text: str) -> tuple[int, int]:
    """Return flags and the exit signal of `flags=0x...|17`."""
    flags = text.removeprefix("flags=").split("|")
    return (
        sum(int(part, 0) for part in flags if part.startswith("0x")),
        next((int(part) for part in flags if not part.startswith("0x")), 0),
    )


def _added(text: str) -> int | None:
    """Return a number that strace shows in parts: `0x200|0600`, `|0x100`."""
    parts = [number(part) for part in text.removeprefix("|").split("|")]
    return None if None in parts else sum(part for part in parts if part is not None)


READ: dict[str, Callable[[str], int | None]] = {
    "milliseconds": lambda text: _milliseconds(number(text)),
    "timespec": _structure("tv_nsec", 1, FOREVER),
    "timeval": _structure("tv_usec", 1000, FOREVER),
    "sleep": _structure("tv_nsec", 1, None),
    "socket-type": lambda text: None if (value := _added(text)) is None else value & 0xF,
    "socket-flags": lambda text: None if (value := _added(text)) is None else value & ~0xF,
    "clone-flags": lambda text: _clone(text)[0],
    "low-byte": lambda text: _clone(text)[1],
}


def _milliseconds(value: int | None) -> int | None:
    return value if value is None else FOREVER if value < 0 else value * 10**6


def _makes(flags: int | None) -> bool:
    return flags is not None and bool(flags & (O_CREAT | (O_TMPFILE & ~0o200000)))


def column(call: Call, about: kinds.Argument) -> int | bool | None:
    """Return what a column has to hold; None for empty, True where anything will do."""
    at = about.argument - (about.argument == OFFSET_IN_TWO.get(call.name))
    said = call.arguments[at] if 0 <= at < len(call.arguments) else ""
    flag = next((text for text in call.arguments if text.startswith("flags=")), said)
    name = about.strace.rpartition(".")[2]
    match about.reads:
        case "memory" | "memory-low" | "memory-high" | "epoll-events":
            return member(said, name)
        case "creating-memory":
            return member(said, name) if _makes(member(said, "flags")) else None
        case "creating":
            flags = number(call.arguments[about.argument - 1])
            return number(said) if _makes(flags) else None
        case "status-flags":
            return number(said) if call.arguments[1] in ("0x2", "0x4") else None
        case "clone-flags" | "low-byte":
            return READ[about.reads](flag)
        case "futex":
            operation = (number(call.arguments[1]) or 0) & 0x7F
            waits = operation == 0 or (operation in FUTEX_UNTIL and said == "NULL")
            return READ["timespec"](said) if waits else None
        case "clock-sleep":  # of a point in time what is left of it, which strace does not say
            return READ["sleep"](said) if number(call.arguments[1]) == 0 else True
        case "pages":
            return 0 if call.errno else -(-(_added(said) or 0) // PAGE) * PAGE
        case "break":
            return True
        case "u32" | "size32" if about.argument >= 0:
            value = _added(said)
            return None if value is None else value & 0xFFFFFFFF
        case "u32":
            return CREAT  # the program does not say them
    return READ.get(about.reads, _added)(said)


def _ends(call: Call) -> list[str]:
    """Return the two new descriptors of `[3<pipe:[1]>, 4<pipe:[1]>]`."""
    return split(call.arguments[PAIRS[call.name]][1:-1])


def _socket(protocol: str, shown: str) -> str:
    """Return what a row calls the socket that strace shows as `TCP:[1.2.3.4:5->6.7.8.9:10]`."""
    kind = protocol.removesuffix("v6").partition("-")[0].lower()
    if kind == "unix":  # inodes, and the path that it is bound to
        path = re.search(r'"(.*)"', shown)
        return f"unix {path[1]}" if path else "unix"
    if shown.isdigit():
        shown = f"socket:[{shown}]"
    return f"{kind} {shown.replace('->', ' → ')}"


def _name(text: str) -> tuple[str, str]:
    """Return a file as a row shows it: the name, and its state."""
    socket = re.fullmatch(r"([A-Z][\w-]+):\[(.*)\]", text)
    if socket is not None:
        return _socket(socket[1], socket[2]), ""
    name = text.removesuffix(" (deleted)")
    if name.startswith("/memfd:"):
        return name[1:], ""
    return name, "" if name == text else "deleted"


def _plain(path: str) -> str:
    """Return an absolute path without what leads nowhere: empty components and dots."""
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))


class Paths:
    """Which directory a thread's relative paths start from, as far as strace shows it."""

    def __init__(self) -> None:
        self.cwd: str | None = None
        self.in_chroot = False

    def see(self, call: Call) -> None:
        """Learn the directory that strace shows beside AT_FDCWD, or that getcwd returned."""
        for text in call.arguments:
            if (shown := descriptor(text)) and shown[0] == AT_FDCWD:
                self.cwd = shown[1]
        if call.name == "getcwd" and call.ret and not call.errno:
            self.cwd = string(call.arguments[0])

    def after(self, call: Call) -> None:
        """Forget what a successful call changed."""
        if call.name in ("chdir", "fchdir", "chroot", "pivot_root", "setns") and call.ret == 0:
            self.cwd = None
        self.in_chroot |= call.name == "chroot" and call.ret == 0

    def absolute(self, call: Call, at: int) -> str | None:
        """Return a path argument made absolute; None where strace does not tell."""
        path = string(call.arguments[at]) if at < len(call.arguments) else None
        if path is None or (call.name, at) in AS_IT_STANDS:
            return path
        if path.startswith("/"):
            return _plain(path)
        before = descriptor(call.arguments[at - 1]) if at and call.name not in NEITHER else None
        if at and call.name not in NEITHER and before is None and call.name in TAKE_A_DIRECTORY:
            return None  # a number that is closed
        directory = before[1] if before is not None else self.cwd
        if directory is None:
            return None
        return _plain(posixpath.join(directory, path))


TAKE_A_DIRECTORY = {name for name, where in PATHS.items() if 1 in where or 3 in where} - {
    *("rename", "link", "symlink", "mount", "pivot_root"),
    *NEITHER,
}


def numbers(call: Call) -> Iterator[tuple[str, int | bool | None]]:
    """Yield each column that an argument fills, with what it has to hold."""
    shown = syscalls.table().by_name[call.name]
    for about in kinds.table():
        if about.syscall == shown.tracepoint:
            yield about.column, column(call, about)


MOVE = {
    *("read", "readv", "pread64", "preadv", "preadv2", "recvfrom", "recvmsg", "getrandom"),
    *("getdents", "getdents64", "getcwd", "readlink", "readlinkat", "mq_timedreceive", "msgrcv"),
    *("getxattr", "lgetxattr", "fgetxattr", "getxattrat", "listxattr", "llistxattr"),
    *("flistxattr", "listxattrat", "process_vm_readv", "sched_getaffinity"),
    *("write", "writev", "pwrite64", "pwritev", "pwritev2", "sendto", "sendmsg"),
    *("copy_file_range", "sendfile", "splice", "tee", "vmsplice", "process_vm_writev"),
}
"""The calls whose return is how many bytes they moved."""


def moved(call: Call) -> int:
    """Return how many bytes a call moved, by the class of the syscall and what it asked for."""
    ret = max(call.ret or 0, 0)
    if call.name not in MOVE:
        return 0
    if call.name in ("recvfrom", "recvmsg"):
        flags = number(call.arguments[3 if call.name == "recvfrom" else 2]) or 0
        size = number(call.arguments[2]) if call.name == "recvfrom" else ret
        return 0 if flags & MSG_PEEK else min(ret, size or 0)
    if "xattr" in call.name:  # of a newer call strace shows six arguments
        size = call.arguments[4 if call.name == "listxattrat" else -1]
        return 0 if number(size) == 0 else ret
    return ret


def files(call: Call, paths: Paths) -> Iterator[tuple[str, str]]:
    """Yield each of fd, file, fd2, old_file and asked that strace shows, as a row writes it."""
    returned = descriptor(f"{call.ret}{call.behind}") if call.behind else None
    yield from _given(call, returned is not None)
    if call.ret == 0 and call.name in PAIRS:
        for side, text in zip(((FD, FILE), (FD2, OLD)), _ends(call), strict=True):
            shown = descriptor(text)
            assert shown, call
            yield side[0], str(shown[0])
            yield side[1], _name(shown[1])[0]
    if returned is not None and call.name != "mount_setattr":  # strace takes its 0 for one
        yield FD, str(returned[0])
        name, state = _name(returned[1])
        if call.name not in PATHS or call.name in OPENS:
            yield FILE, name
            yield "file_state", state
    if call.name == "getcwd" and call.ret and not call.errno:
        yield FILE, string(call.arguments[0]) or ""
    yield from _paths(call, paths, returned)


def _given(call: Call, returns_one: bool) -> Iterator[tuple[str, str]]:
    """Yield what the descriptors among the arguments are."""
    where = DESCRIPTORS.get(call.name, {0: FD})
    for at, column_ in where.items() if call.name not in NONE_OF_THEIR_OWN else ():
        shown = descriptor(call.arguments[at]) if at < len(call.arguments) else None
        if shown is not None and shown[0] >= 0 and call.name not in TAKE_A_DIRECTORY:
            target = FD2 if returns_one and call.name == "fcntl" else column_
            yield target, str(shown[0])
            name, state = _name(shown[1])
            if target == FD2:
                yield OLD, name
            elif call.name not in PATHS:
                yield FILE, name
                yield "file_state", state


def _paths(call: Call, paths: Paths, returned: tuple[int, str] | None) -> Iterator[tuple[str, str]]:
    """Yield what the paths among the arguments are; `returned` is what was opened."""
    for at, column_ in PATHS.get(call.name, {}).items():
        if at and (own := _own_file(call, at)):
            yield column_, own[0]
            if column_ == FILE:
                yield "file_state", own[1]
            continue
        absolute = paths.absolute(call, at)
        if absolute is None:
            continue
        opened = call.name in OPENS and returned is not None
        if opened and _name(returned[1])[0] == absolute:  # type: ignore[index]
            yield "asked", ""
        elif string(call.arguments[at]) != "":
            yield ("asked" if opened else column_), absolute


def _own_file(call: Call, at: int) -> tuple[str, str] | None:
    """Return the file of the descriptor before a path that is empty, or NULL where it may be."""
    path = call.arguments[at]
    if string(path) != "" and (path != "NULL" or call.name != "utimensat"):
        return None
    shown = descriptor(call.arguments[at - 1])
    return None if shown is None else _name(shown[1])


def told(call: Call, paths: Paths) -> list[tuple[str, object]]:
    """Return each field of a row that strace tells, with its value; True where any will do."""
    paths.see(call)
    failed = "" if call.ret is None or not call.errno else str(-call.ret)
    never = call.ret is None and not call.errno
    found: list[tuple[str, object]] = [
        ("syscall", call.name),
        ("ret", "0" if never else str(call.ret)),
        ("errno", failed),
        ("is_error", "true" if failed else "false"),
        ("bytes", moved(call)),
        *((name, "" if value is None else value) for name, value in numbers(call)),
        *files(call, paths),
    ]
    paths.after(call)
    return found


def differences(
    call: Call, row: Row, paths: Paths, same: Same = one_run
) -> Iterator[tuple[str, object, object]]:
    """Yield each field of a row in which strace says something else: field, its value, ours."""
    for field, value in told(call, paths):
        if value is not True and not same(row[field], str(value)):
            hidden = paths.in_chroot and field in ("file", "old_file", "asked")
            yield f"{field} in a chroot" if hidden else field, value, row[field]
    took = row["latency_ns"]
    if same is two_runs:
        return
    never = call.ret is None and not call.errno
    if never != (took == "") or (
        call.took_s is not None and took and int(took) / 1e9 > call.took_s + CLOCK_SLACK_S
    ):
        yield "latency_ns", call.took_s, took
