"""Proposals in the prompt of the filter: the menu, the keys, the values that were seen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from emulated import Terminal
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from ptys import Pty
from test_state import after, running

from ior.names import Names
from ior.stages.stream import StreamSnapshot
from ior.testing import calls
from ior.text import width
from ior.ui.events import Event, PromptEdited, Resized
from ior.ui.keys import Action
from ior.ui.reducer import reduce
from ior.ui.screen import Screen
from ior.ui.state import State
from ior.ui.vocabulary import values

pytestmark = pytest.mark.timeout(60)

HOSTILE = "\u202egnp\x1b[2J"
SEEN = {"comm": ["nginx", "node", HOSTILE, "日本語" * 30], "path": ["/usr/share/doc"]}


class Typist:
    """A screen whose prompt proposes `SEEN`, and somebody who types."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.terminal, self.state = Terminal(*size), after(Resized(*size), state=running())

    def dispatch(self, event: Event) -> None:
        before, self.state = self.state, reduce(self.state, event)
        self.screen.follow(before, self.state)

    def types(self, *steps: tuple[str, str]) -> list[str]:
        """Type each text, then wait for words on the screen; return the lines at the end."""
        with create_pipe_input() as keyboard, create_app_session(input=keyboard):
            self.screen = Screen(
                lambda: self.state,
                self.dispatch,
                input=keyboard,
                output=self.terminal.output,
                values=lambda field: SEEN.get(field, ()),
            )
            return asyncio.run(self._type(keyboard.send_text, steps))

    async def _type(
        self, send: Callable[[str], None], steps: tuple[tuple[str, str], ...]
    ) -> list[str]:
        running_ = asyncio.ensure_future(self.screen.application.run_async())
        for text, words in steps:
            send(text)
            async with asyncio.timeout(20):
                while words not in "\n".join(self.terminal.lines):  # noqa: ASYNC110 - it draws when it does
                    await asyncio.sleep(0.01)
        lines = self.terminal.lines
        self.screen.application.exit()
        await running_
        return lines


def shown(state: State) -> str:
    assert state.prompt is not None
    return state.prompt.text


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (120, 40), (40, 10)])
def test_the_menu_leaves_the_screen_whole(size: tuple[int, int]) -> None:
    typist = Typist(size)
    lines = typist.types(("f", "filter: "), ("comm == ", "nginx"))
    assert len(lines) == size[1]
    assert all(width(line) == size[0] for line in lines)
    assert any("filter: comm ==" in line for line in lines)
    assert not any("\x1b[2J" in line or "\u202e" in line for line in lines)
    assert any("\\u202egnp" in line for line in lines)
    assert "q quit" in lines[-1] or "Esc back" in lines[-1]


@pytest.mark.parametrize("size", [(60, 15), (80, 24)])
def test_the_menu_stands_above_the_line_and_covers_nothing_below(size: tuple[int, int]) -> None:
    lines = Typist(size).types(("f", "filter: "), ("comm == ", "nginx"))
    at = next(i for i, line in enumerate(lines) if line.startswith("filter: comm =="))
    assert all(any(value in line for line in lines[:at]) for value in ("nginx", "node"))
    assert lines[at + 1].startswith("Enter applies it, also to what comes; empty shows")
    lines = Typist(size).types(
        ("f", "filter: "), ("is_error and c", "comm "), ("\r", "unknown field")
    )
    at = next(i for i, line in enumerate(lines) if line.startswith("filter: is_error and c"))
    assert any("comm " in line for line in lines[:at])
    assert lines[at + 1].rstrip() == " " * len("filter: is_error and ") + "^"
    assert lines[at + 2].startswith("unknown field 'c'; the fields are seq, time, ")


def test_tab_goes_through_the_proposals_and_enter_applies() -> None:
    typist = Typist((80, 24))
    typist.types(
        ("f", "filter: "),
        ("comm == n", "node"),
        ("\t", 'comm == "nginx"'),
        ("\t", 'comm == "node"'),
        ("\x1b[Z", 'comm == "nginx"'),
        ("\r", 'filter comm == "nginx"'),
    )
    assert typist.state.terms == ('comm == "nginx"',)


def test_what_is_pasted_stands_on_one_line() -> None:
    typist = Typist((80, 24))
    pasted = "\x1b[200~is_error\r\nand pid > 1\n\x1b[201~"
    lines = typist.types(("f", "filter: "), (pasted, "is_error"))
    assert shown(typist.state).split() == ["is_error", "and", "pid", ">", "1"]
    assert any(line.startswith("filter: is_error and pid > 1") for line in lines)
    typist.types(("\r", " filter is_error and pid > 1"))
    assert typist.state.terms == ("is_error and pid > 1",)


def test_a_path_is_completed_part_by_part() -> None:
    typist = Typist((80, 24))
    typist.types(
        ("f", "filter: "),
        ('path under "/', "/usr/"),
        ("\t", 'path under "/usr/'),
        ("s", "/usr/share/"),
        ("\t", 'path under "/usr/share/'),
    )
    assert shown(typist.state) == 'path under "/usr/share/'


def test_a_wrong_filter_keeps_its_carets_and_other_prompts_propose_nothing() -> None:
    typist = Typist((80, 24))
    lines = typist.types(("f", "filter: "), ("latancy > 1ms", "latancy"), ("\r", "did you mean"))
    at = next(i for i, line in enumerate(lines) if "filter: latancy" in line)
    assert lines[at + 1].strip() == "^" * len("latancy")
    assert lines[at + 1].index("^") == lines[at].index("latancy")


def test_hostile_names_are_harmless_in_the_prompt_itself() -> None:
    typist = Typist((80, 24))
    typist.state = after(
        Action.FILTER, PromptEdited(f'comm == "{HOSTILE}"'), Action.ACCEPT, state=typist.state
    )
    lines = typist.types(("f", "filter: "))
    line = next(line for line in lines if line.startswith("filter: "))
    assert "\\u202egnp␛[2J" in line
    assert not any("\u202e" in part for part in typist.terminal.raw)


def test_values_are_those_of_the_rows_then_what_there_is() -> None:
    names = Names()
    batch = calls(
        names=names,
        comm=["b", "a", "b"],
        syscall=["read", "write", "write"],
        ret=[-2, 0, 5],
        pid=[7, 8, 8],
        file=["/a", "", "/a"],
    )
    rows = StreamSnapshot((batch,), 3)
    assert list(values("comm", rows)) == ["b", "a"]
    assert values("syscall", rows)[:2] == ["write", "read"]
    assert "openat" in values("syscall", rows)
    assert values("family", rows)[0] == "FS"
    assert list(values("errno", rows)) == ["ENOENT"]
    assert list(values("pid", rows)) == ["8", "7"]
    assert list(values("path", rows)) == ["/a"]
    assert list(values("latency", rows)) == []
    assert list(values("comm", None)) == []


@pytest.mark.kernel
def test_commands_that_were_traced_are_proposed() -> None:
    with Pty("--", "dd", "if=/dev/zero", "of=/dev/null", "bs=1") as pty:
        pty.see("│dd")
        pty.child.send("f")
        pty.see("filter: ")
        pty.child.send("comm == ")
        pty.see('"dd" ')
        pty.child.send("\t")
        pty.see('filter: comm == "dd"')
        pty.child.send("\r")
        pty.see("retained rows match")
        pty.child.send("q")
        assert pty.leave() == (0, "")
