"""The reducer: what keys and ticks make of the state, without a screen."""

from __future__ import annotations

from emulated import FIELDS, NAMES, ledger, picture, table, tabs, tick
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ior.host.tail import Tail
from ior.snapshots import Field, Table
from ior.stages.stats import Totals
from ior.ui.events import (
    Ended,
    Event,
    Look,
    Picture,
    PromptEdited,
    Resized,
    Started,
    Tick,
    Unbound,
)
from ior.ui.grid import columns_shown
from ior.ui.keys import Action, Mode, Pressed
from ior.ui.notes import ANSWER_NS, Noted, Said
from ior.ui.reducer import MESSAGE_NS, NOTES, reduce
from ior.ui.sight import Matched
from ior.ui.state import Phase, State
from ior.ui.tabs.abc import Clicked, Size
from ior.ui.tabs.catalogue import CHAPTERS
from ior.ui.tabs.output import OutputTab
from ior.ui.tabs.table import TableLayout, TableView
from ior.ui.tabs.texts import TextLayout, TextView, help_lines

SECOND = 1_000_000_000


def after(*events: Event | Action, state: State | None = None) -> State:
    state = state or reduce(State(title="dd"), Started(0, tabs("Syscalls", "Files")))
    for event in events:
        state = reduce(state, Pressed(event) if isinstance(event, Action) else event)
    return state


def running(*events: Event | Action, rows: int = 30) -> State:
    return after(Tick(picture(rows=rows)), *events)


def view(state: State) -> TableView:
    assert state.front is not None
    assert isinstance(state.front.view, TableView)
    return state.front.view


def layout(state: State) -> TableLayout:
    assert isinstance(state.layout, TableLayout)
    return state.layout


def shown(state: State) -> list[str]:
    return [row[0] for row in layout(state).grid.rows]


def test_a_run_starts_ticks_and_ends() -> None:
    state = State(title="dd")
    assert state.phase is Phase.STARTING
    state = after(Started(5 * SECOND, tabs("Syscalls")), Tick(picture(7)), state=state)
    assert (state.phase, state.elapsed_ns) == (Phase.RUNNING, 2 * SECOND)
    state = after(Ended(picture(9, calls=600_000)), state=state)
    assert (state.phase, state.is_over, state.elapsed_ns) == (Phase.ENDED, True, 4 * SECOND)
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


def test_two_pictures_one_right_after_the_other_are_no_rate() -> None:
    state = running(*(Tick(picture(i * 1.5, calls=i * 1500)) for i in range(1, 4)))
    state = after(Tick(picture(4.52, calls=4600)), state=state)  # a key made it be taken
    assert round(state.rates.calls) == 1053  # since 3 s, and not 5000 since 4.5


def test_quit_is_counted_and_says_stopping() -> None:
    state = running(Action.QUIT)
    assert (state.quits, state.phase) == (1, Phase.STOPPING)
    assert after(Action.QUIT, state=state).quits == 2
    assert running(Ended(picture()), Action.QUIT).phase is Phase.ENDED


def test_the_table_keeps_its_own_order_until_it_is_sorted() -> None:
    assert shown(running())[:3] == list(NAMES[:3])


def test_sort_goes_through_the_columns_and_back_to_the_own_order() -> None:
    state = running(Action.SORT)
    assert view(state).sort.field == "syscall"
    assert shown(state) == sorted(shown(state))
    for field in FIELDS[1:]:
        state = after(Action.SORT, state=state)
        assert view(state).sort.field == field.name
        column = [row[FIELDS.index(field)] for row in layout(state).grid.rows]
        assert column == sorted(column, reverse=True)
    state = after(Action.SORT, state=state)
    assert view(state).sort.field is None
    assert shown(state)[:3] == list(NAMES[:3])


def test_the_sorted_column_is_in_sight_at_any_width() -> None:
    for columns in (40, 60, 80, 200):
        state = running(Resized(columns, 24))
        for i in range(len(FIELDS)):
            state = after(Action.SORT, state=state)
            first = view(state).first_column
            assert i in dict(columns_shown(layout(state).grid, first, columns))


def test_reverse_turns_the_order_and_empty_cells_stay_last() -> None:
    rows = (("a", 1), ("b", None), ("c", 3))
    small = Table("t", (Field("name", "text"), Field("calls", "count")), rows)
    state = after(tick(small), Action.SORT, Action.SORT)
    assert shown(state) == ["c", "a", "b"]
    assert shown(after(Action.REVERSE, state=state)) == ["a", "c", "b"]
    assert shown(after(tick(small), Action.REVERSE)) == ["c", "b", "a"]


