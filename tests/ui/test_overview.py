"""The Overview tab: totals, trends, the top of every table, latencies."""

from __future__ import annotations

import csv

import pytest
from emulated import SIZES, ledger
from hypothesis import given, settings
from hypothesis import strategies as st
from test_flame import after, batch, lines

from ior.calls import CALLS
from ior.stages.stats import Stats, StatsConfig, StatsSnapshot
from ior.text import width
from ior.ui.events import Event, Look, Picture, Resized, Started, Tick
from ior.ui.keys import Action
from ior.ui.state import State
from ior.ui.tabs.abc import Clicked
from ior.ui.tabs.overview import OverviewTab
from ior.ui.tabs.overviewlines import Overview, OverviewLayout, OverviewView
from ior.ui.trend import MOST, Point, Trend

SECOND = 1_000_000_000


def statistics(*, empty: bool = False) -> StatsSnapshot:
    stage = Stats(StatsConfig())
    stage.connect(CALLS)
    if not empty:
        stage.process(batch())
    return stage.snapshot()


def trend(*rates: int) -> Trend:
    """A trend of so many calls in each second, one in ten of them failed."""
    made, total = Trend(), 0
    made.add(Point(0))
    for i, rate in enumerate(rates, 1):
        total += rate
        made.add(Point(i * SECOND, total, total // 10, total * 4096, total))
    return made


def showing(
    *events: Event | Action, size: tuple[int, int] = (80, 24), empty: bool = False
) -> State:
    snapshot = statistics(empty=empty)
    rates = trend(*[1000] * 20, *[2000] * 5).rates()
    tables = tuple(snapshot.by.values())
    seen = Overview(snapshot.totals, tables, snapshot.latency, snapshot.latency, rates, False)
    state = after(Resized(*size), Started(0, (OverviewTab("stats"),)), state=State(title="x"))
    return after(Tick(Picture(Look(seen), ledger(), SECOND)), *events, state=state)


def view(state: State) -> OverviewView:
    assert state.front is not None
    assert isinstance(state.front.view, OverviewView)
    return state.front.view


def test_totals_rates_and_how_they_go() -> None:
    found = lines(showing())
    assert "last 25 s" in found[0]
    assert found[1].split()[:5] == ["calls", "220", "2.0", "k/s", "▲100%"]
    assert found[1].rstrip().endswith("▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄█████")
    assert found[3].split()[:4] == ["read", "0", "B", "7.8"]


def test_the_top_of_every_table_by_another_metric() -> None:
    found = lines(showing())
    assert [word for word in found[6].split() if word[0].isupper()] == [
        "Syscalls",
        "Files",
        "Processes",
    ]
    assert found[7].split()[0] == "write"
    state = showing(Action.METRIC)
    assert "Syscalls by time" in lines(state)[6]
    assert lines(state)[7].split()[0] == "getdents64"
    again = after(Action.METRIC, Action.METRIC, Action.METRIC, state=state)
    assert "Syscalls by calls" in lines(again)[6]


def test_a_row_at_the_top_becomes_a_term() -> None:
    assert showing(Action.DRILL).terms == ('syscall == "write"',)
    assert showing(Action.RIGHT, Action.DOWN, Action.DRILL).terms == ('file == "/etc/passwd"',)
    assert showing(Action.LEFT, Action.DOWN, Action.DOWN, Action.UP, Action.DRILL).terms == (
        'syscall == "read"',
    )
    state = showing(Action.LAST)
    assert view(state).row == 4
    assert view(after(Action.FIRST, state=state)).row == 0
    assert showing(Action.DRILL, empty=True).terms == ()


def test_a_click_points_at_a_row() -> None:
    state = showing(Clicked(30, 8))
    assert (view(state).column, view(state).row) == (1, 1)
    assert view(after(Clicked(30, 1), state=state)) == view(state)


def test_no_quantile_is_cut() -> None:
    for columns in range(40, 200):
        found = next(
            row for row in lines(showing(size=(columns, 40))) if row[1:12] == "latency  p5"
        )
        assert "…" not in found, columns
        assert "max" in found


def test_latencies_have_quantiles_columns_and_a_scale() -> None:
    found = lines(showing())
    assert found[13].split()[:3] == ["latency", "p50", "1.01"]
    assert "█" in found[17]
    assert "1us" in found[18]


def test_gaps_stand_beside_the_latencies_where_there_is_room() -> None:
    found = lines(showing())
    assert found[13][40:].split()[:2] == ["gap", "p50"]
    assert "█" in found[17][40:]
    assert "gap" not in lines(showing(size=(60, 24)))[13]
    latency = lines(showing(size=(200, 24)))[13]
    assert all(name in latency[:100] for name in ("p50", "p95", "p99", "max"))


def test_no_calls_yet() -> None:
    found = lines(showing(empty=True))
    assert found[1].split()[:2] == ["calls", "0"]
    assert not any("█" in line for line in found[7:])


def test_the_trend_is_bounded_and_by_the_second() -> None:
    made = Trend()
    for i in range(10 * (MOST + 50)):
        made.add(Point(i * SECOND // 10, i))
    rates = made.rates()["calls"]
    assert len(rates) == MOST
    assert set(rates) == {10.0}


ACTIONS = st.sampled_from(
    sorted({key.action for key in OverviewTab.keys if key.action != Action.DRILL})
)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(ACTIONS | st.builds(Clicked, st.integers(0, 90), st.integers(0, 40)), max_size=20),
    st.integers(20, 220),
    st.integers(5, 70),
)
def test_every_line_is_as_wide_as_the_terminal(
    events: list[Event | Action], columns: int, rows: int
) -> None:
    assert {width(line) for line in lines(showing(*events, size=(columns, rows)))} == {columns}


@pytest.mark.parametrize("size", SIZES[1:])
def test_rates_and_lists_at_every_size(size: tuple[int, int]) -> None:
    found = lines(showing(size=size))
    assert found[1].split()[:2] == ["calls", "220"]
    assert "Syscalls by calls" in found[6]


def test_no_call_has_no_latency() -> None:
    found = lines(showing(empty=True))
    assert found[13].split() == ["latency", "of", "no", "call", "gap", "of", "no", "call"]


def test_what_it_shows_is_exported_exactly() -> None:
    state = showing(Action.METRIC)  # lists by time
    assert isinstance(state.layout, OverviewLayout)
    rows = list(csv.reader(OverviewTab("stats").export(view(state), state.layout)))
    assert rows[0] == ["part", "name", "value"]
    found = {(part, name): value for part, name, value in rows[1:]}
    assert len(found) == len(rows) - 1
    totals = state.layout.seen.totals
    assert found["total", "calls"] == str(totals.calls) == "220"
    assert found["a second", "calls"] == "2000.0"
    assert found["total", "bytes_written"] == str(totals.bytes_written)
    for table in state.layout.tops:
        at = [field.name for field in table.fields].index("total")
        shown = [value for (part, _), value in found.items() if part == f"{table.title} by total"]
        assert shown == [str(row[at]) for row in table.rows]
    assert found["latency", "p50"] == str(state.layout.seen.latency.quantile(0.5))
