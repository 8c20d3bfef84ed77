"""What is on the screen, as one frozen value, and the one function that changes it.

`reduce(state, event)` is pure: no clock, no screen, no graph. Whoever runs the screen turns
key presses, ticks and messages into events, and acts on what the state then asks for
(`quitting`, `prompt`, `tab`, `where`).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import msgspec
from msgspec.structs import replace

from ior.errors import FilterError
from ior.expr import Predicate
from ior.ui.events import (
    Ended,
    Event,
    FilterEdited,
    Noted,
    Picture,
    Pressed,
    Resized,
    Started,
    Tick,
)
from ior.ui.folding import fold
from ior.ui.grid import Grid, Sort, arrange, columns_shown, find, key_of
from ior.ui.keys import KEYS, Action, Mode
from ior.ui.rates import Mark, Rates, recent
from ior.ui.terms import joined, term_of

MIN_COLUMNS, MIN_ROWS = 40, 10  # below, a notice says so
MESSAGE_NS = 10_000_000_000  # how long a message stays on its line
NOTES = 200  # messages that the Warnings view keeps


class Phase(StrEnum):
    """How far the run is."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    ENDED = "ended"
    FAILED = "failed"


class Prompt(msgspec.Struct, frozen=True):
    """The filter being edited, and what is wrong with characters `start` to `end` of it."""

    text: str
    error: str = ""
    start: int = 0
    end: int = 0


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the screen shows."""

    title: str
    columns: int = 80
    rows: int = 24
    phase: Phase = Phase.STARTING
    quits: int = 0  # how often the user asked to leave; the second time does not wait
    over_table: Mode | None = None  # HELP or WARNINGS, in the table's place
    over_top: int = 0
    prompt: Prompt | None = None
    terms: tuple[str, ...] = ()  # of the filter; all must hold
    where: Predicate | None = None  # what they mean together
    paused: bool = False  # the table stands still
    tabs: tuple[str, ...] = ("Syscalls",)
    tab: int = 0
    picture: Picture | None = None
    grid: Grid | None = None
    sort: Sort = Sort()
    first_column: int = 0  # of those that scroll
    cursor: int = 0
    anchor: tuple[Any, ...] | None = None  # the row that the cursor stays on
    top: int = 0
    started_ns: int | None = None
    ended_ns: int | None = None
    marks: tuple[Mark, ...] = ()  # of the last second
    message: Noted | None = None
    notes: tuple[Noted, ...] = ()  # the latest messages, oldest first
    noted: int = 0  # how many messages there ever were
    error: str = ""

    @property
    def mode(self) -> Mode:
        """What the keys mean now."""
        if self.prompt is not None:
            return Mode.PROMPT
        return self.over_table or Mode.TABLE

    @property
    def looks_at(self) -> tuple[int, tuple[str, ...], bool]:
        """What a picture depends on: another one is wanted at once when this changes."""
        return self.tab, self.terms, self.paused

    @property
    def small(self) -> bool:
        """Whether the terminal is too small for anything but a notice."""
        return self.columns < MIN_COLUMNS or self.rows < MIN_ROWS

    @property
    def over(self) -> bool:
        """Whether the run has ended, well or not."""
        return self.phase in (Phase.ENDED, Phase.FAILED)

    @property
    def elapsed_ns(self) -> int:
        """Nanoseconds that the run has taken so far, or took."""
        if self.picture is None or self.started_ns is None:
            return 0
        now_ns = self.picture.now_ns if self.ended_ns is None else self.ended_ns
        return max(0, now_ns - self.started_ns)

    @property
    def rates(self) -> Rates:
        """What happens in a second: of late while it runs, on the whole when it has ended."""
        if self.over and self.marks and self.elapsed_ns:
            last = self.marks[-1]
            return Rates.between(Mark(last.now_ns - self.elapsed_ns), last)
        return Rates.between(self.marks[0], self.marks[-1]) if self.marks else Rates()

    @property
    def over_lines(self) -> int:
        """How many lines stand in the table's place."""
        return len(KEYS) if self.over_table is Mode.HELP else len(self.notes)

    @property
    def foot_rows(self) -> int:
        """Lines under the table: prompt with its carets, message or error text, key bar."""
        if self.small:
            return int(self.prompt is not None)
        said = max(1, len(self.error_lines))
        if self.prompt is None:
            return said + 1
        return said + (3 if self.prompt.error else 2)

    @property
    def error_lines(self) -> list[str]:
        """What is wrong with the filter in the prompt, or with the run."""
        if self.prompt is not None:
            return fold(self.prompt.error, self.columns, 3)
        return fold(self.error, self.columns, max(1, self.rows // 3))

    @property
    def head_rows(self) -> int:
        """Lines above the table: title, numbers, tabs, and the filter where there is one."""
        if self.small:
            return 0
        return 4 if self.where is not None else 3

    @property
    def body_rows(self) -> int:
        """Lines of the table with its heading and its rest."""
        return max(1, self.rows - self.head_rows - self.foot_rows)

    @property
    def page(self) -> int:
        """Rows of the table that are visible at once."""
        rest = self.grid is not None and self.grid.table.rest is not None
        return max(1, self.body_rows - 1 - rest)


def reduce(state: State, event: Event) -> State:
    """Return the state after `event`."""
    match event:
        case Tick(picture):
            state = _seen(state, picture)
        case Started(now_ns, tabs):
            state = replace(state, phase=Phase.RUNNING, started_ns=now_ns, tabs=tabs)
        case Ended(picture, error):
            phase = Phase.FAILED if error else Phase.ENDED
            state = _seen(state, picture)
            state = replace(state, phase=phase, error=error, ended_ns=picture.now_ns)
        case Pressed(Action.TAB, nth):
            state = _at_tab(state, nth)
        case Pressed(action):
            state = _ACTIONS[action](state)
        case FilterEdited(text):
            if state.prompt is not None and state.prompt.text != text:
                state = replace(state, prompt=Prompt(text))
        case Resized(columns, rows):
            state = replace(state, columns=columns, rows=rows)
        case Noted():
            notes = (*state.notes, event)[-NOTES:]
            state = replace(state, message=event, notes=notes, noted=state.noted + 1)
    return _scrolled(state)


def _seen(state: State, picture: Picture) -> State:
    if state.paused and state.grid is not None and state.picture is not None:
        held = state.picture
        picture = replace(picture, table=held.table, matched=held.matched)
    now_ns = picture.now_ns
    marks = recent(state.marks, Mark.of(picture))
    message = state.message
    if message is not None and now_ns - message.now_ns > MESSAGE_NS:
        message = None
    state = replace(state, picture=picture, marks=marks, message=message)
    return _arranged(state)


def _arranged(state: State) -> State:
    table = state.picture.table if state.picture else None
    if table is None:
        return replace(state, grid=None)
    grid = arrange(table, state.sort)
    cursor = state.cursor
    if state.anchor is not None:
        found = find(grid, state.anchor)
        cursor = cursor if found is None else found
    return replace(state, grid=grid, cursor=cursor)


def _scrolled(state: State) -> State:
    """Return the state with cursor and scroll positions inside the table."""
    rows = len(state.grid.rows) if state.grid else 0
    cursor = max(0, min(state.cursor, rows - 1))
    top = max(0, min(state.top, cursor, rows - state.page))
    top = max(top, cursor - state.page + 1)
    columns = len(state.grid.widths) - state.grid.keys if state.grid else 0
    first = max(0, min(state.first_column, columns - 1))
    if (cursor, top, first) == (state.cursor, state.top, state.first_column):
        return state
    return replace(state, cursor=cursor, top=top, first_column=first)


def _moved(delta: Callable[[State], int]) -> Callable[[State], State]:
    def move(state: State) -> State:
        if state.over_table is not None:
            lines = max(0, state.over_lines - state.body_rows)
            return replace(state, over_top=max(0, min(state.over_top + delta(state), lines)))
        if state.grid is None:
            return state
        cursor = max(0, min(state.cursor + delta(state), len(state.grid.rows) - 1))
        return replace(state, cursor=cursor, anchor=key_of(state.grid, cursor))

    return move


def _first(state: State) -> State:
    if state.over_table is not None:
        return replace(state, over_top=0)
    return replace(state, cursor=0, anchor=None)  # the top, whatever comes to stand there


def _column(step: int) -> Callable[[State], State]:
    return lambda state: replace(state, first_column=state.first_column + step)


def _sort(state: State) -> State:
    """Sort by the next field, scrolling it into view; after the last, the table's own order."""
    if state.grid is None:
        return state
    names: list[str | None] = [None, *(field.name for field in state.grid.table.fields)]
    at = names.index(state.sort.field) if state.sort.field in names else 0
    sort = Sort(names[(at + 1) % len(names)])
    state = _arranged(replace(state, sort=sort))
    assert state.grid is not None
    column = names.index(sort.field) - 1
    if column < state.grid.keys:
        return replace(state, first_column=0)
    first = min(state.first_column, column - state.grid.keys)
    while column not in dict(columns_shown(state.grid, first, state.columns)):
        if first >= column - state.grid.keys:
            break
        first += 1
    return replace(state, first_column=first)


def _reverse(state: State) -> State:
    return _arranged(replace(state, sort=Sort(state.sort.field, not state.sort.reverse)))


def _quit(state: State) -> State:
    phase = state.phase if state.over else Phase.STOPPING
    return replace(state, quits=state.quits + 1, phase=phase)


def _open_prompt(state: State) -> State:
    return replace(state, prompt=Prompt(state.where.source if state.where else ""))


def _accept(state: State) -> State:
    """Apply the filter in the prompt; an empty one shows everything again."""
    if state.prompt is None:
        return state
    text = state.prompt.text.strip()
    terms = (text,) if text else ()
    try:
        joined(terms)
    except FilterError as error:
        lead = len(state.prompt.text) - len(state.prompt.text.lstrip())
        bad = Prompt(state.prompt.text, str(error), error.start + lead, error.end + lead)
        return replace(state, prompt=bad)
    if terms == state.terms or (state.where is not None and text == state.where.source):
        return replace(state, prompt=None)
    return _filtered(replace(state, prompt=None), terms)


def _filtered(state: State, terms: tuple[str, ...]) -> State:
    """Return the state with another filter; its table is yet to come."""
    return replace(state, terms=terms, where=joined(terms), cursor=0, anchor=None, top=0, grid=None)


def _drill(state: State) -> State:
    """Add what names the row under the cursor to the filter."""
    if state.grid is None or state.picture is None or not state.grid.rows:
        return state
    term = term_of(state.grid, state.cursor)
    if term is None:
        name = state.grid.table.fields[0].name
        said = f"a row of this table is no filter: '{name}' is not a field of calls"
        return replace(state, message=Noted(said, state.picture.now_ns))
    return state if term in state.terms else _filtered(state, (*state.terms, term))


def _pop(state: State) -> State:
    return _filtered(state, state.terms[:-1]) if state.terms else state


def _pause(state: State) -> State:
    return replace(state, paused=not state.paused)


def _cancel(state: State) -> State:
    return replace(state, prompt=None, over_table=None)


def _over(mode: Mode) -> Callable[[State], State]:
    def show(state: State) -> State:
        shown = None if state.over_table is mode else mode
        return replace(state, over_table=shown, over_top=0)

    return show


def _at_tab(state: State, tab: int) -> State:
    """Return the state with another tab in front; as it is where there is none."""
    if tab == state.tab or tab >= len(state.tabs):
        return state
    fresh = replace(state, tab=tab, sort=Sort(), cursor=0, anchor=None, top=0, first_column=0)
    return replace(fresh, grid=None)


def _tab(step: int) -> Callable[[State], State]:
    return lambda state: _at_tab(state, (state.tab + step) % len(state.tabs))


_ACTIONS: dict[Action, Callable[[State], State]] = {
    Action.QUIT: _quit,
    Action.HELP: _over(Mode.HELP),
    Action.WARNINGS: _over(Mode.WARNINGS),
    Action.FILTER: _open_prompt,
    Action.DRILL: _drill,
    Action.POP: _pop,
    Action.PAUSE: _pause,
    Action.ACCEPT: _accept,
    Action.CANCEL: _cancel,
    Action.SORT: _sort,
    Action.REVERSE: _reverse,
    Action.UP: _moved(lambda _: -1),
    Action.DOWN: _moved(lambda _: 1),
    Action.PAGE_UP: _moved(lambda state: -state.page),
    Action.PAGE_DOWN: _moved(lambda state: state.page),
    Action.FIRST: _first,
    Action.LAST: _moved(
        lambda state: (
            state.over_lines if state.over_table else len(state.grid.rows) if state.grid else 0
        )
    ),
    Action.LEFT: _column(-1),
    Action.RIGHT: _column(1),
    Action.NEXT_TAB: _tab(1),
    Action.PREVIOUS_TAB: _tab(-1),
}
