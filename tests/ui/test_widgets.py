"""Lines on the screen: cell by cell what prompt_toolkit draws of the same text by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.application import create_app_session
from prompt_toolkit.layout import FormattedTextControl, Window
from prompt_toolkit.layout.mouse_handlers import MouseHandlers
from prompt_toolkit.layout.screen import Screen, WritePosition
from prompt_toolkit.output import DummyOutput

from ior.ui.widgets import Line, LinesControl, LinesWindow, exactly, unpadded

COLUMNS = 12
TOP = 2


def drawn(window: Window, rows: int) -> list[list[tuple[str, str]]]:
    """Return the cells, character and style, of a window that is `rows` lines high."""
    screen = Screen()
    place = WritePosition(0, TOP, COLUMNS, rows)
    with create_app_session(output=DummyOutput()):
        window.write_to_screen(screen, MouseHandlers(), place, "", False, None)
    cells = screen.data_buffer
    return [
        [(cells[y][x].char, style(cells[y][x].style)) for x in range(COLUMNS)]
        for y in range(TOP, TOP + rows)
    ]


def style(classes: str) -> str:
    """Leave out what has no look of its own: nothing is behind, and no line is marked."""
    return classes.replace("[transparent]", "").replace("class:last-line", "").strip()


FRAGMENTS = st.tuples(
    st.sampled_from(["", "class:bad", "class:title"]),
    st.text(st.sampled_from("ab /…█日本\u0301\u0327é\u202e\x1b🙂") | st.characters(), max_size=9),
)
LINES = st.lists(FRAGMENTS, max_size=4).map(lambda line: exactly(line, COLUMNS))


@given(st.lists(LINES, min_size=1, max_size=3))
def test_the_cells_are_those_that_prompt_toolkit_draws_of_the_text(lines: list[Line]) -> None:
    text = [part for line in lines for part in (*line, ("", "\n"))][:-1]
    theirs = drawn(Window(FormattedTextControl([*text])), len(lines))
    ours = drawn(LinesWindow(LinesControl(lambda: (len(lines), lines.__getitem__))), len(lines))
    assert ours == theirs


def test_a_window_shows_no_line_behind_its_last_row_and_makes_none() -> None:
    made = []

    def line(row: int) -> Line:
        made.append(row)
        return [("", f"{row}")]

    shown = drawn(LinesWindow(LinesControl(lambda: (5000, line))), 3)
    assert [cells[0][0] for cells in shown] == ["0", "1", "2"]
    assert made == [0, 1, 2]


def test_what_somebody_s_own_tab_draws_is_made_harmless_and_cut_at_the_edge() -> None:
    line = [("", "\x1b]0;\u202e"), ("class:bad", "\u0301" + "x" * 30)]
    (cells,) = drawn(LinesWindow(LinesControl(lambda: (1, lambda _: line))), 1)
    assert "".join(sign for sign, _ in cells) == "\u241b]0;\\u202e\u25cc\u0301x"


def test_a_window_is_as_high_as_its_lines_are_said_to_be() -> None:
    rows = 4
    window = LinesWindow(LinesControl(lambda: (1, lambda _: [("", "x")])), lambda: rows)
    height = window.preferred_height(COLUMNS, 30)
    assert (height.min, height.preferred, height.max) == (4, 4, 4)


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ([("", "a "), ("", "   "), ("", "")], [("", "a ")]),
        ([("class:badge", "  ")], [("class:badge", "  ")]),
        ([("", "   ")], []),
        ([("", " "), ("class:bad", "b")], [("", " "), ("class:bad", "b")]),
    ],
)
def test_plain_padding_at_the_end_is_not_drawn(line: Line, left: Line) -> None:
    assert unpadded(line) == left
