"""The state of the picker, as one frozen value, and the one function that changes it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from ior.host.listing import Candidate, Listing
from ior.ui.events import Resized
from ior.ui.keys import Action, Key, Pressed

HEAD_ROWS, FOOT_ROWS = 3, 2  # title, filter, heading; note, key bar

KEYS: tuple[Key, ...] = (
    Key(Action.ACCEPT, ("enter",), "Enter", "trace it", "trace what the cursor is on"),
    Key(Action.THREADS, ("tab", "right"), "Tab Right", "threads", "to the threads of the process"),
    Key(Action.RESCAN, ("c-r",), "Ctrl-R", "rescan", "look again; the cursor stays on its pid"),
    Key(Action.CANCEL, ("escape", "left"), "Esc Left", "back", "clear the filter; back; leave"),
    Key(Action.QUIT, ("c-c", "<sigint>"), "Ctrl-C", "quit", "leave ior, also from the view"),
    Key(Action.UP, ("up",), "Up", "", "one row up"),
    Key(Action.DOWN, ("down",), "Down", "", "one row down"),
    Key(Action.PAGE_UP, ("pageup",), "PgUp", "", "one page up"),
    Key(Action.PAGE_DOWN, ("pagedown",), "PgDn", "", "one page down"),
    Key(Action.FIRST, ("home",), "Home", "", "to the first row"),
    Key(Action.LAST, ("end",), "End", "", "to the last row"),
    Key(Action.POP, ("backspace",), "Backspace", "", "take the last character off the filter"),
    Key(Action.CLEAR, ("c-u",), "Ctrl-U", "", "clear the filter"),
)
"""The keys of the picker; every other character goes to its filter."""


class Target(msgspec.Struct, frozen=True):
    """Whom to trace: a process or a thread; with neither, everybody."""

    pid: int | None = None
    tid: int | None = None


class Retarget(msgspec.Struct, frozen=True):
    """Another target can be chosen; `pid` is the process that is traced, None for all."""

    pid: int | None = None


class Typed(msgspec.Struct, frozen=True):
    """Characters for the filter."""

    text: str


class Scanned(msgspec.Struct, frozen=True):
    """What /proc holds: the threads of process `of`, or with None all processes."""

    of: int | None
    listing: Listing


class Clicked(msgspec.Struct, frozen=True):
    """The mouse pointed at a line of the screen."""

    line: int


Event = Pressed | Resized | Typed | Scanned | Clicked


class Picker(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the screen shows.

    `shown` are the rows that the filter leaves; None among them stands for everybody.
    """

    columns: int = 80
    rows: int = 24
    of: int | None = None  # the process whose threads are shown; None: processes
    found: tuple[Candidate, ...] | None = None  # None while /proc is being read
    note: str = ""
    message: str = ""  # why one is here again
    needle: str = ""
    shown: tuple[Candidate | None, ...] = ()
    cursor: int = 0
    top: int = 0
    turn: int = 0  # how often a new look at /proc was asked for
    chosen: Target | None = None
    left: bool = False
    quits: bool = False  # ior, and not only this list

    @property
    def wants(self) -> tuple[int | None, int]:
        """What is to be read from /proc; it is read when this changes."""
        return self.of, self.turn

    @property
    def page(self) -> int:
        """How many rows are visible at once."""
        return max(1, self.rows - HEAD_ROWS - FOOT_ROWS)

    @property
    def here(self) -> Candidate | None:
        """The row under the cursor; None for everybody, and where there is none."""
        return self.shown[self.cursor] if self.shown else None


def reduce(picker: Picker, event: Event) -> Picker:
    """Return the picker after `event`."""
    match event:
        case Resized(columns, rows):
            picker = replace(picker, columns=columns, rows=rows)
        case Typed(text):
            picker = _filtered(picker, picker.needle + text)
        case Scanned(of, listing):
            if of == picker.of:
                picker = _listed(picker, listing)
        case Clicked(line):
            row = line - HEAD_ROWS + picker.top
            if 0 <= line - HEAD_ROWS < picker.page and row < len(picker.shown):
                picker = _accept(picker) if row == picker.cursor else replace(picker, cursor=row)
        case Pressed(action):
            if action in _ACTIONS:
                picker = _ACTIONS[action](picker)
    return _scrolled(picker)


