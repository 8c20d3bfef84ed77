"""The Latency tab: histograms, the heatmap over time, and ranges that become filters."""

from __future__ import annotations

import csv
from typing import Any

import numpy as np
import pytest
from emulated import SIZES, ledger
from hypothesis import given, settings
from hypothesis import strategies as st
from test_flame import after

from ior.calls import Batch
from ior.expr import compile_filter
from ior.histogram import Histogram
from ior.names import Names
from ior.stages.stream import Stream, StreamConfig
from ior.testing import calls
from ior.text import width
from ior.ui import frame
from ior.ui.bars import bar, shade, sparkline
from ior.ui.durations import (
    EDGES,
    FINE_NS,
    MOST,
    STEPS,
    Counter,
    Durations,
    Shown,
    of_histogram,
    of_rows,
    step_of,
)
from ior.ui.events import Event, Look, Picture, Resized, Started, Tick
from ior.ui.keys import Action
from ior.ui.spans import cut
from ior.ui.state import State
from ior.ui.tabs.abc import Clicked
from ior.ui.tabs.latency import LatencyLayout, LatencyTab, LatencyView, term

SECOND = 1_000_000_000


def rows(latency: list[int], gap: list[int] | None = None, times: list[int] | None = None) -> Batch:
    columns: dict[str, Any] = {"latency_ns": latency, "gap_ns": gap or [-1] * len(latency)}
    if times is not None:
        columns["time_ns"] = times
    return calls(names=Names(), syscall=["read"] * len(latency), **columns)


