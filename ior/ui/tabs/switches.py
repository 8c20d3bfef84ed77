"""Families and syscalls with what was seen of them, to be switched off and on while one looks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import ClassVar, NamedTuple

import msgspec
from msgspec.structs import replace

from ior.text import fit
from ior.ui.keys import SCROLL, Action, Key, Pressed
from ior.ui.patterns import compiled, typed
from ior.ui.periods import Period, filtered, lines
from ior.ui.sight import Sight
from ior.ui.switches import Switches, families
from ior.ui.tabs.abc import (
    Answered,
    Clicked,
    Question,
    Size,
    Step,
    Tab,
    TabEvent,
    View,
)
from ior.ui.widgets import Line, exactly
from ior.units import format_count

_SEARCH = Question("syscalls", "syscalls: ", "a regular expression; empty lists the families")
_NAME, _STATE, _CALLS = 24, 12, 18  # cells


class Row(NamedTuple):
    """A family or one syscall: what it is called, what it consists of."""

    name: str
    members: frozenset[str]
    depth: int = 0
    note: str = ""


class Counted(NamedTuple):
    """The calls of each syscall since the start; None where nobody counts them.

    `filtered` is how many calls and rows all filters have left out.
    """

    calls: Mapping[str, int] | None
    filtered: int = 0


class SwitchesView(View, frozen=True, kw_only=True):
    """Which families are open, what is searched for, where the cursor stands.

    The first three are the state's: what is on, what was let through when, when the run began.
    """

    switches: Switches = Switches()
    periods: tuple[Period, ...] = ()
    started_ns: int = 0
    opened: frozenset[str] = frozenset()
    pattern: str = ""
    cursor: int = 0
    top: int = 0


class SwitchesLayout(msgspec.Struct, frozen=True):
    """The rows, the calls of each syscall, and the cells that there are for them.

    `said` are lines under the rows, as many as there is room for.
    """

    rows: tuple[Row, ...]
    said: tuple[str, ...]
    calls: Mapping[str, int] | None
    size: Size

    @property
    def page(self) -> int:
        """Rows that are visible at once."""
        return max(1, self.size.rows - 1)


class SwitchesTab(Tab[SwitchesView, Counted, SwitchesLayout]):
    """Lists the families, or the syscalls that a search finds; toggles what the cursor is on."""

    name = "Selection"
    keys: ClassVar[tuple[Key, ...]] = (
        Key(Action.TOGGLE, ("space", "enter"), "Space Enter", "on/off", "switch off, or on again"),
        Key(Action.SEARCH, ("/",), "/", "search", "find syscalls by a regular expression"),
        Key(Action.RIGHT, ("right", "l"), "Right l", "syscalls", "show the family's syscalls"),
        Key(Action.LEFT, ("left", "h"), "Left h", "", "hide them"),
        *SCROLL,
    )
    begin = SwitchesView()

    def look(self, sight: Sight, view: SwitchesView) -> Counted:  # noqa: ARG002 (any will do)
        """Return what was counted, whatever is looked at."""
        return Counted(sight.calls_by_syscall(), filtered(sight.ledger()))

    def arrange(
        self,
        view: SwitchesView,
        seen: Counted,
        size: Size,
        last: SwitchesLayout | None,  # noqa: ARG002 (nothing is worth keeping)
    ) -> tuple[SwitchesView, SwitchesLayout]:
        """List what is to be listed; keep the cursor in sight."""
        said = lines(view.periods, seen.filtered, view.started_ns)
        layout = SwitchesLayout(_rows(view), said, seen.calls, size)
        rows, page = len(layout.rows), layout.page
        cursor = max(0, min(view.cursor, rows - 1))
        top = max(min(view.top, cursor, rows - page), cursor - page + 1, 0)
        if (cursor, top) != (view.cursor, view.top):
            view = replace(view, cursor=cursor, top=top)
        return view, layout

    def reduce(self, view: SwitchesView, layout: SwitchesLayout, event: TabEvent) -> Step | None:
        """Move, open, search; toggle what is under the cursor."""
        match event:
            case Answered(_SEARCH.name, text):
                return Step(replace(view, pattern=_checked(text), cursor=0))
            case Pressed(Action.SEARCH, _):
                return Step(view, ask=replace(_SEARCH, text=view.pattern))
            case Pressed(Action.CANCEL, _) if view.pattern:
                return Step(replace(view, pattern="", cursor=0))
            case Clicked(_, line):
                at = view.top + line - 1
                if not 0 < line <= layout.page or at >= len(layout.rows):
                    return None
                if at == view.cursor:
                    return self.reduce(view, layout, Pressed(Action.TOGGLE))
                return Step(replace(view, cursor=at))
            case Pressed(Action.TOGGLE, _) if layout.rows:
                row = layout.rows[view.cursor]
                switches = view.switches.toggled(row.members)
                return Step(replace(view, switches=switches), switches=switches)
            case Pressed(Action.TOGGLE, _):
                return Step(view)
            case Pressed(action, _) if action in _MOVES:
                return Step(_MOVES[action](view, layout))
        return None

    def line(self, view: SwitchesView, layout: SwitchesLayout, row: int) -> Line:
        """Draw the heading or a row."""
        at = view.top + row - 1
        if row == 0:
            said = "family" if not view.pattern else f"syscalls like {view.pattern}"
            cells = (fit(f"     {said}", _NAME), "on".rjust(_STATE), "calls".rjust(_CALLS))
            return exactly(
                [("class:heading", "".join(cells))], layout.size.columns, "class:heading"
            )
        below = at - len(layout.rows) - 1
        if layout.rows and below >= 0 and layout.said:
            room = layout.size.rows - 2 - len(layout.rows)
            last = layout.said[-room:] if room > 0 else ()
            text = last[below] if below < len(last) else ""
            return exactly([("class:rest", f" {text}")], layout.size.columns)
        if at >= len(layout.rows):
            said = " no syscall is called so" if not layout.rows and row == 1 else ""
            return exactly([("", said)], layout.size.columns)
        style = "class:cursor" if at == view.cursor else ""
        text = _drawn(layout.rows[at], view.switches, layout.calls)
        return exactly([(style, text)], layout.size.columns, style)


def _checked(text: str) -> str:
    typed(text)
    return text


def _rows(view: SwitchesView) -> tuple[Row, ...]:
    if view.pattern:
        wanted = compiled(view.pattern, re.IGNORECASE)
        found = [(n, f) for f, some in families().items() for n in some if wanted.search(n)]
        return tuple(Row(name, frozenset({name}), 0, family) for name, family in sorted(found))
    rows: list[Row] = []
    for family, members in families().items():
        rows.append(Row(family, members))
        if family in view.opened:
            rows += [Row(name, frozenset({name}), 1) for name in sorted(members)]
    return tuple(rows)


def _drawn(row: Row, switches: Switches, calls: Mapping[str, int] | None) -> str:
    on = len(row.members - switches.off)
    box = "[ ]" if not on else "[x]" if on == len(row.members) else "[-]"
    family = row.note or row.depth or len(row.members) == 1
    state = ("on" if on else "off") if family else f"{on} of {len(row.members)}"
    seen = "" if calls is None else format_count(sum(calls.get(n, 0) for n in row.members))
    name = fit(f" {box} {'  ' * row.depth}{row.name}", _NAME)
    return f"{name}{state.rjust(_STATE)}{seen.rjust(_CALLS)}   {row.note}"


_Move = Callable[[SwitchesView, SwitchesLayout], SwitchesView]


def _by(delta: Callable[[SwitchesLayout], int]) -> _Move:
    return lambda view, layout: replace(view, cursor=max(0, view.cursor + delta(layout)))


def _open(view: SwitchesView, layout: SwitchesLayout) -> SwitchesView:
    row = layout.rows[view.cursor] if layout.rows else None
    known = row is not None and row.name in families() and not row.note
    return replace(view, opened=view.opened | {row.name}) if row and known else view


def _close(view: SwitchesView, layout: SwitchesLayout) -> SwitchesView:
    """Hide the syscalls of the family that the cursor is in, and go to it."""
    at = view.cursor
    while at > 0 and layout.rows[at].depth:
        at -= 1
    closed = {layout.rows[at].name} if layout.rows else set()
    return replace(view, opened=view.opened - closed, cursor=at if closed else 0)


_MOVES: dict[Action, _Move] = {
    Action.UP: _by(lambda _: -1),
    Action.DOWN: _by(lambda _: 1),
    Action.PAGE_UP: _by(lambda layout: -layout.page),
    Action.PAGE_DOWN: _by(lambda layout: layout.page),
    Action.FIRST: lambda view, _: replace(view, cursor=0),
    Action.LAST: lambda view, layout: replace(view, cursor=len(layout.rows)),
    Action.RIGHT: _open,
    Action.LEFT: _close,
}

SWITCHES = SwitchesTab()
