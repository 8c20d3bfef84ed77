"""Windows of time: which calls they show, of rows or of seconds, and how one goes through them."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulated import SIZES, ledger
from hypothesis import given
from hypothesis import strategies as st
from scenes import wired
from test_flame import after

from ior.calls import Batch
from ior.expr import compile_filter
from ior.pipeline.ledger import Ledger
from ior.pipeline.pace import NodeTimes
from ior.pipeline.spec import parse
from ior.snapshots import Snapshot
from ior.stages.history import History, HistoryConfig
from ior.stages.stats import Stats, StatsConfig, StatsSnapshot
from ior.stages.stream import Stream, StreamConfig
from ior.testing import calls
from ior.text import width
from ior.ui import frame
from ior.ui.durations import EDGES, STEPS, Durations
from ior.ui.events import Event, Look, Picture, Resized, Started, Tick
from ior.ui.keys import Action
from ior.ui.nodes import Nodes
from ior.ui.sight import Chosen, Matched, Sight
from ior.ui.state import State
from ior.ui.tabs.abc import AnyTab, Size
from ior.ui.tabs.latency import LatencyTab, LatencyView
from ior.ui.tabs.stats import FilesTab
from ior.ui.trend import Trend
from ior.ui.window import Window

SECOND = 1_000_000_000
STAGES = wired("stats", "stream", "history")


def made() -> list[Batch]:
    """Make ten calls in each of 100 seconds, on one file in each ten of them."""
    return [
        calls(
            time_ns=second * SECOND + np.arange(10) * 1000,
            latency_ns=np.arange(10) * 100,
            file=f"/file{second // 10}",
            ret=512,
        )
        for second in range(100)
    ]


class Still:
    """A run that has ended, whose stream retained the last `rows`."""

    def __init__(self, rows: int = 10_000, batches: Sequence[Batch] = ()) -> None:
        stages: dict[str, Any] = {
            "stats": Stats(StatsConfig()),
            "stream": Stream(StreamConfig(rows=rows)),
            "history": History(HistoryConfig()),
        }
        for batch in batches or made():
            for stage in stages.values():
                stage.process(batch)
        self.answers = {name: stage.snapshot() for name, stage in stages.items()}

    def snapshot(self, name: str) -> Snapshot:
        return self.answers[name]  # type: ignore[no-any-return]  # of stages of any kind

    def ledger(self) -> Ledger:
        return ledger()

    def times(self) -> dict[str, NodeTimes]:
        return {}


def sight_of(run: Still, window: Window, where: str = "") -> Sight:
    spec = parse(STAGES, directory=Path(), label="still")
    chosen = Chosen(compile_filter(where) if where else None, window)
    return Sight(run, Nodes(run, spec), 100 * SECOND, chosen, Trend())


def seen(window: Window, where: str = "", rows: int = 10_000) -> tuple[StatsSnapshot, Sight]:
    sight = sight_of(Still(rows), window, where)
    found = sight.answer("stats")
    assert isinstance(found, StatsSnapshot)
    return found, sight


def files(found: StatsSnapshot) -> dict[str, int]:
    return {row[0]: row[1] for row in found.by["file"].rows}


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (Window(), {f"/file{i}": 100 for i in range(10)}),
        (Window(10), {"/file9": 100}),
        (Window(60), {f"/file{i}": 100 for i in range(4, 10)}),
        (Window(300), {f"/file{i}": 100 for i in range(10)}),
        (Window(10, 84 * SECOND), {"/file8": 50, "/file7": 50}),
    ],
)
def test_a_window_shows_its_calls_and_no_others(window: Window, expected: dict[str, int]) -> None:
    assert files(seen(window)[0]) == expected


@pytest.mark.parametrize("window", [Window(10), Window(60), Window(10, 84 * SECOND)])
def test_rows_and_seconds_of_a_window_are_the_same_calls(window: Window) -> None:
    by_second, one = seen(window, "pid == 100")
    of_rows, other = seen(window, "pid == 100 and tid == 100")
    assert by_second == of_rows
    assert one.matched == Matched(window.span_s * 10, window.span_s * 10, by_second=True)
    assert other.matched == Matched(window.span_s * 10, 1000)


def test_seconds_reach_further_back_than_rows() -> None:
    window = Window(10, 19 * SECOND)
    assert files(seen(window, rows=50)[0]) == {"/file1": 100}
    assert files(seen(window, 'path under "/file1"', rows=50)[0]) == {"/file1": 100}
    assert files(seen(window, "latency >= 0ns", rows=50)[0]) == {}


def test_a_filter_on_what_seconds_do_not_know_is_of_the_rows() -> None:
    found, sight = seen(Window(10), "latency >= 500ns")
    assert (found.totals.calls, sight.matched) == (50, Matched(50, 1000))


def timed() -> list[Batch]:
    """Make 20 calls in each of 100 seconds whose durations are well inside their steps."""
    random = np.random.default_rng(5)
    inside = np.array([EDGES[step] * 14 // 10 for step in range(1, 20)])
    return [
        calls(
            time_ns=second * SECOND + np.arange(20) * 1000,
            latency_ns=random.choice([-1, 0, *inside], 20),
            gap_ns=random.choice([-1, 0, *inside], 20),
            comm=random.choice(["cat", "dd", "tar"], 20).tolist(),
            ret=random.choice([-2, 512], 20),
        )
        for second in range(100)
    ]


def counted(batches: list[Batch], window: range, where: str, metric: str) -> list[list[int]]:
    """Count every call of the window's seconds one by one: by second and step."""
    heat = [[0] * STEPS for _ in window]
    for batch in batches:
        mask = compile_filter(where)(batch) if where else [True] * len(batch)
        columns = (batch[name].tolist() for name in ("time_ns", "latency_ns", f"{metric}_ns"))
        for matches, time_ns, latency_ns, value in zip(mask, *columns, strict=True):
            second = (time_ns + max(latency_ns, 0)) // SECOND
            if matches and second in window and value >= 0:
                heat[second - window.start][bisect(EDGES, value) - 1] += 1
    return heat


