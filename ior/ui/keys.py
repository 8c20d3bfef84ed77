"""Every key, in one table: bindings, key bar and help are made from it.

A key that is not here does nothing, and one that is here is documented.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Mode(StrEnum):
    """What the keys mean now."""

    TABLE = "table"
    PROMPT = "prompt"
    HELP = "help"
    WARNINGS = "warnings"


class Action(StrEnum):
    """What a key does."""

    QUIT = "quit"
    HELP = "help"
    WARNINGS = "warnings"
    FILTER = "filter"
    ACCEPT = "accept"
    CANCEL = "cancel"
    DRILL = "drill"
    POP = "pop"
    PAUSE = "pause"
    SORT = "sort"
    REVERSE = "reverse"
    UP = "up"
    DOWN = "down"
    PAGE_UP = "page up"
    PAGE_DOWN = "page down"
    FIRST = "first"
    LAST = "last"
    LEFT = "left"
    RIGHT = "right"
    NEXT_TAB = "next tab"
    PREVIOUS_TAB = "previous tab"
    TAB = "tab"


class Key(NamedTuple):
    """One line of the table.

    `keys` are prompt_toolkit's names, `shown` is what people read, `word` stands in the key
    bar (empty: only in the help), `modes` is where the key means this.
    """

    action: Action
    keys: tuple[str, ...]
    shown: str
    word: str
    help: str
    modes: tuple[Mode, ...] = (Mode.TABLE,)


_EVERYWHERE = tuple(Mode)
_OVER = (Mode.HELP, Mode.WARNINGS)
_READING = (Mode.TABLE, *_OVER)

KEYS: tuple[Key, ...] = (
    Key(Action.QUIT, ("q",), "q", "quit", "leave; ends a command that ior started", _READING),
    Key(Action.QUIT, ("c-c", "<sigint>"), "Ctrl-C", "", "leave, also out of a prompt", _EVERYWHERE),
    Key(Action.HELP, ("?", "f1"), "?", "help", "show or hide this help", _READING),
    Key(Action.WARNINGS, ("w",), "w", "", "show or hide what was warned of", _READING),
    Key(Action.FILTER, ("f",), "f", "filter", "edit the filter; empty shows everything"),
    Key(
        Action.DRILL, ("enter",), "Enter", "drill in", "filter by the row under the cursor as well"
    ),
    Key(Action.POP, ("backspace", "F"), "Backspace F", "", "take the last term off the filter"),
    Key(Action.PAUSE, ("space",), "Space", "pause", "hold the table still; the trace goes on"),
    Key(Action.SORT, ("s",), "s", "sort", "sort by the next column"),
    Key(Action.REVERSE, ("S",), "S", "reverse", "reverse the order"),
    Key(Action.NEXT_TAB, ("tab",), "Tab", "next tab", "next tab"),
    Key(Action.PREVIOUS_TAB, ("s-tab",), "Shift-Tab", "", "previous tab"),
    Key(Action.TAB, tuple("123456789"), "1 to 9", "", "to the tab of that number"),
    Key(Action.UP, ("up", "k"), "Up k", "", "one row up", _READING),
    Key(Action.DOWN, ("down", "j"), "Down j", "", "one row down", _READING),
    Key(Action.PAGE_UP, ("pageup",), "PgUp", "", "one page up", _READING),
    Key(Action.PAGE_DOWN, ("pagedown",), "PgDn", "", "one page down", _READING),
    Key(Action.FIRST, ("g", "home"), "g Home", "", "to the first row, and stay there", _READING),
    Key(Action.LAST, ("G", "end"), "G End", "", "to the last row", _READING),
    Key(Action.LEFT, ("left", "h"), "Left h", "", "scroll the columns to the left"),
    Key(Action.RIGHT, ("right", "l"), "Right l", "", "scroll the columns to the right"),
    Key(Action.ACCEPT, ("enter",), "Enter", "apply", "in the prompt: apply", (Mode.PROMPT,)),
    Key(Action.CANCEL, ("escape",), "Esc", "back", "in the prompt: no change", (Mode.PROMPT,)),
    Key(Action.CANCEL, ("escape",), "Esc", "back", "out of help and warnings", _OVER),
)


def bar(mode: Mode) -> list[tuple[str, str]]:
    """Return what the key bar shows in a mode: (key, word)."""
    return [(line.shown, line.word) for line in KEYS if line.word and mode in line.modes]


def help_lines() -> list[tuple[str, str]]:
    """Return the help: (key, what it does), a line for each line of the table."""
    return [(line.shown, line.help) for line in KEYS]


def markdown() -> str:
    """Return the table of keys as the documentation has it."""
    rows = [f"| {key} | {said} |" for key, said in help_lines()]
    return "\n".join(["| key | what it does |", "|---|---|", *rows, ""])
