"""Every tab that there is, at every size and in every state, as an emulated terminal shows it.

The tabs come from the catalogue by way of a whole pipeline (`scenes`).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from emulated import SIZES, Terminal
from hypothesis import given, settings
from hypothesis import strategies as st
from own_nodes import COMMANDS, FILES, SYSCALLS
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from scenes import NAMES, SECOND, Seat, opened, written

from ior.text import width
from ior.ui.events import Event, PeriodBegun, Resized
from ior.ui.frames import Drawing
from ior.ui.keys import Action, Pressed
from ior.ui.periods import Period
from ior.ui.state import MIN_COLUMNS, MIN_ROWS
from ior.ui.tabs.catalogue import TABS
from ior.ui.tabs.table import TableLayout

Make = Callable[..., Seat]

STATES: dict[str, tuple[str, Callable[[Seat], list[str]]]] = {
    "empty": ("nothing", lambda seat: seat.show()),
    "busy": ("names", lambda seat: seat.show()),
    "hostile": ("hostile names", lambda seat: seat.show()),
    "filtered": ("names", lambda seat: seat.show("f", "is_error", "\r")),
    "paused": ("names", lambda seat: seat.show(" ")),
    "error": ("names", lambda seat: seat.show(lambda: seat.fail(ERROR))),
}
ERROR = "stage 'slow': ZeroDivisionError: division by zero"
FIRST = {"Flame": "│all", "Latency": "from", "Pipeline": "made", "Weather": "Bergen"}
NOT_OF_CALLS = ("Pipeline", "Unmatched", "Weather")  # these are not empty without calls
KNOWN = (*COMMANDS, *SYSCALLS, *(file[-6:] for file in FILES))


def whole(seat: Seat, lines: list[str]) -> None:
    """Check that the terminal shows the lines that the state means, each in its place."""
    columns, rows = seat.terminal.columns, seat.terminal.rows
    assert len(lines) == rows
    assert {width(line) for line in lines} == {columns}
    assert lines == written(seat.state)


def test_every_tab_of_the_catalogue_is_looked_at() -> None:
    assert {type(tab) for tab in opened()} == set(TABS)


@pytest.mark.parametrize("size", SIZES[1:], ids=lambda size: "{}x{}".format(*size))
@pytest.mark.parametrize("condition", STATES)
@pytest.mark.parametrize("name", NAMES)
def test_a_tab(seat: Make, name: str, condition: str, size: tuple[int, int]) -> None:
    of, come_to = STATES[condition]
    sitting = seat(name, size, of)
    lines = come_to(sitting)
    whole(sitting, lines)
    assert lines[0].startswith(" ior  the test " if size[0] > 60 else " ior  the")
    assert lines[0].endswith("failed 0:31 " if condition == "error" else "running 0:31 ")
    assert lines[1].startswith(" calls 0 " if of == "nothing" else " calls 8,000 ")
    assert sitting.named == name
    assert lines[-1].endswith(" ? help  q quit ")
    said = lines[-2].rstrip()
    assert said == (ERROR if condition == "error" else "something was warned of")
    assert ("paused" in lines[0]) == (condition == "paused")
    assert lines[3].startswith(" filter is_error ") == (condition == "filtered")
    shown = "\n".join(sitting.body)
    if of == "names":
        assert FIRST.get(name, "") in shown
        assert name in FIRST or name in NOT_OF_CALLS or any(word in shown for word in KNOWN)
    elif of == "nothing" and name not in NOT_OF_CALLS:
        assert not any(word in shown for word in KNOWN)
    if of == "nothing" and name == "Unmatched":
        assert "no calls" not in shown
    if isinstance(sitting.state.layout, TableLayout):
        straight(sitting, sitting.state.layout)
    if isinstance(sitting.state.layout, Drawing):
        framed(sitting, sitting.state.layout)


def cells(seat: Seat, line: int) -> list[str]:
    """Return what each cell of a line of the terminal holds; "" behind a wide character."""
    return [cell.data for cell in seat.cells[line]]


def straight(seat: Seat, layout: TableLayout) -> None:
    """Check that numbers end where their column's heading does, with space behind them."""
    heading, *rows = (cells(seat, seat.state.head_rows + i) for i in range(layout.page + 1))
    shown = [row for row in rows if "".join(row).strip()]
    assert len(shown) == min(len(layout.grid.rows), layout.page) or not layout.grid.rows
    for field in layout.grid.table.fields[layout.grid.keys :]:
        at = "".join(heading).find(f" {field.name} ")
        if at < 0 or field.kind == "text":
            continue
        end = at + len(field.name)
        for row in shown if layout.grid.rows else ():
            assert end + 1 >= len(row) or row[end + 1] in (" ", "│"), "".join(row)
            full = "".join(row[at + 1 : end + 1]).strip()
            assert not full or row[end] != " ", "".join(row)


def framed(seat: Seat, drawing: Drawing) -> None:
    """Check that every frame begins where its place says, on both of its lines."""
    for number, boxes in enumerate(drawing.boxes[: drawing.page]):
        for line in range(drawing.tall):
            row = cells(seat, seat.state.head_rows + drawing.above + number * drawing.tall + line)
            assert [row[box.column] for box in boxes] == ["│"] * len(boxes)


