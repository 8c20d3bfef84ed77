"""What the kernel side's programs would send for what a few threads do, in both pairing modes.

A script is a list of (thread, what, number); what a thread cannot do in its state it leaves.
The same script makes the same calls whatever is lost or skipped on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pair_model import Half

from ior.calls import Flag

WHATS = (
    *("call", "call", "call", "enter", "return", "open", "dup", "no_return", "denied"),
    *("interrupt", "interrupt", "in_handler", "in_handler", "handler_ends", "handler_jumps"),
    *("skipped_enter", "skipped_exit", "dies", "starts", "clones", "selection", "renamed"),
)
Step = tuple[int, str, int]
_FILES = ("/dev/zero", "/etc/passwd", "pipe:[7]", "/tmp/ä")
_CALLS = ("read", "write", "poll", "nanosleep")
_OPEN, _DUP = "openat", "fcntl"


@dataclass
class Task:
    """One thread's state in the kernel and in the programs."""

    tid: int
    comm: str = "test"
    inside: Half | None = None  # the call that it is in
    handlers: list[Half] = field(default_factory=list)  # calls that their ends restart
    parked: Half | None = None  # what sys_enter left for sys_exit
    unbroken: bool = False
    seen: bool = False
    last_epoch: int = 0
    proof: Half | None = None  # the last interrupted call, as long as its restart can be proven


