"""What the message line may show: answers, and what nobody asked for."""

from __future__ import annotations

from typing import ClassVar

import msgspec

ANSWER_NS = 3_000_000_000  # how long no mere warning takes the place of an answer or an error


class Noted(msgspec.Struct, frozen=True):
    """A warning, or another message that nobody asked for: it is kept, and stands in the stream.

    `row` is how many rows the stream had had by then.
    """

    message: str
    now_ns: int
    bad: bool = False
    row: int = 0


class Said(msgspec.Struct, frozen=True):
    """An answer to what the person did, for the message line alone.

    `here` is True for one about the tab in front: it goes when one turns to another.
    """

    message: str
    now_ns: int
    here: bool = False
    bad: ClassVar[bool] = False


def latest(shown: Noted | Said | None, note: Noted) -> Noted | Said:
    """Return what the message line shows once there is a note: an answer is left to be read."""
    if shown is None or note.bad or note.now_ns - shown.now_ns >= ANSWER_NS:
        return note
    return shown if shown.bad or isinstance(shown, Said) else note
