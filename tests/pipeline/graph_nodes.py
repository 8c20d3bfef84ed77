"""Nodes with one habit each, for the tests of the graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import anyio
import numpy as np

from ior.calls import CALLS, HALVES, Batch, Schema
from ior.pipeline.abc import Config, Context, Sink, Source, Stage
from ior.snapshots import Field, Table
from ior.testing import calls, halves


def batches(count: int, rows: int = 10) -> list[Batch]:
    return [halves(rows=rows, pid=number) for number in range(count)]


class Bare:
    """A node that needs no keys, and notes its life in `Bare.life` if that is a list."""

    def __init__(self, life: list[str] | None = None) -> None:
        super().__init__(Config())  # type: ignore[call-arg]
        self.life = life

    def note(self, what: str) -> None:
        if self.life is not None:
            self.life.append(f"{self.ctx.name} {what}")  # type: ignore[attr-defined]

    async def start(self, ctx: Context) -> None:
        await super().start(ctx)  # type: ignore[misc]
        self.note("start")

    async def close(self) -> None:
        self.note("close")


class Endless(Bare, Source):
    """Gives batches until it is stopped, then one more that it had captured."""

    stopped = closing = False
    given = halves(rows=10)

    async def read(self) -> Batch | None:
        await anyio.lowlevel.checkpoint()
        if self.closing:
            return None
        self.closing = self.stopped
        return self.given

    def stop(self) -> None:
        self.stopped = True


class Waiting(Bare, Source):
    """Gives what a test hands to it."""

    def __init__(self, life: list[str] | None = None, kernel: dict[str, int] | None = None) -> None:
        super().__init__(life)
        self.send, self.receive = anyio.create_memory_object_stream[Batch](100)
        self.kernel = kernel or {}

    async def read(self) -> Batch | None:
        try:
            return await self.receive.receive()
        except anyio.EndOfStream:
            self.note("end")
            return None

    def stop(self) -> None:
        self.send.close()

    def books(self) -> dict[str, int]:
        return self.kernel

    async def close(self) -> None:
        await super().close()
        self.send.close()
        self.receive.close()


class Pairing(Bare, Stage):
    """Makes one call of every two halves; the odd one out is unmatched."""

    takes = HALVES
    gives: ClassVar[dict[str, Schema]] = {"out": CALLS, "unmatched": HALVES}

    def process(self, batch: Batch) -> dict[str, Batch]:
        pairs = len(batch) // 2
        self.ctx.book(joined=pairs)
        odd = batch.select(np.arange(2 * pairs, len(batch)))
        return {"out": calls(rows=max(pairs, 1)).select(np.arange(pairs)), "unmatched": odd}


class Passing(Bare, Stage):
    """Passes everything on, of whatever schema."""

    def process(self, batch: Batch) -> Batch:
        return batch


class Holding(Bare, Stage):
    """Gives every batch one later, the last one when it drains."""

    held: Batch | None = None

    def process(self, batch: Batch) -> Batch | None:
        given, self.held = self.held, batch
        self.ctx.hold(len(batch))
        return given

    def drain(self) -> Batch | None:
        self.ctx.hold(0)
        return self.held


class Failing(Bare, Stage):
    """Raises at its `at`th batch."""

    def __init__(self, at: int = 1, error: Exception | None = None) -> None:
        super().__init__()
        self.at, self.error = at, error or ValueError("three is too many")

    def process(self, batch: Batch) -> Batch:
        self.at -= 1
        if self.at <= 0:
            raise self.error
        return batch


class Summing(Bare, Stage):
    """Ends the graph and answers how many rows there were."""

    gives: ClassVar[dict[str, Schema]] = {}
    rows = 0

    def process(self, batch: Batch) -> None:
        self.rows += len(batch)

    def drain(self) -> None:
        self.note("drain")

    def snapshot(self) -> Rows:
        return Rows(self.rows)


class Rows:
    """A snapshot of one number."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def tables(self) -> Sequence[Table]:
        return (Table("rows", (Field("rows", "count"),), ((self.rows,),)),)


class Keeping(Bare, Sink):
    """Keeps what it is given."""

    def __init__(self, life: list[str] | None = None) -> None:
        super().__init__(life)
        self.kept: list[Batch] = []

    def process(self, batch: Batch) -> None:
        self.kept.append(batch)

    def drain(self) -> None:
        self.note("drain")


class Stalling(Keeping):
    """Keeps what it is given once a test lets it."""

    def __init__(self, life: list[str] | None = None) -> None:
        super().__init__(life)
        self.arrived, self.free = anyio.Event(), anyio.Event()

    async def process(self, batch: Batch) -> None:  # type: ignore[override]
        self.arrived.set()
        await self.free.wait()
        self.kept.append(batch)


class Looking(Bare, Sink):
    """Looks at one node, every second and at the end."""

    looks = True
    tick_s = 1.0

    def __init__(self, life: list[str] | None = None) -> None:
        super().__init__(life)
        self.seen: list[tuple[int, int]] = []
        self.closed: bool | None = None

    def look(self, now_ns: int) -> None:
        snapshot: Any = self.ctx.snapshot(self.ctx.of[0])
        self.seen.append((now_ns // 1_000_000_000, snapshot.rows))

    def tick(self, now_ns: int) -> None:
        self.look(now_ns)

    def drain(self) -> None:
        self.note("drain")
        self.look(self.ctx.clock.now_ns())
        self.closed = self.ctx.ledger().closed


class Doing(Bare, Stage):
    """Does what a test says."""

    def __init__(self, what: Callable[[Context, Batch], Any]) -> None:
        super().__init__()
        self.what = what

    def process(self, batch: Batch) -> Any:
        return self.what(self.ctx, batch)
