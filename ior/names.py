r"""Text by number: the dictionary behind a batch's text columns.

Strings never travel with calls. A text column holds `uint32` codes; `Names` maps a code
to its text. It only grows, so a code never changes its text, and every batch that was made
with it can be read for as long as the batch lives. A source that has gathered too much
text starts a new `Names`; batches keep the one that they were made with.

Text is held by the rule for text columns (`ior.text.escape`): UTF-8, an invalid byte is
`\xHH`, a backslash is `\\`.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import IntEnum
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_UNMAPPED = np.uint32(0xFFFFFFFF)
_OVERHEAD = 110  # bytes that the index and the lists spend on one string, measured


class FileState(IntEnum):
    """What is to be known about a file's name beside its text."""

    OK = 0
    CUT = 1  # longer than 4096 bytes, or deeper than the kernel side walks
    DELETED = 2
    UNREADABLE = 3  # the program's memory could not be read, neither at enter nor at exit
    UNKNOWN = 4  # its announcement was lost; the text gives device and inode


class Names:
    """Append-only dictionary of distinct (text, state) pairs; code 0 is the empty text."""

    __slots__ = (
        *("__weakref__", "_growing", "_mapped", "_others", "_states", "_states_room"),
        *("_states_view", "_texts", "_whole"),
        "size_bytes",
    )

    def __init__(self) -> None:
        self._texts: list[str] = [""]
        self._states: list[int] = [0]
        self._states_room: npt.NDArray[np.uint8] = np.zeros(0, np.uint8)  # grows by doubling
        self._states_view = self._states_room  # its used part, brought up to date when asked for
        self._whole: dict[str, int] = {"": 0}  # by text, of state OK: nearly all
        self._others: dict[tuple[str, int], int] = {}
        self._growing = threading.Lock()
        self._mapped: WeakKeyDictionary[Callable[[str], str], Array] = WeakKeyDictionary()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._texts)

    def intern(self, text: str, state: int = FileState.OK) -> int:
        """Return the code of `text` in `state`, adding it if it is new."""
        code = self._whole.get(text) if not state else self._others.get((text, state))
        return self._add(text, state) if code is None else code

    def _add(self, text: str, state: int) -> int:
        with self._growing:  # stages in threads of their own add names as well
            code = self._whole.get(text) if not state else self._others.get((text, state))
            if code is None:
                code = len(self._texts)
                self._texts.append(text)
                self._states.append(state)
                self.size_bytes += sys.getsizeof(text) + _OVERHEAD
                if state:  # the index comes last: from here on others use the code
                    self._others[text, state] = code
                else:
                    self._whole[text] = code
        return code

    def mapped(self, codes: Array, function: Callable[[str], str]) -> Array:
        """Return the codes of what `function` makes of each text, shape and order of `codes`.

        It is called once for each distinct name of this dictionary, for as long as the same
        function object is used.
        """
        known = None
        with suppress(TypeError):  # of a callable that cannot be referred to weakly
            known = self._mapped.get(function)
        if known is None or len(known) < len(self._texts):
            grown = np.full(2 * len(self._texts), _UNMAPPED, np.uint32)
            if known is not None:
                grown[: len(known)] = known
            known = grown
            with suppress(TypeError):
                self._mapped[function] = known
        found = known[codes]
        new = found == _UNMAPPED
        if new.any():
            for code in np.unique(codes[new]).tolist():
                known[code] = self.intern(function(self._texts[code]))
            found = known[codes]
        return found

    def text(self, code: int) -> str:
        """Return the text of one code. Raises IndexError for a code never given out."""
        return self._texts[code]

    def texts(self, codes: Iterable[int]) -> list[str]:
        """Return the texts of many codes, in order."""
        texts = self._texts
        return [texts[code] for code in codes]

    def since(self, code: int) -> list[str]:
        """Return the texts of all codes from `code` on: what a cache has not seen yet."""
        return self._texts[code:]

    @property
    def states(self) -> npt.NDArray[np.uint8]:
        """One `FileState` a code, shape (len(self),), read-only."""
        view = self._states_view
        return view if len(view) == len(self._states) else self._grown_states()

    def _grown_states(self) -> npt.NDArray[np.uint8]:
        with self._growing:
            known, now = len(self._states_view), len(self._states)
            if now > len(self._states_room):
                self._states_room = np.zeros(2 * now, np.uint8)
                self._states_room[:known] = self._states_view
            self._states_room[known:now] = self._states[known:now]
            view = self._states_room[:now]
            view.flags.writeable = False
            self._states_view = view
            return view