def test_rows_do_not_jump_while_one_looks() -> None:
    state = running(Action.DOWN, Action.DOWN)
    assert layout(state).grid.rows[view(state).cursor][0] == "openat"
    rows = (("new", *table(1).rows[0][1:]), *table(30).rows[::-1])
    state = after(tick(replace(table(30), rows=rows), 1), state=state)
    assert (view(state).cursor, shown(state)[2]) == (2, "openat")
    assert shown(state) == [*(row[0] for row in table(30).rows), "new"]
    assert (
        shown(after(Action.FIRST, tick(replace(table(30), rows=rows), 2), state=state))[0] == "new"
    )


def test_the_cursor_follows_its_row_to_another_order() -> None:
    state = running(Action.DOWN, Action.DOWN, Action.SORT)
    assert layout(state).grid.rows[view(state).cursor][0] == "openat"
    assert view(state).cursor == shown(state).index("openat") != 2
    assert view(state).top <= view(state).cursor < view(state).top + layout(state).page


def test_the_first_row_is_followed_and_not_its_name() -> None:
    state = running(Action.DOWN, Action.FIRST)
    turned = replace(table(30), rows=table(30).rows[::-1])
    assert view(after(tick(turned, 1), state=state)).cursor == 0


def test_paging_moves_by_what_is_visible() -> None:
    state = running(Resized(80, 24))
    assert layout(state).page == 24 - 3 - 2 - 1
    state = after(Action.PAGE_DOWN, state=state)
    assert view(state).cursor == layout(state).page
    state = after(Action.LAST, state=state)
    assert (view(state).cursor, view(state).top) == (29, 30 - layout(state).page)
    assert view(after(Action.PAGE_UP, Action.PAGE_UP, state=state)).cursor == 0


def test_the_cell_cursor_takes_the_columns_along_and_stops_at_the_last() -> None:
    state = running()
    for column in range(len(FIELDS)):
        shown_ = columns_shown(layout(state).grid, view(state).first_column, 80)
        assert view(state).column == column
        assert column in dict(shown_)
        state = after(Action.RIGHT, state=state)
    assert view(state).column == len(FIELDS) - 1
    assert view(after(*[Action.LEFT] * 50, state=state)).column == 0
    assert view(after(*[Action.LEFT] * 50, state=state)).first_column == 0


def test_a_filter_is_edited_and_applied() -> None:
    state = running(Action.FILTER)
    assert state.mode is Mode.PROMPT
    state = after(PromptEdited(" bytes > 4KiB "), Action.ACCEPT, state=state)
    assert state.mode is Mode.TAB
    assert state.where is not None
    assert state.where.source == "bytes > 4KiB"
    state = after(Action.FILTER, state=state)
    assert state.prompt is not None
    assert state.prompt.text == "bytes > 4KiB"
    state = after(PromptEdited("  "), Action.ACCEPT, state=state)
    assert state.where is None


def test_a_wrong_filter_stays_in_the_prompt_with_its_place() -> None:
    text = "  latency >= 1 parsec"
    state = running(Action.FILTER, PromptEdited(text), Action.ACCEPT)
    assert state.prompt is not None
    assert state.prompt.error
    assert text[state.prompt.start : state.prompt.end].strip() in text[state.prompt.start :]
    assert "parsec" in text[state.prompt.start : state.prompt.end]
    assert state.where is None
    state = after(PromptEdited("latency >= 1ms"), state=state)
    assert state.prompt is not None
    assert state.prompt.error == ""


def test_escape_leaves_the_prompt_and_the_filter_as_it_was() -> None:
    state = running(Action.FILTER, PromptEdited("is_error"), Action.ACCEPT)
    where = state.where
    state = after(Action.FILTER, PromptEdited("nonsense"), Action.CANCEL, state=state)
    assert (state.prompt, state.where) == (None, where)


def test_tabs_turn_and_each_keeps_how_it_is_looked_at() -> None:
    state = running(Action.DOWN, Action.SORT, Action.NEXT_TAB)
    assert (state.tab, view(state), state.layout) == (1, TableView(), None)
    state = after(Action.NEXT_TAB, state=state)
    assert (state.tab, view(state).sort.field, view(state).anchor) == (0, "syscall", ("write",))
    assert running(Action.PREVIOUS_TAB).tab == 1


