"""What the reducer wants done outside the state; whoever runs the screen does it."""

from __future__ import annotations

import msgspec


class Choose(msgspec.Struct, frozen=True):
    """Let the person choose another target, among `threads` or among processes."""

    threads: bool


Wish = Choose
