"""Find the process or thread that `--pid` and `--tid` mean.

Only `status` files are read: `cmdline`, `environ` and `maps` take the memory lock of the
process, and a process in an uninterruptible sleep or a frozen cgroup that holds it would
hang whoever reads them.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ior.errors import NoSuchTarget, UsageError


class Process(NamedTuple):
    """A thread as /proc describes it; ids are those that the reader of /proc sees."""

    tid: int
    pid: int  # its process: the thread group's leader
    comm: str  # as /proc writes it, escapes and all; not yet fit for a terminal
    threads: int
    state: str  # one letter: R, S, D, Z, ...
    ns_pids: tuple[int, ...]  # ids in each pid namespace, the reader's first, innermost last
    of_kernel: bool = False  # it makes no syscalls

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs any more (a zombie without other threads)."""
        return self.state in "ZX" and self.threads <= 1


def read(tid: int, proc: Path = Path("/proc")) -> Process | None:
    """Return what /proc says of a process or thread, None if there is none."""
    try:
        text = (proc / str(tid) / "status").read_text("utf-8", "surrogateescape")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return parse(tid, text)


def parse(tid: int, status: str) -> Process:
    """Return what the text of a `status` file says."""
    values = dict(line.split(":", 1) for line in status.split("\n") if ":" in line)
    return Process(
        tid=tid,
        pid=int(values.get("Tgid", tid)),
        comm=values.get("Name", "").strip("\t"),
        threads=int(values.get("Threads", 1)),
        state=values.get("State", "?").strip()[:1],
        ns_pids=tuple(int(word) for word in values.get("NSpid", str(tid)).split()),
        of_kernel="VmSize" not in values and values.get("State", "").strip()[:1] not in "ZX",
    )


def process(pid: int, proc: Path = Path("/proc")) -> Process:
    """Return the running process `pid`.

    Raises NoSuchTarget if it is gone, UsageError if the number is that of a thread.
    """
    found = read(pid, proc) if pid > 0 else None
    if found is None or found.ended:
        raise no_process(pid)
    if found.pid != pid:
        raise UsageError(
            f"{pid} is a thread of process {found.pid}: use --tid {pid} or --pid {found.pid}"
        )
    return found


def thread(tid: int, proc: Path = Path("/proc")) -> Process:
    """Return the running thread `tid`. Raises NoSuchTarget if it is gone."""
    found = read(tid, proc) if tid > 0 else None
    if found is None or found.state in "ZX":
        raise no_thread(tid)
    return found


def no_process(pid: int) -> NoSuchTarget:
    """Return the error for a process that is gone."""
    return NoSuchTarget(f"no process with pid {pid}")


def no_thread(tid: int) -> NoSuchTarget:
    """Return the error for a thread that is gone."""
    return NoSuchTarget(f"no thread with tid {tid}")