def seen() -> Durations:
    latency = [1500] * 50 + [30_000] * 10 + [3_000_000] * 2
    times = [i * SECOND // 10 for i in range(62)]
    return of_rows([rows(latency, [250_000] * 62, times)])


def showing(*events: Event | Action, size: tuple[int, int] = (80, 24)) -> State:
    state = after(Resized(*size), Started(0, (LatencyTab("stats"),)), state=State(title="x"))
    return after(Tick(Picture(Look(seen()), ledger(), SECOND)), *events, state=state)


def view(state: State) -> LatencyView:
    assert state.front is not None
    assert isinstance(state.front.view, LatencyView)
    return state.front.view


def lines(state: State) -> list[str]:
    body = [frame.body(state, i) for i in range(state.body_rows)]
    return ["".join(text for _, text in line) for line in body]


@given(st.lists(st.integers(-1, 10**12), min_size=1, max_size=50))
def test_every_call_is_counted_in_the_step_that_its_filter_finds(latency: list[int]) -> None:
    batch = rows(latency)
    found = of_rows([batch])
    for step in range(STEPS):
        where = compile_filter(term("latency", step, step))
        assert found.latency[step] == np.count_nonzero(where(batch) & (batch["latency_ns"] >= 0))


@given(
    st.lists(st.lists(st.integers(-1, 10**12), min_size=1, max_size=9), min_size=1, max_size=9),
    st.integers(1, 30),
)
def test_retained_rows_are_counted_once_and_as_all_at_once(
    latency: list[list[int]], most: int
) -> None:
    stage, counter = Stream(StreamConfig(rows=most)), Counter()
    for i, part in enumerate(latency):
        times = [(i * 60 + k) * SECOND for k in range(len(part))]
        stage.process(rows(part, [n // 3 for n in part], times))
        kept = stage.snapshot()
        number = kept.total - sum(map(len, kept.batches))
        found, counted, _ = counter.of(Shown((), cut(kept.batches, number, 0, 2**62)))
        whole = of_rows(kept.batches)
        assert counted == found.calls
        assert (found.calls, found.slot_ns) == (whole.calls, whole.slot_ns)
        for metric in ("latency", "gap"):
            assert found.counts(metric).tolist() == whole.counts(metric).tolist()
            assert found.heat[metric].tolist() == whole.heat[metric].tolist()


@given(st.lists(st.integers(0, 10**10), min_size=1, max_size=50), st.integers(0, 49))
def test_batches_cut_anywhere_count_the_same(latency: list[int], cut: int) -> None:
    batch = rows(latency)
    parts = [batch.select(np.arange(cut)), batch.select(np.arange(cut, len(batch)))]
    if cut > len(batch):
        return
    whole, cut_up = of_rows([batch]), of_rows(parts)
    assert whole.latency.tolist() == cut_up.latency.tolist()
    assert whole.heat["latency"].tolist() == cut_up.heat["latency"].tolist()


def test_the_heatmap_is_by_when_calls_returned_and_bounded() -> None:
    found = seen().heat["latency"]
    assert found.sum() == 62
    assert found.sum(axis=1).tolist() == [1] * 62
    times = [0, 10_000 * SECOND]
    late = of_rows([rows([100, 100], times=times)])
    assert late.heat["latency"].shape == (MOST, STEPS)
    assert late.heat["latency"].sum() == 1  # the other is too long ago; the histogram has both
    assert late.latency.sum() == 2
    assert seen().slot_ns == FINE_NS


def test_a_histogram_stands_in_where_no_rows_are_retained() -> None:
    histogram = Histogram()
    histogram.add(np.array([1500] * 50 + [30_000] * 10))
    found = of_histogram(histogram.snapshot())
    assert (found.calls, found.latency.sum()) == (60, 60)
    assert found.latency[EDGES.index(1000)] == 50


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=50))
def test_what_was_counted_before_is_in_its_step_or_within_a_bucket_of_it(values: list[int]) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(np.array([value]))
        steps = np.flatnonzero(of_histogram(histogram.snapshot()).latency)
        histogram = Histogram()
        assert len(steps) == 1
        assert step_of(value * 30 // 31) <= steps[0] <= step_of(value * 33 // 31 + 1)


def test_steps_have_bars_and_counts() -> None:
    found = lines(showing())
    assert found[0].split()[:3] == ["from", "latency", "gap"]
    assert "62 calls" in found[0]
    rows_ = {line.split()[0]: line for line in found[1:] if line.strip()}
    assert " 50 " in rows_["1us"]
    assert " 62 " in rows_["200us"]
    lengths = [line.split()[1].count("█") for line in (rows_["1us"], rows_["20us"])]
    assert lengths[0] > lengths[1]


def test_the_cursor_is_where_most_calls_are_until_it_moves() -> None:
    state = showing(Action.DRILL)
    assert state.terms == ("latency >= 1us and latency < 2us",)
    state = showing(Action.METRIC, Action.DRILL)
    assert state.terms == ("gap >= 200us and gap < 500us",)


def test_a_range_becomes_a_filter() -> None:
    state = showing(Action.FIRST, Action.DOWN, Action.MARK, Action.DOWN, Action.DOWN, Action.DRILL)
    assert state.terms == ("latency >= 2us and latency < 20us",)
    assert view(state).mark is None
    state = showing(Action.LAST, Action.MARK, Action.UP, Action.MARK)
    assert view(state).mark is None


def test_the_last_step_has_no_end() -> None:
    assert term("latency", STEPS - 1, STEPS - 1) == "latency >= 50s"


def test_the_marked_range_is_seen() -> None:
    state = showing(Action.FIRST, Action.MARK, Action.DOWN)
    styles = [frame.body(state, row)[0][0] for row in (1, 2, 3)]
    assert styles == ["class:cursor", "class:cursor", "class:key"]


def test_a_click_points_at_a_step() -> None:
    state = showing(Clicked(30, 3))
    first = state.layout.first
    assert view(state).cursor == first + 2
    assert view(after(Clicked(30, 0), state=state)) == view(state)


def test_no_calls_yet() -> None:
    state = after(Tick(Picture(Look(of_rows([])), ledger(), SECOND)), state=showing())
    assert "0 calls" in lines(state)[0]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.sampled_from(sorted({key.action for key in LatencyTab.keys if key.action != "drill"}))
        | st.builds(Clicked, st.integers(0, 90), st.integers(0, 40)),
        max_size=20,
    ),
    st.integers(20, 220),
    st.integers(5, 70),
)
def test_every_line_is_as_wide_as_the_terminal(
    events: list[Event | Action], columns: int, rows: int
) -> None:
    found = lines(showing(*events, size=(columns, rows)))
    assert {width(line) for line in found} == {columns}


@pytest.mark.parametrize("size", SIZES[1:])
def test_the_heatmap_is_at_the_right_edge(size: tuple[int, int]) -> None:
    state = showing(Action.LAST, size=size)
    slow = next(line for line in lines(state) if line.strip().startswith("2ms"))
    assert slow.rstrip()[-1] in "░▒▓█"


def test_bars_show_what_is_not_nothing() -> None:
    assert (bar(0, 4), bar(1, 4), bar(0.5, 4)) == ("    ", "████", "██  ")
    assert bar(1e-9, 4) == "▏   "
    assert sparkline([0, 1, 2, 4], 4) == "▁▂▄█"
    assert sparkline([0, 0], 4) == "  ▁▁"
    assert (shade(0, 10), shade(1, 10**6), shade(10**6, 10**6)) == (0, 1, 4)


def test_all_steps_and_the_heatmap_are_exported() -> None:
    state = showing()
    assert isinstance(state.layout, LatencyLayout)
    tab = LatencyTab("stats")
    rows = list(csv.DictReader(tab.export(view(state), state.layout)))
    whole = [row for row in rows if not row["slot_end_ns"]]
    assert [tuple(row.values()) for row in whole] == [
        ("latency", "", "1000", "2000", "50"),
        ("latency", "", "20000", "50000", "10"),
        ("latency", "", "2000000", "5000000", "2"),
        ("gap", "", "200000", "500000", "62"),
    ]
    by_time = [row for row in rows if row["slot_end_ns"]]
    for metric in ("latency", "gap"):
        assert sum(int(row["calls"]) for row in by_time if row["metric"] == metric) == 62
    assert [row["slot_end_ns"] for row in by_time[:2]] == ["6100000000", "6000000000"]
    assert by_time[-1]["slot_end_ns"] == "0"
