"""Whom to trace: marking tasks in the kernel, and knowing when the last one is gone.

A mark lives in the task's own storage, so it goes with the task and a recycled pid cannot
inherit it. A pidfd names a process by what the caller sees, also inside a pid namespace.
"""

from __future__ import annotations

import contextlib
import os
import select
from typing import Final

import anyio

from ior.errors import NoSuchTarget
from ior.host import own
from ior.host.command import Command
from ior.host.procs import no_process, no_thread
from ior.sources.bpf.errors import BpfError
from ior.sources.bpf.loader import Object

FOLLOWED, ARMED, EXCLUDED = 1, 2, 3  # MARK_* of bpf/ior.bpf.c
_ROUNDS: Final = 64  # generations of descendants that the first marking looks for


class Target:
    """One process, one thread, one command, or (without any) everything but ior itself."""

    def __init__(self, pid: int | None, tid: int | None, command: Command | None) -> None:
        """Take hold of the target. Raises NoSuchTarget if there is none."""
        self._pid, self._tid, self._command = pid, tid, command
        self.selective = not (pid is None and tid is None and command is None)
        self._pidfd = -1
        if tid is not None and not os.path.exists(f"/proc/{tid}"):
            raise no_thread(tid)
        if pid is not None:
            self._pidfd = _open(pid)
        elif command is not None:
            self._pidfd = _open(command.pid)

    def mark_before(self, loaded: Object) -> None:
        """Mark what must be known before anything is attached."""
        if self._command is not None:
            self._set(loaded, self._pidfd, ARMED)
        elif self._pidfd >= 0:
            self._set(loaded, self._pidfd, FOLLOWED)
        for pid in own.processes():
            with contextlib.suppress(NoSuchTarget):  # a stage's process may have crashed
                self._mark(loaded, pid, EXCLUDED)
        self._mark_running(loaded)

    def mark_after(self, loaded: Object) -> None:
        """Mark the threads and descendants that already ran; new ones inherit by themselves.

        Raises NoSuchTarget if the target has died meanwhile.
        """
        if self._tid is not None:
            loaded.globals["target_tid"] = self._tid
        self._mark_running(loaded)
        if self._tid is not None:
            loaded.globals["target_tid"] = 0
            if not loaded.iterate("list_followed"):
                raise no_thread(self._tid)

    @staticmethod
    def _mark_running(loaded: Object) -> None:
        for _ in range(_ROUNDS):
            if not loaded.iterate("mark_tasks"):
                break

    def ended(self, loaded: Object) -> bool:
        """Tell whether nothing is left that could make another call of interest."""
        if not self.selective:
            return False
        if self._command is not None and self._command.poll() is None:
            return False
        if self._pidfd >= 0 and not _has_ended(self._pidfd):
            return False
        return not loaded.iterate("list_followed")

    async def process_end(self) -> bool:
        """Wait for the end of the process; False at once where none was named."""
        if self._pidfd < 0:
            return False
        await anyio.wait_readable(self._pidfd)
        return True

    def close(self) -> None:
        """Let go of the target."""
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1

    def _mark(self, loaded: Object, pid: int, mark: int) -> None:
        pidfd = _open(pid)
        try:
            self._set(loaded, pidfd, mark)
        finally:
            os.close(pidfd)

    @staticmethod
    def _set(loaded: Object, pidfd: int, mark: int) -> None:
        tasks = loaded.maps["tasks"]
        state = bytes([mark]) + bytes(tasks.value_size - 1)
        try:
            tasks.set(pidfd, state)
        except BpfError as error:
            if _has_ended(pidfd):
                raise NoSuchTarget("the process to trace has ended") from error
            raise


def _open(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        raise no_process(pid) from error


def _has_ended(pidfd: int) -> bool:
    waiting = select.poll()  # select() takes no descriptor beyond 1023
    waiting.register(pidfd, select.POLLIN)
    return bool(waiting.poll(0))
