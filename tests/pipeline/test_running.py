"""A graph from start to closed books: order, stop, failures, looking, ticks."""

from __future__ import annotations

import time
from typing import Any

import anyio
import pytest
from anyio import wait_all_tasks_blocked
from graph_nodes import (
    Doing,
    Endless,
    Failing,
    Holding,
    Keeping,
    Looking,
    Pairing,
    Passing,
    Stalling,
    Summing,
    Waiting,
    batches,
)

from ior.calls import Batch
from ior.errors import IorError, OutputError, StageFailed
from ior.pipeline.abc import Context
from ior.pipeline.clock import until_next_second
from ior.pipeline.run import Run
from ior.pipeline.spec import Buffer
from ior.testing import ListSource, VirtualClock, graph, halves

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nothing_blocks")]


class Child:
    """A command that notes its release."""

    pid = 1

    def __init__(self, life: list[str]) -> None:
        self.life = life

    def release(self) -> None:
        self.life.append("release")


async def test_every_row_is_accounted_for() -> None:
    keep, odd = Keeping(), Keeping()
    run = Run(
        graph(
            {
                "in": ListSource(batches(3, rows=11)),
                "pair": Pairing(),
                "hold": Holding(),
                "stats": Summing(),
                "keep": keep,
                "odd": odd,
            },
            {
                "pair": "in",
                "hold": "pair",
                "stats": "pair",
                "keep": "hold",
                "odd": "pair.unmatched",
            },
        )
    )
    ledger = await run.run()
    assert ledger.closed
    assert ledger.open_because == []
    assert ledger.calls == 15
    pair = ledger.stages["pair"]
    assert (pair.in_, pair.joined, pair.out) == (33, 15, {"out": 15, "unmatched": 3})
    assert ledger.stages["in"].made == 33
    assert ledger.stages["stats"].consumed == 15
    assert ledger.stages["keep"].consumed == sum(map(len, keep.kept)) == 15
    assert sum(map(len, odd.kept)) == 3
    assert set(ledger.edges) == {
        "in.out->pair",
        "pair.out->hold",
        "pair.out->stats",
        "hold.out->keep",
        "pair.unmatched->odd",
    }
    assert ledger.edges["pair.out->stats"].delivered == 15
    assert ledger.lost == 0


async def test_a_batch_is_shared_and_keeps_its_order() -> None:
    one, other = Keeping(), Keeping()
    sent = batches(30)
    run = Run(graph({"in": ListSource(sent), "a": one, "b": other}, {"a": "in", "b": "in"}))
    await run.run()
    assert one.kept == other.kept == sent


async def test_consumers_start_first_and_close_last() -> None:
    life: list[str] = []
    source = Waiting(life)
    source.send.close()
    nodes = {
        "in": source,
        "pair": Pairing(life),
        "stats": Summing(life),
        "keep": Keeping(life),
        "report": Looking(life),
    }
    run = Run(
        graph(nodes, {"pair": "in", "stats": "pair", "keep": "pair"}, of={"report": ["stats"]}),
        clock=VirtualClock(),
        command=Child(life),  # type: ignore[arg-type]
    )
    await run.run()
    assert life == [
        "report start",
        "keep start",
        "stats start",
        "pair start",
        "in start",
        "release",
        "in end",
        *sorted(["keep drain", "stats drain"], key=life.index),
        "report drain",
        "in close",
        "pair close",
        "stats close",
        "keep close",
        "report close",
    ]


async def test_stop_reads_what_was_captured() -> None:
    source, keep = Endless(), Keeping()
    run = Run(graph({"in": source, "keep": keep}, {"keep": "in"}))
    async with anyio.create_task_group() as group:
        group.start_soon(run.run)
        await run.started.wait()
        assert not source.stopped
        run.stop()
        run.stop()
    ledger = run.ledger()
    assert source.closing
    assert ledger.closed
    assert ledger.stages["in"].made == ledger.stages["keep"].consumed > 0


async def test_stop_before_the_start_ends_the_run_and_leaves_the_command_alone() -> None:
    life: list[str] = []
    run = Run(graph({"in": Endless(), "keep": Keeping()}, {"keep": "in"}), command=Child(life))  # type: ignore[arg-type]
    run.stop()
    ledger = await run.run()
    assert ledger.closed
    assert run.started.is_set()
    assert life == []


