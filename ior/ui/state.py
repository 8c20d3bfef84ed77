"""What is on the screen, as one frozen value.

What belongs to one tab alone is the tab's (`views`, `looks`, `layout`); here stands what
surrounds it. Whoever runs the screen acts on what the state asks for: `quits`, `prompt`,
`looks_at`, `wish`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from ior.expr import Predicate
from ior.ui import periods
from ior.ui.events import Look, Picture
from ior.ui.folding import fold
from ior.ui.keys import Key, Mode, active
from ior.ui.notes import Noted, Said
from ior.ui.rates import Mark, Rates
from ior.ui.switches import Switches
from ior.ui.tabs.abc import AnyTab, Question, Size, View
from ior.ui.window import Window
from ior.ui.wishes import Wish

MIN_COLUMNS, MIN_ROWS = 40, 10  # below, a notice says so


class Phase(StrEnum):
    """How far the run is."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    ENDED = "ended"
    FAILED = "failed"


class Prompt(msgspec.Struct, frozen=True):
    """A question being answered, and what is wrong with characters `start` to `end` so far."""

    question: Question
    text: str
    error: str = ""
    start: int = 0
    end: int = 0


class Over(msgspec.Struct, frozen=True):
    """What stands in the tab's place."""

    tab: AnyTab
    view: View
    seen: Any


class Front(NamedTuple):
    """What gets the keys and is drawn: a tab, how it is looked at, what was seen."""

    tab: AnyTab
    view: Any
    seen: Any


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the screen shows."""

    title: str
    columns: int = 80
    rows: int = 24
    phase: Phase = Phase.STARTING
    quits: int = 0  # how often the user asked to leave; the second time does not wait
    over: Over | None = None
    output: AnyTab | None = None  # what the command writes, where there is one
    prompt: Prompt | None = None
    terms: tuple[str, ...] = ()  # of the filter; all must hold
    family: str = ""  # the only one that is looked at
    where: Predicate | None = None  # what the terms and the family mean together
    switches: Switches = Switches()  # of syscalls
    periods: tuple[periods.Period, ...] = ()  # what was let through when
    window: Window = Window()  # of time
    paused: bool = False  # the picture stands still
    tabs: tuple[AnyTab, ...] = ()
    tab: int = 0
    views: tuple[View, ...] = ()  # by tab
    looks: tuple[Look | None, ...] = ()  # by tab: the last
    layout: Any = None  # of what is in front; None while there is nothing to lay out
    picture: Picture | None = None
    started_ns: int | None = None
    ended_ns: int | None = None
    status: int | None = None  # of the command that was traced, when it has ended
    marks: tuple[Mark, ...] = ()  # of the last second
    message: Noted | Said | None = None
    notes: tuple[Noted, ...] = ()  # the latest messages, oldest first
    noted: int = 0  # how many messages there ever were
    error: str = ""
    advice: tuple[tuple[str, str], ...] = ()  # where it could not begin: commands that help
    recording: str = ""  # where to, while there is one
    read_only: bool = False  # neither recordings nor exports
    wish: Wish | None = None  # to be done now, once

    @property
    def mode(self) -> Mode:
        """Who gets the keys now."""
        if self.prompt is not None:
            return Mode.PROMPT
        return Mode.OVER if self.over is not None else Mode.TAB

    @property
    def front(self) -> Front | None:
        """What is in front; None before there is a tab."""
        if self.over is not None:
            return Front(self.over.tab, self.over.view, self.over.seen)
        if not self.tabs:
            return None
        look = self.looks[self.tab]
        return Front(self.tabs[self.tab], self.views[self.tab], look.seen if look else None)

    @property
    def keys(self) -> tuple[Key, ...]:
        """The lines of keys that hold now."""
        return active(self.mode, self.front.tab.keys if self.front else ())

    @property
    def look(self) -> Look | None:
        """The last look at the present tab."""
        return self.looks[self.tab] if self.looks else None

    @property
    def looks_at(self) -> tuple[Any, ...]:
        """What a picture depends on: another one is wanted at once when this changes."""
        front = self.front
        wants = (front.tab, front.view.wants) if front else None
        return self.tab, self.terms, self.family, self.window, self.paused, wants

    @property
    def size(self) -> Size:
        """The cells of the body."""
        return Size(self.columns, self.body_rows)

    @property
    def small(self) -> bool:
        """Whether the terminal is too small for anything but a notice."""
        return self.columns < MIN_COLUMNS or self.rows < MIN_ROWS

    @property
    def is_over(self) -> bool:
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
    def shown_ns(self) -> int:
        """The time that has passed for who looks: of a capture, that of its calls."""
        recorded_ns = None if self.picture is None else self.picture.recorded_ns
        return self.elapsed_ns if recorded_ns is None else recorded_ns

    @property
    def rates(self) -> Rates:
        """What happens in a second: of late while it runs, on the whole when it has ended.

        Of a capture it is always on the whole, in the time that its calls took.
        """
        if not self.marks:
            return Rates()
        late = Rates.between(self.marks[0], self.marks[-1])
        recorded = self.picture is not None and self.picture.recorded_ns is not None
        if not recorded and not (self.is_over and self.elapsed_ns):
            return late
        last = self.marks[-1]
        whole = Rates.between(Mark(last.now_ns - self.shown_ns), last)
        return replace(whole, cpu=late.cpu)

    @property
    def foot_rows(self) -> int:
        """Lines under the body: prompt with its carets, message or error text, key bar."""
        if self.small:
            return int(self.prompt is not None)
        said = max(1, len(self.error_lines))
        if self.prompt is None:
            return said + 1
        return said + (3 if self.prompt.error else 2)

    @property
    def error_lines(self) -> list[str]:
        """What is wrong with the text in the prompt, or with the run; leaves the body a line."""
        room = self.rows - self.head_rows - 1
        if self.prompt is not None:  # it, the carets and the key bar
            return fold(self.prompt.error, self.columns, max(1, min(3, room - 3)))
        return fold(self.error, self.columns, max(1, min(self.rows // 3, room - 1)))

    @property
    def head_rows(self) -> int:
        """Lines above the body: title, numbers, tabs, filter and window where there are such."""
        if self.small:
            return 0
        narrowed = self.is_narrowed + bool(self.let_through)
        return 3 + narrowed + (self.window.span_s > 0)

    @property
    def let_through(self) -> str:
        """Since when the filter decides what comes, or what came while there was one; or ""."""
        if self.picture is None:
            return ""
        started_ns, latest_ns = self.started_ns or 0, self.picture.latest_ns
        now = periods.filtered(self.picture.ledger)
        said = periods.present(self.periods, now, started_ns)
        return said or periods.hole(self.periods, self.window, latest_ns, started_ns)

    @property
    def is_narrowed(self) -> bool:
        """Whether a filter holds, or other syscalls are on than in the beginning."""
        return self.where is not None or self.switches.off != self.switches.at_first

    @property
    def body_rows(self) -> int:
        """Lines between head and foot."""
        return max(1, self.rows - self.head_rows - self.foot_rows)


def said(state: State, message: str, *, here: bool = False) -> State:
    """Return the state with a message on its line; `here` as in `Said`."""
    now_ns = state.picture.now_ns if state.picture else 0
    return replace(state, message=Said(message, now_ns, here))
