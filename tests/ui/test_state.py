"""The reducer: what keys and ticks make of the state, without a screen."""

from __future__ import annotations

from emulated import FIELDS, NAMES, ledger, picture, table
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ior.snapshots import Field, Table
from ior.stages.stats import Totals
from ior.ui.events import (
    Ended,
    Event,
    FilterEdited,
    Matched,
    Noted,
    Picture,
    Pressed,
    Resized,
    Started,
    Tick,
)
from ior.ui.grid import columns_shown
from ior.ui.keys import KEYS, Action, Mode
from ior.ui.state import MESSAGE_NS, NOTES, Phase, State, reduce

SECOND = 1_000_000_000


def after(*events: Event | Action, state: State | None = None) -> State:
    state = state or State(title="dd")
    for event in events:
        state = reduce(state, Pressed(event) if isinstance(event, Action) else event)
    return state


def running(*events: Event | Action, rows: int = 30) -> State:
    return after(Started(0, ("Syscalls", "Files")), Tick(picture(rows=rows)), *events)


def shown(state: State) -> list[str]:
    assert state.grid is not None
    return [row[0] for row in state.grid.rows]


def test_a_run_starts_ticks_and_ends() -> None:
    state = State(title="dd")
    assert state.phase is Phase.STARTING
    state = after(Started(5 * SECOND, ("Syscalls",)), Tick(picture(7)), state=state)
    assert (state.phase, state.elapsed_ns) == (Phase.RUNNING, 2 * SECOND)
    state = after(Ended(picture(9, calls=600_000)), state=state)
    assert (state.phase, state.over, state.elapsed_ns) == (Phase.ENDED, True, 4 * SECOND)
    assert state.rates.calls == 150_000
    assert state.quits == 0


def test_looking_around_after_the_end_takes_no_time() -> None:
    state = running(Ended(picture(2)), Tick(picture(60)))
    assert (state.phase, state.elapsed_ns) == (Phase.ENDED, 2 * SECOND)


def test_a_failed_run_keeps_the_picture_and_says_why() -> None:
    state = running(Ended(picture(1), "stage 'slow': boom"))
    assert (state.phase, state.error) == (Phase.FAILED, "stage 'slow': boom")
    assert shown(state)[0] == "read"


def test_calls_per_second_are_of_the_last_second() -> None:
    state = running(*(Tick(picture(i / 4, calls=i * 1000)) for i in range(1, 9)))
    assert state.rates.calls == 4000
    state = after(Tick(picture(2.5, calls=8000)), state=state)
    assert state.rates.calls == 2000


def test_calls_per_second_with_ticks_further_apart_than_a_second() -> None:
    state = running(Tick(picture(5, calls=500_011)), Tick(picture(10, calls=1_000_011)))
    assert state.rates.calls == 100_000


def test_quit_is_counted_and_says_stopping() -> None:
    state = running(Action.QUIT)
    assert (state.quits, state.phase) == (1, Phase.STOPPING)
    assert after(Action.QUIT, state=state).quits == 2
    assert running(Ended(picture()), Action.QUIT).phase is Phase.ENDED


def test_the_table_keeps_its_own_order_until_it_is_sorted() -> None:
    assert shown(running())[:3] == list(NAMES[:3])


def test_sort_goes_through_the_columns_and_back_to_the_own_order() -> None:
    state = running(Action.SORT)
    assert state.sort.field == "syscall"
    assert shown(state) == sorted(shown(state))
    for field in FIELDS[1:]:
        state = after(Action.SORT, state=state)
        assert state.sort.field == field.name
        assert state.grid is not None
        column = [row[FIELDS.index(field)] for row in state.grid.rows]
        assert column == sorted(column, reverse=True)
    state = after(Action.SORT, state=state)
    assert state.sort.field is None
    assert shown(state)[:3] == list(NAMES[:3])


