"""How a run ends when not all goes well: who goes on, who is waited for, what is abandoned."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from graph_nodes import (
    Bare,
    Endless,
    Failing,
    Keeping,
    Looking,
    Pairing,
    Passing,
    Stalling,
    Summing,
)

from ior.calls import HALVES, Batch, concat
from ior.errors import IorError, StageFailed
from ior.pipeline.abc import Context, Node, Stage
from ior.pipeline.run import Run
from ior.pipeline.settings import Batching, Settings
from ior.pipeline.spec import Buffer
from ior.testing import ListSource, VirtualClock, graph, halves

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nothing_blocks")]


async def until(run: Run, name: str, rows: int) -> None:
    """Wait until a node has taken so many rows."""
    while run.ledger().stages[name].in_ < rows:
        await anyio.lowlevel.checkpoint()


async def failed(run: Run) -> Exception:
    with pytest.raises(IorError) as caught:
        await run.run()
    return caught.value


async def test_a_failing_side_sink_does_not_end_the_run() -> None:
    said: list[tuple[str, str]] = []
    keep = Keeping()
    run = Run(
        graph(
            {"in": Endless(), "keep": keep, "bad": Failing(at=3), "behind": Keeping()},
            {"keep": "in", "bad": "in", "behind": "bad"},
        ),
        on_warning=lambda *words: said.append(words),
    )
    errors: list[Exception] = []

    async def tried() -> None:
        errors.append(await failed(run))

    async with anyio.create_task_group() as group:
        group.start_soon(tried)
        await until(run, "bad", 30)
        await until(run, "keep", run.ledger().stages["keep"].in_ + 500)
        assert run.ledger().stages["behind"].in_ == 20
        run.stop()
    assert isinstance(errors[0], StageFailed)
    why = str(errors[0]).removeprefix("stage 'bad': ")
    assert why.startswith("ValueError: three is too many (graph_nodes.py:")
    assert said == [("bad", f"it failed, the others go on: {why}")]
    ledger = run.ledger()
    assert ledger.closed
    assert ledger.stages["keep"].consumed == ledger.stages["in"].made >= 530
    assert ledger.stages["bad"].failed == 10


async def test_a_failing_viewer_does_not_end_the_run() -> None:
    class Blind(Looking):
        def look(self, now_ns: int) -> None:
            raise OSError("no paper")

    clock = VirtualClock()
    nodes = {"in": Endless(), "stats": Summing(), "look": Blind()}
    run = Run(graph(nodes, {"stats": "in"}, of={"look": ["stats"]}), clock=clock)

    async def work() -> None:
        await clock.advance(2)
        await until(run, "stats", run.ledger().stages["stats"].in_ + 500)
        run.stop()

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        assert "no paper" in str(await failed(run))
    assert run.ledger().closed


@pytest.mark.parametrize(
    ("nodes", "inputs"),
    [
        ({"bad": Failing}, {"bad": "in"}),
        ({"bad": Failing, "keep": Keeping, "stats": Summing}, {"keep": "bad", "stats": "bad"}),
        ({"bad": Failing, "one": Passing, "keep": Keeping}, {"one": "bad", "keep": "one"}),
    ],
)
async def test_a_run_ends_with_the_last_that_could_take_something(
    nodes: dict[str, Any], inputs: dict[str, str]
) -> None:
    made: dict[str, Node] = {name: cls() for name, cls in nodes.items()}
    run = Run(graph({"in": Endless(), **made}, {"bad": "in", **inputs}))
    assert "three is too many" in str(await failed(run))
    assert run.ledger().closed


async def test_the_last_of_two_failing_sinks_ends_the_run() -> None:
    nodes = {"in": Endless(), "a": Failing(at=2), "b": Failing(at=40)}
    run = Run(graph(nodes, {"a": "in", "b": "in"}))
    error = await failed(run)
    assert str(error).startswith("stage 'a'")
    assert any("stage 'b'" in note for note in error.__notes__)
    assert run.ledger().closed
    assert run.ledger().stages["b"].in_ == 400


async def test_a_failing_pair_drains_the_rest_and_ends_the_run() -> None:
    class Odd(Pairing):
        def process(self, batch: Any) -> Any:
            raise ValueError("odd")

    keep = Keeping()
    run = Run(graph({"in": Endless(), "pair": Odd(), "keep": keep}, {"pair": "in", "keep": "in"}))
    assert "stage 'pair': ValueError: odd" in str(await failed(run))
    ledger = run.ledger()
    assert ledger.closed
    assert ledger.stages["keep"].consumed == ledger.stages["in"].made


async def test_what_is_not_done_at_the_deadline_is_abandoned_by_name() -> None:
    clock, stall = VirtualClock(), Stalling()
    settings = Settings(drain_s=5)
    nodes = {"in": Endless(), "keep": Keeping(), "stall": stall}
    buffers = {"stall": Buffer(2)}
    run = Run(
        graph(nodes, {"keep": "in", "stall": "in"}, buffers=buffers, settings=settings),
        clock=clock,
    )
    async with anyio.create_task_group() as group:

        async def stop() -> None:
            await stall.arrived.wait()
            await clock.advance(100)  # no deadline before an end was asked for
            assert not run.abandoned
            run.stop()
            await clock.advance(4.9)
            assert not run.abandoned
            await clock.advance(0.2)

        group.start_soon(stop)
        error = await failed(run)
    # One batch in its hands, two in the buffer, one that waits for room.
    assert str(error) == "not done after 5 s (drain_s); abandoned: 'in'; 'stall' with 40 rows"
    assert not run.ledger().closed


async def test_a_run_that_drains_in_time_waits_for_nothing() -> None:
    run = Run(graph({"in": Endless(), "keep": Keeping()}, {"keep": "in"}), clock=VirtualClock())
    async with anyio.create_task_group() as group:
        group.start_soon(run.run)
        await run.started.wait()
        run.stop()
    assert run.ledger().closed


async def test_the_deadline_holds_for_a_start_too() -> None:
    class Slow(Keeping):
        async def start(self, ctx: Context) -> None:
            await super().start(ctx)
            await anyio.sleep_forever()

    life: list[str] = []
    clock = VirtualClock()
    run = Run(graph({"in": Endless(life), "slow": Slow(life)}, {"slow": "in"}), clock=clock)
    async with anyio.create_task_group() as group:

        async def stop() -> None:
            await clock.settle()
            run.stop()
            await clock.advance(61)

        group.start_soon(stop)
        assert "not done after 60 s (drain_s); abandoned: 'slow'" in str(await failed(run))
    assert life == ["slow start", "slow close"]


async def test_a_close_that_hangs_is_abandoned_after_abort_s() -> None:
    class Clinging(Stalling):
        async def close(self) -> None:
            await anyio.sleep_forever()

    stall = Clinging()
    settings = Settings(abort_s=0.01)
    run = Run(graph({"in": Endless(), "stall": stall}, {"stall": "in"}, settings=settings))
    async with anyio.create_task_group() as group:

        async def abort() -> None:
            await stall.arrived.wait()
            run.abort()

        group.start_soon(abort)
        assert str(await failed(run)).endswith("; 'stall' did not close")


@pytest.mark.parametrize("most", [1, 7, 10, 64])
async def test_a_batch_has_at_most_max_calls(most: int) -> None:
    sent, keep = halves(rows=23, pid=list(range(23))), Keeping()
    settings = Settings(batch=Batching(max_calls=most))
    run = Run(graph({"in": ListSource([sent]), "keep": keep}, {"keep": "in"}, settings=settings))
    ledger = await run.run()
    assert ledger.closed
    assert ledger.stages["in"].made == 23
    assert max(len(batch) for batch in keep.kept) == min(most, 23)
    assert [pid for batch in keep.kept for pid in batch["pid"].tolist()] == list(range(23))


class Gathering(Bare, Stage):
    """Gives all rows at the end, in one batch."""

    takes = HALVES
    kept: list[Batch]

    def __init__(self) -> None:
        super().__init__()
        self.kept = []

    def process(self, batch: Batch) -> None:
        self.kept.append(batch)

    def drain(self) -> Batch:
        return concat(self.kept)


async def test_what_a_stage_gives_is_cut_to_batches_as_well() -> None:
    """The memory budget counts batches of this size."""
    keep, settings = Keeping(), Settings(batch=Batching(max_calls=10))
    nodes: dict[str, Node] = {
        "in": ListSource([halves(rows=23)]),
        "all": Gathering(),
        "keep": keep,
    }
    run = Run(graph(nodes, {"all": "in", "keep": "all"}, settings=settings))
    ledger = await run.run()
    assert ledger.closed
    assert [len(batch) for batch in keep.kept] == [10, 10, 3]


class Unclosing(Keeping):
    """Never closes; `arrived` says that it was asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived = anyio.Event()

    async def close(self) -> None:
        self.arrived.set()
        await anyio.sleep_forever()


