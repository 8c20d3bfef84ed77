"""Puts new values into the text of a TOML file and leaves the rest as it is."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

from ior.pipeline.reading.places import Places

Path = tuple[str | int, ...]


def rewritten(text: str, changes: Mapping[Path, str]) -> str:
    """Return `text` with the numbers and lists at some paths replaced by other TOML."""
    places, starts = Places(text), [0, *(match.end() for match in re.finditer("\n", text))]
    spans = []
    for path, new in changes.items():
        line, column = places.find(path)
        start = starts[line - 1] + column - 1
        spans.append((start, _end(text, start), new))
    for start, end, new in sorted(spans, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _end(text: str, start: int) -> int:
    """Return where the number or list that begins at `start` ends."""
    if text[start] != "[":
        match = re.compile(r"[\w+-]+").match(text, start)
        return match.end() if match else start
    for closing in re.compile("]").finditer(text, start):
        try:
            tomllib.loads(f"x = {text[start : closing.end()]}")
        except tomllib.TOMLDecodeError:
            continue
        return closing.end()
    raise ValueError("a list without an end")
