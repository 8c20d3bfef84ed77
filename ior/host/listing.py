"""Which processes and threads there are, for somebody who is to choose one.

`status` files never block. A command line does: reading it takes the memory lock of the
process, or waits for a page that its file system does not give. So command lines are read in
a thread that may be left behind, and a process whose line does not come is shown without.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ior import text
from ior.host import procs

PATIENCE_S = 0.1  # for one command line
_MOST_STUCK = 8  # threads left behind; then no more lines are read
_LINE_BYTES = 4096


class Candidate(NamedTuple):
    """One process, or one thread of a process, in text-column form."""

    id: int  # pid or tid
    comm: str
    threads: int
    command: str  # the command line, "" where it is not known


class Listing(NamedTuple):
    """What was found, by id; `note` says what could not be read."""

    candidates: tuple[Candidate, ...]
    note: str = ""


class Lister:
    """Reads /proc again and again; what has hung once is not tried again."""

    def __init__(self, proc: Path = Path("/proc"), patience_s: float = PATIENCE_S) -> None:
        self._proc, self._patience_s = proc, patience_s
        self._stuck: set[int] = set()

    def processes(self) -> Listing:
        """Return all processes but this one, those of the kernel and zombies."""
        found = [procs.read(pid, self._proc) for pid in _numbers(self._proc)]
        running = [one for one in found if one is not None and not one.ended]
        chosen = [one for one in running if one.pid != os.getpid() and not one.of_kernel]
        lines = self._command_lines(one.pid for one in chosen)
        candidates = (
            Candidate(one.pid, _name(one), one.threads, lines.get(one.pid, "")) for one in chosen
        )
        hung = [one.pid for one in chosen if one.pid in self._stuck]
        note = ""
        if hung:
            pids = ", ".join(map(str, hung[:3])) + (", ..." if len(hung) > 3 else "")
            note = f"the command line of pid {pids} cannot be read: its memory is locked"
        return Listing(tuple(candidates), note)

    def threads(self, pid: int) -> Listing:
        """Return the threads of a process, none if it is gone."""
        tasks = self._proc / str(pid) / "task"
        found = [procs.read(tid, tasks) for tid in _numbers(tasks)]
        running = [one for one in found if one is not None and one.state not in "ZX"]
        return Listing(tuple(Candidate(one.tid, _name(one), 1, "") for one in running))

    def _command_lines(self, pids: Iterable[int]) -> dict[int, str]:
        """Read command lines, leaving those that hang to the threads that wait for them."""
        todo = deque(pid for pid in pids if pid not in self._stuck)
        found: dict[int, str] = {}
        while todo and len(self._stuck) < _MOST_STUCK:
            reader = _Reader(self._proc, todo, found)
            reader.start()
            while reader.is_alive():
                before = len(found)
                reader.join(self._patience_s)
                if reader.is_alive() and len(found) == before:
                    reader.left = True
                    self._stuck.add(reader.pid)
                    break
        return found


class _Reader(threading.Thread):
    """Reads command lines until it is left; it ends with the process, even in a read."""

    def __init__(self, proc: Path, todo: deque[int], found: dict[int, str]) -> None:
        super().__init__(name="ior command lines", daemon=True)
        self._proc, self._todo, self._found = proc, todo, found
        self.pid, self.left = 0, False

    def run(self) -> None:
        while self._todo and not self.left:
            self.pid = self._todo.popleft()
            line = _command_line(self._proc / str(self.pid) / "cmdline")
            if not self.left:
                self._found[self.pid] = line


def _command_line(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(_LINE_BYTES)
    except OSError:  # it has ended, or is not ours to see
        return ""
    return text.escape(raw.rstrip(b"\0").replace(b"\0", b" "))


def _name(found: procs.Process) -> str:
    """Return the name in text-column form; the kernel has doubled the backslashes already."""
    return found.comm.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _numbers(folder: Path) -> list[int]:
    try:
        return sorted(int(name) for name in os.listdir(folder) if name.isdecimal())
    except OSError:
        return []
