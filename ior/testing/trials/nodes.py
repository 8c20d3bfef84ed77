"""What stands in a pipeline under test: sources that are fed, sinks that only take, faults."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import anyio
import numpy as np
from anyio.lowlevel import checkpoint

from ior.calls import HALVES, Batch, Flag, Schema
from ior.pipeline.abc import Config, Context, MaybeAsync, Sink, Source, Stage
from ior.pipeline.clock import Clock
from ior.pipeline.ledger import KERNEL
from ior.pipeline.reading.trials import Fault
from ior.snapshots import Snapshot
from ior.units import parse_duration


class Injected(Exception):
    """The error of a `failing` fault."""


class Fed(Source):
    """Gives batches at their times; `lost` faults take rows out as a full ring does."""

    gives: Schema = HALVES  # type: ignore[misc]  # each stands for another source

    def __init__(
        self, schema: Schema, batches: list[tuple[int, Batch]], faults: list[Fault], *, traces: bool
    ) -> None:
        super().__init__(Config())
        self.gives = schema
        self._batches, self._faults, self._traces = batches, faults, traces
        self._lost = self._read = 0
        self._stopped = False
        self._broken: set[int] = set()  # threads whose next record follows a lost one

    async def read(self) -> Batch | None:
        """Return the next batch after its delay."""
        await checkpoint()
        while self._batches and not self._stopped:
            delay_ns, batch = self._batches.pop(0)
            if delay_ns:
                await self.ctx.clock.sleep(delay_ns / 1e9)
            batch = self._lose(batch)
            self._read += len(batch)
            if len(batch):
                return batch
        return None

    def stop(self) -> None:
        """Leave the rest out."""
        self._stopped = True

    def books(self) -> Mapping[str, int]:
        """Return what a ring would have counted."""
        if not self._traces:
            return {}
        counted = {"attempted": self._read + self._lost, "read": self._read, "lost": self._lost}
        return dict.fromkeys(KERNEL, 0) | counted

    def _lose(self, batch: Batch) -> Batch:
        if not self._faults:
            return batch
        first = self._read + self._lost
        number = np.arange(first, first + len(batch))
        kept = np.ones(len(batch), bool)
        for fault in self._faults:
            kept &= (number < fault.after) | (number >= fault.after + fault.rows)
        self._lost += int(np.count_nonzero(~kept))
        if batch.schema.name != HALVES.name:
            return batch.select(kept)
        return self._marked(batch, kept)

    def _marked(self, batch: Batch, kept: np.ndarray[Any, Any]) -> Batch:
        """Return what is left, with the mark of the gap on each thread's next record."""
        flags = batch["flags"].copy()
        for i, tid in enumerate(batch["tid"].tolist()):
            if not kept[i]:
                self._broken.add(tid)
            elif tid in self._broken:
                flags[i] |= Flag.BREAK
                self._broken.discard(tid)
        return batch.with_columns({batch.column("flags"): flags}).select(kept)


class Troubles:
    """The faults of one stage that takes rows. `stalled` is set while it takes nothing."""

    def __init__(self, faults: list[Fault]) -> None:
        self._faults, self._rows = faults, 0
        self._done: set[int] = set()
        self._released = anyio.Event()
        self.stalled = False

    def release(self) -> None:
        """End a stall that has no end of its own."""
        self._released.set()

    async def meet(self, rows: int, clock: Clock) -> None:
        """Let happen what happens before a batch of so many rows is taken."""
        first, self._rows = self._rows, self._rows + rows
        for number, fault in enumerate(self._faults):
            if first < fault.after:
                continue
            lasts_ns = None if fault.lasts is None else parse_duration(fault.lasts)
            if fault.kind == "failing":
                raise Injected(f"made to fail after {first} rows")
            if fault.kind == "slow":
                await clock.sleep((lasts_ns or 0) / 1e9)
            elif fault.kind == "stalled" and number not in self._done:
                self._done.add(number)
                if lasts_ns is not None:
                    await clock.sleep(lasts_ns / 1e9)
                    continue
                self.stalled = True
                await self._released.wait()
                self.stalled = False


class Taker(Sink):
    """Stands for a sink, or looks at an edge: keeps what arrives."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(Config())
        self.troubles = Troubles(faults)
        self.seen: list[Batch] = []

    async def process(self, batch: Batch) -> None:
        """Keep a batch."""
        await self.troubles.meet(len(batch), self.ctx.clock)
        self.seen.append(batch)


class Watched(Stage):
    """A stage with faults in front of it, and what it took."""

    def __init__(self, node: Stage, faults: list[Fault]) -> None:
        super().__init__(node.config)
        self._node = node
        self.troubles = Troubles(faults)
        self.seen: list[Batch] = []
        self.takes, self.gives = node.takes, node.gives  # type: ignore[misc]  # of this one
        self.tick_s = node.tick_s  # type: ignore[misc]  # the same

    async def start(self, ctx: Context) -> None:
        """Start the stage."""
        await super().start(ctx)
        await self._node.start(ctx)

    async def process(self, batch: Batch) -> Any:
        """Let the stage process a batch, once the faults let it."""
        await self.troubles.meet(len(batch), self.ctx.clock)
        self.seen.append(batch)
        output: Any = self._node.process(batch)
        return await output if inspect.isawaitable(output) else output

    def tick(self, now_ns: int) -> MaybeAsync:
        """Tick the stage."""
        return self._node.tick(now_ns)

    def drain(self) -> MaybeAsync:
        """Drain the stage."""
        return self._node.drain()

    async def close(self) -> None:
        """Close the stage."""
        await self._node.close()

    def snapshot(self) -> Snapshot | None:
        """Return the stage's own."""
        return self._node.snapshot()