async def test_a_close_that_hangs_at_a_good_end_ends_with_the_deadline() -> None:
    nodes: dict[str, Node] = {"in": ListSource([halves(rows=3)]), "keep": Unclosing()}
    run = Run(graph(nodes, {"keep": "in"}, settings=Settings(drain_s=0.01)))
    assert "abandoned: 'keep' did not close" in str(await failed(run))


async def test_an_abort_ends_a_close_that_hangs() -> None:
    keep = Unclosing()
    nodes: dict[str, Node] = {"in": ListSource([halves(rows=3)]), "keep": keep}
    run = Run(graph(nodes, {"keep": "in"}, settings=Settings(abort_s=0.01)))
    async with anyio.create_task_group() as group:

        async def abort() -> None:
            await keep.arrived.wait()
            run.abort()

        group.start_soon(abort)
        assert str(await failed(run)).endswith("abandoned: 'keep' did not close")


async def test_a_snapshot_that_raises_names_its_stage() -> None:
    class Opaque(Summing):
        def snapshot(self) -> Any:
            raise ValueError("nothing to see")

    nodes: dict[str, Node] = {
        "in": ListSource([halves(rows=3)]),
        "sum": Opaque(),
        "look": Looking(),
    }
    run = Run(graph(nodes, {"sum": "in"}, of={"look": ["sum"]}))
    said = "stage 'look': stage 'sum': snapshot: ValueError: nothing to see (test_run_ends.py:"
    assert said in str(await failed(run))
