"""The Pipeline tab: rates and shares of time of late, by stage and edge."""

from __future__ import annotations

from msgspec.structs import replace

from ior.pipeline.ledger import EdgeBooks, Ledger, StageBooks
from ior.pipeline.pace import NodeTimes
from ior.ui.flow import FIELDS, Flow

SECOND = 1_000_000_000
EDGE = "pair.out->stats"
NAMES = [field.name for field in FIELDS]


def books(rows: int, *, dropped: int = 0) -> Ledger:
    edge = EdgeBooks(offered=rows, delivered=rows - dropped, dropped=dropped, waiting=2, batches=8)
    stages = {"pair": StageBooks(in_=rows, out={"out": rows}), "stats": StageBooks(in_=rows)}
    return Ledger(closed=False, kernel={}, calls=rows, stages=stages, edges={EDGE: edge})


def times(pair: tuple[int, int, int], stats: tuple[int, int]) -> dict[str, NodeTimes]:
    starved, busy, blocked = pair
    return {
        "pair": NodeTimes(starved * SECOND, busy * SECOND, {EDGE: blocked * SECOND}),
        "stats": NodeTimes(stats[0] * SECOND, stats[1] * SECOND, {}),
    }


def test_stages_stand_with_their_edges_and_the_slow_one_is_named() -> None:
    flow = Flow()
    first = flow.table_of(0, books(1000), times((10, 0, 0), (10, 0)))
    assert [row[NAMES.index("rows/s")] for row in first.rows] == [None, None, None]
    second = flow.table_of(4 * SECOND, books(3000, dropped=7), times((11, 1, 2), (10, 4)))
    rows = [dict(zip(NAMES, row, strict=True)) for row in second.rows]
    pair, edge, stats = rows
    assert [row["stage or edge"] for row in rows] == ["pair", f"  {EDGE}", "stats (slow)"]
    assert [row["rows/s"] for row in rows] == [500, 500, 500]
    assert (pair["starved"], pair["busy"], pair["blocked"]) == (0.25, 0.25, 0.5)
    assert (stats["starved"], stats["busy"], stats["blocked"]) == (0.0, 1.0, 0.0)
    assert (edge["lost"], edge["fill"], edge["blocked"]) == (7, 0.25, 0.5)


def test_what_the_kernel_lost_stands_before_the_stages() -> None:
    def at(attempted: int, lost: int, skipped: int) -> Ledger:
        kernel = {"attempted": attempted, "read": attempted - lost, "lost": lost}
        return replace(books(1000), kernel=kernel | {"skipped": skipped})

    flow = Flow()
    first = flow.table_of(0, at(1000, 0, 0), times((10, 0, 0), (10, 0)))
    second = flow.table_of(2 * SECOND, at(5000, 700, 3), times((11, 1, 2), (10, 4)))
    assert [row[0] for row in first.rows][:2] == ["kernel ring", "pair"]
    assert [row[0] for row in second.rows][:3] == ["kernel ring", "skipped probes", "pair"]
    ring, probes = (dict(zip(NAMES, row, strict=True)) for row in second.rows[:2])
    assert (ring["rows/s"], ring["in"], ring["out"], ring["lost"]) == (2000, 5000, 4300, 700)
    assert probes["lost"] == 3
    replayed = Flow(ring=False).table_of(0, at(1000, 0, 0), times((10, 0, 0), (10, 0)))
    assert [row[0] for row in replayed.rows][:1] == ["pair"]


def test_old_looks_are_forgotten() -> None:
    flow = Flow()
    for i in range(12):
        shown = flow.table_of(i * SECOND // 4, books(i * i * 100), times((i, i, i), (i, i)))
    # from the look a second before: 7 of 0.25 s to 11
    assert shown.rows[0][NAMES.index("rows/s")] == (121 - 49) * 100


def test_a_look_after_a_while_is_a_first_one() -> None:
    flow, at = Flow(), NAMES.index("rows/s")
    flow.table_of(0, books(1000), times((1, 0, 0), (1, 0)))
    rare = flow.table_of(9 * SECOND, books(9000), times((2, 0, 0), (2, 0)), 7 * SECOND)
    assert {row[at] for row in rare.rows} == {None}
    later = flow.table_of(9 * SECOND + SECOND // 4, books(9001), times((3, 0, 0), (3, 0)))
    assert {row[at] for row in later.rows} == {4}
