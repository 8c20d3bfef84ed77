"""Run a checked pipeline to its end: signals, duration, status line, books and exit code."""

from __future__ import annotations

import signal
from dataclasses import dataclass

import anyio
from anyio.abc import TaskStatus

from ior.cli.console import say
from ior.cli.reload import PipelineFile, has_terminal
from ior.cli.status import StatusLine
from ior.errors import LossError
from ior.host.command import Command
from ior.host.memory import keep_freed_memory
from ior.host.output import check_writable
from ior.pipeline.clock import SystemClock
from ior.pipeline.graph import Graph
from ior.pipeline.ledger import Ledger
from ior.pipeline.run import Run
from ior.pipeline.running.statement import write_statement

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AFTER_END_S = 0.1  # from the end of a traced tree to its status
_AFTER_CTRL_C_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What is asked of a run beside its pipeline."""

    duration_s: float | None = None
    ledger: str | None = None  # file for the books as JSON
    fail_on_loss: bool = False
    quiet: bool = False
    announcement: str = ""  # said when the run has started
    status: bool = False  # keep a line about the run on the terminal
    reports: bool = False  # the books are shown by somebody else
    hushed: str = ""  # a stage whose warnings are not said
    file: PipelineFile | None = None  # what a reload reads
    watch: bool = False  # reload when it changes


class Session:
    """One run of a graph under the command line.

    `ended_by` is the signal number that asked for the end, None when something else did.
    """

    def __init__(self, graph: Graph, command: Command | None, wishes: Wishes) -> None:
        self.wishes, self.command = wishes, command
        self.ended_by: int | None = None
        self._due = anyio.Event()  # to be reloaded
        self._line = StatusLine(wanted=wishes.status and not wishes.quiet)
        self.run_: Run = Run(graph, command=command, on_warning=self._warn)

    def run(self) -> int:
        """Run to the end and return the exit code. Raises what the run raises, and LossError."""
        if self.wishes.ledger is not None:
            check_writable(self.wishes.ledger)
        keep_freed_memory()
        try:
            ledger = anyio.run(self._run)
        finally:
            self._line.clear()
            status = self._end_command()
            if self.wishes.ledger is not None:
                write_statement(self.run_, self.wishes.ledger)
        if not self.wishes.quiet and not self.wishes.reports:
            say(_books(ledger))
        if self.command is not None:
            self.command.check()
        if status:
            return status
        if self.wishes.fail_on_loss and (ledger.lost or not ledger.closed):
            raise LossError(f"{_loss(ledger)}, and --fail-on-loss was given")
        return 0

    def _warn(self, node: str, message: str) -> None:
        if not self.wishes.quiet and node != self.wishes.hushed:
            self._line.warn(node, message)

    async def _run(self) -> Ledger:
        failure: Exception | None = None
        ledger: Ledger | None = None
        async with anyio.create_task_group() as tasks:
            await tasks.start(self._watch_signals)
            tasks.start_soon(self._announce)
            tasks.start_soon(self._line.follow, self.run_)
            if self.wishes.file is not None:
                tasks.start_soon(self._reload, self.wishes.file)
                if self.wishes.watch:
                    tasks.start_soon(self._watch, self.wishes.file)
            try:
                ledger = await self.run_.run()
            except Exception as error:  # raised below: a task group would wrap it
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure
        assert ledger is not None
        return ledger

    async def _watch_signals(self, *, task_status: TaskStatus[None]) -> None:
        # What our caller ignores (nohup, a background job) stays ignored.
        heard = [n for n in _ENDING if signal.getsignal(n) != signal.SIG_IGN]
        # The end of a terminal ends its runs; a service has none, and is told to reload.
        reloads = self.wishes.file is not None and not has_terminal()
        with anyio.open_signal_receiver(*heard) as signals:
            task_status.started()
            async for number in signals:
                if reloads and number == signal.SIGHUP:
                    self._due.set()
                elif self.ended_by is None:
                    self.ended_by = int(number)
                    self.run_.stop()
                else:
                    self.run_.abort()

    async def _watch(self, file: PipelineFile) -> None:
        while True:
            await file.wait(SystemClock())
            self._due.set()

    async def _reload(self, file: PipelineFile) -> None:
        """Apply the file whenever that is due."""
        await self.run_.started.wait()
        while True:
            await self._due.wait()
            self._due = anyio.Event()
            applied, said = await file.apply(self.run_)
            for line in said if not (applied and self.wishes.quiet) else ():
                self._line.say(line)

    async def _announce(self) -> None:
        await self.run_.started.wait()
        if self.wishes.announcement and not self.wishes.quiet:
            self._line.say(self.wishes.announcement)
        if self.wishes.duration_s is not None:
            await anyio.sleep(self.wishes.duration_s)
            self.run_.stop()

    def _end_command(self) -> int:
        """Return the command's own status; 0 where the end that was asked for ended it.

        A command that still runs is asked to end, as strace does with one that it started;
        what it started in turn is its own to end. After Ctrl-C, which reached the command
        too, it is given the time to end in its own way.
        """
        command = self.command
        if command is None or not command.released:
            return 0
        status = command.wait(_AFTER_CTRL_C_S if self.ended_by == signal.SIGINT else _AFTER_END_S)
        if status is None:
            if command.end() is None and not self.wishes.quiet:
                say(f"'{command.name}' (pid {command.pid}) goes on after SIGTERM")
            return 0
        return 0 if self.ended_by is not None and status == 128 + self.ended_by else status


def _books(ledger: Ledger) -> str:
    if ledger.lost or not ledger.closed:
        return _loss(ledger)
    if ledger.calls or not ledger.kernel.get("read"):
        return f"{ledger.calls:,} calls; nothing lost, the books balance"
    return f"{ledger.kernel['read']:,} records; nothing lost, the books balance"


def _loss(ledger: Ledger) -> str:
    parts = []
    if lost := ledger.kernel.get("lost", 0):
        parts.append(
            f"{lost:,} of {ledger.kernel['attempted']:,} records lost in the kernel's ring"
        )
    if skipped := ledger.kernel.get("skipped", 0):
        parts.append(f"{skipped:,} probe runs skipped, each half a call or more")
    if dropped := ledger.lost - lost - skipped - ledger.failed:
        parts.append(f"{dropped:,} rows dropped by stages that could not keep up")
    if failed := {name: books.failed for name, books in ledger.stages.items() if books.failed}:
        where = ", ".join(f"'{name}'" for name in failed)
        parts.append(f"{ledger.failed:,} rows that {where} failed at")
    if not ledger.closed:
        parts.append(f"the books do not balance: {'; '.join(ledger.open_because)}")
    return ", ".join(parts)
