"""What can happen to the screen: pictures of the run, keys, sizes, messages."""

from __future__ import annotations

from typing import Any

import msgspec

from ior.pipeline.ledger import Ledger
from ior.stages.stats import Totals
from ior.ui.keys import Pressed
from ior.ui.notes import Noted, Said
from ior.ui.periods import Period
from ior.ui.sight import Matched
from ior.ui.tabs.abc import AnyTab, Clicked, Question

_SECOND = 1_000_000_000


class Look(msgspec.Struct, frozen=True):
    """What a tab saw (None where there was nothing), and how.

    `matched` says how many of the retained rows it is made of; it is None without a filter,
    and where the tab does not show retained rows.
    """

    seen: Any
    matched: Matched | None = None


class Picture(msgspec.Struct, frozen=True):
    """What was seen at one moment: by what is in front (None: it did not look), and the books.

    `totals` are those of a `stats` node, None without one; `cpu_ns` is what ior itself used.
    `latest_ns` is when the latest call ended, `retained_ns` the time that the retained rows
    cover, None without any. `recorded_ns` is the time that the calls of a capture took, as far as
    it was read, None of live ones.
    """

    look: Look | None
    ledger: Ledger
    now_ns: int
    totals: Totals | None = None
    cpu_ns: int = 0
    latest_ns: int = 0
    retained_ns: int | None = None
    recorded_ns: int | None = None

    def is_like(self, last: Picture | None) -> bool:
        """Return whether it draws the same as the last: nothing came in the same second."""
        if last is None or self.now_ns // _SECOND != last.now_ns // _SECOND:
            return False
        return self.ledger == last.ledger and self.look == last.look


class Started(msgspec.Struct, frozen=True):
    """The run is under way; `tabs` are what can be looked at."""

    now_ns: int
    tabs: tuple[AnyTab, ...]


class Tick(msgspec.Struct, frozen=True):
    """A new picture."""

    picture: Picture


class Ended(msgspec.Struct, frozen=True):
    """The run is over; the picture is the last. `error` is why it failed, "" if it did not.

    `advice` are commands that help if it could not begin, each with what it is for. `status` is
    the exit status of the command that was traced, 128+N for signal N, if there was one that ended.
    """

    picture: Picture
    error: str = ""
    advice: tuple[tuple[str, str], ...] = ()
    status: int | None = None


class PromptEdited(msgspec.Struct, frozen=True):
    """The text in the prompt is another."""

    text: str


class Resized(msgspec.Struct, frozen=True):
    """The terminal has another size."""

    columns: int
    rows: int


class Asked(msgspec.Struct, frozen=True):
    """Somebody is to be asked; `text` stands there already, `error` says what is wrong with it."""

    question: Question
    text: str
    error: str = ""


class Recording(msgspec.Struct, frozen=True):
    """What is recorded goes to `path` now; "" for none."""

    path: str


class FiltersRead(msgspec.Struct, frozen=True):
    """What filters are saved: name and expression each, or why they cannot be read."""

    filters: tuple[tuple[str, str], ...]
    error: str = ""


class Faded(msgspec.Struct, frozen=True):
    """What the message line shows has stood long enough, and there are no pictures any more."""


class PeriodBegun(msgspec.Struct, frozen=True):
    """From now on something else is let through."""

    period: Period


class Unbound(msgspec.Struct, frozen=True):
    """A key was pressed that is in no line of what is in front; `key` is prompt_toolkit's name."""

    key: str


OfTheRun = Started | Tick | Ended | Faded | Noted | Recording | PeriodBegun
OfThePerson = Pressed | Unbound | Clicked | PromptEdited | Resized | Asked | Said | FiltersRead
Event = OfTheRun | OfThePerson