async def test_a_node_can_ask_for_the_end() -> None:
    def once(ctx: Context, batch: Batch) -> Batch:
        ctx.request_stop()
        return batch

    run = Run(graph({"in": Endless(), "head": Doing(once)}, {"head": "in"}))
    assert (await run.run()).closed


async def test_the_end_of_every_source_is_the_end() -> None:
    left, right, keep = Waiting(), Waiting(), Keeping()
    run = Run(graph({"l": left, "r": right, "keep": keep}, {"keep": ["l", "r"]}))
    async with anyio.create_task_group() as group:
        group.start_soon(run.run)
        await run.started.wait()
        left.send.close()
        right.send.send_nowait(halves(rows=7))
        right.send.close()
    assert run.ledger().closed
    assert run.ledger().stages["keep"].consumed == 7


async def test_a_failed_start_closes_what_was_started() -> None:
    life: list[str] = []

    class Refusing(Keeping):
        async def start(self, ctx: Context) -> None:
            await super().start(ctx)
            raise OutputError("cannot create out.csv: disk full")

    nodes = {
        "in": Waiting(life),
        "bad": Refusing(life),
        "stats": Summing(life),
        "report": Looking(life),
    }
    run = Run(graph(nodes, {"bad": "in", "stats": "in"}, of={"report": ["stats"]}))
    with pytest.raises(OutputError, match="disk full") as caught:
        await run.run()
    assert caught.value.__notes__ == ["in stage 'bad'"]
    assert life == [
        "report start",
        "stats start",
        "bad start",
        "bad close",
        "stats close",
        "report close",
    ]
    assert not run.started.is_set()


async def test_a_start_that_breaks_names_the_stage() -> None:
    class Broken(Keeping):
        async def start(self, ctx: Context) -> None:
            raise ZeroDivisionError("oh")

    run = Run(graph({"in": ListSource([]), "bad": Broken()}, {"bad": "in"}))
    with pytest.raises(
        StageFailed, match="stage 'bad': cannot start: ZeroDivisionError: oh"
    ) as caught:
        await run.run()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


async def test_a_failing_stage_is_raised_once_the_others_have_ended() -> None:
    keep, behind = Keeping(), Keeping()
    nodes = {"in": ListSource(batches(50)), "bad": Failing(at=3), "behind": behind, "keep": keep}
    run = Run(
        graph(nodes, {"bad": "in", "behind": "bad", "keep": "in"}, buffers={"bad": Buffer(1)})
    )
    with pytest.raises(StageFailed, match="stage 'bad': ValueError: three is too many") as caught:
        await run.run()
    assert "in stage 'bad'" in caught.value.__notes__
    assert isinstance(caught.value.__cause__, ValueError)
    ledger = run.ledger()
    assert ledger.closed
    assert ledger.stages["bad"].failed == 10
    assert ledger.stages["behind"].consumed == 20
    made = ledger.stages["in"].made
    assert ledger.stages["keep"].consumed == made
    edge = ledger.edges["in.out->bad"]
    assert (edge.offered, edge.dropped) == (made, made - 30)


async def test_what_a_failing_stage_held_is_failed() -> None:
    class Bursting(Holding):
        def drain(self) -> None:
            raise RuntimeError("too full")

    run = Run(graph({"in": ListSource(batches(2)), "bad": Bursting()}, {"bad": "in"}))
    with pytest.raises(StageFailed, match="too full"):
        await run.run()
    assert run.ledger().closed
    assert run.ledger().stages["bad"].failed == 10


async def test_a_failing_source_stops_the_others() -> None:
    class Breaking(Endless):
        async def read(self) -> Batch | None:
            raise OSError("ring gone")

    keep = Keeping()
    run = Run(
        graph({"good": Endless(), "bad": Breaking(), "keep": keep}, {"keep": ["good", "bad"]})
    )
    with pytest.raises(StageFailed, match="stage 'bad': OSError: ring gone"):
        await run.run()
    assert run.ledger().closed


