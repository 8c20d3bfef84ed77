"""A run of a graph: start, stop and the books; the work itself is in `worker`.

Consumers start first and sources last; the end goes the other way round: sources stop, what
they captured is read, every node drains, then all close. Nothing is cancelled to stop.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import anyio
import anyio.abc
from anyio.lowlevel import checkpoint

from ior.counted import KernelSnapshot, Totals
from ior.errors import IorError, ReloadRefused, StageFailed, raised
from ior.expr.tree import Tree
from ior.host.command import Command
from ior.pipeline.abc import Source, Stage, answers
from ior.pipeline.checking.columns import makes_calls
from ior.pipeline.clock import Clock, SystemClock
from ior.pipeline.graph import Graph
from ior.pipeline.ledger import KERNEL, Ledger, balance
from ior.pipeline.pace import NodeTimes, Slowest, slowest
from ior.pipeline.pushing import Pushed
from ior.pipeline.running.changes import Changes
from ior.pipeline.running.context import Warned, Warnings
from ior.pipeline.running.crew import Crew
from ior.pipeline.running.gate import Gate
from ior.pipeline.running.handover import Handover, start_all
from ior.pipeline.running.wiring import Seams
from ior.pipeline.running.worker import Worker
from ior.snapshots import Snapshot, Table
from ior.waiting import InFlight, in_flight


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
        self._warnings, self._gate = Warnings(clock, on_warning), Gate()
        seams = Seams(
            clock=clock,
            command=command,
            gate=self._gate,
            warnings=self._warnings,
            snapshot=self.snapshot,
            ledger=self.ledger,
            slowest=self.slowest,
            stop=self.stop,
            on_failure=self._failed,
        )
        self._crew = Crew(graph, seams)
        self._begun: list[Worker] = []
        self._changing = anyio.Lock()
        self._aborted = self._running = False
        self._stopping = anyio.Event()
        self._late = False  # aborted because the deadline has passed
        self._scope: anyio.CancelScope | None = None
        self._closing: anyio.CancelScope | None = None  # of the node that is closing
        self._handover: Handover | None = None  # while there is work
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
        await start_all(self._crew.workers.values(), self._begun)
        self._running = True
        if self._stopping.is_set():
            self._stop_sources()
        elif self._command is not None:
            self._command.release()

    async def _work(self) -> None:
        """Let everybody work until the sources have ended and everything has drained."""
        async with anyio.create_task_group() as group:
            self._handover = self._handing_over(group)
            for worker in self._begun:
                worker.launch(group)
            self.started.set()
            while at_work := [w for w in self._begun if not (w.looks or w.finished.is_set())]:
                await at_work[0].finished.wait()
            self._warnings.flush()
            self._kernel = self._kernel_books()
            self.drained.set()
            await checkpoint()  # whoever waits for it is done with the terminal
            for worker in self._begun:
                if worker.looks and not worker.failed:
                    await worker.drain()

    def _handing_over(self, group: anyio.abc.TaskGroup) -> Handover:
        return Handover(
            self._crew,
            self._begun,
            group,
            gate=self._gate,
            warnings=self._warnings,
            abort_s=self._settings.abort_s,
            slowest=self.slowest,
            is_ending=self._stopping.is_set,
            note=self._note,
        )

    async def select(
        self, numbers: Collection[int] | None = None, where: Tree | None = None
    ) -> None:
        """Let the sources give only these syscalls, and those calls for which `where` holds.

        None changes nothing of its kind. When this returns, no stage gets a row any more of a
        call that is not wanted: those that were on their way are booked as filtered. Raises
        SpecError for a term that a source cannot apply.
        """
        async with self._changing:
            await self._crew.select(numbers, where)

    def refilter(self, name: str, where: str) -> dict[str, Pushed]:
        """Let a `filter` keep only rows for which `where` holds as well, from this moment on.

        Nobody behind it takes any other, not even what it had given already. "" asks for nothing
        more than its own expression. Sources leave out of it what they can, which is returned by
        source. Raises FilterError, and then changes nothing.
        """
        return self._crew.refilter(name, where)

    async def reload(self, graph: Graph) -> Changes:
        """Go on with a changed graph, from between two batches on; return what it changes.

        The sources go on; while the graph is changed what they capture waits in the kernel.
        What does not change keeps its state, what is gone drains and stays in the books.
        Raises ReloadRefused, or what a new stage's start raises: then nothing has changed.
        """
        async with self._changing:
            if self._handover is None:
                raise ReloadRefused(["the run is not under way"])
            return await self._handover.to(graph)

    def _failed(self, worker: Worker, error: Exception) -> None:
        """Note a failure; the run ends with it, but goes on first while others can."""
        self._note(worker, error)
        if self._is_aside(worker):
            said = f"it failed, the others go on: {raised(error)}"
            self._warnings.warn(worker.ctx.name, said)
        else:
            self.stop()

    def _is_aside(self, failed: Worker) -> bool:
        """Return whether the graph still does its work without `failed`."""
        if isinstance(failed.node, Source) or makes_calls(failed.node):
            return False
        alive: set[str] = set()
        workers = self._crew.workers
        for name, worker in workers.items():  # producers before their consumers
            fed = isinstance(worker.node, Source) or alive.intersection(worker.producers)
            if fed and not worker.failed:
                alive.add(name)
        return any(not workers[name].outlets.taken for name in alive)

    def _note(self, worker: Worker, error: Exception) -> None:
        if self._failure is None:
            self._failure = worker.failure(error)
            self._failure.__cause__ = error
        else:
            self._failure.add_note(f"then {worker.failure(error)}")

    async def _close(self) -> None:
        """Close what was started, the last first, whatever happens on the way."""
        if self._kernel is None:
            try:
                self._kernel = self._kernel_books()
            except Exception:  # of a source that never came to life
                self._kernel = {}
        for worker in reversed(self._begun):
            limit_s = self._settings.abort_s if self._aborted else self._settings.drain_s
            with anyio.move_on_after(limit_s, shield=True) as self._closing:
                try:
                    await worker.close()
                except Exception as error:
                    self._note(worker, error)
            if self._closing.cancelled_caught:
                self._late = self._late or not self._aborted
                self.abandoned.append(f"'{worker.ctx.name}' did not close")
        self._crew.close_edges()
        self._warnings.flush()

    def stop(self) -> None:
        """Ask for an orderly end; may be called at any time, and again."""
        self._stopping.set()
        if self._running:  # before that, `_start` does it at its end
            self._stop_sources()

    def _stop_sources(self) -> None:
        for worker in self._crew.workers.values():
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
        if self._closing is not None:
            in_time = anyio.current_time() + self._settings.abort_s
            self._closing.deadline = min(self._closing.deadline, in_time)

    def snapshot(self, name: str) -> Snapshot:
        """Return a node's present snapshot, without tables where it has none to give.

        Raises KeyError for a node that does not exist or cannot be looked at.
        """
        worker = self._crew.workers[name]
        if not isinstance(worker.node, Stage) and not answers(worker.node):
            raise KeyError(name)
        try:
            return worker.snapshot() or _Nothing()
        except Exception as error:
            raise worker.failure(error, "snapshot: ") from error

    def in_flight(self) -> InFlight | None:
        """Return the calls that have not returned, the longest waiting first.

        After the end they are those that had not returned then; None where no source knows.
        """
        return in_flight(self._answers().values())

    def totals(self) -> dict[str, Totals]:
        """Return, by name, what sources have counted that made no rows; final at the end."""
        found = self._answers().items()
        known = {name: one.totals for name, one in found if isinstance(one, KernelSnapshot)}
        return {name: totals for name, totals in known.items() if totals.counted}

    def _answers(self) -> dict[str, Snapshot]:
        """Return what the sources answer that can be looked at."""
        found = {}
        for name, worker in self._crew.workers.items():
            if isinstance(worker.node, Source) and answers(worker.node):
                try:
                    found[name] = self.snapshot(name)
                except StageFailed as error:
                    self._warnings.warn(name, f"what waits and is counted is not known: {error}")
        return found

    def ledger(self) -> Ledger:
        """Return the books as they stand; they close when the run has ended."""
        return balance(
            kernel=self._kernel_books() if self._kernel is None else self._kernel,
            calls=self._crew.calls(),
            stages=self._crew.stage_books(),
            edges=self._crew.edge_books(),
            because=self.abandoned,
        )

    def rows(self) -> int:
        """Return how many rows all nodes together have taken, given and worked off.

        It grows whenever anything moves; the kernel is not asked.
        """
        return self._crew.rows()

    async def moves(self) -> None:
        """Wait until a source gives something."""
        await self._gate.next()

    def _kernel_books(self) -> dict[str, int]:
        sums = dict.fromkeys(KERNEL, 0)
        for worker in self._begun:
            if isinstance(worker.node, Source):
                for key, value in worker.node.books().items():
                    sums[key] = sums.get(key, 0) + int(value)
        return sums

    def times(self) -> dict[str, NodeTimes]:
        """Return, for every node, how its time was split."""
        return self._crew.times()

    def slowest(self) -> Slowest | None:
        """Return the stage that sets the pace, None before anything has worked."""
        return slowest(self.times(), self._crew.edge_books())

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


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the exception in a group of one, else the group."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
