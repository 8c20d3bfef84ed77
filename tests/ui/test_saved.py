"""Saved filters in the view: a list in the tab's place, and the file behind it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from emulated import SIZES, Person, Stand
from msgspec.structs import replace
from ptys import Pty
from test_app import STREAM, live, pipeline
from test_frame import lines
from test_state import after, running

from ior.text import width
from ior.ui.app import ViewOptions
from ior.ui.events import FiltersRead, PromptEdited, Resized
from ior.ui.keys import SCROLL, Action, Key
from ior.ui.state import State
from ior.ui.tabs.saved import SavedView
from ior.ui.wishes import ListFilters, SaveFilter

pytestmark = pytest.mark.timeout(20)

READ = FiltersRead((("errors", "is_error"), ("slow\u202e", "latency >= 1ms"), ("wrong", "latancy")))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("SUDO_UID", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "ior" / "filters.toml"


def opened() -> State:
    state = running(Action.SAVED)
    assert state.wish == ListFilters()
    return after(READ, state=replace(state, wish=None))


def cursor(state: State) -> int:
    assert state.over is not None
    assert isinstance(state.over.view, SavedView)
    return state.over.view.cursor


def test_one_is_picked_from_the_list() -> None:
    state = opened()
    assert "errors" in lines(state)[3]
    state = after(Action.DOWN, Action.DRILL, state=state)
    assert (state.terms, state.over) == (("latency >= 1ms",), None)
    assert after(Action.SAVED, READ, Action.SAVED, state=state).over is None


def test_a_saved_filter_that_does_not_compile_is_said() -> None:
    state = after(Action.LAST, Action.DRILL, state=opened())
    assert state.over is not None
    assert state.terms == ()
    assert "did you mean latency" in lines(state)[-2]


def test_the_present_filter_is_saved_under_a_name() -> None:
    assert "no filter to save" in lines(after(Action.SAVE, state=opened()))[-2]
    state = running(Action.FILTER, PromptEdited("is_error"), Action.ACCEPT, Action.SAVED, READ)
    state = after(Action.SAVE, PromptEdited(" mine "), Action.ACCEPT, state=state)
    assert state.wish == SaveFilter("mine", "is_error")


def test_one_is_deleted_but_not_in_a_view_that_writes_nothing() -> None:
    assert after(Action.DELETE, state=opened()).wish == SaveFilter("errors", "")
    state = replace(opened(), read_only=True, terms=("is_error",))
    for action in (Action.DELETE, Action.SAVE):
        refused = after(action, state=state)
        assert (refused.wish, refused.prompt) == (None, None)
        assert "read-only" in lines(refused)[-2]


def test_a_file_that_cannot_be_read_is_said_in_its_place() -> None:
    state = after(FiltersRead((), "/home/x/filters.toml: line 3 " * 6), state=opened())
    assert "filters.toml: line 3" in lines(state)[3]
    for action in (Action.DRILL, Action.DELETE):
        assert after(action, state=state).wish is None


@pytest.mark.parametrize("key", SCROLL)
def test_the_cursor_stays_in_the_list(key: Key) -> None:
    many = FiltersRead(tuple((f"filter {i:03}", "is_error") for i in range(90)))
    state = after(Resized(60, 15), many, Action.DOWN, *[key.action] * 100, state=opened())
    assert any(f"filter {cursor(state):03}" in line for line in lines(state))
    assert cursor(state) == (
        89 if key.action in (Action.DOWN, Action.PAGE_DOWN, Action.LAST) else 0
    )


@pytest.mark.parametrize("size", SIZES)
def test_lines_are_as_wide_as_the_terminal(
    stand: Callable[[int, int, State], Stand], size: tuple[int, int]
) -> None:
    found = stand(*size, after(Resized(*size), state=opened())).show("j")
    assert all(width(line) == size[0] for line in found)
    if size[0] >= 40:
        assert "slow\\u202e" in "\n".join(found)


def test_filters_go_to_the_file_and_come_back(person: Person, place: Path) -> None:
    def listed() -> bool:
        return any(line.startswith(" mine ") for line in person.terminal.lines)

    person.when("ended", "2").when("syscall ", "f").when("filter: ", "is_error\r")
    person.when("rows match", "b").when("no filter is saved", "a").when("save as: ", "mine\r")
    person.when("saved: mine", "b").when("openat ", "\x7f")
    person.until(lambda: person.terminal.lines[3].startswith("syscall"), "b")
    person.until(listed, "\r").when("filter is_error", "b").until(listed, "d")
    person.when("deleted: mine", "q")
    assert live(person, pipeline(STREAM)) == 0
    assert place.read_text("utf-8").endswith("[filters]\n")


def test_a_broken_file_is_left_as_it_is(person: Person, place: Path) -> None:
    place.parent.mkdir()
    place.write_text("[filters\n", encoding="ascii")
    person.when("ended", "2").when("syscall ", "f").when("filter: ", "is_error\r")
    person.when("rows match", "b").when("(at line 1", "a").when("save as: ", "mine\r")
    person.when("mend or", "\x1b").when("(at line 1", "q")
    assert live(person, pipeline(STREAM)) == 0
    assert place.read_text("ascii") == "[filters\n"


def test_a_read_only_view_applies_them(person: Person, place: Path) -> None:
    place.parent.mkdir()
    place.write_text('[filters]\n"x y" = "is_error"\n', encoding="ascii")
    person.when("ended", "2").when("syscall ", "b").when("x y", "d").when("read-only", "\r")
    person.when("filter is_error", "q")
    assert live(person, pipeline(STREAM), options=ViewOptions(read_only=True)) == 0
    assert "x y" in place.read_text("ascii")


@pytest.mark.kernel
def test_a_saved_filter_goes_to_the_kernel(place: Path) -> None:
    place.parent.mkdir()
    place.write_text("[filters]\nopens = 'syscall == openat'\n", encoding="ascii")
    with Pty("--", "sh", "-c", "while :; do : < /etc/passwd; done") as pty:
        pty.see("│sh")
        pty.child.send("b")
        pty.see("syscall == openat")
        pty.child.send("\r")
        pty.see("in the kernel: all of it")
        pty.child.send("q")
        assert pty.leave() == (0, "")