def test_a_message_goes_after_a_while() -> None:
    state = running(Noted("kernel: ring full", SECOND))
    assert state.message is not None
    assert after(Tick(picture(2)), state=state).message is not None
    assert after(tick(table(1), 2 + MESSAGE_NS / SECOND), state=state).message is None


def test_a_warning_leaves_an_answer_or_an_error_the_time_to_be_read() -> None:
    def shown(*events: Noted | Said) -> str:
        state = running(*events)
        assert state.noted == sum(isinstance(event, Noted) for event in events)
        assert state.message is not None
        return state.message.message

    def ring(at_ns: int) -> Noted:
        return Noted("ring full", at_ns)

    answer, error = Said("recorded: x", SECOND), Noted("disk full", SECOND, bad=True)
    soon, late = SECOND + ANSWER_NS - 1, SECOND + ANSWER_NS
    assert shown(answer, ring(soon)) == "recorded: x"
    assert shown(error, ring(soon)) == "disk full"
    assert shown(answer, ring(late)) == shown(error, ring(late)) == "ring full"
    assert shown(answer, error) == shown(error, ring(SECOND), error) == "disk full"
    assert shown(ring(SECOND), answer) == "recorded: x"
    assert shown(ring(SECOND), Noted("again", SECOND)) == "again"


def over_top(state: State) -> int:
    assert state.over is not None
    assert isinstance(state.over.view, TextView)
    return state.over.view.top


def test_help_scrolls_within_its_lines() -> None:
    state = running(Resized(100, 15), Action.HELP, *[Action.DOWN] * 100)
    assert state.mode is Mode.OVER
    assert over_top(state) == len(help_lines(state.tabs[0])) - state.body_rows
    assert over_top(after(Action.FIRST, state=state)) == 0
    closed = after(Action.CANCEL, state=state)
    assert (closed.mode, view(closed).cursor) == (Mode.TAB, 0)


def test_warnings_are_kept_and_counted_and_shown_instead_of_the_table() -> None:
    state = running(*[Noted(f"ring {i}", i * SECOND) for i in range(NOTES + 5)])
    assert (state.noted, len(state.notes), state.notes[0].message) == (NOTES + 5, NOTES, "ring 5")
    state = after(Resized(60, 15), Action.WARNINGS, *[Action.DOWN] * 500, state=state)
    assert over_top(state) == NOTES - state.body_rows
    assert after(Action.HELP, state=state).mode is Mode.OVER
    assert after(Action.WARNINGS, state=state).mode is Mode.TAB
    assert after(Action.CANCEL, state=state).mode is Mode.TAB


def test_what_is_too_long_for_a_line_of_help_and_warnings_goes_on_in_the_next() -> None:
    said = "the ring was full for a while and " + "lost " * 30 + "/a" * 60 + " end"
    state = running(Noted(said, 0), Resized(60, 15), Action.WARNINGS)
    assert isinstance(state.layout, TextLayout)
    parts = ["".join(text for _, text in line) for line in state.layout.lines]
    assert max(map(len, parts)) <= 60
    assert {part[:9] for part in parts[1:]} == {" " * 9}  # under the text, beside the time
    assert "".join(part[9:] for part in parts).replace(" ", "") == said.replace(" ", "")
    wide = after(Resized(400, 15), state=state)
    assert isinstance(wide.layout, TextLayout)
    assert len(wide.layout.lines) == 1
    help_ = after(Resized(60, 15), Tick(Picture(Look(None), ledger(), 0)), Action.HELP)
    assert isinstance(help_.layout, TextLayout)
    assert max(sum(len(text) for _, text in line) for line in help_.layout.lines) <= 60


def test_what_a_command_writes_goes_on_in_the_next_line_as_on_a_terminal() -> None:
    tail = Tail()
    tail.feed("two  blanks\n{}\n日本{}\nend\n".format("z" * 130, "語" * 40).encode())
    tab = OutputTab(tail)
    _, layout = tab.arrange(tab.begin, tab.look(None, tab.begin), Size(60, 9), None)  # type: ignore[arg-type]  # not of the run
    parts = ["".join(text for _, text in line) for line in layout.lines]
    assert parts[:4] == ["two  blanks", "z" * 60, "z" * 60, "z" * 10]
    assert parts[4:] == ["日本" + "語" * 28, "語" * 12, "end"]


