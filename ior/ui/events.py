"""What can happen to the screen: pictures of the run, keys, sizes, messages."""

from __future__ import annotations

import msgspec

from ior.pipeline.ledger import Ledger
from ior.snapshots import Table
from ior.stages.stats import Totals
from ior.ui.keys import Action


class Matched(msgspec.Struct, frozen=True):
    """How many of the retained rows the filter matches; `None` rows where it has no say."""

    rows: int
    retained: int


class Picture(msgspec.Struct, frozen=True):
    """What was seen at one moment: the tab's table (None before there is one) and the books.

    `matched` is None without a filter, and where the tab does not show retained rows.
    `totals` are those of a `stats` node, None without one; `cpu_ns` is what ior itself used.
    """

    table: Table | None
    ledger: Ledger
    now_ns: int
    matched: Matched | None = None
    totals: Totals | None = None
    cpu_ns: int = 0


class Started(msgspec.Struct, frozen=True):
    """The run is under way; `tabs` are the names of what can be looked at."""

    now_ns: int
    tabs: tuple[str, ...]


class Tick(msgspec.Struct, frozen=True):
    """A new picture."""

    picture: Picture


class Ended(msgspec.Struct, frozen=True):
    """The run is over; the picture is the last. `error` is why it failed, "" if it did not."""

    picture: Picture
    error: str = ""


class Pressed(msgspec.Struct, frozen=True):
    """A key of the table was pressed: of its names the `nth`, from 0."""

    action: Action
    nth: int = 0


class FilterEdited(msgspec.Struct, frozen=True):
    """The text in the filter prompt is another."""

    text: str


class Resized(msgspec.Struct, frozen=True):
    """The terminal has another size."""

    columns: int
    rows: int


class Noted(msgspec.Struct, frozen=True):
    """Something for the message line."""

    message: str
    now_ns: int
    bad: bool = False


Event = Started | Tick | Ended | Pressed | FilterEdited | Resized | Noted
