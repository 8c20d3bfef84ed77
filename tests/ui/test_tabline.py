"""The line of the tabs' names: what gives way where they do not all have room."""

from __future__ import annotations

import re

import pytest
from emulated import tabs
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from scenes import opened, text
from test_state import running

from ior.text import sanitise, width
from ior.ui import tabline
from ior.ui.events import Resized, Started
from ior.ui.state import State

EIGHT = (
    *("Flame", "Overview", "Syscalls", "Files"),
    *("Processes", "Latency", "Stream", "Pipeline"),
)


def showing(columns: int, at: int = 0, names: tuple[str, ...] = EIGHT) -> State:
    return replace(running(Started(0, tabs(*names)), Resized(columns, 24)), tab=at)


@pytest.mark.parametrize("columns", [80, 88, 89, 120])
@pytest.mark.parametrize("at", [0, 3, 7])
def test_the_eight_tabs_have_room_in_80_columns(columns: int, at: int) -> None:
    line = text(tabline.line(showing(columns, at)))
    assert re.split(r" +(?=\d)", line.strip()) == [f"{i} {name}" for i, name in enumerate(EIGHT, 1)]
    assert line.startswith("  1 " if columns > 88 else " 1 ")


@pytest.mark.parametrize(("columns", "least"), [(79, 8), (70, 6), (60, 4), (56, 4), (49, 3)])
def test_names_are_cut_before_keys_and_stay_in_their_places(columns: int, least: int) -> None:
    drawn = {text(tabline.line(showing(columns, at))) for at in range(8)}
    (line,) = drawn
    found = re.split(r" +(?=\d)", line.strip())
    assert found == [f"{i} {name[:least]}" for i, name in enumerate(EIGHT, 1)]


@pytest.mark.parametrize("at", range(8))
def test_where_keys_alone_have_room_the_present_tab_still_has_its_name(at: int) -> None:
    found = re.split(r" +(?=\d)", text(tabline.line(showing(40, at))).strip())
    assert found == [f"{i + 1} {EIGHT[i]}" if i == at else f"{i + 1}" for i in range(8)]


def test_the_tabs_of_the_preset_are_called_by_their_short_names_in_80_columns() -> None:
    state = running(Started(0, opened("demo")), Resized(80, 24))
    expected = " 1 Flame 2 Overview 3 Syscalls 4 Files 5 Procs 6 Latency 7 Stream 8 Pipe 9 Unmat"
    assert text(tabline.line(state)) == expected
    wide = text(tabline.line(replace(state, columns=120)))
    assert [name for tab in state.tabs if (name := tab.name) not in wide] == []


def test_more_tabs_than_have_room_begin_with_a_sign() -> None:
    names = tuple(f"table {i} of a stage of somebody" for i in range(30))
    line = text(tabline.line(showing(60, 29, names)))
    assert line.startswith("‹")
    assert names[29] in line
    assert text(tabline.line(showing(60, 0, names))).startswith(" 1 table 0 of")


@given(
    st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=14),
    st.integers(0, 13),
    st.integers(40, 130),
)
def test_a_click_on_what_is_drawn_means_that_tab(names: list[str], at: int, columns: int) -> None:
    state = showing(columns, min(at, len(names) - 1), tuple(names))
    drawn = tabline.line(state)
    assert width(text(drawn)) == columns
    column = 0
    for style, part in drawn:
        if style == "class:tab.here" and column + width(part) < columns:
            assert tabline.tab_at(state, column) == state.tab
            assert sanitise(names[state.tab])[:1].strip() in part
        column += width(part)
    assert tabline.tab_at(state, 0) is None
