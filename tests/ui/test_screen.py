"""Whole screens as an emulated terminal shows them, driven by keys."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from emulated import SIZES, Stand, picture, table, tabs, tick
from msgspec.structs import replace
from test_state import view

from ior.ui.events import Ended, Event, Started, Tick
from ior.ui.reducer import reduce
from ior.ui.sight import Matched
from ior.ui.state import Phase, State

Make = Callable[[int, int, State], Stand]

BUSY = (Started(0, tabs("Syscalls", "Files")), Tick(picture(1)), Tick(picture(2, calls=520_011)))
EMPTY = (Started(0, tabs("Syscalls")), Tick(picture(rows=0, calls=0)))
ESCAPE, CTRL_C, DOWN = "\x1b", "\x03", "\x1b[B"


def state(*events: Event) -> State:
    made = State(title="dd if=/dev/zero of=/dev/null")
    for event in events:
        made = reduce(made, event)
    return made


@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_a_busy_screen(stand: Make, columns: int, rows: int) -> None:
    lines = stand(columns, rows, state(*BUSY)).show()
    assert len(lines) == rows
    if columns == 20:
        assert lines[0].strip() == "ior needs 40x10"
        assert lines[1].strip() == "q quits"
        return
    assert lines[0].startswith(" ior  dd if=/dev/zero of=/dev/null")
    assert lines[0].rstrip().endswith("running 0:02")
    assert lines[1].split()[:3] == ["calls", "520,011", "(120.0"]
    assert "lost 0" in lines[1]
    assert lines[3].split()[:2] == ["syscall", "calls"]
    assert lines[4].split()[:2] == ["read", "200,000"]
    assert lines[-1].split()[:3] == ["Enter", "drill", "in"]
    assert lines[min(rows - 3, 33)].strip()  # rows down to the message line


@pytest.mark.parametrize(("columns", "rows"), SIZES[1:])
def test_an_empty_screen(stand: Make, columns: int, rows: int) -> None:
    lines = stand(columns, rows, state(*EMPTY)).show()
    assert "calls 0 " in lines[1]
    assert lines[4].strip() == "no calls"


@pytest.mark.parametrize(("columns", "rows"), SIZES[1:])
def test_a_filter_is_typed_and_its_match_is_shown(stand: Make, columns: int, rows: int) -> None:
    busy = stand(columns, rows, state(*BUSY))
    lines = busy.show("f", 'comm == "dd"', "\r")
    assert busy.state.where is not None
    assert busy.state.where.source == 'comm == "dd"'
    busy = stand(columns, rows, busy.state)
    busy.dispatch(tick(table(2), 1, Matched(1234, 10_000)))
    lines = busy.show()
    assert lines[3].startswith(' filter comm == "dd"')
    assert lines[3].rstrip().endswith("1,234 of 10,000 retained rows match")
    assert lines[4].split()[:2] == ["syscall", "calls"]


@pytest.mark.parametrize(("columns", "rows"), SIZES[1:])
def test_a_wrong_filter_shows_carets_under_what_was_typed(
    stand: Make, columns: int, rows: int
) -> None:
    busy = stand(columns, rows, state(*BUSY))
    lines = busy.show("f", "bytes > 4parsec", "\r")
    at = next(i for i, line in enumerate(lines) if line.startswith("filter: bytes > 4parsec"))
    prompt = busy.state.prompt
    assert prompt is not None
    start, carets = lines[at + 1].index("^"), lines[at + 1].count("^")
    assert lines[at][start : start + carets] == prompt.text[prompt.start : prompt.end]
    assert "parsec" in lines[at + 2]
    assert lines[-1].split()[:2] == ["Ctrl-C", "quit"] or "Enter" in lines[-1]


def test_keys_that_mean_nothing_say_so_and_none_does_while_one_types(stand: Make) -> None:
    busy = stand(80, 24, state(*BUSY))
    assert busy.show("x")[-2].strip() == "x means nothing in Syscalls; ? shows what does"
    assert busy.show("\x14")[-2].strip() == "Ctrl-T means nothing in Syscalls; ? shows what does"
    asked = stand(80, 24, state(*BUSY))
    assert not any("means nothing" in line for line in asked.show("f", "x"))
    assert asked.state.prompt is not None
    assert asked.state.prompt.text == "x"


def test_escape_leaves_the_prompt(stand: Make) -> None:
    busy = stand(80, 24, state(*BUSY))
    lines = busy.show("f", "qqq", ESCAPE)
    assert (busy.state.mode, busy.state.quits, busy.state.where) == ("tab", 0, None)
    assert not any(line.startswith("filter:") for line in lines)


def test_the_prompt_keeps_what_it_held_and_edits_it(stand: Make) -> None:
    busy = stand(80, 24, state(*BUSY))
    lines = busy.show("f", "is_errox", "\x7f", "r")
    assert any(line.startswith("filter: is_error ") for line in lines)


@pytest.mark.parametrize(("columns", "rows"), SIZES[1:])
def test_a_failed_run_keeps_the_table_and_says_the_error(
    stand: Make, columns: int, rows: int
) -> None:
    error = "stage 'slow': ZeroDivisionError: division by zero"
    lines = stand(columns, rows, state(*BUSY, Ended(picture(3), error))).show()
    assert "failed 0:03" in lines[0]
    assert lines[4].split()[:2] == ["read", "200,000"]
    assert lines[-2].startswith(error)


@pytest.mark.parametrize(("columns", "rows"), SIZES[1:])
def test_an_ended_run_stays_until_q(stand: Make, columns: int, rows: int) -> None:
    ended = stand(columns, rows, state(*BUSY, Ended(picture(4, calls=800_000))))
    lines = ended.show()
    assert "ended 0:04" in lines[0]
    assert "calls 800,000 (200.0 k/s)" in lines[1]
    assert lines[-2].startswith("the run has ended; q leaves")
    assert ended.state.quits == 0


@pytest.mark.parametrize("key", ["q", CTRL_C])
def test_keys_that_leave(stand: Make, key: str) -> None:
    busy = stand(80, 24, state(*BUSY))
    assert "stopping" in busy.show(key)[0]
    assert (busy.state.quits, busy.state.phase) == (1, Phase.STOPPING)


def test_ctrl_c_leaves_out_of_the_prompt_and_q_does_not(stand: Make) -> None:
    busy = stand(80, 24, state(*BUSY))
    busy.show("f", "q", CTRL_C)
    assert busy.state.quits == 1
    assert busy.state.prompt is not None
    assert busy.state.prompt.text == "q"


KEYS = [("j", 1), (DOWN, 1), ("\x1b[6~", 18), ("G", 29), ("\x1b[F", 29), ("k", 0), ("\x1b[A", 0)]


@pytest.mark.parametrize(("key", "cursor"), KEYS)
def test_keys_that_move(stand: Make, key: str, cursor: int) -> None:
    busy = stand(80, 24, state(*BUSY))
    busy.show(key)
    assert view(busy.state).cursor == cursor


def test_keys_that_go_back_to_the_top(stand: Make) -> None:
    for key in ("g", "\x1b[H", "\x1b[5~"):
        busy = stand(80, 24, state(*BUSY))
        busy.show("\x1b[6~", key)
        assert view(busy.state).cursor == 0


def test_keys_that_sort_and_turn(stand: Make) -> None:
    busy = stand(80, 24, state(*BUSY))
    lines = busy.show("s", "S")
    assert lines[3].startswith("syscall▼")
    assert lines[4].startswith("write ")
    busy.show("s", "l", "\t")
    assert (busy.state.tab, busy.state.layout) == (1, None)
    busy.show("\x1b[Z")
    assert busy.state.tab == 0


def test_help_stands_in_the_place_of_the_table(stand: Make) -> None:
    busy = stand(80, 24, state(*BUSY))
    lines = busy.show("?")
    assert lines[3].strip() == "In Syscalls"
    assert lines[4].split()[:2] == ["Enter", "filter"]
    assert busy.show("?")[4].split()[:2] == ["read", "200,000"]


def test_a_resized_terminal_is_filled_again(stand: Make) -> None:
    busy = stand(120, 40, state(*BUSY))
    busy.show()
    busy.terminal.resize(60, 15)
    lines = busy.show("j")
    assert (busy.state.columns, busy.state.rows) == (60, 15)
    assert lines[0].rstrip().endswith("running 0:02")
    assert lines[-1].split()[:2] == ["Enter", "drill"]


def test_nothing_that_was_traced_reaches_the_terminal_as_it_is(stand: Make) -> None:
    rows = (("\x1b[31mred\x1b]0;title\x07\x9b2J\u202e", *table(1).rows[0][1:]),)
    hostile = replace(table(1), rows=rows)
    made = State(title="\x1b[2Jcommand\x07")
    busy = stand(120, 24, reduce(reduce(made, BUSY[0]), tick(hostile)))
    lines = busy.show()
    sent = "".join(busy.terminal.raw)
    assert lines[4].startswith("␛[31mred␛]0;title␇")
    assert not any(bad in sent for bad in ("\x1b[31mred", "\x07", "\x9b", "\u202e", "\x1b[2Jc"))