def each_second(found: Durations, metric: str) -> list[list[int]]:
    """Return a heatmap by the second, of which the first slot is the beginning of one."""
    heat, slots = found.heat[metric], SECOND // found.slot_ns
    after = -len(heat) % slots  # the last slot is that of the last call
    whole = np.pad(heat, ((0, after), (0, 0))).reshape(-1, slots, STEPS).sum(axis=1)
    return whole.tolist()  # type: ignore[no-any-return]  # as it is without a type


@pytest.mark.parametrize("where", ["", 'comm == "dd"', 'comm != "cat" and not is_error'])
@pytest.mark.parametrize(
    ("window", "within"),
    [
        (Window(10, 19 * SECOND), range(10, 20)),
        (Window(60, 79 * SECOND), range(20, 80)),
        (Window(300), range(100)),
    ],
)
@pytest.mark.parametrize("rows", [50, 2000])
def test_latencies_and_gaps_of_a_window_are_those_of_all_its_calls(
    window: Window, within: range, where: str, rows: int
) -> None:
    batches = timed()
    sight = sight_of(Still(rows, batches), window, where)
    found = LatencyTab("stats").look(sight, LatencyView())
    assert found is not None
    of_rows = rows == len(batches) * 20
    assert found.slot_ns == (SECOND // 10 if of_rows else SECOND)
    for metric in ("latency", "gap"):
        expected = counted(batches, within, where, metric)
        assert each_second(found, metric) == expected
        assert found.counts(metric).tolist() == [sum(step) for step in zip(*expected, strict=True)]
    shown = batches[within.start : within.stop]
    matching = sum(int(compile_filter(where)(b).sum()) if where else len(b) for b in shown)
    of = 2000 if of_rows else 20 * len(within)
    assert sight.matched == Matched(matching, of, by_second=not of_rows)
    assert found.calls == matching


def rates_of(sight: Sight) -> dict[str, float | None]:
    table = FilesTab("stats").look(sight, FilesTab.begin)
    assert table is not None
    at = [field.name for field in table.fields].index("rate")
    return {row[0]: row[at] for row in table.rows}


@pytest.mark.parametrize("rows", [30, 10_000])
@pytest.mark.parametrize(
    ("seconds", "window", "rates"),
    [
        (3, Window(60), {"/file0": 10.0}),  # the window is longer than the run
        (3, Window(300), {"/file0": 10.0}),
        (20, Window(60), {"/file0": 5.0, "/file1": 5.0}),
        (20, Window(10, 11 * SECOND), {"/file0": 8.0, "/file1": 2.0}),
        (20, Window(10, 4 * SECOND), {"/file0": 10.0}),  # it begins before the run
        (100, Window(10), {"/file9": 10.0}),
    ],
)
def test_rates_of_a_window_are_means_over_what_the_run_covers_of_it(
    seconds: int, window: Window, rates: dict[str, float], rows: int
) -> None:
    assert rates_of(sight_of(Still(rows, made()[:seconds]), window)) == rates


def test_rates_of_a_window_of_rows_are_means_over_what_rows_cover_of_it() -> None:
    assert rates_of(sight_of(Still(50), Window(60), "latency >= 0ns")) == {"/file9": 10.0}
    assert rates_of(sight_of(Still(), Window(60), "latency >= 500ns"))["/file9"] == 50 / 60


def test_rates_of_a_window_before_the_first_call_are_none() -> None:
    assert rates_of(sight_of(Still(), Window(10, -50 * SECOND))) == {}


def test_latencies_under_a_filter_that_seconds_do_not_know_are_of_the_rows() -> None:
    tab, window = LatencyTab("stats"), Window(10)
    sight = sight_of(Still(), window, "latency >= 500ns")
    found = tab.look(sight, LatencyView())
    assert found is not None
    assert (found.calls, int(found.latency.sum()), sight.matched) == (50, 50, Matched(50, 1000))
    assert found.slot_ns < SECOND
    gone = sight_of(Still(50), Window(10, 19 * SECOND), "latency >= 500ns")
    past = tab.look(gone, LatencyView())
    assert past is not None
    assert (past.calls, gone.matched) == (0, Matched(0, 50))


@pytest.mark.parametrize("where", ["", 'comm == "dd"', 'comm != "cat" and not is_error'])
@pytest.mark.parametrize(
    ("rows", "begin"), [(1, 100), (40, 99), (50, 98), (1999, 1), (2000, 0), (9999, 0)]
)
def test_latencies_without_a_window_are_of_the_rows_and_before_them_of_the_seconds(
    rows: int, begin: int, where: str
) -> None:
    batches = timed()
    sight = sight_of(Still(rows, batches), Window(), where)
    found = LatencyTab("stats").look(sight, LatencyView())
    assert found is not None
    assert found.slot_ns == (SECOND if begin else SECOND // 10)
    for metric in ("latency", "gap"):
        expected = counted(batches, range(100), where, metric)
        assert each_second(found, metric) == expected
        assert found.counts(metric).tolist() == [sum(step) for step in zip(*expected, strict=True)]
    of = [int(compile_filter(where)(b).sum()) if where else len(b) for b in batches]
    assert (found.calls, found.by_second) == (sum(of), sum(of[:begin]))
    matched = Matched(sum(of), 2000, by_second=begin > 0)
    assert sight.matched == (matched if where else None)


def test_a_filter_that_seconds_do_not_know_is_of_the_rows_alone() -> None:
    sight = sight_of(Still(50), Window(), "latency >= 500ns")
    found = LatencyTab("stats").look(sight, LatencyView())
    assert found is not None
    assert (found.calls, found.by_second, sight.matched) == (25, 0, Matched(25, 50))


TIMES = st.tuples(st.integers(0, 2 * SECOND), st.integers(-1, 2 * SECOND))


@given(st.lists(st.lists(TIMES, min_size=1, max_size=5), min_size=1, max_size=8), st.integers(1, 9))
def test_of_rows_and_seconds_each_call_is_counted_once(
    parts: list[list[tuple[int, int]]], rows: int
) -> None:
    batches, now = [], 2 * SECOND
    for part in parts:
        returned = now + np.cumsum([step for step, _ in part])
        now, latency = int(returned[-1]), [latency for _, latency in part]
        batches.append(calls(time_ns=returned - np.maximum(latency, 0), latency_ns=latency))
    found = LatencyTab("stats").look(sight_of(Still(rows, batches), Window()), LatencyView())
    assert found is not None
    total = sum(map(len, parts))
    assert found.calls == total
    timed_ = sum(latency >= 0 for part in parts for _, latency in part)
    assert found.latency.sum() == found.heat["latency"].sum() == timed_
    if total <= rows:
        assert found.by_second == 0


def test_going_back_and_forward_arrives_where_it_began() -> None:
    latest = 100 * SECOND
    window = Window(10).earlier(latest)
    assert window == Window(10, 90 * SECOND)
    assert window.earlier(latest) == Window(10, 80 * SECOND)
    assert window.earlier(latest).later(latest) == window
    assert window.later(latest) == Window(10)
    assert Window(10).later(latest) == Window(10)
    assert Window().earlier(latest).span_s == 10


def test_windows_grow_and_the_longest_is_everything() -> None:
    window, spans = Window(), []
    for _ in range(4):
        window = window.longer()
        spans.append(window.span_s)
    assert spans == [10, 60, 300, 0]
    assert Window(300, 5).longer() == Window()


def looking(
    *events: Event | Action, size: tuple[int, int] = (80, 24), tab: AnyTab | None = None
) -> State:
    """Look at a tab, Files without one, after the events, with what there is to see then."""
    opened = (Resized(*size), Started(0, (tab or FilesTab("stats"),)))
    first = Picture(Look(None), ledger(), 100 * SECOND, latest_ns=99 * SECOND)
    state = after(*opened, Tick(first), *events, state=State(title="x"))
    run, spec = Still(), parse(STAGES, directory=Path(), label="still")
    chosen = Chosen(state.where, state.window)
    sight = Sight(run, Nodes(run, spec), 100 * SECOND, chosen, Trend())
    front = state.front
    assert front is not None
    look = Look(front.tab.look(sight, front.view), sight.matched)
    facts = {"latest_ns": sight.latest_ns, "retained_ns": sight.retained_ns}
    return after(Tick(Picture(look, ledger(), 100 * SECOND, **facts)), state=state)


def screen(state: State) -> list[str]:
    body = [frame.body(state, row) for row in range(state.body_rows)]
    lines = [*frame.head(state), *body, *frame.foot(state)]
    return ["".join(text for _, text in line) for line in lines]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("keys", [[], [Action.WINDOW], [Action.EARLIER], [Action.PAUSE]])
def test_every_window_fills_the_screen_exactly(size: tuple[int, int], keys: list[Action]) -> None:
    found = screen(looking(*keys, size=size))
    assert [width(line) for line in found] == [size[0]] * size[1]


def test_the_screen_says_which_window_and_of_what_it_is_made() -> None:
    found = screen(looking(Action.WINDOW))
    assert found[3].startswith(" window 10 s until now")
    assert found[3].rstrip().endswith("added up by the second")
    assert "/file9" in found[5]
    assert "10 /s" in found[5]
    assert "rows 1:39" in found[0]


@pytest.mark.parametrize(
    ("rows", "columns", "said"),
    [
        (10_000, 200, "1,000 calls in 99.1 s, 1 s a cell, rows"),
        (500, 200, "1,000 calls in 100 s, 1 s a cell, rows for 48.1 s, before that by the second"),
        (500, 80, "1,000 in 100 s, rows 48.1 s"),
        (10_000, 80, "1,000 calls in 99.1 s, rows"),
    ],
)
def test_the_heading_says_what_is_rows(rows: int, columns: int, said: str) -> None:
    sight, tab = sight_of(Still(rows), Window()), LatencyTab("stats")
    found = tab.look(sight, LatencyView())
    assert found is not None
    view, shown = tab.arrange(tab.begin, found, Size(columns, 20), None)
    line = "".join(text for _, text in tab.line(view, shown, 0))
    assert line.rstrip().endswith(said)
    assert width(line) == columns


def test_the_screen_says_of_what_latencies_are_made() -> None:
    found = screen(looking(Action.WINDOW, tab=LatencyTab("stats")))
    assert found[3].rstrip().endswith("of the retained rows")
    assert "100 calls in 9.1 s, rows" in found[4]


def test_the_screen_says_how_far_back_it_looks_and_how_to_return() -> None:
    back = looking(Action.EARLIER, Action.EARLIER)
    assert " window 10 s until 0:20 ago, 0 returns" in screen(back)[3]
    assert looking(Action.EARLIER, Action.LATER).window == Window(10)
    assert looking(Action.EARLIER, Action.LIVE).window == Window()


def test_nobody_looks_back_beyond_the_first_call() -> None:
    back = looking(*[Action.EARLIER] * 30)
    assert back.picture is not None
    assert back.window.end_ns is not None
    before_ns = back.picture.latest_ns - back.window.end_ns
    assert 0 < back.shown_ns - before_ns <= 10 * SECOND
    assert back.message is not None
    assert back.message.message == "there is no call before that"


def test_one_returns_to_what_goes_on_also_from_a_pause() -> None:
    held = looking(Action.PAUSE, Action.EARLIER, Action.LIVE)
    assert (held.paused, held.window, held.message) == (False, Window(), None)
    later = looking(Action.PAUSE, Action.LATER).message
    assert later is not None
    assert later.message == "the picture is held: Space or 0 goes on"


def test_another_window_is_looked_at_also_while_paused() -> None:
    state = looking(Action.WINDOW)
    held = after(Action.PAUSE, state=state)
    assert held.look is not None
    moved = after(Action.EARLIER, state=held)
    assert moved.look is None
    assert moved.looks_at != held.looks_at


@pytest.mark.parametrize(("rows", "seconds"), [(300, 29), (10_000, 99), (10, 0), (15, 1)])
def test_the_span_of_the_retained_rows_is_from_their_first_end_to_their_last(
    rows: int, seconds: int
) -> None:
    _, sight = seen(Window(), rows=rows)
    retained = sight.rows()
    assert retained is not None
    ends = np.concatenate(
        [b["time_ns"].astype(np.int64) + np.maximum(b["latency_ns"], 0) for b in retained.batches]
    )
    assert len(ends) == min(rows, 1000)
    assert sight.retained_ns == ends[-1] - ends[0]
    assert abs(ends[-1] - ends[0] - seconds * SECOND) < 20_000
