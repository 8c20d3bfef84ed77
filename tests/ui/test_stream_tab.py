"""The Stream tab: which rows stand where, what keys make of them, filters made of cells."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from emulated import SIZES, ledger
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import wired
from test_flame import after

from ior.calls import Batch, Column
from ior.expr import compile_filter
from ior.names import Names
from ior.pipeline.ledger import Ledger
from ior.pipeline.pace import NodeTimes
from ior.pipeline.spec import parse
from ior.snapshots import Snapshot
from ior.stages.stream import Stream, StreamConfig
from ior.testing import VirtualClock, calls
from ior.text import width
from ior.ui import frame
from ior.ui.cells import first_shown, shown_from
from ior.ui.events import Event, Look, Picture, Resized, Started, Tick
from ior.ui.keys import Action
from ior.ui.nodes import Nodes
from ior.ui.notes import Noted
from ior.ui.sight import Chosen, Sight
from ior.ui.state import State
from ior.ui.stream.columns import COLUMNS, columns_of, when
from ior.ui.stream.rows import Rows, rows_of
from ior.ui.tabs.abc import Clicked
from ior.ui.tabs.stream import StreamTab
from ior.ui.tabs.streammoves import StreamLayout, StreamView
from ior.ui.trend import Trend
from ior.ui.viewer import Viewer
from ior.ui.window import Window
from ior.ui.wishes import Copy

SECOND = 1_000_000_000
SPEC = wired("stream")
FILES = ("/etc/hosts", "/etc/passwd", "/var/lib/a file.db", 'say "x"', "/日本語/長い")


def some(count: int = 100, first: int = 0, names: Names | None = None) -> Batch:
    """Make calls, ten a second, each known by its `ret`."""
    number = np.arange(first, first + count)
    return calls(
        names=names or Names(),
        seq=number,
        time_ns=number * SECOND // 10,
        latency_ns=1000 + number,
        ret=np.where(number % 10 == 9, -2, number),
        comm=[f"worker{i % 3}" for i in number],
        pid=100 + number % 3,
        syscall=[("read", "openat", "close")[i % 3] for i in number],
        file=[FILES[i % 5] for i in number],
        fd=np.where(number % 10 == 9, -1, 3),
    )


class Still:
    """A run whose stream stands still."""

    def __init__(
        self, *batches: Batch, rows: int = 10_000, snapshot: Snapshot | None = None
    ) -> None:
        stage = Stream(StreamConfig(rows=rows))
        for batch in batches:
            stage.process(batch)
        self._answer = snapshot or stage.snapshot()

    def snapshot(self, name: str) -> Snapshot:
        assert name == "stream"
        return self._answer

    def ledger(self) -> Ledger:
        return ledger()

    def times(self) -> dict[str, NodeTimes]:
        return {}


def look(
    run: Still, where: str = "", window: Window | None = None, notes: tuple[Noted, ...] = ()
) -> tuple[Rows, Look]:
    spec = parse(SPEC, directory=Path(), label="still")
    chosen = Chosen(compile_filter(where) if where else None, window or Window(), notes)
    sight = Sight(run, Nodes(run, spec), 100 * SECOND, chosen, Trend())
    found = rows_of(sight)
    assert found is not None
    return found, Look(found, sight.matched)


def tick(run: Still, where: str = "", notes: tuple[Noted, ...] = ()) -> Tick:
    return Tick(Picture(look(run, where, notes=notes)[1], ledger(), SECOND))


def showing(
    *events: Event | Action,
    size: tuple[int, int] = (80, 24),
    run: Still | None = None,
    notes: tuple[Noted, ...] = (),
) -> State:
    state = after(Resized(*size), Started(0, (StreamTab(),)), state=State(title="x"))
    return after(tick(run or Still(some()), notes=notes), *events, state=state)


def view(state: State) -> StreamView:
    assert state.front is not None
    assert isinstance(state.front.view, StreamView)
    return state.front.view


def layout(state: State) -> StreamLayout:
    assert isinstance(state.layout, StreamLayout)
    return state.layout


def lines(state: State) -> list[str]:
    body = [frame.body(state, row) for row in range(state.body_rows)]
    return ["".join(text for _, text in line) for line in body]


def returned(rows: Rows) -> list[int]:
    """Return the numbers of the rows that are shown."""
    return [rows.place(row).number for row in range(rows.count)]


def under(state: State) -> tuple[int, str]:
    """Return the number of the row under the cursor, and the column."""
    at = view(state).at
    assert at is not None
    return at, layout(state).listing.columns[view(state).column].title


# --- which rows there are ------------------------------------------------------------------


def test_rows_keep_their_numbers_while_older_ones_go() -> None:
    rows, _ = look(Still(some(100), some(100, 100), rows=50))
    assert returned(rows) == list(range(150, 200))
    assert (rows.nearest(0), rows.nearest(170), rows.nearest(999)) == (0, 20, 49)


@pytest.mark.parametrize(
    ("where", "window", "expected"),
    [
        ("", Window(), range(200)),
        ("is_error", Window(), range(9, 200, 10)),
        ("", Window(10), range(100, 200)),
        ("is_error", Window(10), range(109, 200, 10)),
        ("is_error", Window(10, 9 * SECOND + 1), range(9, 100, 10)),
    ],
)
def test_filter_and_window_choose_rows(where: str, window: Window, expected: range) -> None:
    rows, seen = look(Still(some(90), some(110, 90)), where, window)
    assert returned(rows) == list(expected)
    assert seen.matched is not None
    assert (seen.matched.rows, seen.matched.retained) == (len(expected), 200)
    for number in (0, 9, 10, 150, 199):
        place = rows.place(rows.nearest(number)).number
        assert place == min((n for n in expected if n >= number), default=expected[-1])


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=6),
    st.lists(st.integers(0, 240), max_size=6),
    st.sampled_from(["", "is_error", "pid == 101"]),
    st.integers(1, 100),
)
def test_every_line_is_a_row_or_a_warning_in_the_order_in_which_they_came(
    sizes: list[int], came: list[int], where: str, kept: int
) -> None:
    firsts = np.cumsum([0, *sizes]).tolist()
    run = Still(*(some(n, k) for n, k in zip(sizes, firsts, strict=False)), rows=kept)
    notes = tuple(Noted(str(row), 0, row=row) for row in sorted(min(r, sum(sizes)) for r in came))
    rows, _ = look(run, where, notes=notes)
    oldest = max(0, sum(sizes) - kept)
    seen = [rows.at(line) for line in range(rows.lines)]
    order = [(rows.place(one).number, 1) if isinstance(one, int) else (one.row, 0) for one in seen]
    assert order == sorted(order)
    assert [one for one in seen if isinstance(one, int)] == list(range(rows.count))
    assert sum(not isinstance(one, int) for one in seen) == sum(n.row >= oldest for n in notes)
    for row in range(rows.count):
        assert rows.at(rows.line_of(row)) == row


# --- the list ------------------------------------------------------------------------------


def test_the_latest_row_is_the_last_line_and_goes_on() -> None:
    state = showing()
    found = lines(state)
    assert found[0].startswith("time         command      pid syscall")
    assert found[-2].split()[1:4] == ["worker0", "100", "read"]
    assert found[-2].split()[-3:] == ["ENOENT", "1.10", "us"]
    assert "the latest of 100 rows" in found[-1]
    state = after(tick(Still(some(101))), state=state)
    assert "worker1" in lines(state)[-2]


def test_on_a_wide_terminal_paths_have_room_before_what_is_mostly_empty() -> None:
    shown = {
        columns: dict(layout(showing(size=(columns, 24))).listing.shown)
        for columns in (120, 200, 400)
    }
    named = [column.title for column in layout(showing()).listing.columns]
    cells = [some[named.index("file")] for some in shown.values()]
    assert cells[0] >= 32
    assert cells[1] >= 50
    assert cells[2] >= 100


def test_space_stops_and_space_goes_on() -> None:
    state = showing(Action.PAUSE)
    assert (state.paused, under(state)) == (True, (99, "time"))
    held = after(tick(Still(some(200))), state=state)
    assert lines(held) == lines(state)
    state = after(Action.PAUSE, tick(Still(some(200))), state=held)
    assert (state.paused, view(state).at) == (False, None)
    assert "200 rows" in lines(state)[-1]


def test_the_present_is_followed_again() -> None:
    for stopped in (showing(Action.UP, Action.UP), showing(Action.UP, Action.VIEW)):
        assert view(stopped).at is not None
        state = after(Action.LIVE, state=stopped)
        assert (state.paused, view(state).at, view(state).opened) == (False, None, False)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ([Action.UP], 98),
        ([Action.UP, Action.UP, Action.DOWN], 98),
        ([Action.FIRST], 0),
        ([Action.FIRST, Action.DOWN, Action.DOWN], 2),
        ([Action.FIRST, Action.LAST], 99),
        ([Action.PAGE_UP], 80),
        ([Action.PAGE_UP, Action.PAGE_DOWN], 99),
        ([Action.FIRST, Action.PAGE_DOWN], 19),
    ],
)
def test_moving_stops_the_stream(keys: list[Action], expected: int) -> None:
    state = showing(*keys)
    page = layout(state).listing.size.rows - 2
    assert page == 17
    expected = {80: 99 - page, 19: page}.get(expected, expected)
    assert (state.paused, under(state)[0]) == (True, expected)
    assert f"row {expected + 1} of 100" in lines(state)[-1]


def test_sideways_scrolls_the_columns_and_goes_on() -> None:
    state = showing(*[Action.RIGHT] * 8)
    assert (state.paused, view(state).at) == (False, None)
    assert "asked for" in lines(state)[0]
    assert lines(state)[0].startswith("time ")
    assert "command" not in lines(state)[0]
    state = after(*[Action.LEFT] * 8, state=state)
    assert "command" in lines(state)[0]


def test_every_column_comes_into_sight() -> None:
    state = showing(Action.UP)
    for column in COLUMNS:
        assert under(state)[1] == column.title
        at = [i for i, _ in layout(state).listing.shown]
        assert view(state).column in at
        state = after(Action.RIGHT, state=state)


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=20),
    st.integers(0, 25),
    st.integers(0, 19),
    st.integers(20, 200),
    st.integers(0, 1),
)
def test_the_column_under_the_cursor_is_in_sight(
    widths: list[int], first: int, cursor: int, room: int, held: int
) -> None:
    cursor = min(cursor, len(widths) - 1)
    held = min(held, len(widths) - 1)
    if sum(widths[:held]) + held + widths[cursor] > room:
        return
    found = first_shown(widths, first, cursor, room, held=held)
    shown = shown_from(widths, found, room, held=held)
    assert cursor in shown
    assert sum(widths[i] for i in shown) + len(shown) - 1 <= room


def test_a_row_that_was_let_go_gives_its_place_to_the_oldest() -> None:
    state = msgspec.structs.replace(showing(Action.FIRST), paused=False)  # elsewhere, by Space
    state = after(tick(Still(some(100), some(100, 100), rows=20)), state=state)
    assert under(state)[0] == 180
    assert "row 1 of 20" in lines(state)[-1]


def test_warnings_stand_between_the_rows_where_they_came() -> None:
    notes = (
        Noted("the ring was full", 5 * SECOND, row=98),
        Noted("stage broke", 6 * SECOND, bad=True, row=100),
    )
    state = showing(notes=notes)
    found = lines(state)
    assert "── error: stage broke" in found[-2]
    assert "── warning: the ring was full" in found[-5]
    assert found[-5].startswith(when(5 * SECOND, 1_700_000_000 * SECOND)[:12])
    state = after(Action.UP, Action.UP, state=state)
    assert under(state)[0] == 97  # the cursor goes from call to call
    assert "error: stage broke" in lines(after(Action.LAST, state=state))[-2]


def test_warnings_are_seen_though_a_filter_hides_every_row() -> None:
    run, notes = Still(some()), (Noted("lost 3", SECOND, row=50),)
    state = showing(run=run)
    state = after(tick(run, "ret == 12345", notes), state=state)
    assert "warning: lost 3" in lines(state)[1]
    assert "there are no rows" in str(after(Action.UP, state=state).message)


def test_a_held_picture_is_of_one_moment_whatever_is_looked_at() -> None:
    class Moving(Still):
        def snapshot(self, name: str) -> Snapshot:
            self.count = getattr(self, "count", 0) + 100
            return Still(some(self.count)).snapshot(name)

    viewer = Viewer(Moving(), parse(SPEC, directory=Path(), label="moving"), VirtualClock())
    tab, errors = StreamTab(), Chosen(compile_filter("is_error"))
    live = [viewer.look(tab, tab.begin, Chosen()).seen.count for _ in range(2)]
    assert live[1] > live[0]
    held = viewer.look(tab, tab.begin, errors, held=True)
    assert held.seen.count == live[1] // 10
    assert viewer.look(tab, tab.begin, Chosen(), held=True).seen.count == live[1]
    assert viewer.look(tab, tab.begin, errors).seen.count > held.seen.count


# --- filters of cells ----------------------------------------------------------------------

TERMS = {
    "time": "time >= 9700000000ns",
    "command": 'comm == "worker1"',
    "pid": "pid == 101",
    "syscall": "syscall == openat",
    "file": 'file == "/var/lib/a file.db"',
    "result": "ret == 97",
    "latency": "latency >= 1us and latency < 2us",
    "bytes": "bytes == 97",
    "fd": "pid == 101 and fd == 3",
    "tid": "tid == 101",
    "family": "family == FS",
}


@pytest.mark.parametrize("title", TERMS)
def test_enter_filters_by_the_cell(title: str) -> None:
    right = [column.title for column in COLUMNS].index(title)
    state = showing(Action.UP, Action.UP, *[Action.RIGHT] * right)
    assert under(state) == (97, title)
    filtered = after(Action.DRILL, state=state)
    assert filtered.terms == (TERMS[title],)
    where = compile_filter(TERMS[title])
    assert where(some())[97]  # the row matches its own filter
    once = after(tick(Still(some()), TERMS[title]), state=filtered)
    assert under(once)[0] == 97  # and the cursor stays on it


def test_enter_on_an_empty_cell_says_so() -> None:
    right = [column.title for column in COLUMNS].index("restarts")
    state = after(Action.DRILL, state=showing(Action.UP, *[Action.RIGHT] * right))
    assert state.terms == ()
    assert "it is empty" in str(state.message)


def test_a_column_of_a_stage_of_ones_own_is_shown_but_is_no_filter() -> None:
    batch = some().with_columns(
        {Column("score", "f8", "float", "made up"): np.arange(100, dtype=float)}
    )
    titles = [column.title for column in columns_of(batch.schema)]
    assert titles[-1] == "score"
    state = showing(Action.UP, *[Action.RIGHT] * (len(titles) - 1), run=Still(batch))
    assert "98.0" in lines(state)[-1]
    state = after(Action.DRILL, state=state)
    assert state.terms == ()
    assert "unknown field 'score'" in str(state.message)


@pytest.mark.parametrize("file", FILES)
def test_a_file_filters_whatever_its_name(file: str) -> None:
    number = 90 + FILES.index(file)
    right = [column.title for column in COLUMNS].index("file")
    state = showing(*[Action.UP] * (99 - number), *[Action.RIGHT] * right)
    state = after(Action.UP, state=state)  # the last row is an error
    (term,) = after(Action.DOWN, Action.DRILL, state=state).terms
    expected = [i for i in range(100) if FILES[i % 5] == file]
    assert np.flatnonzero(compile_filter(term)(some())).tolist() == expected


def test_enter_while_the_latest_are_followed_selects_first() -> None:
    state = showing(Action.DRILL)
    assert (state.terms, state.paused, under(state)[0]) == ((), True, 99)


# --- copying, clicking, exporting ----------------------------------------------------------


def test_y_copies_the_row() -> None:
    state = showing(Action.UP, Action.COPY)
    assert isinstance(state.wish, Copy)
    time, *cells = state.wish.text.split("  ")
    assert time == when(9_800_000_000, 1_700_000_000 * SECOND)
    assert cells[:5] == ["worker2", "102", "close", FILES[3], "98"]


def test_a_click_selects_a_cell_and_a_second_one_filters_by_it() -> None:
    state = showing(Clicked(30, 3))
    assert state.paused
    assert under(state) == (85, "syscall")
    assert after(Clicked(30, 3), state=state).terms == ("syscall == openat",)
    assert after(Clicked(30, 0), state=state) == state


def test_the_export_has_the_rows_that_are_shown_and_every_column() -> None:
    state = showing()
    state = after(tick(Still(some()), "is_error"), state=state)
    assert state.front is not None
    text = "".join(state.front.tab.export(view(state), layout(state)))
    rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(text)))
    assert [int(row["seq"]) for row in rows] == list(range(9, 100, 10))
    assert {row["errno"] for row in rows} == {"2"}
    assert rows[0]["file"] == FILES[4]


# --- the screen ----------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.sampled_from(sorted({key.action for key in StreamTab.keys} - {Action.DRILL}))
        | st.builds(Clicked, st.integers(0, 90), st.integers(0, 40)),
        max_size=20,
    ),
    st.integers(40, 220),
    st.integers(10, 70),
    st.lists(st.integers(0, 100), max_size=3),
)
def test_every_line_is_as_wide_as_the_terminal(
    events: list[Event | Action], columns: int, rows: int, came: list[int]
) -> None:
    notes = tuple(Noted("warned \x1b[2J 日本", 0, row=row) for row in came)
    state = showing(*events, size=(columns, rows), notes=notes)
    assert {width(line) for line in lines(state)} == {columns}
    if state.layout is None:  # another filter, whose picture is yet to come
        return
    row = layout(state).listing.row
    if row is not None and layout(state).page is None:
        seen = layout(state).listing.lines
        assert any(getattr(one, "row", None) == row for one in seen)


@pytest.mark.parametrize("size", SIZES[1:])
def test_nothing_to_see(size: tuple[int, int]) -> None:
    state = showing(run=Still(), size=size)
    assert "no calls" in lines(state)[1]
    for key in StreamTab.keys:
        assert {width(line) for line in lines(after(key.action, state=state))} == {size[0]}


@pytest.mark.parametrize("raw", ["\x1b[31mred", "a\nb", "\u202egnp.exe", "\ud800", "x" * 5000])
def test_hostile_text_reaches_no_cell(raw: str) -> None:
    batch = calls(names=Names(), comm=[raw] * 30, file=[raw] * 30, syscall=["read"] * 30)
    for keys in ([], [Action.UP, Action.RIGHT], [Action.VIEW]):
        for line in lines(showing(*keys, run=Still(batch))):
            assert not any(ord(c) < 32 or c in "\u202e\ud800" for c in line)
            assert width(line) == 80
