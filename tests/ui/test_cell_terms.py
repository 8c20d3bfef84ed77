"""Enter on a cell of a table: which filter it adds, or why none."""

from __future__ import annotations

import re

import pytest
from emulated import NAMES, picture, tick
from ptys import Pty
from test_frame import lines
from test_state import after, layout, running, view

from ior.expr import compile_filter
from ior.snapshots import Field, Table
from ior.testing import calls
from ior.ui.events import Tick
from ior.ui.grid import Sort, arrange
from ior.ui.keys import Action
from ior.ui.tabs.abc import Clicked
from ior.ui.terms import NoTerm, cell_term

PROCESSES = Table(
    "Processes",
    (
        Field("pid", "int"),
        Field("comm", "text"),
        *(Field(name, "count") for name in ("calls", "errors")),
        *(Field(name, "size") for name in ("bytes", "read", "written")),
        *(Field(name, "duration") for name in ("total", "min", "mean", "p99", "max")),
    ),
    (
        (7, 'sh "x"', 9, 2, 10, 6, 4, 50_000, 12, 34.5, 5_000_000, 6_000_001),
        (8, "", 1, 0, 0, 0, 0, None, None, None, None, None),
    ),
)


@pytest.mark.parametrize(
    ("field", "term"),
    [
        ("pid", "pid == 7"),
        ("comm", 'comm == "sh \\"x\\""'),
        ("calls", "pid == 7"),
        ("errors", "pid == 7 and is_error"),
        ("bytes", "pid == 7 and bytes > 0"),
        ("total", "pid == 7"),
        ("min", "pid == 7 and latency <= 12ns"),
        ("mean", "pid == 7 and latency >= 34ns"),
        ("p99", "pid == 7 and latency >= 5000000ns"),
        ("max", "pid == 7 and latency >= 6000001ns"),
    ],
)
def test_a_cell_asks_for_the_calls_that_it_speaks_of(field: str, term: str) -> None:
    names = [one.name for one in PROCESSES.fields]
    assert cell_term(arrange(PROCESSES, Sort()), 0, names.index(field)) == term
    compile_filter(term)


def test_an_empty_name_is_what_contains_nothing() -> None:
    term = cell_term(arrange(PROCESSES, Sort()), 1, 1)
    assert compile_filter(term)(calls(comm=["", "sh"])).tolist() == [True, False]


def test_bytes_in_one_direction_are_those_of_its_syscalls() -> None:
    grid = arrange(PROCESSES, Sort())
    read, written = cell_term(grid, 0, 5), cell_term(grid, 0, 6)
    for term, names in ((read, {"read", "recvfrom", "sendfile"}), (written, {"write", "sendfile"})):
        listed = set(re.findall(r"\w+", term.partition("[")[2]))
        assert names <= listed
        assert term.startswith("pid == 7 and bytes > 0 and syscall in [")
        compile_filter(term)
    assert "write" not in re.findall(r"\w+", read.partition("[")[2])


@pytest.mark.parametrize("column", [3, 4, 8, 10])
def test_an_empty_cell_says_that_there_is_nothing(column: int) -> None:
    with pytest.raises(NoTerm, match="there is nothing"):
        cell_term(arrange(PROCESSES, Sort()), 1, column)


def test_enter_on_the_cell_under_the_cursor_adds_its_term() -> None:
    state = running(Action.DOWN, Action.RIGHT, Action.RIGHT)
    assert "errors" in lines(state)[3]
    state = after(Action.DRILL, state=state)
    assert state.terms == ('syscall == "write" and is_error',)
    state = after(Tick(picture(1)), Action.POP, Tick(picture(2)), Action.FIRST, state=state)
    assert after(Action.DRILL, state=state).terms == ()  # read has no errors
    assert "there is nothing" in lines(after(Action.DRILL, state=state))[-2]


def test_one_cell_is_reversed_and_its_row_is_bold() -> None:
    state = running(Action.RIGHT)
    front = state.front
    assert front is not None
    line = front.tab.line(front.view, state.layout, 1)
    assert [text.strip() for style, text in line if style == "class:cursor"] == ["200,000"]
    assert any("class:value" in style and "read" in text for style, text in line)


def test_the_cell_stays_in_sight_when_the_order_changes() -> None:
    state = running(*[Action.RIGHT] * 10)
    for _ in range(12):
        state = after(Action.SORT, state=state)
        front = state.front
        assert front is not None
        line = front.tab.line(front.view, state.layout, 1 + view(state).cursor - view(state).top)
        assert any(style == "class:cursor" for style, _ in line)


def test_a_click_at_the_row_under_the_cursor_filters_by_the_cell() -> None:
    state = running(Clicked(2, 2))
    assert (view(state).cursor, view(state).column) == (1, 0)
    at = lines(state)[3].index("errors")
    assert after(Clicked(at, 2), state=state).terms == ('syscall == "write" and is_error',)


def test_rows_that_are_no_filter_say_so_in_every_cell() -> None:
    towns = Table("Weather", (Field("town", "text"), Field("errors", "count")), (("Bergen", 3),))
    for keys in ((), (Action.RIGHT,)):
        state = running(tick(towns, 1), *keys, Action.DRILL)
        assert state.terms == ()
        assert "'town' is not a field" in lines(state)[-2]
    assert layout(running()).grid.rows[0][0] == NAMES[0]


@pytest.mark.kernel
@pytest.mark.timeout(60)
def test_slow_calls_of_a_syscall_in_the_terminal() -> None:
    with Pty("--", "sh", "-c", "while :; do : < /etc/passwd; done", columns=160) as pty:
        pty.see("│sh")
        pty.child.send("3")
        pty.wait(lambda lines: any(line.startswith("openat ") for line in lines))
        heading = next(line for line in pty.lines if line.startswith("syscall ")).split()
        names = [name for name in heading if name not in ("▼", "▲")]
        pty.child.send("g" + "l" * names.index("p99") + "\r")
        lines = pty.see("nothing else comes")
        assert re.search(r'syscall == "\w+" and latency >= \d+ns', lines[3])
        assert "in the kernel: all of it" in lines[4]
        pty.child.send("q")
        assert pty.leave() == (0, "")
