"""A changed graph takes over while the run goes on, from between two batches.

What does not change keeps its state; what is gone drains and stays in the books.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import anyio
import anyio.abc
from anyio.lowlevel import checkpoint

from ior.errors import IorError, ReloadRefused
from ior.pipeline.abc import Source
from ior.pipeline.graph import Graph
from ior.pipeline.pace import Slowest
from ior.pipeline.running.changes import Changes
from ior.pipeline.running.context import Warnings
from ior.pipeline.running.crew import Crew
from ior.pipeline.running.gate import Gate
from ior.pipeline.running.worker import Worker

_DRY_S = 5.0  # how long sources may be held while a changed graph waits to take over


async def start_all(workers: Iterable[Worker], begun: list[Worker]) -> None:
    """Start workers, given producers first; `begun` tells which have begun to."""
    last_first = list(workers)[::-1]
    rank = {w: 0 if w.looks else 2 if isinstance(w.node, Source) else 1 for w in last_first}
    for worker in sorted(last_first, key=rank.__getitem__):
        begun.append(worker)
        try:
            await worker.start()
            await checkpoint()
        except IorError as error:
            error.add_note(f"in stage '{worker.ctx.name}'")
            raise
        except Exception as error:
            raise worker.failure(error, "cannot start: ") from error


class Handover:
    """Changes the graph of a run whose workers are at work in `group`.

    `begun` are the workers that have begun to start, `note` is told of one that cannot close.
    """

    def __init__(
        self,
        crew: Crew,
        begun: list[Worker],
        group: anyio.abc.TaskGroup,
        *,
        gate: Gate,
        warnings: Warnings,
        abort_s: float,
        slowest: Callable[[], Slowest | None],
        is_ending: Callable[[], bool],
        note: Callable[[Worker, Exception], None],
    ) -> None:
        self._crew, self._begun, self._group = crew, begun, group
        self._gate, self._warnings, self._abort_s = gate, warnings, abort_s
        self._slowest, self._is_ending, self._note = slowest, is_ending, note

    async def to(self, graph: Graph) -> Changes:
        """Go on with `graph`; return what it changes.

        Raises ReloadRefused, or what a new stage's start raises: then nothing has changed.
        """
        self._refuse_at_the_end()
        changes = self._crew.compare(graph)
        if not (changes.fresh or changes.gone):
            return changes
        fresh, begun = self._crew.make(graph, changes), list[Worker]()
        try:
            await start_all(fresh.values(), begun)
            self._gate.shut()
            await self._run_dry(changes)
            self._refuse_at_the_end()
            if self._crew.compare(graph) != changes:
                raise ReloadRefused(["a stage ended meanwhile; try again"])
            gone = self._crew.change(graph, changes, fresh)
        except BaseException:
            self._gate.open()
            await self._close_unused(begun)
            raise
        try:
            await self._take_over(begun, gone)
        finally:
            self._gate.open()
        return changes

    async def _close_unused(self, begun: list[Worker]) -> None:
        for worker in reversed(begun):
            with anyio.move_on_after(self._abort_s, shield=True):
                try:
                    await worker.close()
                except Exception as error:
                    self._warnings.warn(worker.ctx.name, f"cannot close: {error}")

    def _refuse_at_the_end(self) -> None:
        if self._is_ending() or self._crew.sources_ended:
            raise ReloadRefused(["the run is not under way"])

    async def _run_dry(self, changes: Changes) -> None:
        """Wait until all that the sources gave is worked off. Raises ReloadRefused."""
        with anyio.move_on_after(_DRY_S):
            await self._crew.run_dry()
            return
        slow = self._slowest()
        named = f", the slowest is '{slow.stage}'" if slow is not None else ""
        said = f"the stages did not work off what they had within {_DRY_S:g} s{named}"
        raise ReloadRefused([f"{said}; nothing of this was done: {changes}"])

    async def _take_over(self, fresh: list[Worker], gone: Mapping[str, Worker]) -> None:
        """Let `fresh` work once `gone` have drained, or need too long for that."""
        for worker in fresh:
            self._begun.append(worker)
            worker.launch(self._group)
        closed = {name: anyio.Event() for name in gone}
        for name, worker in gone.items():
            if worker.looks:  # whoever takes its place shows the results
                worker.finish()
            self._group.start_soon(self._see_off, name, worker, closed[name])
        with anyio.move_on_after(_DRY_S):
            for event in closed.values():
                await event.wait()
            await self._crew.run_dry()
            return
        for name in (name for name, event in closed.items() if not event.is_set()):
            self._warnings.warn(name, "it still works off what it had; the others go on")

    async def _see_off(self, name: str, worker: Worker, closed: anyio.Event) -> None:
        """Close one that is gone, once it has drained."""
        await worker.finished.wait()
        try:
            await worker.close()
        except Exception as error:
            self._note(worker, error)
        self._begun.remove(worker)
        self._crew.forget(name)
        closed.set()
