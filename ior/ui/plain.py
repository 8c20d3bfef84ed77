"""What stands for the signs that a terminal without UTF-8 cannot show, cell by cell."""

from __future__ import annotations

from ior.text import width

_SIGNS = {
    "…": "~",
    "›": ">",
    "‹": "<",
    "→": ">",
    "▾": "-",
    "▸": "+",
    "┌": "+",
    "│": "|",
    "─": "-",
    "▲": "^",
    "▼": "v",
    "·": ".",
    **dict.fromkeys("▁▂░", "."),
    **dict.fromkeys("▃▄▒", "-"),
    **dict.fromkeys("▏▎▍", " "),
    **dict.fromkeys("▅▆▇█▌▋▊▉▓", "#"),
}
_UTF_8 = ("utf-8", "utf8")


def is_plain(encoding: str) -> bool:
    """Return whether a terminal of this encoding takes no more than ASCII for sure."""
    return encoding.lower() not in _UTF_8


def plain(text: str) -> str:
    """Return a text in ASCII that is exactly as wide."""
    if text.isascii():
        return text
    return "".join(map(_sign, text))


def _sign(character: str) -> str:
    if character.isascii():
        return character
    return _SIGNS.get(character) or "?" * width(character)
