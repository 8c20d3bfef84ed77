"""When pictures are taken: not while nothing moves, and not where records wait in the kernel."""

from __future__ import annotations

import anyio
import pytest
from emulated import ledger

from ior.pipeline.run import Run
from ior.stages.stats import Stats, StatsConfig
from ior.testing import VirtualClock, calls, graph
from ior.testing.graphs import ListSource
from ior.ui.events import Picture
from ior.ui.shutter import BEHIND, Shutter

SECOND = 1_000_000_000


def test_a_picture_is_due_when_rows_move_and_once_a_second() -> None:
    shutter = Shutter(0.25)
    looks = [(0, 0.0), (0, 0.25), (0, 0.9), (5, 0.95), (5, 0.99), (5, 1.0), (5, 1.9), (5, 2.1)]
    due = [(shutter.is_due(rows, int(at_s * SECOND)), shutter.is_still) for rows, at_s in looks]
    assert due == [
        *((True, True), (False, True), (False, True)),
        (True, False),
        *((False, True), (True, True), (False, True), (True, True)),
    ]


def picture(calls: int, waiting: int = 0) -> Picture:
    books = ledger(calls, lost=7)
    books.kernel["attempted"] += waiting
    return Picture(None, books, 0)


@pytest.mark.parametrize(
    ("taken", "cost_s", "rest_s"),
    [
        (picture(1), 0.01, 0.25),
        (picture(1), 0.1, 0.4),
        (picture(1, BEHIND), 0.01, 0.25),
        (picture(1, BEHIND + 1), 0.01, 1.0),
    ],
    ids=["usual", "dear", "nearly", "behind"],
)
def test_rests(taken: Picture, cost_s: float, rest_s: float) -> None:
    shutter = Shutter(0.25)
    shutter.took(taken, cost_s)
    assert shutter.rest_s == pytest.approx(rest_s)


class Silent:
    """A run whose source gives nothing."""

    async def moves(self) -> None:
        await anyio.sleep_forever()


@pytest.mark.parametrize(("late_s", "looks"), [(0.1, True), (1.0, False)])
def test_rows_that_a_slow_stage_gives_late_are_looked_for(late_s: float, looks: bool) -> None:
    """The next full second is 0.9 or one away."""
    shutter, clock = Shutter(0.01), VirtualClock(7 * SECOND + int(late_s * SECOND))
    shutter.is_due(5, 7 * SECOND)
    shutter.is_due(5, clock.now_ns())
    assert shutter.is_still

    async def rest() -> bool:
        with anyio.move_on_after(0.6) as scope:
            await shutter.rest(Silent(), clock)
        return not scope.cancelled_caught

    assert anyio.run(rest) is looks


def test_the_rows_of_a_run_grow_with_each_batch_and_stand_still_without() -> None:
    seen = []

    class Noting(Stats):
        def process(self, batch: object) -> None:
            seen.append(run.rows())

    nodes = {"in": ListSource([calls(rows=3)] * 4), "stats": Noting(StatsConfig())}
    run = Run(graph(nodes, {"stats": "in"}))
    anyio.run(run.run)
    assert seen == sorted(set(seen))
    assert len(seen) == 4
    # made and given by the source, taken and worked off by the stage
    assert run.rows() == run.rows() == 4 * 4 * 3