@pytest.mark.parametrize("name", NAMES)
def test_a_filter_and_a_failure_change_what_they_should_and_no_more(seat: Make, name: str) -> None:
    busy, failed = seat(name), seat(name)
    before = busy.show()
    after = failed.show(lambda: failed.fail(ERROR))
    assert before[2:-2] == after[2:-2]
    filtered = busy.show("f", "is_error", "\r")
    if "not applied here" not in filtered[3]:
        assert "800 of 8,000 retained rows match" in filtered[3]
        assert filtered[4:] != before[3:]


@pytest.mark.parametrize("name", NAMES)
def test_a_paused_picture_stands_still_while_the_numbers_go_on(seat: Make, name: str) -> None:
    sitting = seat(name, of="nothing")
    sitting.show()
    sitting.show(" ")
    held = sitting.body
    sitting.turn("names")
    sitting.show(sitting.tick)
    assert sitting.body == held
    lines = sitting.show()
    assert lines[1].startswith(" calls 8,000 ")
    whole(sitting, lines)
    sitting.show(" ", sitting.tick)
    assert name in NOT_OF_CALLS or sitting.body != held


OVER = {"?": "In Flame", "w": "something was warned of", "O": "the command said this"}


@pytest.mark.parametrize("size", SIZES[1:], ids=lambda size: "{}x{}".format(*size))
@pytest.mark.parametrize("key", OVER)
def test_what_stands_in_a_tabs_place(seat: Make, key: str, size: tuple[int, int]) -> None:
    sitting = seat("Flame", size)
    whole(sitting, sitting.show(key))
    assert any(OVER[key] in line for line in sitting.body)


@pytest.mark.parametrize("name", NAMES)
def test_a_terminal_that_is_resized_while_the_screen_is_up(seat: Make, name: str) -> None:
    sitting = seat(name, (120, 40), "hostile names")
    small, seen = [], []

    def resized(columns: int, rows: int) -> Callable[[], None]:
        def check() -> None:
            seen.append((sitting.terminal.lines, written(sitting.state)))
            small.append(sitting.state.small)
            sitting.resize(columns, rows)

        return check

    sizes = [(60, 15), (200, 60), (20, 5), (40, 10), (39, 30), (80, 24)]
    lines = sitting.show(*(resized(*size) for size in sizes))
    whole(sitting, lines)
    assert "running" in lines[0]
    for shown, meant in seen:
        assert shown == meant
    assert small == [False, False, False, True, False, True]
    notice = seen[3][0]
    assert [line.strip() for line in notice] == ["ior needs 40x10", "q quits", "", "", ""]


MOVES = st.sampled_from(
    [
        Action.DOWN,
        Action.RIGHT,
        Action.LAST,
        Action.DRILL,
        Action.VIEW,
        Action.SORT,
        Action.METRIC,
        Action.HELP,
        Action.FILTER,
        Action.WINDOW,
        Action.PAUSE,
    ]
)


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from(NAMES),
    st.sampled_from(["nothing", "names", "hostile names"]),
    st.lists(MOVES, max_size=4),
    st.integers(20, 220),
    st.integers(5, 70),
)
def test_no_line_is_wider_and_no_screen_taller_than_the_terminal(
    name: str, of: str, moves: list[Action], columns: int, rows: int
) -> None:
    lines = _lines(name, of, [*map(Pressed, moves), Resized(columns, rows)])
    assert len(lines) == rows
    assert {width(line) for line in lines} == {columns}


@pytest.mark.parametrize("rows", range(MIN_ROWS, MIN_ROWS + 4))
def test_what_is_wrong_with_a_filter_is_said_in_the_smallest_terminals(
    seat: Make, rows: int
) -> None:
    sitting = seat("Syscalls", (MIN_COLUMNS, rows))
    lines = sitting.show("f", "is_error", "\r", "W", "f", " and latency >= 1 km", "\r")
    whole(sitting, lines)
    assert "unknown unit" in "\n".join(lines)


def test_what_surrounds_a_tab_is_seen_where_it_leaves_no_room_for_it(seat: Make) -> None:
    sitting = seat("Syscalls", (MIN_COLUMNS, MIN_ROWS))
    sitting.dispatch(PeriodBegun(Period(since_ns=99 * SECOND, where="is_error")))
    lines = sitting.show("f", "is_error", "\r", "W", "f", " and latency >= 1 km", "\r")
    state = sitting.state
    assert state.head_rows + state.foot_rows == MIN_ROWS
    meant = written(state)
    assert lines == [*meant[: state.head_rows], *meant[state.head_rows + 1 :]]


def test_a_prompt_is_seen_in_a_single_line(seat: Make) -> None:
    assert seat("Syscalls", (30, 1)).show("f") == [f"{'filter: ':<30}"]


@pytest.mark.parametrize("name", NAMES)
def test_sizes_down_to_the_least(name: str) -> None:
    for columns in (20, 30, 39, 40, 41, 50, 59, 72, 100):
        for rows in (5, 8, 9, 10, 11, 14, 30):
            lines = _lines(name, "hostile names", [Resized(columns, rows)])
            assert [len(lines), *{width(line) for line in lines}] == [rows, columns]
            assert ("ior needs" in lines[0]) == (columns < 40 or rows < 10)


def _lines(name: str, of: str, events: list[Event]) -> list[str]:
    """Return the lines of the screen after some events, without a terminal."""
    with create_pipe_input() as keyboard, create_app_session(input=keyboard):
        sitting = Seat(Terminal(80, 24), keyboard, name, of)
        for event in events:
            sitting.dispatch(event)
        return written(sitting.state)
