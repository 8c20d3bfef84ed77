"""What `pair` must do, one half at a time in plain Python: short, slow and obviously right."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ior.calls import Flag
from ior.stages.joining import Cause

CLONES = {"clone", "clone3", "fork", "vfork"}
NEVER_RETURNS = {"exit", "exit_group", "rt_sigreturn"}


@dataclass(frozen=True)
class Half:
    """A record, or a call put together of several; texts are texts."""

    tid: int
    flags: int
    nr: str = "read"
    enter_ns: int = 0
    exit_ns: int = 0
    ret: int = 0
    comm: str = "test"
    pid: int = 100
    fd: int = -1
    fd2: int = -1
    file: str = ""
    old_file: str = ""
    asked: str = ""
    fd_flags: int = 0
    epoch: int = 1
    args: tuple[int, ...] = (0, 0, 0, 0, 0)

    def has(self, flags: int) -> bool:
        return bool(self.flags & flags)

    @property
    def side(self) -> int:
        return self.flags & (Flag.ENTER | Flag.EXIT)


@dataclass
class Call:
    half: Half
    gap_ns: int
    restarts: int = 0


def later(one: Half, two: Half) -> Half:
    """Add to `one` what a later part of the same call knows."""
    same = one.nr == two.nr
    return replace(
        one,
        exit_ns=two.exit_ns,
        ret=two.ret,
        file=two.file or one.file,
        old_file=two.old_file or one.old_file,
        asked=two.asked or one.asked,
        fd=two.fd if two.fd >= 0 else one.fd,
        fd_flags=two.fd_flags if two.fd >= 0 else one.fd_flags,
        fd2=two.fd2 if two.fd2 >= 0 else one.fd2,
        args=tuple(b if same and b else a for a, b in zip(one.args, two.args, strict=True)),
    )


class Model:
    """Feed it halves; `calls` and `unmatched` grow, `waiting` and `interrupted` are held."""

    def __init__(self, *, fold: bool = True, limit: int = 1 << 30) -> None:
        self.fold, self.limit = fold, limit
        self.calls: list[Call] = []
        self.unmatched: list[tuple[Half, Cause]] = []
        self.joined = 0
        self.waiting: dict[int, Half] = {}  # by thread its enter that may still return
        self.interrupted: dict[int, Call] = {}  # by thread its call that may be restarted
        self.returned: dict[int, int] = {}  # when each thread's last call did, if that is known
        self.given_up: dict[int, str] = {}  # by thread its call of which the enter was

    def feed(self, half: Half) -> None:
        tid, apart = half.tid, half.has(Flag.BREAK | Flag.FRESH)
        enter, given_up = self.waiting.pop(tid, None), self.given_up.pop(tid, None)
        if enter is not None and half.side == Flag.EXIT and half.nr == enter.nr and not apart:
            self.joined += 1
            self.returns(later(enter, half), enter, half)
            return
        if enter is not None:
            self.unmatched.append((enter, why_enter(enter, half)))
        if enter is not None or apart:
            self.missing(half)
        if half.side == Flag.ENTER and half.nr not in NEVER_RETURNS:
            self.waiting[tid] = half
        elif half.side == Flag.EXIT:
            if half.has(Flag.SKIPPED | Flag.INTERRUPTED):
                self.missing(half)
            explained = given_up == half.nr and not apart
            self.unmatched.append((half, Cause.OVERFLOW if explained else why_exit(half)))
        else:
            self.returns(half, half, half)

    def missing(self, half: Half) -> None:
        """See that something of this thread before `half` is missing."""
        self.returned.pop(half.tid, None)
        if half.tid in self.interrupted:
            call = self.interrupted.pop(half.tid)
            if half.has(Flag.FRESH):
                self.unmatched.append((call.half, Cause.GONE))
            else:
                self.calls.append(call)

    def returns(self, whole: Half, enter: Half, last: Half) -> None:
        tid, before = whole.tid, self.returned.pop(whole.tid, None)
        gap = -1 if before is None or whole.enter_ns < before else whole.enter_ns - before
        call = Call(whole, gap)
        if whole.exit_ns:
            self.returned[tid] = whole.exit_ns
        if self.fold and enter.has(Flag.RESTARTED) and tid in self.interrupted:
            first = self.interrupted.pop(tid)
            call = Call(later(first.half, whole), first.gap_ns, first.restarts + 1)
            self.joined += 1
        if self.fold and last.has(Flag.INTERRUPTED):
            if tid in self.interrupted:
                self.calls.append(self.interrupted.pop(tid))
            self.interrupted[tid] = call
            if len(self.interrupted) > self.limit:
                self.calls.append(self.interrupted.pop(next(iter(self.interrupted))))
        else:
            self.calls.append(call)

    def end_batch(self) -> None:
        """Give up the longest waiting beyond the limit."""
        while len(self.waiting) > self.limit:
            tid = next(iter(self.waiting))
            enter = self.waiting.pop(tid)
            self.unmatched.append((enter, Cause.OVERFLOW))
            self.given_up[tid] = enter.nr
            self.returned.pop(tid, None)

    def held(self) -> int:
        return len(self.waiting) + len(self.interrupted)

    def end(self) -> None:
        self.unmatched += [(half, Cause.ENDED) for half in self.waiting.values()]
        self.unmatched += [(call.half, Cause.INTERRUPTED) for call in self.interrupted.values()]
        self.waiting.clear()
        self.interrupted.clear()


def why_enter(enter: Half, following: Half) -> Cause:
    if following.has(Flag.FRESH):
        return Cause.GONE
    if following.epoch != enter.epoch:
        return Cause.DESELECTED
    if following.has(Flag.BREAK):
        return Cause.LOST
    return Cause.DESELECTED if following.has(Flag.CHANGED) else Cause.NO_EXIT


def why_exit(half: Half) -> Cause:
    if half.has(Flag.FRESH):
        return Cause.CHILD if half.nr in CLONES and half.ret == 0 else Cause.STARTED
    if half.has(Flag.BREAK):
        return Cause.LOST
    return Cause.SKIPPED if half.has(Flag.SKIPPED) else Cause.DENIED


def row(call: Call) -> dict[str, Any]:
    """Return the columns of a call that are `pair`'s business."""
    half = call.half
    file = half.file or half.asked
    return {
        "time_ns": half.enter_ns,
        "gap_ns": None if call.gap_ns < 0 else call.gap_ns,
        "latency_ns": half.exit_ns - half.enter_ns if half.exit_ns >= half.enter_ns else None,
        "comm": half.comm,
        "pid": half.pid,
        "tid": half.tid,
        "syscall": half.nr,
        "fd": half.fd,
        "ret": half.ret,
        "file": file,
        "old_file": half.old_file,
        "fd2": half.fd2,
        "fd_flags": half.fd_flags,
        "asked": "" if half.asked == file else half.asked,
        "restarts": call.restarts,
        "filter_epoch": half.epoch,
        "args": list(half.args),
    }