def test_a_number_goes_to_its_tab_and_nowhere_where_there_is_none() -> None:
    state = running(Action.DOWN, Pressed(Action.TAB, 1))
    assert (state.tab, view(state).cursor, state.layout) == (1, 0, None)
    none = after(Pressed(Action.TAB, 7), state=state)
    assert none.message is not None
    assert none.message.message == "there is no tab 8"
    assert replace(none, message=state.message) == state


def test_a_key_that_does_nothing_where_one_is_says_so() -> None:
    def saying(event: Event | Action, state: State) -> str:
        message = after(event, state=state).message
        return "" if message is None else message.message

    state = running()
    assert saying(Unbound("x"), state) == "x means nothing in Syscalls; ? shows what does"
    assert saying(Unbound("c-l"), state).startswith("Ctrl-L means nothing")
    assert saying(Unbound("escape"), state) == ""
    unbound = after(Unbound("x"), state=state)
    assert saying(Action.DOWN, unbound) != ""
    assert saying(Action.NEXT_TAB, unbound) == "", "it is of the tab that one has left"
    assert saying(Action.POP, state) == "there is no filter to take a term off"
    assert (
        saying(Action.LATER, state) == saying(Action.LIVE, state) == "this is the present already"
    )
    asked = after(Action.FILTER, state=state)
    assert saying(Unbound("x"), asked) == ""


def test_a_tab_is_turned_to_from_what_stands_over_it() -> None:
    for over in (Action.HELP, Action.WARNINGS, Action.SWITCHES, Action.SAVED):
        for turn in (Pressed(Action.TAB, 1), Action.NEXT_TAB, Action.PREVIOUS_TAB):
            state = running(over, turn)
            assert (state.mode, state.tab) == (Mode.TAB, 1)


def test_rates_are_of_the_last_second_then_of_the_whole() -> None:
    state = running()
    for i in range(1, 5):
        seen = Totals(calls=i, errors=3 * i, bytes=1000 * i)
        shown = Picture(Look(table(1)), ledger(i * 10), i * SECOND, seen, i * SECOND // 10)
        state = after(Tick(shown), state=state)
    assert (state.rates.calls, state.rates.errors, state.rates.bytes) == (10, 3, 1000)
    assert state.rates.cpu == 0.1
    over = after(Ended(shown), state=state)
    assert (over.rates.calls, over.rates.errors, over.rates.bytes) == (10, 3, 1000)


def test_every_action_has_a_key() -> None:
    assert {key.action for _, lines in CHAPTERS for key in lines} == set(Action)


def test_the_column_that_rows_go_by_has_bars() -> None:
    grid = layout(running()).grid
    assert grid.bars == (1, 200_000)
    state = running(*[Action.SORT] * 4)
    assert view(state).sort.field == "bytes"
    assert layout(state).grid.bars == (3, 200_000 * 512)
    assert layout(running(Action.SORT)).grid.bars is None  # by name


EVENTS = st.one_of(
    # But for what shows no table: its pictures are others.
    st.sampled_from([a for a in Action if a is not Action.SWITCHES]).map(Pressed),
    st.builds(Resized, st.integers(1, 250), st.integers(1, 80)),
    st.builds(Clicked, st.integers(0, 250), st.integers(0, 80)),
    st.builds(lambda s, n: Tick(picture(s, rows=n)), st.integers(0, 9), st.integers(0, 60)),
    st.builds(
        lambda n: tick(table(n, rest=True), matched=Matched(n, 60)),
        st.integers(0, 60),
    ),
    st.sampled_from(["", "is_error", "bytes >", "comm == 'x'", "ü" * 300]).map(PromptEdited),
    st.just(Ended(picture(3), "boom\nbang")),
    st.just(Started(0, tabs("Syscalls", "Files", "x" * 90))),
    st.just(Noted("\x1b[2J" * 60, 0)),
)


@given(st.lists(EVENTS, max_size=40))
def test_cursor_and_scroll_are_always_inside(events: list[Event]) -> None:
    state = after(*events)
    assert state.rows < 10 or state.head_rows + state.body_rows + state.foot_rows == state.rows
    if state.layout is None or state.over is not None:
        return
    at, rows = view(state), len(layout(state).grid.rows)
    assert 0 <= at.cursor <= max(0, rows - 1)
    assert at.top <= at.cursor < at.top + layout(state).page
