"""Functions and generators as stages, columns that are added, and errors that are forgiven."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graph_nodes import Doing, Keeping, Passing

import ior
from ior import Batch, Column, Config, Context, SpecError, stage
from ior.calls import CALLS, HALVES, Schema
from ior.errors import StageFailed
from ior.pipeline.abc import Node, Stage
from ior.pipeline.checking import columns
from ior.pipeline.forms import stage_of
from ior.pipeline.graph import build
from ior.pipeline.run import Run
from ior.pipeline.spec import Route, parse
from ior.testing import ListSource, calls, graph

pytestmark = pytest.mark.anyio

EXTENSION = Column("extension", "u4", "text", "what follows the last dot of the file", 0)


class Least(Config, frozen=True, kw_only=True):
    least: int = 2


@stage(needs=["ret"], gives=[EXTENSION])
def extended(batch: Batch, config: Least, ctx: Context) -> Batch:
    part = batch.select(batch["ret"] >= config.least)
    texts = [name.rpartition(".")[2] for name in part.text("file")]
    return part.with_columns({EXTENSION: texts})


@stage
async def pairs(batches: AsyncIterator[Batch]) -> AsyncIterator[Batch]:
    """Give two batches as one."""
    kept: list[Batch] = []
    try:
        async for batch in batches:
            kept.append(batch)
            if len(kept) == 2:
                yield ior.calls.concat(kept)
                kept.clear()
        for batch in kept:
            yield batch
    finally:
        closed.append(len(kept))


closed: list[int] = []


async def ran(made: type[Stage], batches: list[Batch], **keys: Any) -> tuple[Any, list[Batch]]:
    keep = Keeping()
    nodes: dict[str, Node] = {
        "in": ListSource(batches),
        "mine": made(made.Config(**keys)),
        "out": keep,
    }
    ledger = await Run(graph(nodes, {"mine": "in", "out": "mine"})).run()
    assert ledger.closed, ledger.open_because
    return ledger.stages["mine"], keep.kept


async def test_a_declared_function_has_keys_and_adds_a_column() -> None:
    batch = calls(ret=[1, 2, 3], file=["a.c", "b.py", "c"])
    books, kept = await ran(stage_of(extended), [batch], least=2)
    assert kept[0].text("extension") == ["py", "c"]
    assert kept[0].schema.columns[-1] == EXTENSION
    assert (books.filtered, books.out["out"]) == (1, 2)
    assert extended(batch, Least(least=3), None).text("extension") == ["c"]


async def test_a_generator_gives_what_it_yields_when_it_yields_it() -> None:
    closed.clear()
    names = ior.Names()
    given = [calls(rows=n, names=names) for n in (1, 2, 3)]
    books, kept = await ran(stage_of(pairs), given)
    assert [len(batch) for batch in kept] == [3, 3]
    assert (books.in_, books.out["out"], books.held, books.filtered) == (6, 6, 0, 0)
    assert closed == [1]


async def test_a_generator_that_is_given_up_runs_its_finally() -> None:
    closed.clear()
    made = stage_of(pairs)(Config())
    made.ctx = ior.testing.context()
    assert await made.process(calls(rows=1)) == []  # type: ignore[misc]
    assert made.ctx.books.held == 1  # type: ignore[attr-defined]
    await made.close()
    await made.close()
    assert closed == [1]


async def test_rows_that_a_generator_keeps_or_makes_are_booked() -> None:
    async def none(batches: AsyncIterator[Batch]) -> AsyncIterator[Batch | None]:
        async for _ in batches:
            yield None

    async def twice(batches: AsyncIterator[Batch]) -> AsyncIterator[dict[str, Batch]]:
        async for batch in batches:
            yield {"out": batch}
            yield {"out": batch}

    async def first(batches: AsyncIterator[Batch]) -> AsyncIterator[Batch]:
        async for batch in batches:
            yield batch
            return

    given = [calls(rows=2), calls(rows=3)]
    books, _ = await ran(stage_of(none), given)
    assert (books.filtered, books.made) == (5, 0)
    books, kept = await ran(stage_of(twice), given)
    assert (books.filtered, books.made, sum(map(len, kept))) == (0, 5, 10)
    books, kept = await ran(stage_of(first), given)
    assert (books.filtered, books.made, sum(map(len, kept))) == (3, 0, 2)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda batch, size: batch, "takes 'size'; beside the batch"),
        (lambda batch, config: batch, "does not say what its 'config' is"),
    ],
)
async def test_a_function_that_cannot_be_a_stage_is_refused(function: Any, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        stage(function)


async def test_a_column_that_is_promised_and_does_not_come_fails_the_stage() -> None:
    @stage(gives=[EXTENSION])
    def forgot(batch: Batch) -> Batch:
        return batch

    with pytest.raises(StageFailed, match="without the column 'extension' for the port 'out'"):
        await ran(stage_of(forgot), [calls(rows=1)])


OWN = """
from ior import Column, Config, Stage, stage
EXT = Column("ext", "u4", "text", "the file's extension", 0)
DEPTH = Column("depth", "i4", "int", "slashes in the file's name")

