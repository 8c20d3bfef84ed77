r"""Text by number: the dictionary behind a batch's text columns.

Strings never travel with calls. A text column holds `uint32` codes; `Names` maps a code
to its text. It only grows, so a code never changes its text, and every batch that was made
with it can be read for as long as the batch lives. A source that has gathered too much
text starts a new `Names`; batches keep the one that they were made with.

Text is held by the rule for text columns (`ior.text.escape`): UTF-8, an invalid byte is
`\xHH`, a backslash is `\\`.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

import numpy as np
import numpy.typing as npt

_OVERHEAD = 120  # bytes that CPython and the index spend on one short string, measured


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
        *("__weakref__", "_index", "_states", "_states_room", "_states_view", "_texts"),
        "size_bytes",
    )

    def __init__(self) -> None:
        self._texts: list[str] = [""]
        self._states: list[int] = [0]
        self._states_room: npt.NDArray[np.uint8] = np.zeros(0, np.uint8)  # grows by doubling
        self._states_view = self._states_room  # its used part, brought up to date when asked for
        self._index: dict[tuple[str, int], int] = {("", 0): 0}
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._texts)

    def intern(self, text: str, state: int = FileState.OK) -> int:
        """Return the code of `text` in `state`, adding it if it is new."""
        code = self._index.get((text, state))
        if code is None:
            code = self._index[text, state] = len(self._texts)
            self._texts.append(text)
            self._states.append(state)
            self.size_bytes += len(text) + _OVERHEAD
        return code

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
        known, now = len(self._states_view), len(self._states)
        if known != now:
            if now > len(self._states_room):
                self._states_room = np.zeros(2 * now, np.uint8)
                self._states_room[:known] = self._states_view
            self._states_room[known:now] = self._states[known:now]
            self._states_view = self._states_room[:now]
            self._states_view.flags.writeable = False
        return self._states_view
