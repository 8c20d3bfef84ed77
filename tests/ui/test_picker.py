"""The picker: what is typed, where the cursor is, what is chosen, and how it looks."""

from __future__ import annotations

import asyncio
from functools import reduce as fold
from itertools import pairwise

import pytest
from emulated import SIZES, Terminal
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input

from ior.host.listing import Candidate, Lister, Listing
from ior.text import width
from ior.ui.events import Resized
from ior.ui.keys import Action, Pressed
from ior.ui.picker.choice import KEYS, Clicked, Event, Picker, Scanned, Target, Typed, reduce
from ior.ui.picker.screen import PickerScreen
from ior.ui.picker.view import lines

HOSTILE = Candidate(900, "\x1b[31mevil", 1, "evil \u202e漢字 \x07")
FOUND = (
    Candidate(1, "init", 1, "/sbin/init"),
    Candidate(12, "cron", 1, "/usr/sbin/cron -f"),
    Candidate(120, "postgres", 1, "postgres: writer"),
    Candidate(121, "postgres", 3, "postgres -D /data 12"),
    HOSTILE,
)


def after(*events: Event | Action, picker: Picker | None = None) -> Picker:
    made = [Pressed(event) if isinstance(event, Action) else event for event in events]
    start = reduce(Picker(), Scanned(None, Listing(FOUND))) if picker is None else picker
    return fold(reduce, made, start)


def ids(picker: Picker) -> list[int | None]:
    return [None if one is None else one.id for one in picker.shown]


def test_everybody_stands_first() -> None:
    assert ids(after()) == [None, 1, 12, 120, 121, 900]
    assert after(Action.ACCEPT).chosen == Target()


@pytest.mark.parametrize(
    ("typed", "left"),
    [
        ("POSTGRES", [120, 121]),
        ("sbin", [1, 12]),
        ("12", [12, 120, 121]),
        ("120", [120]),
        ("zz", []),
    ],
)
def test_typing_filters_by_pid_command_and_command_line(typed: str, left: list[int]) -> None:
    picker = after(*map(Typed, typed))
    assert ids(picker) == left
    assert after(Action.ACCEPT, picker=picker).chosen == (Target(pid=left[0]) if left else None)
    assert ids(after(*[Action.POP] * len(typed), picker=picker)) == ids(after())
    assert ids(after(Action.CLEAR, picker=picker)) == ids(after())


def test_a_pid_that_is_typed_in_full_comes_first() -> None:
    found = (Candidate(1200, "a", 1, ""), Candidate(12, "b", 1, ""))
    picker = reduce(Picker(), Scanned(None, Listing(found)))
    assert ids(after(Typed("12"), picker=picker)) == [12, 1200]


def test_the_cursor_stays_on_its_pid_when_proc_is_read_anew() -> None:
    picker = after(Action.DOWN, Action.DOWN, Action.DOWN)
    assert picker.here == FOUND[2]
    asked = after(Action.RESCAN, picker=picker)
    assert asked.wants != picker.wants
    new = (Candidate(2, "new", 1, ""), *FOUND)
    assert after(Scanned(None, Listing(new)), picker=asked).here == FOUND[2]
    gone = after(Scanned(None, Listing(FOUND[:2])), picker=asked)
    assert gone.here == FOUND[1], "where it was, or the last row"


def test_threads_of_a_process_and_back() -> None:
    picker = after(*[Action.DOWN] * 4, Action.THREADS)
    assert picker.wants == (121, 0)
    assert after(Scanned(None, Listing(FOUND)), picker=picker) == picker, "it came too late"
    threads = (Candidate(121, "postgres", 1, ""), Candidate(125, "io", 1, ""))
    picker = after(Scanned(121, Listing(threads)), picker=picker)
    assert ids(picker) == [None, 121, 125]
    assert after(Action.ACCEPT, picker=picker).chosen == Target(pid=121)
    assert after(Action.LAST, Action.ACCEPT, picker=picker).chosen == Target(tid=125)
    assert after(Action.THREADS, picker=picker) == picker
    assert after(Action.CANCEL, picker=picker).wants == (None, 0)


def test_escape_clears_then_leaves() -> None:
    picker = after(Typed("p"), Action.CANCEL)
    assert (picker.needle, picker.left) == ("", False)
    assert after(Action.CANCEL, picker=picker).left
    assert after(Typed("p"), Action.QUIT).left


