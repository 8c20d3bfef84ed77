"""A run of a graph: start, stop and the books; the work itself is in `worker`.

Consumers start first and sources last; the end goes the other way round: sources stop, what
they captured is read, every node drains, then all close. Nothing is cancelled to stop.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio
from anyio.lowlevel import checkpoint

from ior.errors import IorError, StageFailed
from ior.host.command import Command
from ior.pipeline.abc import Source, Stage
from ior.pipeline.clock import Clock, SystemClock
from ior.pipeline.columns import makes_calls
from ior.pipeline.context import Warned, Warnings
from ior.pipeline.graph import Graph
from ior.pipeline.ledger import KERNEL, Ledger, balance
from ior.pipeline.pace import NodeTimes, Slowest, slowest
from ior.pipeline.wiring import Seams, wire
from ior.pipeline.worker import Worker
from ior.snapshots import Snapshot, Table


class Run:
    """One run of a graph, from start to closed books.

    `started` is set when every node has started and the first read is under way, `drained`
    when every row is worked off and only those who show results have something to do.
    `on_warning` is called with the node's name and a message. `abandoned` says, after an
    abort, what was left undone, a sentence each.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        clock: Clock | None = None,
        command: Command | None = None,
        on_warning: Callable[[str, str], None] | None = None,
    ) -> None:
        self.started, self.drained = anyio.Event(), anyio.Event()
        self.abandoned: list[str] = []
        self._command, self._settings = command, graph.settings
        self._clock = clock = clock or SystemClock()
        self._warnings = Warnings(clock, on_warning)
        seams = Seams(
            clock=clock,
            command=command,
            warnings=self._warnings,
            snapshot=self.snapshot,
            ledger=self.ledger,
            slowest=self.slowest,
            stop=self.stop,
            on_failure=self._failed,
        )
        self._workers, self._edges = wire(graph, seams)
        self._begun: list[Worker] = []
        self._aborted = self._running = False
        self._stopping = anyio.Event()
        self._late = False  # aborted because the deadline has passed
        self._scope: anyio.CancelScope | None = None
        self._failure: IorError | None = None
        self._kernel: dict[str, int] | None = None

    @property
    def warnings(self) -> list[Warned]:
        """The last warnings that were shown, oldest first."""
        return list(self._warnings.recent)

    async def run(self) -> Ledger:
        """Run the graph to its end and return the books.

        An error of a node's start is raised as it is if it is an IorError. A node that
        raises later ends the run in an orderly way, then StageFailed is raised from what
        it raised. Raises IorError after an abort that left something undone. `ledger`,
        `snapshot`, `times` and `warnings` can be read afterwards.
        """
        try:
            with anyio.CancelScope() as self._scope:
                if self._aborted:
                    self._scope.cancel()
                await self._start_and_work()
            self._account_for_abandoned()
        except BaseExceptionGroup as group:
            error = _only(group)
            raise error from error.__cause__
        finally:
            await self._close()
        if self._failure is not None:
            raise self._failure
        if self.abandoned:
            why = f"not done after {self._settings.drain_s:g} s (drain_s)"
            why = why if self._late else "aborted"
            raise IorError(f"{why}; abandoned: {'; '.join(self.abandoned)}")
        return self.ledger()

    async def _start_and_work(self) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch_deadline)
            await self._start()
            await self._work()
            group.cancel_scope.cancel()

    async def _watch_deadline(self) -> None:
        """Abort what has not ended some time after it was asked to."""
        await self._stopping.wait()
        await self._clock.sleep(self._settings.drain_s)
        self._late = True
        self.abort()

    async def _start(self) -> None:
        """Start viewers, then consumers before producers, sources last; release the command."""
        workers = list(reversed(self._workers.values()))
        rank = {w: 0 if w.looks else 2 if isinstance(w.node, Source) else 1 for w in workers}
        for worker in sorted(workers, key=rank.__getitem__):
            self._begun.append(worker)
            try:
                await worker.start()
                await checkpoint()
            except IorError as error:
                error.add_note(f"in stage '{worker.ctx.name}'")
                raise
            except Exception as error:
                raise _failure(worker, error, "cannot start: ") from error
        self._running = True
        if self._stopping.is_set():
            self._stop_sources()
        elif self._command is not None:
            self._command.release()

    async def _work(self) -> None:
        """Let everybody work until the sources have ended and everything has drained."""
        async with anyio.create_task_group() as group:
            for worker in self._begun:
                worker.launch(group)
            self.started.set()
            for worker in self._begun:
                if not worker.looks:
                    await worker.finished.wait()
            self._warnings.flush()
            self._kernel = self._kernel_books()
            self.drained.set()
            await checkpoint()  # whoever waits for it is done with the terminal
            for worker in self._begun:
                if worker.looks and not worker.failed:
                    await worker.drain()

    def _failed(self, worker: Worker, error: Exception) -> None:
        """Note a failure; the run ends with it, but goes on first while others can."""
        self._note(worker, error)
        if self._is_aside(worker):
            said = f"it failed, the others go on: {_failure(worker, error)}"
            self._warnings.warn(worker.ctx.name, said)
        else:
            self.stop()

    def _is_aside(self, failed: Worker) -> bool:
        """Return whether the graph still does its work without `failed`."""
        if isinstance(failed.node, Source) or makes_calls(failed.node):
            return False
        alive: set[str] = set()
        for name, worker in self._workers.items():  # producers before their consumers
            fed = isinstance(worker.node, Source) or alive.intersection(worker.producers)
            if fed and not worker.failed:
                alive.add(name)
        return any(not any(self._workers[name].outputs.values()) for name in alive)

    def _note(self, worker: Worker, error: Exception) -> None:
        if self._failure is None:
            self._failure = _failure(worker, error)
            self._failure.__cause__ = error
        else:
            self._failure.add_note(f"then {_failure(worker, error)}")

    async def _close(self) -> None:
        """Close what was started, the last first, whatever happens on the way."""
        if self._kernel is None:
            try:
                self._kernel = self._kernel_books()
            except Exception:  # of a source that never came to life
                self._kernel = {}
        deadline = self._settings.abort_s if self._aborted else float("inf")
        for worker in reversed(self._begun):
            with anyio.move_on_after(deadline, shield=True) as scope:
                try:
                    await worker.close()
                except Exception as error:
                    self._note(worker, error)
            if scope.cancelled_caught:
                self.abandoned.append(f"'{worker.ctx.name}' did not close")
        for edge in self._edges.values():
            edge.close()
        self._warnings.flush()

    def stop(self) -> None:
        """Ask for an orderly end; may be called at any time, and again."""
        self._stopping.set()
        if self._running:  # before that, `_start` does it at its end
            self._stop_sources()

    def _stop_sources(self) -> None:
        for worker in self._workers.values():
            if isinstance(worker.node, Source) and not worker.finished.is_set():
                try:
                    worker.node.stop()
                except Exception as error:  # it would never end
                    self._note(worker, error)
                    self.abort()

    def abort(self) -> None:
        """Cancel what is left of the run; `abandoned` and the error of `run` name it."""
        self._aborted = True
        self._stopping.set()
        if self._scope is not None:
            self._scope.cancel()

    def snapshot(self, name: str) -> Snapshot:
        """Return a node's present snapshot, without tables where it has none to give.

        Raises KeyError for a node that does not exist or cannot be looked at.
        """
        worker = self._workers[name]
        if not isinstance(worker.node, Stage):
            raise KeyError(name)
        return worker.snapshot() or _Nothing()

    def ledger(self) -> Ledger:
        """Return the books as they stand; they close when the run has ended."""
        books = {name: worker.ctx.books for name, worker in self._workers.items()}
        pairs = [n for n, w in self._workers.items() if makes_calls(w.node)]
        return balance(
            kernel=self._kernel_books() if self._kernel is None else self._kernel,
            calls=sum(next(iter(books[name].out.values())) for name in pairs),
            stages=books,
            edges={name: edge.books for name, edge in self._edges.items()},
            because=self.abandoned,
        )

    def _kernel_books(self) -> dict[str, int]:
        sums = dict.fromkeys(KERNEL, 0)
        for worker in self._begun:
            if isinstance(worker.node, Source):
                for key, value in worker.node.books().items():
                    sums[key] = sums.get(key, 0) + int(value)
        return sums

    def times(self) -> dict[str, NodeTimes]:
        """Return, for every node, how its time was split."""
        return {name: worker.times() for name, worker in self._workers.items()}

    def slowest(self) -> Slowest | None:
        """Return the stage that sets the pace, None before anything has worked."""
        return slowest(self.times(), {name: edge.books for name, edge in self._edges.items()})

    def _account_for_abandoned(self) -> None:
        if self._scope is None or not self._scope.cancelled_caught:
            return
        open_ = [worker for worker in reversed(self._begun) if not worker.finished.is_set()]
        # What has nothing in hand only waits for the others; a source may have more to read.
        holding = [w for w in open_ if w.in_hand() or isinstance(w.node, Source)]
        for worker in holding or open_:
            rows, name = worker.in_hand(), f"'{worker.ctx.name}'"
            self.abandoned.append(f"{name} with {rows:,} rows" if rows else name)


class _Nothing:
    def tables(self) -> tuple[Table, ...]:
        return ()


def _failure(worker: Worker, error: Exception, what: str = "") -> StageFailed:
    """Return the failure of a node: what it says for the user, the node in a note."""
    said = " ".join(str(error).split())  # one line, whatever it was
    if not isinstance(error, IorError):
        said = f"{type(error).__name__}: {said}"
    failure = StageFailed(f"stage '{worker.ctx.name}': {what}{said}")
    failure.add_note(f"in stage '{worker.ctx.name}'")
    return failure


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the exception in a group of one, else the group."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
