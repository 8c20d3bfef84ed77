"""Edges that are full: who waits, what is dropped, and that it is counted and said."""

from __future__ import annotations

import anyio
import pytest
from graph_nodes import Endless, Keeping, Stalling, Waiting

from ior.calls import Batch
from ior.pipeline.abc import WhenFull
from ior.pipeline.channel import Edge
from ior.pipeline.run import Run
from ior.pipeline.spec import Buffer
from ior.testing import VirtualClock, graph, halves

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nothing_blocks")]


def numbered(count: int) -> list[Batch]:
    return [halves(rows=number + 1, pid=number) for number in range(count)]


def edge(when_full: WhenFull, dropped: list[int] | None = None) -> Edge:
    drops = [] if dropped is None else dropped
    return Edge("a.out->b", 2, when_full, lambda edge: drops.append(edge.books.dropped))


async def taken(edge: Edge) -> list[int]:
    edge.end()
    sizes = []
    while (batch := await edge.get()) is not None:
        sizes.append(len(batch))
    edge.close()
    return sizes


@pytest.mark.parametrize(
    ("policy", "arrives", "dropped"),
    [("drop_newest", [1, 2], [3, 7]), ("drop_oldest", [3, 4], [1, 3])],
)
async def test_drops_are_exact(policy: WhenFull, arrives: list[int], dropped: list[int]) -> None:
    said: list[int] = []
    full = edge(policy, said)
    for batch in numbered(4):
        await full.put(batch)
    assert await taken(full) == arrives
    assert said == dropped
    assert (full.books.offered, full.books.dropped) == (10, dropped[-1])
    assert full.books.delivered == sum(arrives)
    assert full.books.high_water == 2


async def test_block_waits_for_room() -> None:
    full = edge("block")
    for batch in numbered(2):
        await full.put(batch)
    async with anyio.create_task_group() as group:
        group.start_soon(full.put, halves(rows=3))
        await anyio.lowlevel.checkpoint()
        assert full.books.offered == 6
        assert await full.get() is not None
    assert full.blocked_ns > 0
    assert await taken(full) == [2, 3]
    assert (full.books.delivered, full.books.dropped) == (6, 0)


async def test_an_abandoned_edge_lets_nobody_wait() -> None:
    full = edge("block")
    async with anyio.create_task_group() as group:
        for batch in numbered(3):
            group.start_soon(full.put, batch)
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        full.abandon()
        await full.put(halves(rows=10))
    assert await full.get() is None
    full.close()
    assert (full.books.offered, full.books.delivered, full.books.dropped) == (16, 0, 16)


@pytest.mark.parametrize("policy", ["drop_newest", "drop_oldest"])
async def test_a_stalled_sink_that_drops_leaves_its_siblings_exact(policy: WhenFull) -> None:
    clock, said = VirtualClock(), list[tuple[str, str]]()
    source, stall, keep = Waiting(), Stalling(), Keeping()
    run = Run(
        graph(
            {"in": source, "keep": keep, "stall": stall},
            {"keep": "in", "stall": "in"},
            buffers={"stall": Buffer(2, policy), "keep": Buffer(1)},
        ),
        clock=clock,
        on_warning=lambda node, message: said.append((node, message)),
    )
    async with anyio.create_task_group() as group:
        group.start_soon(run.run)
        await run.started.wait()
        sent = numbered(20)
        for batch in sent[:10]:
            source.send.send_nowait(batch)
        await clock.settle()
        assert said == [("stall", said[0][1])]  # while it happens, and once
        assert "rows from 'in' dropped so far: it cannot keep up" in said[0][1]
        await clock.advance(1)
        for batch in sent[10:]:
            source.send.send_nowait(batch)
        await clock.settle()
        assert len(said) == 2
        stall.free.set()
        run.stop()
    ledger = run.ledger()
    assert ledger.closed
    assert keep.kept == sent
    books = ledger.edges["in.out->stall"]
    assert books.dropped > 0
    assert books.offered == 210 == books.delivered + books.dropped
    assert ledger.stages["stall"].consumed == sum(map(len, stall.kept)) == books.delivered
    assert ledger.lost == books.dropped
    # The last word has the final number.
    assert said[-1][1].startswith(f"{books.dropped:,} rows")
    expected = [0, *((1, 2) if policy == "drop_newest" else (18, 19))]
    assert [int(batch["pid"][0]) for batch in stall.kept] == expected


async def test_a_blocking_sink_holds_its_producer_up_and_loses_nothing() -> None:
    source, stall = Endless(), Stalling()
    run = Run(graph({"in": source, "stall": stall}, {"stall": "in"}))
    async with anyio.create_task_group() as group:
        group.start_soon(run.run)
        for _ in range(60):
            await anyio.lowlevel.checkpoint()
        # One batch in the sink's hands, eight in the buffer, one that waits for room.
        assert run.ledger().stages["in"].made == 100
        assert not run.ledger().closed
        assert "edge in.out->stall: 90 rows are still in it" in run.ledger().open_because
        run.stop()
        stall.free.set()
    ledger = run.ledger()
    assert ledger.closed
    assert ledger.lost == 0
    assert ledger.stages["stall"].consumed == ledger.stages["in"].made
