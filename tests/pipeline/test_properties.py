"""Whatever the graph and its policies: the books close."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable

import anyio
import anyio.lowlevel
from graph_nodes import Doing, Failing, Holding, Keeping, Passing, Summing
from hypothesis import given
from hypothesis import strategies as st

from ior.calls import Batch
from ior.errors import IorError, StageFailed
from ior.pipeline.abc import Context, Node, WhenFull
from ior.pipeline.ledger import Ledger
from ior.pipeline.run import Run
from ior.pipeline.settings import Batching, Settings
from ior.pipeline.spec import Buffer
from ior.testing import ListSource, graph, halves

POLICIES: list[WhenFull] = ["block", "drop_newest", "drop_oldest"]
POOL = [halves(rows=rows) for rows in range(1, 6)]


def halve(ctx: Context, batch: Batch) -> Batch:
    kept = batch.select(batch["enter_ns"] % 20_000 == 0)
    ctx.book(filtered=len(batch) - len(kept))
    return kept


async def dawdle(ctx: Context, batch: Batch) -> Batch:
    for _ in range(len(batch)):
        await anyio.lowlevel.checkpoint()
    return batch


async def cancel(ctx: Context, batch: Batch) -> Batch:
    """End one's own task after a while, as a cancelled future does that is awaited."""
    ctx.hold(len(batch))
    if len(batch) > 3:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.cancel()
        await future
    ctx.hold(0)
    return batch


async def suicide(ctx: Context, batch: Batch) -> Batch:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await anyio.lowlevel.checkpoint()
    return batch


class Late(Holding):
    """Fails when it is to drain, with a batch in hand."""

    def drain(self) -> Batch | None:
        raise OSError("no room left")


class Sulking(Keeping):
    """Does not start."""

    async def start(self, ctx: Context) -> None:
        await super().start(ctx)
        raise OSError("will not")


class Breaking(ListSource):
    """Fails instead of ending."""

    async def read(self) -> Batch | None:
        batch = await super().read()
        if batch is None:
            raise OSError("ring gone")
        return batch


DOING = {"halve": halve, "dawdle": dawdle, "cancel": cancel, "suicide": suicide}


def node(kind: str) -> Node:
    if kind in DOING:
        return Doing(DOING[kind])
    made: dict[str, Callable[[], Node]] = {
        "pass": Passing,
        "hold": Holding,
        "sum": Summing,
        "keep": Keeping,
        "fail": Failing,
        "late": Late,
        "sulk": Sulking,
    }
    return made[kind]()


@st.composite
def graphs(
    draw: st.DrawFn, kinds: tuple[str, ...], sources: tuple[type[ListSource], ...] = (ListSource,)
) -> Run:
    nodes: dict[str, Node] = {}
    inputs: dict[str, list[str]] = {}
    buffers: dict[str, Buffer] = {}
    giving = []
    for i in range(draw(st.integers(1, 2))):
        given_ = draw(st.lists(st.sampled_from(POOL), max_size=12))
        nodes[f"in{i}"] = draw(st.sampled_from(sources))(given_)
        giving.append(f"in{i}")
    for i in range(draw(st.integers(1, 7))):
        kind, name = draw(st.sampled_from(kinds)), f"n{i}"
        nodes[name] = node(kind)
        inputs[name] = draw(st.lists(st.sampled_from(giving), min_size=1, max_size=3, unique=True))
        buffers[name] = Buffer(draw(st.integers(1, 3)), draw(st.sampled_from(POLICIES)))
        if kind not in ("sum", "keep", "sulk"):
            giving.append(name)
    most = draw(st.sampled_from([1, 2, 16384]))
    settings = Settings(batch=Batching(max_calls=most))
    return Run(graph(nodes, inputs, buffers=buffers, settings=settings))


def check(ledger: Ledger) -> None:
    assert ledger.open_because == []
    assert ledger.closed
    for books in ledger.stages.values():
        assert books.missing() == 0
        assert books.held == 0
    for name, edge in ledger.edges.items():
        producer, port = name.split("->")[0].split(".")
        assert edge.offered == ledger.stages[producer].out[port] == edge.delivered + edge.dropped
    for name, books in ledger.stages.items():
        arrived = [e.delivered for key, e in ledger.edges.items() if key.endswith(f"->{name}")]
        assert books.in_ == sum(arrived)


@given(graphs(("pass", "halve", "hold", "dawdle", "sum", "keep")))
def test_the_books_of_any_graph_close(run: Run) -> None:
    ledger = anyio.run(run.run)
    check(ledger)
    if all(edge.when_full == "block" for edge in run._crew.edges.values()):
        assert ledger.lost == 0


FAULTS = ("pass", "hold", "dawdle", "keep", "fail", "late", "cancel", "suicide")


@given(graphs(FAULTS, (ListSource, Breaking)))
def test_the_books_of_any_graph_close_when_stages_fail(run: Run) -> None:
    raised = ""
    try:
        ledger = anyio.run(ended, run)
    except StageFailed as error:
        raised, ledger = str(error), run.ledger()
    check(ledger)
    failed = any(books.failed for books in ledger.stages.values())
    # Without a row in hand a node can fail as well: at its end.
    assert failed == bool(raised) or "ring gone" in raised or "no room left" in raised


async def ended(run: Run) -> Ledger:
    """Run to the end, which must come."""
    with anyio.fail_after(30):
        return await run.run()


@given(graphs((*FAULTS, "sulk"), (ListSource, Breaking)))
def test_the_books_of_any_graph_close_when_a_start_fails(run: Run) -> None:
    with contextlib.suppress(StageFailed):
        anyio.run(ended, run)
    check(run.ledger())


@given(graphs(FAULTS, (ListSource, Breaking)), st.integers(0, 40))
def test_any_graph_ends_when_it_is_aborted_and_names_every_row_in_flight(
    run: Run, turns: int
) -> None:
    async def aborted() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(abort)
            with contextlib.suppress(IorError):
                await ended(run)

    async def abort() -> None:
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        run.abort()

    anyio.run(aborted)
    ledger = run.ledger()
    in_edges = sum(e.offered - e.delivered - e.dropped for e in ledger.edges.values())
    in_stages = sum(books.missing() + books.held for books in ledger.stages.values())
    named = [re.search(r"with ([\d,]+) rows", words) for words in run.abandoned]
    assert sum(int(found[1].replace(",", "")) for found in named if found) == in_edges + in_stages
    assert bool(run.abandoned) is not ledger.closed
    if not run.abandoned:
        check(ledger)


@given(graphs(("pass", "hold", "dawdle", "sum", "keep")), st.integers(0, 30))
def test_the_books_of_any_graph_close_when_it_is_stopped(run: Run, turns: int) -> None:
    async def stopped() -> Ledger:
        async with anyio.create_task_group() as group:
            group.start_soon(run.run)
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            run.stop()
        return run.ledger()

    check(anyio.run(stopped))