def _scrolled(picker: Picker) -> Picker:
    """Return the picker with its positions inside the rows."""
    cursor = max(0, min(picker.cursor, len(picker.shown) - 1))
    top = max(0, min(picker.top, cursor, len(picker.shown) - picker.page))
    return replace(picker, cursor=cursor, top=max(top, cursor - picker.page + 1))


def _matching(picker: Picker) -> tuple[Candidate | None, ...]:
    """Return the rows that the filter leaves; an id that is typed in full comes first."""
    found, needle = picker.found or (), picker.needle.casefold()
    if not needle:
        return (None, *found)
    some = [one for one in found if any(needle in text.casefold() for text in _texts(one))]
    return tuple(sorted(some, key=lambda one: str(one.id) != needle))


def _texts(one: Candidate) -> tuple[str, str, str]:
    return str(one.id), one.comm, one.command


def _filtered(picker: Picker, needle: str) -> Picker:
    picker = replace(picker, needle=needle, cursor=0, top=0)
    return replace(picker, shown=_matching(picker))


def _listed(picker: Picker, listing: Listing) -> Picker:
    """Take a new list; the cursor stays on its id, or where it was if that is gone."""
    here = picker.here
    picker = replace(picker, found=listing.candidates, note=listing.note)
    shown = _matching(picker)
    ids = [None if one is None else one.id for one in shown]
    cursor = picker.cursor
    if picker.shown and (here.id if here else None) in ids:
        cursor = ids.index(here.id if here else None)
    return replace(picker, shown=shown, cursor=cursor)


def _accept(picker: Picker) -> Picker:
    if not picker.shown:
        return picker
    number = picker.here.id if picker.here else None
    if picker.of is None:
        return replace(picker, chosen=Target(pid=number))
    return replace(picker, chosen=Target(pid=picker.of) if number is None else Target(tid=number))


def _threads(picker: Picker) -> Picker:
    if picker.of is not None or picker.here is None:
        return picker
    return _level(picker, picker.here.id)


def _level(picker: Picker, of: int | None) -> Picker:
    """Return the picker before it has read the threads of a process, or with None processes."""
    fresh = Picker(columns=picker.columns, rows=picker.rows, turn=picker.turn, of=of)
    return replace(fresh, message=picker.message)


def _cancel(picker: Picker) -> Picker:
    if picker.needle:
        return _filtered(picker, "")
    if picker.of is not None:
        return _level(picker, None)
    return replace(picker, left=True)


def _moved(step: Callable[[Picker], int]) -> Callable[[Picker], Picker]:
    return lambda picker: replace(picker, cursor=picker.cursor + step(picker))


_ACTIONS: dict[Action, Callable[[Picker], Picker]] = {
    Action.ACCEPT: _accept,
    Action.THREADS: _threads,
    Action.RESCAN: lambda picker: replace(picker, turn=picker.turn + 1, message=""),
    Action.CANCEL: _cancel,
    Action.QUIT: lambda picker: replace(picker, left=True, quits=True),
    Action.UP: _moved(lambda _: -1),
    Action.DOWN: _moved(lambda _: 1),
    Action.PAGE_UP: _moved(lambda picker: -picker.page),
    Action.PAGE_DOWN: _moved(lambda picker: picker.page),
    Action.FIRST: _moved(lambda picker: -picker.cursor),
    Action.LAST: _moved(lambda picker: len(picker.shown)),
    Action.POP: lambda picker: _filtered(picker, picker.needle[:-1]),
    Action.CLEAR: lambda picker: _filtered(picker, ""),
}