def test_the_sorted_column_is_in_sight_at_any_width() -> None:
    for columns in (40, 60, 80, 200):
        state = running(Resized(columns, 24))
        for i in range(len(FIELDS)):
            state = after(Action.SORT, state=state)
            assert state.grid is not None
            assert i in dict(columns_shown(state.grid, state.first_column, columns))


def test_reverse_turns_the_order_and_empty_cells_stay_last() -> None:
    rows = (("a", 1), ("b", None), ("c", 3))
    small = Table("t", (Field("name", "text"), Field("calls", "count")), rows)
    state = after(Tick(Picture(small, ledger(), 0)), Action.SORT, Action.SORT)
    assert shown(state) == ["c", "a", "b"]
    assert shown(after(Action.REVERSE, state=state)) == ["a", "c", "b"]
    assert shown(after(Tick(Picture(small, ledger(), 0)), Action.REVERSE)) == ["c", "b", "a"]


def test_the_cursor_stays_on_its_row_when_the_order_changes() -> None:
    state = running(Action.DOWN, Action.DOWN)
    assert state.grid is not None
    assert state.grid.rows[state.cursor][0] == "openat"
    turned = replace(table(30), rows=table(30).rows[::-1])
    state = after(Tick(Picture(turned, ledger(), SECOND)), state=state)
    assert state.grid is not None
    assert (state.cursor, state.grid.rows[state.cursor][0]) == (27, "openat")
    assert state.top <= 27 < state.top + state.page


def test_the_first_row_is_followed_and_not_its_name() -> None:
    state = running(Action.DOWN, Action.FIRST)
    turned = replace(table(30), rows=table(30).rows[::-1])
    assert after(Tick(Picture(turned, ledger(), SECOND)), state=state).cursor == 0


def test_paging_moves_by_what_is_visible() -> None:
    state = running(Resized(80, 24))
    assert state.page == 24 - 3 - 2 - 1
    state = after(Action.PAGE_DOWN, state=state)
    assert state.cursor == state.page
    state = after(Action.LAST, state=state)
    assert (state.cursor, state.top) == (29, 30 - state.page)
    assert after(Action.PAGE_UP, Action.PAGE_UP, state=state).cursor == 0


def test_columns_scroll_and_stop_at_the_last() -> None:
    state = running(*[Action.RIGHT] * 50)
    assert state.first_column == len(FIELDS) - 2
    assert after(*[Action.LEFT] * 50, state=state).first_column == 0


def test_a_filter_is_edited_and_applied() -> None:
    state = running(Action.FILTER)
    assert state.mode is Mode.PROMPT
    state = after(FilterEdited(" bytes > 4KiB "), Action.ACCEPT, state=state)
    assert state.mode is Mode.TABLE
    assert state.where is not None
    assert state.where.source == "bytes > 4KiB"
    state = after(Action.FILTER, state=state)
    assert state.prompt is not None
    assert state.prompt.text == "bytes > 4KiB"
    state = after(FilterEdited("  "), Action.ACCEPT, state=state)
    assert state.where is None


def test_a_wrong_filter_stays_in_the_prompt_with_its_place() -> None:
    text = "  latency >= 1 parsec"
    state = running(Action.FILTER, FilterEdited(text), Action.ACCEPT)
    assert state.prompt is not None
    assert state.prompt.error
    assert text[state.prompt.start : state.prompt.end].strip() in text[state.prompt.start :]
    assert "parsec" in text[state.prompt.start : state.prompt.end]
    assert state.where is None
    state = after(FilterEdited("latency >= 1ms"), state=state)
    assert state.prompt is not None
    assert state.prompt.error == ""


def test_escape_leaves_the_prompt_and_the_filter_as_it_was() -> None:
    state = running(Action.FILTER, FilterEdited("is_error"), Action.ACCEPT)
    where = state.where
    state = after(Action.FILTER, FilterEdited("nonsense"), Action.CANCEL, state=state)
    assert (state.prompt, state.where) == (None, where)


