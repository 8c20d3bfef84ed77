r"""Text of traced programs: how bytes become text, and how text becomes safe to look at.

Names are bytes that others chose. Text columns hold them as UTF-8 in which an invalid byte
is `\xHH` and a backslash is `\\`, so that any file format carries them and the exact
bytes come back (`escape`, `unescape`). What reaches a terminal passes `sanitise`, the only
sanitiser there is. Cell widths are those of `wcwidth`, which prompt_toolkit depends on and
draws by: one character after the other, so that a width is always the sum of its parts.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Literal

from wcwidth import wcwidth

_ESCAPE = re.compile(rb"\\(?:\\|x([0-9a-fA-F]{2}))?")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Printable by their category, and yet nothing or a mere blank is drawn for them.
_BLANK = (
    (0x034F, 0x034F),  # combining grapheme joiner
    (0x115F, 0x1160),  # Hangul fillers
    (0x17B4, 0x17B5),  # Khmer inherent vowels
    (0x180B, 0x180F),  # Mongolian variation selectors
    (0x2800, 0x2800),  # Braille blank
    (0x3164, 0x3164),  # Hangul filler
    (0xFE00, 0xFE0F),  # variation selectors
    (0xFFA0, 0xFFA0),  # Hangul filler, half width
    (0xE0100, 0xE01EF),  # variation selectors
)
# Drawn by some terminals as one with the character before, in fewer cells than both take apart.
_MERGED = (
    (0x1F1E6, 0x1F1FF),  # regional indicators: two are a flag
    (0x1F3FB, 0x1F3FF),  # skin tones
)
_MAX_MARKS = 8  # combining marks on one character; more would be drawn over other rows
_CARRIER = "◌"
_CUT = "…"


def escape(raw: bytes) -> str:
    r"""Return bytes as text-column form: an invalid byte is `\xHH`, a backslash `\\`.

    Every byte string has one form of its own; `unescape` gives the bytes back.
    """
    return raw.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


def unescape(text: str) -> bytes:
    """Return the bytes of a text in text-column form.

    Raises ValueError for a backslash that is followed by neither a backslash nor `xHH`, and
    for a surrogate, which text-column form never holds.
    """
    raw = text.encode("utf-8")
    return _ESCAPE.sub(_byte, raw) if b"\\" in raw else raw


def _byte(match: re.Match[bytes]) -> bytes:
    if match[1] is not None:
        return bytes((int(match[1], 16),))
    if len(match[0]) == 1:
        raise ValueError(r"a backslash must be followed by '\' or 'xHH'")
    return b"\\"


def sanitise(text: str) -> str:
    r"""Return text-column form as text that is safe in a terminal's cell.

    Controls become their pictures (`␛`, `␊`, `␡`); bidi controls, invisible and unassigned
    characters, line separators, surrogates and what terminals draw as one become `\uXXXX` or
    `\UXXXXXXXX`, which no text-column form can hold otherwise. A combining mark without a
    character to sit on gets a dotted circle. Nothing is decoded: `\xHH` and `\\` stay as they are
    written. Doing it twice changes nothing.
    """
    if text.isascii() and text.isprintable():
        return text
    cells: list[str] = []
    marks = 0
    for character in text:
        shown = _shown(character)
        if len(shown) > 1 or wcwidth(shown) != 0:
            marks = 0
        else:
            if not cells:
                cells.append(_CARRIER)
            marks += 1
            if marks > _MAX_MARKS:
                shown = _spelled(character)
        cells.append(shown)
    return "".join(cells)


@functools.lru_cache(4096)
def _shown(character: str) -> str:
    point = ord(character)
    if point < 0x20:
        return chr(0x2400 + point)
    if point == 0x7F:
        return "␡"
    if (
        unicodedata.category(character) in _HIDDEN
        or any(low <= point <= high for low, high in (*_BLANK, *_MERGED))
        or wcwidth(character) < 0
    ):
        return _spelled(character)
    return character


def _spelled(character: str) -> str:
    point = ord(character)
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"


def width(text: str) -> int:
    """Return how many terminal cells a sanitised text takes."""
    if text.isascii():
        return len(text)
    return sum(max(0, wcwidth(character)) for character in text)


def fit(text: str, cells: int, *, keep: Literal["start", "end", "ends"] = "start") -> str:
    """Return `text` sanitised and in exactly `cells` terminal cells.

    A shorter text is padded on the right; of a longer one `keep` says which end stays, or that
    half of each does, and `…` marks what is left out. Where a wide character does not fit at the
    edge, a blank does.
    """
    text = sanitise(text)
    wide = width(text)
    if wide <= cells:
        return text + " " * (cells - wide)
    if cells <= 0:
        return ""
    first = {"start": cells - 1, "end": 0, "ends": cells // 2}[keep]
    kept = _head(text, first) + _CUT + _tail(text, cells - 1 - first)
    return kept + " " * (cells - width(kept))


def _head(text: str, cells: int) -> str:
    if text.isascii():
        return text[:cells]
    for i, character in enumerate(text):
        cells -= wcwidth(character)
        if cells < 0:
            return text[:i]
    return text


def _tail(text: str, cells: int) -> str:
    start = len(text)
    if text.isascii():
        return text[start - cells :]
    for i in range(len(text) - 1, -1, -1):
        wide = wcwidth(text[i])
        cells -= wide
        if cells < 0:
            break
        if wide:  # a mark whose character is cut off goes with it
            start = i
    return text[start:]