def extension(name):
    return name.rpartition(".")[2]

@stage(needs=["file"], gives=[EXT, DEPTH])
def ext(batch):
    depth = [name.count("/") for name in batch.text("file")]
    return batch.with_columns({EXT: batch.map_text("file", extension), DEPTH: depth})

class Needy(Stage):
    needs = ("ext",)
    def process(self, batch):
        return batch
"""


def pipeline(folder: Path, rest: str) -> Any:
    (folder / "own.py").write_text(OWN)
    head = (
        'version = 1\n[stage.kernel]\ntype = "synthetic"\ncalls = 3000\n'
        '[stage.pair]\ntype = "pair"\ninputs = "kernel"\n'
        '[stage.ext]\nuse = "./own.py:ext"\ninputs = "pair"\n'
    )
    return parse(head + rest, directory=folder, label="p.toml")


async def test_what_a_stage_adds_can_be_used_by_all_others(tmp_path: Path) -> None:
    rest = (
        '[stage.f]\ntype = "filter"\ninputs = "ext"\n'
        'where = \'ext in ["py", "html"] and depth > 2\'\n'
        '[stage.s]\ntype = "stats"\nby = ["ext", "depth", "latency_ns"]\ninputs = "f"\n'
        '[stage.g]\ntype = "flamegraph"\nstack = ["ext", "depth", "latency_ns", "ret", "path"]\n'
        'inputs = "f"\n'
        '[stage.l]\ntype = "stream"\ninputs = "f"\n'
        '[stage.o]\ntype = "csv"\npath = "o.csv"\ncolumns = ["ext", "depth"]\ninputs = "f"\n'
    )
    made = build(pipeline(tmp_path, rest))
    ledger = await Run(made).run()
    assert ledger.closed
    calls_kept = ledger.stages["f"].out["out"]
    assert 0 < calls_kept < 3000
    by = made.members["s"].node.snapshot().by  # type: ignore[attr-defined]
    assert {row[0] for row in by["ext"].rows} == {"py", "html"}
    assert all(int(row[0]) > 2 for row in by["depth"].rows)
    assert sum(row[1] for row in by["latency_ns"].rows) == calls_kept
    flame = made.members["g"].node.snapshot()  # type: ignore[attr-defined]
    stacks = list(flame.folded())
    assert sum(n for _, n in stacks) == calls_kept
    assert {frames[0] for frames, _ in stacks} == {"py", "html"}
    assert {int(frames[1]) > 2 for frames, _ in stacks} == {True}
    lines = (tmp_path / "o.csv").read_text().splitlines()
    assert lines[0] == "ext,depth"
    assert len(lines) == calls_kept + 1


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        (
            '[stage.n]\nuse = "./own.py:Needy"\ninputs = "pair"\n',
            "E410 stage.n.inputs: it needs the column 'ext', which 'pair.out' does not give",
        ),
        (
            '[stage.n]\ntype = "filter"\ninputs = "pair"\nwhere = \'ext == "c"\'\n',
            "E502 stage.n.where: unknown field 'ext'",
        ),
        (
            '[stage.n]\ntype = "stats"\ninputs = "pair"\nby = ["sycall"]\n',
            "E410 stage.n.by[0]: no column 'sycall' arrives; did you mean 'syscall'",
        ),
        (
            '[stage.n]\ntype = "flamegraph"\ninputs = "pair"\nstack = ["args"]\n',
            "E410 stage.n.stack[0]: 'args' makes no frames: it is neither text nor a whole number",
        ),
        (
            '[stage.n]\ntype = "csv"\ninputs = ["ext", "pair"]\ncolumns = ["ext"]\n',
            "E410 stage.n.columns[0]: no column 'ext' in rows of calls",
        ),
        (
            '[stage.n]\ntype = "csv"\ninputs = "pair"\non_error = {route = "m.errors"}\n',
            "E402 stage.n.on_error.route: errors leave by a port of the stage itself, 'n.PORT'",
        ),
        (
            '[stage.n]\nuse = "./own.py:ext"\ninputs = "pair"\non_error = {route = "n.out"}\n',
            "E408 stage.n.on_error.route: 'out' is a port that it has already",
        ),
    ],
)
async def test_columns_are_checked_on_every_edge(tmp_path: Path, rest: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        build(pipeline(tmp_path, rest))
    assert said in str(caught.value)


async def test_what_arrives_by_several_inputs_is_what_all_have() -> None:
    more = CALLS.adding([EXTENSION])
    assert columns.arriving([CALLS, CALLS]) is CALLS
    assert columns.arriving([more, CALLS]) == CALLS
    assert columns.arriving([]) is None
    other = EXTENSION._replace(dtype="u8", kind="int")
    assert columns.arriving([more, Schema("calls", (other,))]) == Schema("calls", ())


def failing_at(pid: int) -> Any:
    def process(ctx: Any, batch: Batch) -> Batch | None:
        ctx.book(filtered=1)
        if batch["pid"][0] == pid:
            ctx.hold(7)
            raise ValueError("not this one")
        return batch.select(np.arange(len(batch) - 1)) if len(batch) > 1 else None

    return process


@pytest.mark.parametrize("route", [False, True])
async def test_an_error_at_one_batch_is_left_out_or_routed(route: bool) -> None:
    on_error: Any = Route("mine.errors") if route else "drop"
    keep, errors, warned = Keeping(), Keeping(), list[str]()
    nodes: dict[str, Node] = {
        "in": ListSource([calls(rows=4, pid=pid) for pid in (1, 2, 3)]),
        "mine": Doing(failing_at(2)),
        "out": keep,
    }
    made = graph(nodes, {"mine": "in", "out": "mine"})
    members = dict(made.members)
    members["mine"] = members["mine"]._replace(on_error=on_error)
    if route:
        gives = {**members["mine"].gives, "errors": CALLS.adding([columns.ERROR])}
        members["mine"] = members["mine"]._replace(gives=gives)
        members["late"] = members["out"]._replace(
            node=errors, inputs=(members["out"].inputs[0]._replace(port="errors"),)
        )
    run = Run(
        made._replace(members=members),
        on_warning=lambda node, said: warned.append(f"{node} {said}"),
    )
    ledger = await run.run()
    assert ledger.closed, ledger.open_because
    books = ledger.stages["mine"]
    assert (books.in_, books.out["out"], books.filtered) == (12, 6, 2)
    assert [len(batch) for batch in keep.kept] == [3, 3]
    said = "ValueError: not this one (test_forms.py:"
    if route:
        assert (books.failed, books.out["errors"]) == (0, 4)
        assert errors.kept[0]["pid"].tolist() == [2] * 4
        assert errors.kept[0].text("error")[0].startswith(said)
    else:
        assert books.failed == 4
    assert warned[0].startswith(f"mine 4 rows {'to ' if route else 'left out: '}")
    assert said in warned[0]


async def test_a_stage_fails_at_the_last_error_that_it_may_make() -> None:
    def process(ctx: Any, batch: Batch) -> Batch:
        raise ValueError("never")

    nodes: dict[str, Node] = {
        "in": ListSource([calls(rows=4) for _ in range(5)]),
        "mine": Doing(process),
        "out": Keeping(),
    }
    made = graph(nodes, {"mine": "in", "out": "mine"})
    members = dict(made.members)
    gives = {**members["mine"].gives, "errors": CALLS.adding([columns.ERROR])}
    members["mine"] = members["mine"]._replace(on_error=Route("mine.errors", 2), gives=gives)
    run = Run(made._replace(members=members))
    with pytest.raises(StageFailed, match="failed 2 times, the last with ValueError: never"):
        await run.run()
    assert run.ledger().closed
    mine = run.ledger().stages["mine"]
    assert (mine.failed, mine.out["errors"]) == (8, 0)  # nobody takes what is routed
    assert run.ledger().lost == 8


async def test_what_a_node_spawns_ends_with_it_and_its_error_is_the_nodes() -> None:
    life: list[str] = []

    class Spawning(Passing):
        async def start(self, ctx: Context) -> None:
            await super().start(ctx)
            ctx.spawn(self.beside, "a")

        async def beside(self, what: str) -> None:
            life.append(what)
            try:
                await ior.pipeline.clock.SystemClock().sleep(1000)
            finally:
                life.append("ended")

    nodes: dict[str, Node] = {
        "in": ListSource([calls(rows=1)]),
        "mine": Spawning(),
        "out": Keeping(),
    }
    await Run(graph(nodes, {"mine": "in", "out": "mine"})).run()
    assert life == ["a", "ended"]

    class Breaking(Spawning):
        async def beside(self, what: str) -> None:
            raise OSError(what)

    nodes["in"], nodes["mine"] = ListSource([calls(rows=1)]), Breaking()
    with pytest.raises(StageFailed, match=r"stage 'mine': OSError: a \(test_forms.py:"):
        await Run(graph(nodes, {"mine": "in", "out": "mine"})).run()


async def test_halves_go_through_a_stage_that_takes_any() -> None:
    @stage(takes=None)
    def anything(batch: Batch) -> Batch:
        return batch

    made = stage_of(anything)(Config())
    assert columns.connect(made, HALVES) == {"out": HALVES}
