"""A run that goes on with a changed graph: what stays, what begins anew, and the books of both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from graph_nodes import Endless, Failing, Holding, Keeping, Looking, Passing, Stalling, Summing
from graph_nodes import Waiting as WaitingForHalves
from hypothesis import given, settings
from hypothesis import strategies as st

from ior.calls import CALLS
from ior.errors import OutputError, ReloadRefused, StageFailed
from ior.pipeline.abc import Config, Context, Node, Sink
from ior.pipeline.graph import Graph, build
from ior.pipeline.ledger import Ledger
from ior.pipeline.run import Run
from ior.pipeline.running import handover
from ior.pipeline.settings import Settings
from ior.pipeline.spec import parse
from ior.sinks.csv import Csv, CsvConfig
from ior.stages.filter import Filter
from ior.testing import VirtualClock, calls, graph

pytestmark = pytest.mark.anyio

BATCH = calls(rows=10, ret=list(range(10)))


class Waiting(WaitingForHalves):
    """Gives what a test hands to it, calls."""

    gives = CALLS


def where(expression: str) -> Filter:
    return Filter(Filter.Config(where=expression))


class Running:
    """A run under way, of a source `kernel` that a test feeds."""

    def __init__(self, run: Run, source: Waiting) -> None:
        self.run, self.source, self.fed = run, source, 0
        self.ledger: Ledger | None = None
        self.failure: StageFailed | None = None

    async def feed(self, batches: int) -> None:
        """Let so many batches of ten calls through, and wait until they are worked off."""
        for _ in range(batches):
            self.source.send.send_nowait(BATCH)
        self.fed += 10 * batches
        await until(lambda: self.run.ledger().stages["kernel"].out["out"] >= self.fed)
        await self.run._crew.run_dry()

    @property
    def closed(self) -> Ledger:
        assert self.ledger is not None
        assert self.ledger.closed, self.ledger.open_because
        return self.ledger


@asynccontextmanager
async def running(
    nodes: Mapping[str, Node],
    inputs: Mapping[str, Any],
    clock: VirtualClock | None = None,
    warnings: list[str] | None = None,
    **more: Any,
) -> AsyncIterator[Running]:
    """Run a graph with a source in front, and end it in an orderly way."""
    said = [] if warnings is None else warnings
    source = Waiting()
    graph_ = graph({"kernel": source, **nodes}, inputs, **more)
    run = Run(graph_, clock=clock, on_warning=lambda node, what: said.append(f"{node}: {what}"))
    at_work = Running(run, source)

    async def work() -> None:
        try:
            at_work.ledger = await run.run()
        except StageFailed as error:
            at_work.failure = error

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        await run.started.wait()
        yield at_work
        run.stop()


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - what it waits for knows nothing of tests
        await anyio.sleep(0.001)


async def fed(run: Run, stage: str) -> None:
    """Wait until a stage has got a batch."""
    await until(lambda: run.ledger().stages[stage].in_ > 0)


def changed(nodes: Mapping[str, Node], inputs: Mapping[str, Any], **more: Any) -> Graph:
    return graph({"kernel": Waiting(), **nodes}, inputs, **more)


LINE = {"keep": "where", "where": "kernel", "sum": "kernel"}


async def test_a_changed_filter_holds_from_a_batch_boundary_on() -> None:
    keep, total = Keeping(), Summing()
    before = {"where": where("ret < 5"), "keep": keep, "sum": total}
    async with running(before, LINE) as run:
        await run.feed(3)
        after = {"where": where("ret >= 8"), "keep": Keeping(), "sum": Summing()}
        changes = await run.run.reload(changed(after, LINE))
        assert str(changes) == "anew where"
        await run.feed(2)
    assert [len(batch) for batch in keep.kept] == [5, 5, 5, 2, 2]
    assert total.rows == 50
    stages, edges = run.closed.stages, run.closed.edges
    assert stages.keys() == {"kernel", "where@1", "where", "keep", "sum"}
    old, new = stages["where@1"], stages["where"]
    assert (old.in_, old.filtered, old.out["out"]) == (30, 15, 15)
    assert (new.in_, new.filtered, new.out["out"]) == (20, 16, 4)
    assert stages["keep"].consumed == 19
    first, second = edges["kernel.out->where@1"], edges["kernel.out->where"]
    assert (first.since, first.until, first.delivered) == (0, 30, 30)
    assert (second.since, second.until, second.delivered) == (30, None, 20)
    assert edges["where@1.out->keep"].delivered == 15
    assert edges["where.out->keep"].delivered == 4
    assert edges["kernel.out->sum"].delivered == 50
    assert run.run.times().keys() == stages.keys()


async def test_what_has_not_changed_keeps_its_state_and_is_not_started_again() -> None:
    life: list[str] = []
    hold, total, keep = Holding(life), Summing(life), Keeping(life)
    line = {"hold": "kernel", "sum": "hold", "keep": "kernel"}
    async with running({"hold": hold, "sum": total, "keep": keep}, line) as run:
        await run.feed(2)
        assert total.rows == 10
        more = {"hold": Holding(life), "sum": Summing(life), "keep": Keeping(life)}
        same = await run.run.reload(changed(more, line))
        assert str(same) == "nothing changed"
        added = await run.run.reload(changed(more | {"two": Keeping()}, line | {"two": "hold"}))
        assert str(added) == "added two"
        await run.feed(1)
        assert total.rows == 20
    assert total.rows == 30
    assert sum(what == "hold start" for what in life) == 1
    assert run.closed.stages["sum"].in_ == 30
    assert run.closed.stages["two"].in_ == 20


async def test_what_is_behind_a_change_begins_anew_and_what_it_held_is_given() -> None:
    line = {"where": "kernel", "hold": "where", "sum": "hold", "keep": "hold", "look": ()}
    of = {"look": ["sum"]}

    def nodes(expression: str) -> dict[str, Node]:
        made = {"where": where(expression), "hold": Holding(), "sum": Summing()}
        return made | {"keep": Keeping(), "look": Looking()}

    before = nodes("ret < 5")
    async with running(before, line, clock=VirtualClock(), of=of) as run:
        await run.feed(2)
        changes = await run.run.reload(changed(nodes("ret < 2"), line, of=of))
        assert str(changes) == "anew where, hold, sum"
        assert run.run.snapshot("sum").rows == 0  # type: ignore[attr-defined]
        await run.feed(2)
    keep, look = before["keep"], before["look"]
    assert isinstance(keep, Keeping)
    assert isinstance(look, Looking)
    assert [len(batch) for batch in keep.kept] == [5, 5, 2, 2]
    assert look.seen == [(0, 4)]
    assert run.closed.stages["sum@1"].in_ == 10
    assert run.closed.stages["hold@1"].held == 0


async def test_sinks_are_added_and_removed_and_names_are_counted() -> None:
    one, two, three = Keeping(), Keeping(), Keeping()
    life: list[str] = []
    out = Keeping(life)
    async with running({"one": one, "out": out}, {"one": "kernel", "out": "kernel"}) as run:
        await run.feed(1)
        changes = await run.run.reload(
            changed({"one": Keeping(), "two": two}, {"one": "kernel", "two": "kernel"})
        )
        assert str(changes) == "added two; removed out"
        assert life[-2:] == ["out@1 drain", "out@1 close"]
        await run.feed(2)
        await run.run.reload(
            changed({"one": Keeping(), "out": three}, {"one": "kernel", "out": "kernel"})
        )
        await run.feed(4)
        await run.run.reload(changed({"one": Keeping()}, {"one": "kernel"}))
        await run.feed(1)
    assert [len(sink.kept) for sink in (one, out, two, three)] == [8, 1, 2, 4]
    names = {"kernel", "one", "out@1", "two@1", "out@2"}
    assert run.closed.stages.keys() == names
    assert {"kernel.out->out@1", "kernel.out->out@2"} < run.closed.edges.keys()
    assert run.closed.edges["kernel.out->out@2"].since == 30
    assert run.closed.edges["kernel.out->out@2"].until == 70


class Refusing(Sink):
    """Does not start."""

    def start(self, ctx: Context) -> None:
        raise OutputError("there is no room")


async def test_what_cannot_start_changes_nothing() -> None:
    life: list[str] = []
    keep = Keeping()
    nodes = {"where": where("ret < 9"), "good": Keeping(life), "bad": Refusing(Config())}
    line = {"where": "kernel", "good": "where", "bad": "where", "keep": "where"}
    async with running({"where": where("ret < 5"), "keep": keep}, line) as run:
        await run.feed(1)
        with pytest.raises(OutputError, match="no room"):
            await run.run.reload(changed({**nodes, "keep": Keeping()}, line))
        await run.feed(1)
    assert [len(batch) for batch in keep.kept] == [5, 5]
    assert life in ([], ["good start", "good close"])
    assert run.closed.stages.keys() == {"kernel", "where", "keep"}


async def test_what_a_run_cannot_become_is_refused_with_all_reasons(tmp_path: Path) -> None:
    class Other(Waiting):
        pass

    csv = {"csv": Csv(CsvConfig(path="rows.csv"))}
    other = {"csv": Csv(CsvConfig(path="rows.csv", columns=["ret"]))}
    line = {"csv": "kernel"}
    async with running(csv, line, directory=tmp_path) as run:
        await run.feed(1)
        wrong = graph(
            {"kernel": Other(), "more": Waiting(), **other},
            line,
            directory=tmp_path,
            settings=Settings(drain_s=3),
        )
        with pytest.raises(ReloadRefused) as refused:
            await run.run.reload(wrong)
        with pytest.raises(ReloadRefused, match="'kernel' is a source: it cannot be taken out"):
            await run.run.reload(graph({"new": Waiting(), **csv}, {"csv": "new"}))
        await run.feed(1)
    path = tmp_path / "rows.csv"
    over = f"stage 'csv': it would write over {path}, which this run has written; "
    over += "give it another path"
    assert refused.value.reasons == (
        "[pipeline]: its keys cannot change while it runs; start a new run for that",
        "stage 'kernel' is a source: its keys cannot change while it runs; start a new run",
        "stage 'more' is a source: it cannot be added while it runs; start a new run",
        over,
    )
    assert run.closed.stages["csv"].consumed == 20
    assert len(path.read_text().splitlines()) == 21


async def test_a_file_goes_on_behind_a_changed_filter_and_a_name_is_never_used_twice(
    tmp_path: Path,
) -> None:
    def nodes(expression: str, path: str = "rows.csv") -> dict[str, Node]:
        return {"where": where(expression), "csv": Csv(CsvConfig(path=path, columns=["ret"]))}

    line = {"where": "kernel", "csv": "where"}
    async with running(nodes("ret < 2"), line, directory=tmp_path) as run:
        await run.feed(1)
        await run.run.reload(changed(nodes("ret == 7"), line, directory=tmp_path))
        await run.feed(2)
        await run.run.reload(changed(nodes("ret == 7", "b.csv"), line, directory=tmp_path))
        assert (tmp_path / "rows.csv").read_text().split() == ["ret", "0", "1", "7", "7"]
        with pytest.raises(ReloadRefused, match=r"'csv': it would write over .*rows\.csv"):
            await run.run.reload(changed(nodes("ret == 7"), line, directory=tmp_path))
        await run.feed(1)
    assert (tmp_path / "rows.csv").read_text().split() == ["ret", "0", "1", "7", "7"]
    assert (tmp_path / "b.csv").read_text().split() == ["ret", "7"]
    assert run.closed.stages["csv@1"].consumed == 4


async def test_stages_that_do_not_work_off_what_they_have_let_a_reload_wait_in_vain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handover, "_DRY_S", 0.02)
    life: list[str] = []
    stuck = Stalling()
    async with running({"stuck": stuck}, {"stuck": "kernel"}) as run:
        run.source.send.send_nowait(BATCH)
        await stuck.arrived.wait()
        with pytest.raises(ReloadRefused, match=r"within 0\.02 s.*not.*done: added two"):
            await run.run.reload(changed({"stuck": Stalling(), "two": Keeping(life)}, TWO))
        assert life == ["two start", "two close"]
        stuck.free.set()
        await run.feed(0)
        run.fed = 10
        await run.run.reload(changed({"stuck": Stalling(), "two": Keeping()}, TWO))
        await run.feed(1)
    assert run.closed.stages["stuck"].consumed == 20
    assert run.closed.stages["two"].consumed == 10


TWO = {"stuck": "kernel", "two": "kernel"}


async def test_one_that_drains_for_long_does_not_hold_up_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free = anyio.Event()

    class Slow(Keeping):
        async def drain(self) -> None:  # type: ignore[override]
            await free.wait()

    monkeypatch.setattr(handover, "_DRY_S", 0.02)
    warnings: list[str] = []
    keep = Keeping()
    line = {"slow": "kernel", "keep": "kernel"}
    async with running({"slow": Slow(), "keep": keep}, line, warnings=warnings) as run:
        await run.feed(1)
        await run.run.reload(changed({"keep": Keeping()}, line))
        run.source.send.send_nowait(BATCH)
        await until(lambda: len(keep.kept) == 2)
        assert warnings == ["slow@1: it still works off what it had; the others go on"]
        free.set()
    assert run.closed.stages["slow@1"].consumed == 10
    assert len(keep.kept) == 2


async def test_a_stop_in_the_middle_of_a_reload_ends_the_run_as_ever() -> None:
    stuck = Stalling()
    async with running({"stuck": stuck}, {"stuck": "kernel"}) as run:
        run.source.send.send_nowait(BATCH)
        await stuck.arrived.wait()
        run.source.send.send_nowait(BATCH)

        async def apply() -> None:
            with pytest.raises(ReloadRefused, match="not under way"):
                await run.run.reload(changed({"stuck": Stalling(), "two": Keeping()}, TWO))

        async with anyio.create_task_group() as group:
            group.start_soon(apply)
            await anyio.sleep(0.01)
            run.run.stop()
            stuck.free.set()
    assert run.closed.stages["stuck"].consumed == 20
    with pytest.raises(ReloadRefused, match="not under way"):
        await run.run.reload(changed({}, {}))


async def test_a_failed_stage_is_replaced_when_it_has_changed() -> None:
    class Mended(Passing):
        pass

    keep, other = Keeping(), Keeping()
    line = {"mine": "kernel", "keep": "mine", "other": "kernel"}
    before = {"mine": Failing(at=2), "keep": keep, "other": other}
    again = Keeping()
    async with running(before, line) as run:
        await run.feed(2)
        after = {"mine": Mended(), "keep": again, "other": Keeping()}
        changes = await run.run.reload(changed(after, line))
        assert str(changes) == "anew mine, keep"
        await run.feed(3)
    assert isinstance(run.failure, StageFailed)
    assert [len(sink.kept) for sink in (keep, again, other)] == [1, 3, 5]
    ledger = run.run.ledger()
    assert ledger.closed, ledger.open_because
    assert ledger.stages["mine@1"].failed == 10


async def test_no_row_is_lost_when_the_filter_changes_at_full_speed() -> None:
    keep, line = Keeping(), {"pass": "kernel", "where": "pass", "keep": "where"}

    class Fast(Endless):
        gives = CALLS
        given = BATCH

    def nodes(expression: str) -> dict[str, Node]:
        return {"pass": Passing(), "where": where(expression)}

    limits = [3, 8, 1, 6]
    run = Run(graph({"kernel": Fast(), **nodes("ret < 5"), "keep": keep}, line))
    ledgers: list[Ledger] = []

    async def work() -> None:
        ledgers.append(await run.run())

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        await run.started.wait()
        for limit in limits:
            await fed(run, "where")
            again = {"kernel": Fast(), **nodes(f"ret < {limit}"), "keep": Keeping()}
            await run.reload(graph(again, line))
        await fed(run, "where")
        run.stop()
    ledger = ledgers[0]
    assert ledger.closed, ledger.open_because
    names = ["where@1", "where@2", "where@3", "where@4", "where"]
    books = [ledger.stages[name] for name in names]
    assert sum(one.in_ for one in books) == ledger.stages["kernel"].made
    kept = np.concatenate([batch["ret"] for batch in keep.kept])
    expected = [
        np.tile(np.arange(limit), one.in_ // 10)
        for limit, one in zip([5, *limits], books, strict=True)
    ]
    assert all(len(part) for part in expected)
    assert np.array_equal(kept, np.concatenate(expected))


VARIANTS = [
    {"where": 'comm == "dd"'},
    {"where": "latency > 1us"},
    {"where": 'comm == "dd"', "more": "pair"},
    {"where": 'comm == "dd"', "more": "where"},
    {"where": 'comm == "dd"', "extra": "policy"},
    {"pair": "keys", "where": 'comm == "dd"'},
]


def variant(chosen: Mapping[str, str]) -> Graph:
    """Return a graph of a made-up workload in one of several shapes."""
    text = f"""
    version = 1
    [stage.kernel]
    type = "synthetic"
    batch = 200
    [stage.pair]
    type = "pair"
    inputs = "kernel"
    {"fold_restarts = false" if "pair" in chosen else ""}
    [stage.where]
    type = "filter"
    inputs = "pair"
    where = '''{chosen["where"]}'''
    [stage.stats]
    type = "stats"
    inputs = "where"
    {"buffer = { batches = 1, when_full = 'drop_newest' }" if "extra" in chosen else ""}
    """
    if "more" in chosen:
        text += f"[stage.more]\ntype = 'stats'\ninputs = '{chosen['more']}'\n"
    return build(parse(text, directory=Path(), label="p.toml"))


@given(way=st.lists(st.sampled_from(VARIANTS), min_size=2, max_size=6))
@settings(deadline=None, max_examples=15)
def test_the_books_of_any_series_of_reloads_close(way: list[dict[str, str]]) -> None:
    async def main() -> Ledger:
        run = Run(variant(way[0]))
        ledgers: list[Ledger] = []

        async def work() -> None:
            ledgers.append(await run.run())

        async with anyio.create_task_group() as group:
            group.start_soon(work)
            await run.started.wait()
            for chosen in way[1:]:
                await fed(run, "stats")
                await run.reload(variant(chosen))
            run.stop()
        return ledgers[0]

    ledger = anyio.run(main)
    assert ledger.closed, ledger.open_because
    assert ledger.kernel["read"] == ledger.stages["kernel"].made
    wheres = [b for n, b in ledger.stages.items() if n.partition("@")[0] == "where"]
    assert sum(books.in_ for books in wheres) == ledger.calls


@pytest.mark.parametrize("isolation", ["thread", "process"])
async def test_stages_of_ones_own_stay_and_go_wherever_they_run(
    own: Callable[..., Any], isolation: str
) -> None:
    def made(name: str, more: str = "") -> Graph:
        return build(
            own(f"""
            [stage.mine]
            use = "./own.py:{name}"
            inputs = "pair"
            isolation = "{isolation}"
            [stage.stats]
            type = "stats"
            inputs = "mine"
            {more}""")
        )

    graph_ = made("small")
    source = Endless()
    members = dict(graph_.members)
    members["kernel"] = members["kernel"]._replace(node=source)
    run = Run(graph_._replace(members=members))

    def with_source(other: Graph) -> Graph:
        kernel = other.members["kernel"]._replace(node=Endless())
        return other._replace(members={**other.members, "kernel": kernel})

    ledgers: list[Ledger] = []

    async def work() -> None:
        ledgers.append(await run.run())

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        await run.started.wait()
        await fed(run, "mine")
        kept = await run.reload(
            with_source(made("small", "[stage.two]\ntype='stats'\ninputs='mine'"))
        )
        assert str(kept) == "added two"
        anew = await run.reload(with_source(made("double")))
        assert str(anew) == "anew mine, stats; removed two"
        await fed(run, "mine")
        run.stop()
    ledger = ledgers[0]
    assert ledger.closed, ledger.open_because
    assert ledger.stages["mine@1"].in_ > 0
    assert ledger.stages["mine"].out["out"] == 2 * ledger.stages["mine"].in_
