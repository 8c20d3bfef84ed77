"""Every key in declarative lines: bindings, key bar, help and documentation are made of them.

Here stand the keys that mean the same everywhere; a tab adds lines of its own (`Tab.keys`).
A key that stands in no line does nothing, and one that stands in a line is documented.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

import msgspec


class Mode(StrEnum):
    """Who gets the keys now."""

    TAB = "tab"
    OVER = "over"  # what stands in the tab's place: help, warnings
    PROMPT = "prompt"


class Action(StrEnum):
    """What a key does. Tabs share the words: what goes down is DOWN in every tab."""

    QUIT = "quit"
    HELP = "help"
    WARNINGS = "warnings"
    FILTER = "filter"
    ACCEPT = "accept"
    CANCEL = "cancel"
    COMPLETE = "complete"
    COMPLETE_BEFORE = "complete before"
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
    OUTPUT = "output"
    SWITCHES = "switches"
    TOGGLE = "toggle"
    SAVED = "saved"
    SAVE = "save"
    DELETE = "delete"
    NEXT_FAMILY = "next family"
    PREVIOUS_FAMILY = "previous family"
    RECORD = "record"
    EXPORT = "export"
    EDIT = "edit"
    COPY = "copy"
    COPY_COMMAND = "copy command"
    REDRAW = "redraw"
    PROCESSES = "processes"
    THREADS = "threads"
    RESCAN = "rescan"
    CLEAR = "clear"
    METRIC = "metric"
    HEIGHT = "height"
    VIEW = "view"
    SEARCH = "search"
    NEXT_MATCH = "next match"
    PREVIOUS_MATCH = "previous match"
    BASELINE = "baseline"
    MARK = "mark"
    OPEN = "open"
    CLOSE = "close"
    ALL = "all"
    GROUP = "group"
    WINDOW = "window"
    EARLIER = "earlier"
    LATER = "later"
    LIVE = "live"


class Key(NamedTuple):
    """One line of the table.

    `keys` are prompt_toolkit's names, `shown` is what people read, `word` stands in the key
    bar (empty: only in the help). `modes` is where a line of `KEYS` holds; the lines of a tab
    hold while it is in front.
    """

    action: Action
    keys: tuple[str, ...]
    shown: str
    word: str
    help: str
    modes: tuple[Mode, ...] = (Mode.TAB,)


class Pressed(msgspec.Struct, frozen=True):
    """A key was pressed: of the names in its line the `nth`, from 0."""

    action: Action
    nth: int = 0


_EVERYWHERE = tuple(Mode)
_READING = (Mode.TAB, Mode.OVER)
_PROMPT = (Mode.PROMPT,)

KEYS: tuple[Key, ...] = (
    Key(Action.QUIT, ("q",), "q", "quit", "leave; ends a command that ior started", _READING),
    Key(Action.QUIT, ("c-c", "<sigint>"), "Ctrl-C", "", "leave, also out of a prompt", _EVERYWHERE),
    Key(Action.HELP, ("?", "f1"), "?", "help", "show or hide the help", _READING),
    Key(Action.WARNINGS, ("w",), "w", "", "show or hide what was warned of", _READING),
    Key(Action.OUTPUT, ("O",), "O", "", "show or hide what the command writes", _READING),
    Key(Action.FILTER, ("f",), "f", "filter", "edit the filter; empty shows everything", _READING),
    Key(Action.POP, ("backspace", "F"), "Backspace F", "", "take the last term off the filter"),
    Key(Action.SAVED, ("b",), "b", "", "saved filters: apply, save, delete", _READING),
    Key(Action.SWITCHES, ("o",), "o", "", "switch families and syscalls off and on", _READING),
    Key(Action.CANCEL, ("escape",), "Esc", "back", "back from any of these", (Mode.OVER,)),
    Key(Action.PREVIOUS_FAMILY, ("[",), "[", "", "look at the family before, or at all"),
    Key(Action.NEXT_FAMILY, ("]",), "]", "", "look at the next family, or at all"),
    Key(Action.PAUSE, ("space",), "Space", "pause", "hold the picture still; the trace goes on"),
    Key(Action.WINDOW, ("W",), "W", "", "show everything, 10 s, 1 min or 5 min"),
    Key(Action.EARLIER, (",",), ",", "", "one window back in time"),
    Key(Action.LATER, (".",), ".", "", "one window forward"),
    Key(Action.LIVE, ("0",), "0", "", "back to the present, and everything; ends a pause"),
    Key(Action.NEXT_TAB, ("tab",), "Tab", "next tab", "next tab", _READING),
    Key(Action.PREVIOUS_TAB, ("s-tab",), "Shift-Tab", "", "previous tab", _READING),
    Key(Action.TAB, tuple("123456789"), "1 to 9", "", "to the tab of that number", _READING),
    Key(Action.RECORD, ("R",), "R", "", "start a recording, or stop it; it ends with the run"),
    Key(Action.EXPORT, ("e",), "e", "", "export what the tab shows"),
    Key(Action.EDIT, ("!",), "!", "", "open the last export in $VISUAL or $EDITOR"),
    Key(Action.COPY_COMMAND, ("Y",), "Y", "", "show and copy the `ior run` that traces the same"),
    Key(Action.PROCESSES, ("p",), "p", "", "choose another process; the run goes on meanwhile"),
    Key(Action.THREADS, ("t",), "t", "", "choose a thread of the process"),
    Key(Action.REDRAW, ("c-l",), "Ctrl-L", "", "draw the whole screen anew", _EVERYWHERE),
    Key(Action.ACCEPT, ("enter",), "Enter", "apply", "in a prompt: apply", _PROMPT),
    Key(Action.CANCEL, ("escape",), "Esc", "back", "in a prompt: no change", _PROMPT),
    Key(Action.COMPLETE, ("tab",), "Tab", "complete", "in the filter: the next proposal", _PROMPT),
    Key(Action.COMPLETE_BEFORE, ("s-tab",), "Shift-Tab", "", "the proposal before", _PROMPT),
)

SCROLL: tuple[Key, ...] = (
    Key(Action.UP, ("up", "k"), "Up k", "", "one row up"),
    Key(Action.DOWN, ("down", "j"), "Down j", "", "one row down"),
    Key(Action.PAGE_UP, ("pageup",), "PgUp", "", "one page up"),
    Key(Action.PAGE_DOWN, ("pagedown",), "PgDn", "", "one page down"),
    Key(Action.FIRST, ("g", "home"), "g Home", "", "to the first row, whichever it comes to be"),
    Key(Action.LAST, ("G", "end"), "G End", "", "to the last row"),
)
"""The lines of a tab whose body is a list."""

MATCHES: tuple[Key, ...] = (
    Key(Action.NEXT_MATCH, ("n",), "n", "", "to the next match"),
    Key(Action.PREVIOUS_MATCH, ("N",), "N", "", "to the match before"),
)
"""The lines of a tab that can be searched."""


def active(mode: Mode, own: Iterable[Key]) -> tuple[Key, ...]:
    """Return the lines that hold in a mode, `own` are those of what is in front.

    Where two lines have the same key, the first holds: a tab's before the general one, which
    is left out where none of its keys is left to it.
    """
    first = tuple(own) if mode is not Mode.PROMPT else ()
    taken = {name for line in first for name in line.keys}
    general = (line for line in KEYS if mode in line.modes and not taken.issuperset(line.keys))
    return (*first, *general)


def pressed(name: str, lines: Iterable[Key]) -> Pressed | None:
    """Return what a key of prompt_toolkit's name `name` means by the lines that hold."""
    for line in lines:
        if name in line.keys:
            return Pressed(line.action, line.keys.index(name))
    return None


def bar(lines: Iterable[Key]) -> list[tuple[str, str]]:
    """Return what the key bar shows: (key, word)."""
    return [(line.shown, line.word) for line in lines if line.word]


def markdown(lines: Iterable[Key]) -> str:
    """Return lines as the table that the documentation has."""
    rows = [f"| {line.shown} | {line.help} |" for line in lines]
    return "\n".join(["| key | what it does |", "|---|---|", *rows, ""])
