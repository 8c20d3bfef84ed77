"""A warning, or another message that nobody asked for: it is kept, and stands in the stream."""

from __future__ import annotations

import msgspec


class Noted(msgspec.Struct, frozen=True):
    """Something for the message line; `row` is how many rows the stream had had by then."""

    message: str
    now_ns: int
    bad: bool = False
    row: int = 0
