"""The mouse, as a terminal sends it: clicks and the wheel, on an emulated screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from emulated import Terminal
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from scenes import NAMES, Seat

from ior.ui.screen import Screen

Make = Callable[..., Seat]

WHEEL_UP, WHEEL_DOWN = 64, 65


def at(column: int, row: int, button: int = 0) -> str:
    """Return what a terminal sends when the button goes down on a cell, counted from 0."""
    return f"\x1b[<{button};{column + 1};{row + 1}M"


def view(seat: Seat) -> Any:
    assert seat.state.front is not None
    return seat.state.front.view


@pytest.mark.parametrize("name", NAMES)
def test_a_click_on_the_name_of_a_tab_turns_to_it(seat: Make, name: str) -> None:
    for start in (NAMES[0], NAMES[-1]):
        sitting = seat(start, (120, 40))
        column = sitting.show()[2].index(name) + 1
        sitting.show(at(column, 2))
        assert NAMES[sitting.state.tab] == name
        assert sitting.named == name


def test_a_click_on_a_tab_leaves_the_help(seat: Make) -> None:
    sitting = seat("Flame")
    sitting.show("?", at(sitting.show()[2].index("Over"), 2))
    assert sitting.state.over is None
    assert sitting.state.tab == 1


def test_a_click_beside_the_names_of_tabs_changes_nothing(seat: Make) -> None:
    sitting = seat("Files", (200, 60))
    sitting.show(at(190, 2) + at(3, 1) + "j")
    assert sitting.state.tab == NAMES.index("Files")


def test_a_click_under_a_table_changes_nothing(seat: Make) -> None:
    sitting = seat("Syscalls", (200, 60))
    before = sitting.state
    sitting.show(at(30, 50) + at(190, 50) + "j" + "k")
    assert view(sitting).sort == before.front.view.sort  # type: ignore[union-attr]  # a tab
    assert sitting.state.terms == ()


@pytest.mark.parametrize("name", ["Syscalls", "Files", "Processes"])
def test_a_click_selects_a_row_and_another_drills_in(seat: Make, name: str) -> None:
    sitting = seat(name)
    row = sitting.state.head_rows + 3
    lines = sitting.show(at(30, row))
    assert view(sitting).cursor == 2
    assert sitting.reversed(row).strip() == lines[row].strip()
    assert sitting.state.terms == ()
    sitting.show(at(30, row))
    assert len(sitting.state.terms) == 1
    key = str(sitting.state.layout.grid.rows[0][0])
    assert key in sitting.state.terms[0]


def test_a_click_behind_the_end_of_a_line_is_there_and_one_on_an_empty_line_means_nothing(
    seat: Make,
) -> None:
    sitting = seat("Syscalls", (200, 60))
    lines = sitting.show()
    row = sitting.state.head_rows + 3
    behind = len(lines[row].rstrip()) + 20
    assert behind < 200
    sitting.show(at(behind, row))
    assert view(sitting).cursor == 2
    before = view(sitting)
    empty = max(i for i, line in enumerate(sitting.show()) if not line.strip())
    assert empty > row
    sitting.show(at(5, empty) + at(behind, empty))
    assert (view(sitting), sitting.state.terms) == (before, ())


def test_a_click_on_a_heading_sorts_and_another_reverses(seat: Make) -> None:
    sitting = seat("Syscalls")
    lines = sitting.show()
    column = lines[3].index("errors") + 3
    assert "errors▼" in sitting.show(at(column, 3))[3]
    most = [row[3] for row in sitting.state.layout.grid.rows]
    assert most == sorted(most, reverse=True)
    assert [line.split()[0] for line in sitting.body[1:3]] == ["write", "openat"]
    lines = sitting.show(at(column, 3))
    assert "errors▲" in lines[3]
    assert lines[4].startswith("fsync ")
    assert "syscall▲" in sitting.show(at(2, 3))[3]
    assert sitting.show()[4].startswith("close ")


def test_a_click_zooms_into_a_frame_that_is_selected(seat: Make) -> None:
    sitting = seat("Flame")
    lines = sitting.show()
    row = sitting.state.head_rows + 3
    column = lines[row].index("nginx")
    sitting.show(at(column, row))
    assert view(sitting).at == ("nginx",)
    assert view(sitting).zooms == ()
    sitting.show(at(column, row))
    assert view(sitting).zooms[-1].path == ("nginx",)


def test_a_click_selects_in_the_lists_of_the_overview_and_another_drills_in(seat: Make) -> None:
    sitting = seat("Overview")
    row = sitting.state.head_rows + sitting.state.layout.lists + 2
    column = sitting.show()[row - 2].index("Processes by") + 3
    sitting.show(at(column, row))
    assert (view(sitting).column, view(sitting).row, sitting.state.terms) == (2, 1, ())
    sitting.show(at(column, row))
    assert sitting.state.terms == ("pid == 101",)


def test_a_click_selects_a_step_of_latency_and_another_filters_by_it(seat: Make) -> None:
    sitting = seat("Latency")
    row = sitting.state.head_rows + 3
    label = sitting.show(at(4, row))[row].split()[0]
    assert (view(sitting).cursor, sitting.state.terms) == (sitting.state.layout.first + 2, ())
    sitting.show(at(4, row))
    assert sitting.state.terms[0].startswith(f"latency >= {label} ")


def test_a_click_selects_a_family_and_another_switches_it_off(seat: Make) -> None:
    sitting = seat("Flame")
    row = sitting.state.head_rows + 2
    name = sitting.show("o", at(10, row))[row].split()[1]
    assert sitting.state.switches.words() == ""
    sitting.show(at(10, row))
    assert sitting.state.switches.words() == f"off {name}"


@pytest.mark.parametrize(("name", "step"), [("Files", 3), ("Stream", 3), ("Latency", 1)])
def test_the_wheel_scrolls(seat: Make, name: str, step: int) -> None:
    sitting = seat(name)
    place = {"Files": "cursor", "Stream": "at", "Latency": "cursor"}[name]
    sitting.show("g", "G", "g", "j")
    before = getattr(view(sitting), place)
    sitting.show(at(10, 12, WHEEL_DOWN))
    assert getattr(view(sitting), place) == before + step
    sitting.show(at(10, 12, WHEEL_UP))
    assert getattr(view(sitting), place) == before


def test_the_wheel_scrolls_the_help(seat: Make) -> None:
    sitting = seat("Flame", (60, 15))
    first = sitting.show("?")[3]
    assert sitting.show(at(10, 8, WHEEL_DOWN))[3] != first
    assert sitting.show(at(10, 8, WHEEL_UP))[3] == first


def test_other_buttons_movements_and_clicks_under_a_prompt_mean_nothing(seat: Make) -> None:
    sitting = seat("Files")
    before = view(sitting)
    sitting.show(at(10, 8, 2) + at(10, 8, 35) + "\x1b[<0;11;9m" + "w", "w")
    assert view(sitting) == before
    sitting.show("f", at(10, 8) + at(10, 2) + at(10, 8, WHEEL_DOWN) + "x")
    assert (view(sitting), sitting.state.tab) == (before, NAMES.index("Files"))
    assert sitting.state.prompt is not None


def test_without_the_mouse_the_terminal_keeps_it(seat: Make) -> None:
    sitting = seat("Files")
    sitting.show()
    assert "\x1b[?1000h" in "".join(sitting.terminal.raw)
    assert "\x1b[?1000l" in "".join(sitting.terminal.raw)
    with create_pipe_input() as keyboard, create_app_session(input=keyboard):
        still = Seat(Terminal(80, 24), keyboard, "Files", "names")
        still.screen = Screen(
            lambda: still.state,
            still.dispatch,
            input=keyboard,
            output=still.terminal.output,
            mouse=False,
        )
        still.show()
    assert "\x1b[?1000h" not in "".join(still.terminal.raw)
