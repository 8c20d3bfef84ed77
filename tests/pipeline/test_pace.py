"""Who is named as slow: the one that others wait for, and not those who wait."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from graph_nodes import Endless, Keeping, Passing, Stalling, Summing, batches

from ior.pipeline.ledger import EdgeBooks
from ior.pipeline.pace import NodeTimes, slowest
from ior.pipeline.run import Run
from ior.pipeline.spec import Buffer
from ior.sinks.report import Report, ReportConfig
from ior.testing import ListSource, graph

MS = 1_000_000


def times(starved: int, busy: int, **blocked: int) -> NodeTimes:
    """Return times in milliseconds; `blocked` is by consumer."""
    edges = {f"a.out->{name}": ms * MS for name, ms in blocked.items()}
    return NodeTimes(starved * MS, busy * MS, edges)


def test_the_one_that_others_wait_for_is_slow() -> None:
    found = slowest({"a": times(0, 100, b=800, c=100), "b": times(50, 950), "c": times(0, 1)}, {})
    assert found is not None
    assert str(found) == "b: 95 % busy, a waited 800 ms of 1.00 s for it"


def test_the_one_that_only_passes_the_waiting_on_is_not() -> None:
    nodes = {
        "a": NodeTimes(0, 100 * MS, {"a.out->b": 900 * MS}),
        "b": NodeTimes(0, 100 * MS, {"b.out->c": 850 * MS, "b.out->d": 50 * MS}),
        "c": NodeTimes(0, 1000 * MS, {}),
        "d": NodeTimes(900 * MS, 100 * MS, {}),
    }
    found = slowest(nodes, {})
    assert found is not None
    assert (found.stage, found.busy) == ("c", 1.0)


def test_a_stage_that_drops_and_makes_nobody_wait_is_slow() -> None:
    edges = {"a.out->b": EdgeBooks(dropped=7000), "a.out->c": EdgeBooks(dropped=2)}
    found = slowest({"a": times(1, 9), "b": times(300, 700), "c": times(9, 1)}, edges)
    assert str(found) == "b: 70 % busy, 7,000 rows before it were dropped"


def test_where_nobody_waits_the_busiest_is_named() -> None:
    nodes = {"a": times(996, 4), "b": times(880, 120, c=5), "c": times(999, 1)}
    assert str(slowest(nodes, {"a.out->b": EdgeBooks()})) == "b: 12 % busy"
    assert str(slowest({"a": times(1000, 1)}, {})) == "a: under 1 % busy"
    assert slowest({"a": times(0, 0)}, {}) is None
    assert slowest({}, {}) is None


@pytest.mark.anyio
async def test_a_stalled_sink_is_named_while_it_stalls_and_in_the_report(tmp_path: Path) -> None:
    """Its siblings stall behind it as well: with `block` all wait for the slowest."""
    stall, keep = Stalling(), Keeping()
    report = Report(ReportConfig(path=str(tmp_path / "report"), width=100))
    nodes = {"in": Endless(), "via": Passing(), "keep": keep, "stall": stall, "stats": Summing()}
    run = Run(
        graph(
            nodes | {"report": report},
            {"via": "in", "keep": "via", "stall": "via", "stats": "via"},
            of={"report": ["stats"]},
            buffers={name: Buffer(1, "block") for name in nodes},
        )
    )
    async with anyio.create_task_group() as group:
        group.start_soon(run.run)
        await stall.arrived.wait()
        seen = run.times()["stall"].busy_ns
        while not seen or run.times()["stall"].busy_ns < 50 * seen:
            await anyio.lowlevel.checkpoint()
        found = run.slowest()
        assert found is not None
        assert found.stage == "stall"
        assert "via waited" in found.says
        run.stop()
        stall.free.set()
    ledger = run.ledger()
    assert ledger.closed
    assert ledger.lost == 0
    line = next(x for x in (tmp_path / "report").read_text().splitlines() if "slowest" in x)
    assert line.split()[1] == "stall:"
    assert "via waited" in line


@pytest.mark.anyio
async def test_times_cover_the_whole_run_of_every_node() -> None:
    run = Run(graph({"in": ListSource(batches(50)), "keep": Keeping()}, {"keep": "in"}))
    await run.run()
    spans = {name: node.elapsed_ns for name, node in run.times().items()}
    assert all(span > 0 for span in spans.values())
    again = {name: node.elapsed_ns for name, node in run.times().items()}
    assert again == spans  # they stand still after the end
