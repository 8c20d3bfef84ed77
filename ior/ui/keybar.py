"""The line at the bottom that names keys: as many as have room, none of them cut."""

from __future__ import annotations

from collections.abc import Iterable

from ior.text import width
from ior.ui.keys import Key, bar
from ior.ui.widgets import Line


def words(lines: Iterable[Key], room: int) -> Line:
    """Return keys with their words, up to the first that does not fit into `room` cells."""
    found: Line = []
    for key, word in bar(lines):
        room -= width(key) + width(word) + 3
        if room < 0:
            break
        found += [("class:bar.key", f" {key} "), ("class:bar.word", f"{word} ")]
    return found