def test_the_mouse_moves_the_cursor_and_chooses() -> None:
    picker = after(Clicked(5))
    assert (picker.cursor, picker.chosen) == (2, None)
    assert after(Clicked(5), picker=picker).chosen == Target(pid=12)
    assert after(Clicked(1), Clicked(23), Clicked(12)) == after()


def test_long_lists_scroll() -> None:
    many = tuple(Candidate(n, "x", 1, "") for n in range(1, 500))
    picker = after(Scanned(None, Listing(many)), Action.LAST)
    assert picker.here == many[-1]
    assert picker.top == 500 - picker.page
    picker = after(Action.PAGE_UP, Resized(80, 10), picker=picker)
    assert picker.top <= picker.cursor < picker.top + picker.page
    assert after(Action.FIRST, picker=picker).top == 0


@pytest.mark.parametrize(("columns", "rows"), SIZES)
@pytest.mark.parametrize(
    "events",
    [
        (),
        (Typed("ev"),),
        (Typed("\x1b[2Jnothing"),),
        (*[Action.DOWN] * 4, Action.THREADS),
        (Scanned(None, Listing(FOUND, "the command line of pid 4 cannot be read")),),
    ],
)
def test_lines_fill_the_screen_exactly(
    columns: int, rows: int, events: tuple[Event | Action, ...]
) -> None:
    drawn = lines(after(Resized(columns, rows), *events))
    assert len(drawn) == rows
    for line in drawn:
        text = "".join(part for _, part in line)
        assert width(text) == columns
        assert text.isprintable()


def test_looks() -> None:
    shown = ["".join(part for _, part in line).rstrip() for line in lines(after(Action.DOWN))]
    assert shown[0].startswith(" ior  whom to trace?")
    assert shown[0].endswith("5 processes")
    assert shown[3].split() == ["every", "process"]
    assert shown[4].split() == ["1", "1", "init", "/sbin/init"]
    assert "␛[31mevil" in shown[8]
    columns = [line.index(word) for line, word in ((shown[2], "command"), (shown[4], "init"))]
    assert columns[0] == columns[1]


@pytest.mark.parametrize("columns", [40, 50, 60, 80])
def test_no_key_of_the_bar_is_cut_and_the_way_out_is_named(columns: int) -> None:
    said = "".join(part for _, part in lines(after(Resized(columns, 12)))[-1])
    assert said.startswith(" Enter trace it ")
    assert said.endswith(" Ctrl-C quit ")
    assert "…" not in said
    assert (" Ctrl-R rescan " in said) == (columns >= 80)


class Three(Lister):
    """Another list at every look."""

    looks = 0

    def processes(self) -> Listing:
        self.looks += 1
        return Listing(FOUND[: self.looks + 1], f"look {self.looks}")

    def threads(self, pid: int) -> Listing:
        return Listing((Candidate(pid, "main", 1, ""), Candidate(pid + 1, "helper", 1, "")))


def picked(*steps: tuple[str, str]) -> tuple[Target | None, list[str]]:
    """Press keys when the screen shows what is waited for; return the choice and the screens."""
    terminal, saw = Terminal(80, 24), []
    todo = list(steps)
    with create_pipe_input() as keyboard, create_app_session(input=keyboard):
        screen = PickerScreen(keyboard, terminal.output, lister=Three())

        def look() -> None:
            if todo and todo[0][0] in "\n".join(terminal.lines):
                saw.append("\n".join(terminal.lines))
                keyboard.send_text(todo.pop(0)[1])

        terminal.on_frame = look
        choice = asyncio.run(asyncio.wait_for(screen.pick(), 20))
    assert todo == [], "\n".join(terminal.lines)
    return choice, saw


@pytest.mark.timeout(30)
def test_keys_on_a_screen() -> None:
    assert picked(("init", "cr"), ("filter cr", "\r"))[0] == Target(pid=12)
    assert picked(("init", "\x03"))[0] is None
    assert picked(("init", "\x1b"))[0] is None
    choice, saw = picked(("look 1", "\x12"), ("look 2", "\x1b[B\t"), ("helper", "\x1b[F\r"))
    assert choice == Target(tid=2)
    assert "postgres" in saw[1]
    assert "which thread of process 1?" in saw[2]
    assert "type a tid or a command" in saw[2]
    assert "type a pid, a command" in saw[0]
    assert picked(("init", "\x1b[200~cron\n\x1b[201~"), ("filter cron", "\r"))[0] == Target(pid=12)


def test_no_key_stands_in_two_lines() -> None:
    names = sorted(name for line in KEYS for name in line.keys)
    assert all(one != other for one, other in pairwise(names))
