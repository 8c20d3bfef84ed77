"""One node at work: takes from its edges, calls the node, gives to its edges, keeps its books.

The methods of a node are called one at a time (a lock), and what they give leaves under the
same lock, so that the batches of a port keep their order. After every batch the event loop
has its turn. The plain methods of a node with a lane run there, its coroutines on the loop.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import anyio.abc
from anyio.lowlevel import checkpoint

from ior.calls import Batch
from ior.errors import StageFailed, raised
from ior.pipeline.abc import MaybeAsync, Node, Output, Sink, Source, Stage
from ior.pipeline.channel import Edge
from ior.pipeline.checking import columns
from ior.pipeline.pace import NodeTimes
from ior.pipeline.running.context import NodeContext
from ior.pipeline.running.gate import Gate
from ior.pipeline.running.outlets import Outlets
from ior.pipeline.running.steps import RunDelay, Stepped, cancelled_only_by_us, parts
from ior.pipeline.running.tolerance import Tolerance
from ior.pipeline.selective import SelectiveSource
from ior.pipeline.spec import OnError
from ior.snapshots import Snapshot
from ior.units import format_duration

_HOGGED_NS = 200_000_000  # the ring of the kernel is read that much later


class Worker:
    """Runs one started node to its end.

    `finished` is set when no more comes from the node. When the node raises, `on_failure`
    is called once with the worker and the exception; its inputs then swallow what comes.
    """

    _lock: anyio.Lock

    def __init__(
        self,
        node: Node,
        ctx: NodeContext,
        gate: Gate,
        on_failure: Callable[[Worker, Exception], None],
        *,
        on_error: OnError = "fail",
    ) -> None:
        self.node, self.ctx = node, ctx
        self.inputs: list[Edge] = []
        self.outlets = Outlets(ctx)
        self.finished = anyio.Event()
        self.failed = False
        self._picture: Snapshot | None = None  # the last snapshot
        self._wanted = False  # somebody asked for one while the lane was busy
        self._on_failure = on_failure
        self._tolerance = Tolerance(on_error, ctx, self.outlets.taken_at)
        self._ends_here = not columns.declared(node)  # what comes and does not go is consumed
        self._spawned: list[anyio.CancelScope] = []
        self._waiting_spawns: list[Callable[[], Awaitable[object]]] = []
        self._group: anyio.abc.TaskGroup | None = None
        ctx.on_spawn = self._spawn
        self._gate = gate
        self._sifting: tuple[Callable[[Batch], Batch], int] = (lambda batch: batch, 0)
        self._giving = False  # what a source has read
        self._open_inputs = 0
        self._nap: anyio.CancelScope | None = None
        self._busy_ns = 0
        self._begin_ns = self._end_ns = 0
        self._since_ns: int | None = None  # the begin of the call that is under way

    @property
    def looks(self) -> bool:
        """Whether the node is a sink that takes snapshots and no rows."""
        return isinstance(self.node, Sink) and self.node.looks

    @property
    def producers(self) -> set[str]:
        """The names of the nodes that this one takes from."""
        return {edge.producer for edge in self.inputs}

    async def start(self) -> None:
        """Start the node. Raises what it raises."""
        self.node.ctx = self.ctx
        with cancelled_only_by_us():
            await self._settled(self._invoke(self.node.start, self.ctx))

    async def close(self) -> None:
        """Close the node. Raises what it raises."""
        kill = getattr(self.node, "kill", None)  # of one in another process
        if self.ctx.lane is not None and self.ctx.lane.busy and kill is not None:
            kill()
        try:
            await self._settled(self._invoke(self.node.close))
        except anyio.get_cancelled_exc_class():
            if kill is not None:
                kill()
            raise
        finally:
            if self.ctx.lane is not None:
                self.ctx.lane.close()

    def snapshot(self) -> Snapshot | None:
        """Return what the node answers; the last answer while it is busy in its lane."""
        if not isinstance(self.node, (Source, Stage)):
            return None
        if self.ctx.lane is not None and self.ctx.lane.busy:
            self._wanted = True
        else:
            self._picture = self.node.snapshot()
        return self._picture

    def launch(self, group: anyio.abc.TaskGroup) -> None:
        """Start this worker's tasks: one for a source, one an edge, one for ticks."""
        self._begin_ns, self._lock = time.perf_counter_ns(), anyio.Lock()
        self._group, node = group, self.node
        for function in self._waiting_spawns:
            self._spawn(function)
        if isinstance(node, Source):
            group.start_soon(self._read, node, name=self.ctx.name)
        elif isinstance(node, (Stage, Sink)):
            for edge in self.inputs:
                self._begin_on(edge)
            if node.tick_s is not None:
                group.start_soon(self._tick, node, node.tick_s, name=f"{self.ctx.name} tick")

    def take_from(self, edge: Edge) -> None:
        """Take what comes by `edge` too; a node at work begins at once."""
        self.inputs.append(edge)
        self._open_inputs += 1
        if self._group is not None:
            self._begin_on(edge)

    def sift(self, wanted: Callable[[Batch], Batch], batches: int) -> None:
        """Take of the next batches only the rows that `wanted` returns, and book the others.

        So what a filter in front has given, and would not give now, goes no further.
        """
        self._sifting = (wanted, batches)

    def _sifted(self, batch: Batch) -> Batch:
        wanted, batches = self._sifting
        self._sifting = (wanted, batches - 1)
        kept = wanted(batch)
        self.ctx.books.filtered += len(batch) - len(kept)
        return kept

    def _begin_on(self, edge: Edge) -> None:
        assert self._group is not None
        assert isinstance(self.node, (Stage, Sink))
        self._group.start_soon(self._consume, self.node, edge, name=edge.name)

    def give_to(self, port: str, edge: Edge) -> None:
        """Give what leaves by `port` to `edge` too."""
        self.outlets.add(port, edge)
        if self.finished.is_set():
            edge.end()

    @property
    def idle(self) -> bool:
        """Whether no row is on its way through the node; a source may be reading."""
        return not self._giving and not self._lock.locked()

    def _spawn(self, function: Callable[[], Awaitable[object]]) -> None:
        if self._group is None:  # of `start`: the work has not begun
            self._waiting_spawns.append(function)
        elif not self.finished.is_set():
            self._group.start_soon(self._beside, function, name=f"{self.ctx.name} beside")

    async def _beside(self, function: Callable[[], Awaitable[object]]) -> None:
        with anyio.CancelScope() as scope:
            self._spawned.append(scope)
            try:
                with cancelled_only_by_us():
                    await function()
            except Exception as error:
                self._fail(error)

    def times(self) -> NodeTimes:
        """Return the split of the time since the launch."""
        now = time.perf_counter_ns()
        busy = self._busy_ns + (0 if self._since_ns is None else now - self._since_ns)
        blocked = self.outlets.blocked_ns()
        idle = (self._end_ns or now) - self._begin_ns - busy - sum(blocked.values())
        return NodeTimes(max(idle, 0) if self._begin_ns else 0, busy, blocked)

    def in_hand(self) -> int:
        """Return the rows that wait for this node or that it has not finished."""
        books = self.ctx.books
        edges = [edge.books for edge in self.inputs]
        waiting = sum(edge.offered - edge.delivered - edge.dropped for edge in edges)
        return waiting + books.held + max(books.missing(), 0)

    async def _read(self, source: Source) -> None:
        books = self.ctx.books
        try:
            while True:
                batch = await self._next(source)
                if batch is None:
                    break
                books.made += len(batch)
                for part in parts(batch, self.ctx.batching.max_calls):
                    await self._gate.passing()
                    wanted = part
                    if isinstance(source, SelectiveSource):
                        wanted = source.chosen(part)
                        books.filtered += len(part) - len(wanted)
                    self._giving = True
                    if len(wanted):
                        await self.outlets.give(wanted)
                    self._giving = False
                    await checkpoint()
        except Exception as error:
            self._fail(error)
        self._giving = False
        self.finish()

    async def _next(self, source: Source) -> Batch | None:
        """Read; time counts as busy where the source computes, not where it waits."""
        step = Stepped(self._settled(self._invoke(source.read)))
        try:
            with cancelled_only_by_us():
                batch = await step
        finally:
            self._busy_ns += step.busy_ns
        if batch is not None and not isinstance(batch, Batch):
            raise TypeError(f"gave {type(batch).__name__}, not a Batch or None")
        return batch

    def _invoke(self, method: Callable[..., Any], *args: Any) -> Any:
        """Call a method of the node, in the lane if there is one and the method is plain."""
        lane = self.ctx.lane
        if lane is None or inspect.iscoroutinefunction(method):
            return method(*args)
        return lane.call(self._in_lane, method, *args)

    def _in_lane(self, method: Callable[..., Any], *args: Any) -> Any:
        result = method(*args)
        if self._wanted and isinstance(self.node, (Source, Stage)):
            self._wanted, self._picture = False, self.node.snapshot()
        return result

    @staticmethod
    async def _settled(result: Any) -> Any:
        while inspect.isawaitable(result):  # a lane's answer may be a coroutine in its turn
            result = await result
        return result

    async def _stepped(self, result: Any) -> Any:
        """Settle what a method answered; say so where the user's own code let nobody else run."""
        if self.ctx.lane is None:
            return await self._settled(result)
        delay = RunDelay()
        step = Stepped(self._settled(result), delay)
        try:
            return await step
        finally:
            delay.close()
            if step.longest_ns > _HOGGED_NS:
                self.ctx.warn(
                    f"held up everything else for {format_duration(step.longest_ns)}; "
                    "an async stage must not block: make it a plain function, "
                    'or set isolation = "process"'
                )

    async def _consume(self, node: Stage | Sink, edge: Edge) -> None:
        books = self.ctx.books
        while (batch := await edge.get()) is not None:
            books.in_ += len(batch)
            if self._sifting[1] > 0:
                batch = self._sifted(batch)
            if len(batch):
                await self._call(node.process, batch, batch=batch)
            await checkpoint()
        self._open_inputs -= 1
        if not self._open_inputs:
            await self.drain()

    async def drain(self) -> None:
        """Let the node give what it still holds, and end its outputs."""
        if isinstance(self.node, (Stage, Sink)):
            await self._call(self.node.drain)
        self.finish()

    async def _tick(self, node: Stage | Sink, interval_s: float) -> None:
        clock = self.ctx.clock
        due_ns = clock.now_ns()
        while not self.finished.is_set():
            now_ns, due_ns = clock.now_ns(), due_ns + int(interval_s * 1e9)
            if due_ns <= now_ns:  # late: leave the missed ones out
                due_ns = now_ns + int(interval_s * 1e9)
            with anyio.CancelScope() as self._nap:
                await clock.sleep((due_ns - now_ns) / 1e9)
            self._nap = None
            if not self.finished.is_set():
                await self._call(node.tick, clock.now_ns())

    async def _call(
        self, method: Callable[..., MaybeAsync], *args: Any, batch: Batch | None = None
    ) -> None:
        """Call one method of the node, alone, and give what it gives.

        An error at `batch` is dealt with as `on_error` says.
        """
        try:
            self._lock.acquire_nowait()
        except anyio.WouldBlock:
            await self._lock.acquire()
        try:
            if self.failed:
                self._settle_failed()
            elif not self.finished.is_set():
                output = await self._timed(method, args, batch)
                if output is not None:
                    await self.outlets.give(output)
                if self._ends_here:
                    self.ctx.books.consumed += self.ctx.books.missing()
        except Exception as error:
            self._fail(error)
        finally:
            self._lock.release()

    async def _timed(
        self, method: Callable[..., MaybeAsync], args: tuple[Any, ...], batch: Batch | None
    ) -> Output:
        output: Output
        self._since_ns = begin = time.perf_counter_ns()
        before = self._tolerance.before() if batch is not None else None
        try:
            with cancelled_only_by_us():
                answer = self._invoke(method, *args)
                if answer is not None and not isinstance(answer, (Batch, Mapping, list)):
                    answer = await self._stepped(answer)
            output = answer
            if output is not None:
                self.outlets.check(output)
        except Exception as error:
            if batch is None or before is None:
                raise
            return self._tolerance.at(error, batch, before)
        else:
            return output
        finally:
            self._busy_ns += time.perf_counter_ns() - begin
            self._since_ns = None

    def failure(self, error: Exception, what: str = "") -> StageFailed:
        """Return an error of the node as a failure of the run; `what` is what it was at."""
        failed = StageFailed(f"stage '{self.ctx.name}': {what}{raised(error)}")
        failed.add_note(f"in stage '{self.ctx.name}'")
        return failed

    def _fail(self, error: Exception) -> None:
        if self.failed:
            return
        self.failed = True
        self._settle_failed()
        for edge in self.inputs:
            edge.abandon()
        self.finish()
        self._on_failure(self, error)

    def _settle_failed(self) -> None:
        """Book what a failed node had in hand as failed."""
        books = self.ctx.books
        books.failed += books.held + max(books.missing(), 0)
        books.held = 0

    def finish(self) -> None:
        """Say to everybody that no more comes from here."""
        if self.finished.is_set():
            return
        self.finished.set()
        self._end_ns = time.perf_counter_ns()
        if self._nap is not None:
            self._nap.cancel()
        for scope in self._spawned:
            scope.cancel()
        self.outlets.end()