async def test_the_first_failure_is_raised_and_the_others_noted() -> None:
    class Unclosable(Keeping):
        async def close(self) -> None:
            raise RuntimeError("stuck")

    nodes = {"in": ListSource(batches(1)), "bad": Failing(), "sink": Unclosable()}
    run = Run(graph(nodes, {"bad": "in", "sink": "bad"}))
    with pytest.raises(StageFailed, match="three is too many") as caught:
        await run.run()
    first, second = caught.value.__notes__
    assert first == "in stage 'bad'"
    assert second.startswith("then stage 'sink': RuntimeError: stuck (test_running.py:")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1, 2], "TypeError: "),
        ({"elsewhere": halves(rows=1)}, "gave a batch for the port 'elsewhere'; its ports: out"),
    ],
)
async def test_what_is_no_output_is_refused(given: object, message: str) -> None:
    bad = Doing(lambda _ctx, _batch: given)
    run = Run(graph({"in": ListSource(batches(1)), "bad": bad}, {"bad": "in"}))
    with pytest.raises(StageFailed, match=message):
        await run.run()
    assert run.ledger().closed


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (lambda ctx, batch: None, "stage 'bad': 10 rows are unaccounted for"),
        (
            lambda ctx, batch: ctx.book(filtered=11),
            "stage 'bad': 1 rows more went out than came in or were made",
        ),
        (lambda ctx, batch: ctx.hold(10), "stage 'bad' holds 10 rows"),
    ],
)
async def test_books_that_do_not_balance_are_open(given: Any, reason: str) -> None:
    run = Run(graph({"in": ListSource(batches(1)), "bad": Doing(given)}, {"bad": "in"}))
    ledger = await run.run()
    assert not ledger.closed
    assert ledger.open_because == [reason]


async def test_kernel_books_are_summed_and_checked() -> None:
    one = Waiting(kernel={"attempted": 10, "read": 8, "lost": 2, "names_lost": 1})
    other = Waiting(kernel={"attempted": 5, "read": 4})
    one.send.close()
    other.send.close()
    ledger = await Run(graph({"a": one, "b": other})).run()
    assert ledger.kernel["attempted"] == 15
    assert ledger.kernel["names_lost"] == 1
    assert ledger.lost == 2
    assert ledger.open_because == [
        "the kernel attempted 15 records, of which 12 were read and 2 lost"
    ]


async def test_viewers_tick_by_the_clock_and_see_final_books() -> None:
    clock, source, look = VirtualClock(), Waiting(), Looking()
    nodes = {"in": source, "stats": Summing(), "look": look}
    run = Run(graph(nodes, {"stats": "in"}, of={"look": ["stats"]}), clock=clock)
    async with anyio.create_task_group() as group:
        group.start_soon(run.run)
        await run.started.wait()
        source.send.send_nowait(halves(rows=3))
        await clock.advance(1.5)
        source.send.send_nowait(halves(rows=4))
        await clock.advance(2)
        source.send.send_nowait(halves(rows=5))
        run.stop()
    assert look.seen == [(1, 3), (2, 7), (3, 7), (3, 12)]
    assert look.closed is True
    assert run.snapshot("stats").tables()[0].rows == ((12,),)


async def test_a_stage_ticks_and_gives_in_turn_with_its_batches() -> None:
    class Flushing(Holding):
        tick_s = 1.0

        def tick(self, now_ns: int) -> Batch | None:
            given, self.held = self.held, None
            self.ctx.hold(0)
            return given

        def drain(self) -> Batch | None:
            return self.tick(0)

    clock, source, keep = VirtualClock(), Waiting(), Keeping()
    run = Run(
        graph({"in": source, "flush": Flushing(), "keep": keep}, {"flush": "in", "keep": "flush"}),
        clock=clock,
    )
    async with anyio.create_task_group() as group:
        group.start_soon(run.run)
        await run.started.wait()
        source.send.send_nowait(halves(rows=3))
        await clock.advance(0.9)
        assert keep.kept == []
        assert run.ledger().stages["flush"].held == 3
        await clock.advance(0.2)
        assert [len(batch) for batch in keep.kept] == [3]
        run.stop()
    assert run.ledger().closed


