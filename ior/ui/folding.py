"""Fold long texts into lines, as the model must know how many and the view which."""

from __future__ import annotations

from ior.text import fit, sanitise, width

_JOINTS = "/|,"  # a word that is too long may be folded behind these


def fold(message: str, columns: int, most: int) -> list[str]:
    """Return a message as at most `most` harmless lines, the last cut if there were more."""
    lines = message.splitlines()
    folded = [part for line in lines for part in wrapped(line, max(columns, 1))]
    if len(folded) > most:
        folded = [*folded[: most - 1], fit(" ".join(folded[most - 1 :]), columns)]
    return folded


def chopped(text: str, cells: int) -> list[str]:
    """Return a text, made harmless, in pieces of at most so many cells, as a terminal does."""
    text = sanitise(text)
    pieces = []
    while (end := _fitting(text, cells)) < len(text):
        pieces.append(text[:end])
        text = text[end:]
    return [*pieces, text]


def wrapped(text: str, cells: int) -> list[str]:
    """Return a text, made harmless, in pieces of at most so many cells.

    Pieces end with a word where one ends in them, else behind a `/` and the like, else where
    there is no more room. What is left out are the blanks at which it is folded.
    """
    text = sanitise(text)
    pieces = []
    while (end := _fitting(text, cells)) < len(text):
        word = text.rfind(" ", 0, end + 1)
        if word > 0 and (piece := text[:word].rstrip(" ")):
            pieces.append(piece)
            text = text[word:].lstrip(" ")
        else:
            end = 1 + max(text.rfind(sign, 1, end) for sign in _JOINTS) or end
            pieces.append(text[:end])
            text = text[end:]
    return [*pieces, text] if text or not pieces else pieces


def _fitting(text: str, cells: int) -> int:
    """Return the end of what fits into so many cells, of one character at least."""
    for i, character in enumerate(text):
        cells -= width(character)
        if cells < 0 and i:
            return i
    return len(text)
