"""A pipeline file that changes under a run: when to read it again, and what to say of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from anyio import to_thread

from ior.errors import IorError, ReloadRefused, SpecError
from ior.findings import Finding
from ior.pipeline.clock import Clock
from ior.pipeline.graph import Graph
from ior.pipeline.run import Run

INTERVAL_S = 0.5


class PipelineFile:
    """The file that a run was made of. `prepare` reads and checks it as the command line did."""

    def __init__(self, path: Path, prepare: Callable[[], Graph]) -> None:
        self.path, self._prepare = path, prepare
        self._digest = self._read()
        self._stamp: tuple[int, ...] | None = None

    def changed(self) -> bool:
        """Return whether the content is another than at the last call that said so.

        A file that is being written, one that is not as it was at the call before, is left
        for later; so is one that is not there, because an editor is about to put it back.
        """
        try:
            found = os.stat(self.path)
        except OSError:
            return False
        stamp = found.st_mtime_ns, found.st_size, found.st_ino
        settled, self._stamp = stamp == self._stamp, stamp
        if not settled:
            return False
        digest = self._read()
        if digest is None or digest == self._digest:
            return False
        self._digest = digest
        return True

    async def wait(self, clock: Clock) -> None:
        """Wait until the content has changed."""
        while not await to_thread.run_sync(self.changed):
            await clock.sleep(INTERVAL_S)

    async def apply(self, run: Run) -> tuple[bool, list[str]]:
        """Let a run go on with the file as it is now; return whether it does, and what to say."""
        name, self._digest = self.path.name, self._read()
        try:
            graph = await to_thread.run_sync(self._prepare)
            changes = await run.reload(graph)
        except Exception as error:
            return False, [f"{name} is not applied, the run goes on as before:", *_why(error)]
        return True, [f"{name} applied: {changes}", *_lines(graph.warnings)]

    def _read(self) -> str | None:
        try:
            return hashlib.sha256(self.path.read_bytes()).hexdigest()
        except OSError:
            return None


def has_terminal() -> bool:
    """Return whether this process has a controlling terminal, whose end is a SIGHUP."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _why(error: Exception) -> list[str]:
    if isinstance(error, ReloadRefused):
        return list(error.reasons)
    if isinstance(error, SpecError) and error.findings:
        return _lines(error.findings)
    return [str(error) if isinstance(error, IorError) else f"{type(error).__name__}: {error}"]


def _lines(findings: Iterable[Finding]) -> list[str]:
    return [line for finding in findings for line in finding.lines()]