def test_tabs_turn_and_begin_anew() -> None:
    state = running(Action.DOWN, Action.SORT, Action.NEXT_TAB)
    assert (state.tab, state.cursor, state.sort.field, state.grid) == (1, 0, None, None)
    assert after(Action.NEXT_TAB, state=state).tab == 0
    assert running(Action.PREVIOUS_TAB).tab == 1


def test_a_message_goes_after_a_while() -> None:
    state = running(Noted("kernel: ring full", SECOND))
    assert state.message is not None
    assert after(Tick(picture(2)), state=state).message is not None
    late = Picture(table(1), ledger(), 2 * SECOND + MESSAGE_NS)
    assert after(Tick(late), state=state).message is None


def test_help_scrolls_within_its_lines() -> None:
    state = running(Resized(60, 15), Action.HELP, *[Action.DOWN] * 100)
    assert state.mode is Mode.HELP
    assert state.over_top == len(KEYS) - state.body_rows
    assert (state.cursor, after(Action.FIRST, state=state).over_top) == (0, 0)
    assert after(Action.CANCEL, state=state).mode is Mode.TABLE


def test_warnings_are_kept_and_counted_and_shown_instead_of_the_table() -> None:
    state = running(*[Noted(f"ring {i}", i * SECOND) for i in range(NOTES + 5)])
    assert (state.noted, len(state.notes), state.notes[0].message) == (NOTES + 5, NOTES, "ring 5")
    state = after(Resized(60, 15), Action.WARNINGS, *[Action.DOWN] * 500, state=state)
    assert state.mode is Mode.WARNINGS
    assert state.over_top == NOTES - state.body_rows
    assert after(Action.HELP, state=state).mode is Mode.HELP
    assert after(Action.WARNINGS, state=state).mode is Mode.TABLE
    assert after(Action.CANCEL, state=state).mode is Mode.TABLE


def test_a_number_goes_to_its_tab_and_nowhere_where_there_is_none() -> None:
    state = running(Action.DOWN, Pressed(Action.TAB, 1))
    assert (state.tab, state.cursor, state.grid) == (1, 0, None)
    assert after(Pressed(Action.TAB, 7), state=state) == state


def test_rates_are_of_the_last_second_then_of_the_whole() -> None:
    state = running()
    for i in range(1, 5):
        seen = Totals(calls=i, errors=3 * i, bytes=1000 * i)
        shown = Picture(table(1), ledger(i * 10), i * SECOND, None, seen, i * SECOND // 10)
        state = after(Tick(shown), state=state)
    assert (state.rates.calls, state.rates.errors, state.rates.bytes) == (10, 3, 1000)
    assert state.rates.cpu == 0.1
    over = after(Ended(shown), state=state)
    assert (over.rates.calls, over.rates.errors, over.rates.bytes) == (10, 3, 1000)


def test_every_action_has_a_key() -> None:
    assert {key.action for key in KEYS} == set(Action)


EVENTS = st.one_of(
    st.sampled_from(Action).map(Pressed),
    st.builds(Resized, st.integers(1, 250), st.integers(1, 80)),
    st.builds(lambda s, n: Tick(picture(s, rows=n)), st.integers(0, 9), st.integers(0, 60)),
    st.builds(
        lambda n: Tick(Picture(table(n, rest=True), ledger(), 0, Matched(n, 60))),
        st.integers(0, 60),
    ),
    st.sampled_from(["", "is_error", "bytes >", "comm == 'x'", "ü" * 300]).map(FilterEdited),
    st.just(Ended(picture(3), "boom\nbang")),
    st.just(Started(0, ("Syscalls", "Files", "x" * 90))),
    st.just(Noted("\x1b[2J" * 60, 0)),
)


@given(st.lists(EVENTS, max_size=40))
def test_cursor_and_scroll_are_always_inside(events: list[Event]) -> None:
    state = after(*events)
    rows = len(state.grid.rows) if state.grid else 0
    assert 0 <= state.cursor <= max(0, rows - 1)
    assert state.top <= state.cursor < state.top + state.page
    assert state.rows < 10 or state.head_rows + state.body_rows + state.foot_rows == state.rows
