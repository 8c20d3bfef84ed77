"""Whatever the graph and its policies: the books close."""

from __future__ import annotations

from collections.abc import Callable

import anyio
from graph_nodes import Doing, Failing, Holding, Keeping, Passing, Summing
from hypothesis import given
from hypothesis import strategies as st

from ior.calls import Batch
from ior.errors import StageFailed
from ior.pipeline.abc import Context, Node, WhenFull
from ior.pipeline.ledger import Ledger
from ior.pipeline.run import Run
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


def node(kind: str) -> Node:
    if kind == "halve":
        return Doing(halve)
    if kind == "dawdle":
        return Doing(dawdle)
    made: dict[str, Callable[[], Node]] = {
        "pass": Passing,
        "hold": Holding,
        "sum": Summing,
        "keep": Keeping,
        "fail": Failing,
    }
    return made[kind]()


@st.composite
def graphs(draw: st.DrawFn, kinds: tuple[str, ...]) -> Run:
    nodes: dict[str, Node] = {}
    inputs: dict[str, list[str]] = {}
    buffers: dict[str, Buffer] = {}
    giving = []
    for i in range(draw(st.integers(1, 2))):
        nodes[f"in{i}"] = ListSource(draw(st.lists(st.sampled_from(POOL), max_size=12)))
        giving.append(f"in{i}")
    for i in range(draw(st.integers(1, 7))):
        kind, name = draw(st.sampled_from(kinds)), f"n{i}"
        nodes[name] = node(kind)
        inputs[name] = draw(st.lists(st.sampled_from(giving), min_size=1, max_size=3, unique=True))
        buffers[name] = Buffer(draw(st.integers(1, 3)), draw(st.sampled_from(POLICIES)))
        if kind not in ("sum", "keep"):
            giving.append(name)
    return Run(graph(nodes, inputs, buffers=buffers))


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
    if all(edge.when_full == "block" for edge in run._edges.values()):
        assert ledger.lost == 0


@given(graphs(("pass", "hold", "dawdle", "keep", "fail")))
def test_the_books_of_any_graph_close_when_stages_fail(run: Run) -> None:
    try:
        ledger = anyio.run(run.run)
    except StageFailed:
        ledger = run.ledger()
        assert any(books.failed for books in ledger.stages.values())
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
