"""What was made of the retained rows, for as long as no other rows came.

Rows are added up again only where there are others, or others are chosen of them: a picture
of a run in which nothing happens costs next to nothing, however many rows are retained.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from ior.ui.chunks import Chunks
from ior.ui.lookback import Lookback
from ior.ui.paces import Paces

T = TypeVar("T")


class Made(NamedTuple):
    """Something that was made, and what else was found out on the way."""

    key: Any
    value: Any
    found: Any


class Kept:
    """What was made of one basis: all that it depends on besides its key.

    `lookback` and `chunks` keep what was added up of seconds and of rows, and `paces` what a
    capture's seconds counted, of which the next look needs most again.
    """

    def __init__(self) -> None:
        self.lookback, self.chunks, self.paces = Lookback(), Chunks(), Paces()
        self._basis: tuple[Any, ...] = ()
        self._made: list[Made] = []
        self._used = False

    def once(
        self, basis: tuple[Any, ...], key: Any, make: Callable[[], tuple[T, Any]]
    ) -> tuple[T, Any]:
        """Return what `make` returned when it was first asked for this key on this basis.

        Another basis lets go of everything; snapshots are the same if they are one object.
        """
        self._used = True
        if basis != self._basis:
            self._basis, self._made = basis, []
        for made in self._made:
            if made.key == key:
                return made.value, made.found
        value, found = make()
        self._made.append(Made(key, value, found))
        return value, found

    def looked(self) -> None:
        """Let go of everything if the look that is over had no use for it: it may be large."""
        if not self._used:
            self._basis, self._made = (), []
        self._used = False
        self.paces.looked()
        self.lookback.looked()
        self.chunks.looked()