class Programs:
    """Runs a script; `sent` are the records that arrived."""

    def __init__(self, *, user: bool, lost: Sequence[bool] = ()) -> None:
        self._user, self._lost = user, lost
        self._now, self._epoch, self._attempts = 1_000_000, 1, 0
        self._tasks: dict[int, Task] = {}
        self.sent: list[Half] = []

    def run(self, script: Sequence[Step]) -> list[Half]:
        for thread, what, number in script:
            self._now += 1 + number
            task = self._tasks.setdefault(100 + thread, Task(100 + thread))
            getattr(self, f"_{what}")(task, number)
        return self.sent

    def _send(self, task: Task, half: Half) -> None:
        flags = half.flags
        if not task.unbroken or task.last_epoch != half.epoch:
            flags |= Flag.BREAK
        if not task.seen:
            flags |= Flag.FRESH
        lost = self._attempts < len(self._lost) and self._lost[self._attempts]
        self._attempts += 1
        if lost:
            task.unbroken = False
            return
        task.unbroken = task.seen = True
        task.last_epoch = half.epoch
        self.sent.append(replace(half, flags=flags))

    # What a thread does.

    def _call(self, task: Task, number: int) -> None:
        if task.inside is None:
            self._enter(task, number)
            self._now += 7
            self._return(task, number)

    def _enter(self, task: Task, number: int) -> None:
        nr, fd = _CALLS[number % len(_CALLS)], number % 5
        self._begin(task, nr, fd=fd, file=_FILES[number % len(_FILES)], fd_flags=number)

    def _open(self, task: Task, number: int) -> None:
        self._begin(task, _OPEN, asked=_FILES[number % len(_FILES)])

    def _dup(self, task: Task, number: int) -> None:
        self._begin(task, _DUP, fd=number % 5, file=_FILES[number % len(_FILES)])

    def _begin(self, task: Task, nr: str, *, restarts: bool = False, **columns: object) -> None:
        if task.inside is not None:
            return
        columns.setdefault("args", (self._now, 0, 3, 0, 0))
        half = Half(task.tid, Flag.ENTER, nr, enter_ns=self._now, comm=task.comm)
        task.inside = replace(half, epoch=self._epoch, **columns)  # type: ignore[arg-type]
        self._sys_enter(task, task.inside, restarts=restarts)

    def _return(self, task: Task, number: int) -> None:
        if task.inside is not None:
            self._sys_exit(task, number - 2)
            task.inside = None

    def _no_return(self, task: Task, number: int) -> None:
        if task.inside is not None:
            return
        self._begin(task, ("exit", "exit_group", "rt_sigreturn")[number % 3])
        task.inside = None

    def _denied(self, task: Task, number: int) -> None:
        if task.inside is None:
            self._exit_half(task, _CALLS[number % len(_CALLS)], -38)

    def _skipped_enter(self, task: Task, number: int) -> None:
        if task.inside is None:
            self._exit_half(task, _CALLS[number % len(_CALLS)], number, Flag.SKIPPED)

    def _skipped_exit(self, task: Task, number: int) -> None:
        task.inside = None

    def _interrupt(self, task: Task, number: int) -> None:
        """Stop the call by a signal: without a handler it restarts at once."""
        half = task.inside
        if half is None:
            return
        self._sys_exit(task, -512, interrupted=True)
        task.inside = None
        if number % 3:
            task.handlers.append(half)
            return
        self._now += number
        self._restart(task, half)

    def _restart(self, task: Task, half: Half) -> None:
        proven, task.proof = task.proof is half, None
        if half.nr == "nanosleep":
            self._begin(task, "restart_syscall", restarts=proven, args=(9, 9, 9, 9, 9))
        else:
            begun = {"fd": half.fd, "file": half.file, "asked": half.asked, "args": half.args}
            self._begin(task, half.nr, restarts=proven, fd_flags=half.fd_flags, **begun)

    def _in_handler(self, task: Task, number: int) -> None:
        if task.handlers:
            self._call(task, number)

    def _handler_ends(self, task: Task, number: int) -> None:
        if task.handlers and task.inside is None:
            self._begin(task, "rt_sigreturn")
            task.inside = None
            self._now += number
            self._restart(task, task.handlers.pop())

    def _handler_jumps(self, task: Task, number: int) -> None:
        """Leave the handler by siglongjmp: nothing is restarted."""
        if task.handlers and task.inside is None:
            task.handlers.pop()

    def _dies(self, task: Task, number: int) -> None:
        self._tasks[task.tid] = Task(task.tid, comm=f"other{number % 3}")

    def _starts(self, task: Task, number: int) -> None:
        """Begin the life of the thread, or its trace, inside a call."""
        if not task.seen and task.parked is None and task.inside is None:
            self._exit_half(task, ("read", "clone", "openat")[number % 3], 0)

    def _clones(self, task: Task, number: int) -> None:
        if task.inside is None:
            self._begin(task, "clone", args=(17, 0, 0, 0, 0))
            self._return(task, 105)

    def _selection(self, task: Task, number: int) -> None:
        self._epoch += 1

    def _renamed(self, task: Task, number: int) -> None:
        task.comm = f"name{number % 3}"

    # What the programs make of it.

    def _sys_enter(self, task: Task, half: Half, *, restarts: bool) -> None:
        if task.parked is not None and not self._user:
            self._send(task, task.parked)
        half = replace(half, flags=Flag.ENTER | (Flag.RESTARTED if restarts else 0))
        task.parked = half
        if half.nr in ("exit", "exit_group", "rt_sigreturn"):
            task.parked = None
            self._send(task, half)
        elif self._user:
            self._send(task, half)

    def _sys_exit(self, task: Task, ret: int, *, interrupted: bool = False) -> None:
        half = task.parked
        assert half is not None
        task.parked = None
        if self._user:
            half = Half(half.tid, 0, half.nr, comm=half.comm, epoch=half.epoch)
        known = {"fd": ret, "file": f"/opened/{ret}", "fd_flags": 7} if ret >= 0 else {}
        if half.nr == _OPEN:
            half = replace(half, **known)  # type: ignore[arg-type]
        if half.nr == _DUP and ret >= 0:
            called = task.inside
            assert called is not None
            half = replace(half, fd2=called.fd, old_file=called.file, **known)  # type: ignore[arg-type]
        flags = half.flags | Flag.EXIT | (Flag.INTERRUPTED if interrupted else 0)
        if interrupted:
            task.proof = task.inside
        self._send(task, replace(half, flags=flags, exit_ns=self._now, ret=ret))

    def _exit_half(self, task: Task, nr: str, ret: int, flags: int = 0) -> None:
        if task.parked is not None and not self._user:
            self._send(task, task.parked)
        task.parked = None
        half = Half(task.tid, Flag.EXIT | flags, nr, exit_ns=self._now, ret=ret, comm=task.comm)
        self._send(task, replace(half, epoch=self._epoch))
