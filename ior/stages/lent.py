"""What was given out and let go of since: it takes memory for as long as somebody holds it."""

from __future__ import annotations

import weakref
from collections import deque
from typing import Any


class Lent:
    """Counts the bytes of objects that others may hold, until the last of these lets go."""

    def __init__(self) -> None:
        self._sizes: dict[int, tuple[weakref.ref[Any], int]] = {}  # by the reference's identity
        self._nbytes = 0
        self._back: deque[weakref.ref[Any]] = deque()  # from any thread

    def add(self, thing: object, nbytes: int) -> None:
        """Count an object that is about to be let go of here. It must allow weak references."""
        known = weakref.ref(thing, self._back.append)
        self._sizes[id(known)] = known, nbytes
        self._nbytes += nbytes

    @property
    def nbytes(self) -> int:
        """The bytes that somebody still holds."""
        while self._back:
            self._nbytes -= self._sizes.pop(id(self._back.popleft()))[1]
        return self._nbytes