async def test_a_node_is_entered_by_one_task_at_a_time() -> None:
    inside, most = 0, 0

    async def alone(ctx: Context, batch: Batch) -> Batch:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await anyio.lowlevel.checkpoint()
        inside -= 1
        return batch

    nodes = {"a": ListSource(batches(5)), "b": ListSource(batches(5)), "merge": Doing(alone)}
    ledger = await Run(graph(nodes, {"merge": ["a", "b"]})).run()
    assert most == 1
    assert ledger.stages["merge"].out == {"out": 100}


async def test_snapshots_are_only_for_those_who_named_them() -> None:
    look = Looking()
    nodes = {"in": ListSource([]), "stats": Summing(), "blind": Passing(), "look": look}
    run = Run(graph(nodes, {"stats": "in", "blind": "in"}, of={"look": ["stats"]}))
    await run.run()
    assert run.snapshot("blind").tables() == ()
    with pytest.raises(KeyError):
        run.snapshot("in")
    with pytest.raises(KeyError, match="not in 'of'"):
        look.ctx.snapshot("blind")


async def test_abort_names_what_was_abandoned_and_closes_all() -> None:
    life: list[str] = []
    sink = Stalling(life)
    run = Run(graph({"in": Endless(life), "stall": sink}, {"stall": "in"}))
    failures: list[IorError] = []
    async with anyio.create_task_group() as group:
        group.start_soon(abort_when, sink.arrived, run)
        try:
            await run.run()
        except IorError as error:
            failures.append(error)
    assert str(failures[0]) == "aborted; abandoned: 'in'; 'stall' with 100 rows"
    assert life[-2:] == ["in close", "stall close"]
    ledger = run.ledger()
    assert not ledger.closed
    assert "edge in.out->stall: 90 rows are still in it" in ledger.open_because


async def abort_when(event: anyio.Event, run: Run) -> None:
    await event.wait()
    for _ in range(50):  # until the buffer is full
        await anyio.lowlevel.checkpoint()
    run.abort()


async def test_abort_before_the_run_reads_nothing() -> None:
    life: list[str] = []
    run = Run(graph({"in": Endless(life)}))
    run.abort()
    with pytest.raises(IorError, match="abandoned: 'in'"):
        await run.run()
    assert life == ["in start", "in close"]
    assert run.ledger().stages["in"].made == 0


async def test_being_cancelled_from_outside_closes_all() -> None:
    life: list[str] = []
    run = Run(graph({"in": Endless(life), "keep": Keeping(life)}, {"keep": "in"}))
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(run.run)
            await run.started.wait()
            scope.cancel()
    assert life[-2:] == ["in close", "keep close"]


async def test_times_say_who_was_slow() -> None:
    source, slow = Endless(), Stalling()
    run = Run(graph({"in": source, "slow": slow}, {"slow": "in"}, buffers={"slow": Buffer(1)}))
    async with anyio.create_task_group() as group:
        group.start_soon(run.run)
        await slow.arrived.wait()
        held_since = time.perf_counter_ns()
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        held_ns = time.perf_counter_ns() - held_since
        run.stop()
        slow.free.set()
    times = run.times()
    assert times["in"].blocked_ns["in.out->slow"] > 0
    assert times["slow"].busy_ns > held_ns
    edge = run.ledger().edges["in.out->slow"]
    assert (edge.waiting, edge.high_water, edge.batches) == (0, 1, 1)


async def test_whoever_waits_for_a_move_is_told_of_the_next_batch_of_a_source() -> None:
    source, keep, told = Waiting(), Keeping(), []
    run = Run(graph({"in": source, "keep": keep}, {"keep": "in"}))

    async def look() -> None:
        for _ in range(2):
            await run.moves()
            told.append(run.rows())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run.run)
        await run.started.wait()
        tasks.start_soon(look)
        await wait_all_tasks_blocked()
        assert not told
        for given in range(1, 4):
            source.send.send_nowait(halves(rows=10))
            await wait_all_tasks_blocked()
            assert len(told) == min(given, 2)
        source.send.close()
    assert sum(map(len, keep.kept)) == 30


def test_those_that_look_once_a_second_do_so_together() -> None:
    waits = [until_next_second(VirtualClock(now_ns)) for now_ns in (0, 1, 999_999_999, 10**9)]
    assert waits == pytest.approx([1.001, 1.000999999, 0.001000001, 1.001])
