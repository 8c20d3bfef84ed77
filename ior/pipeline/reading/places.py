"""Where the keys and values of a TOML text stand.

The standard library's parser gives values without places, and no kept library gives both. So
this walks over text that `tomllib` has accepted already and notes where each key and each
value begins: it need not judge anything, only find the ends of strings, lists and tables.
"""

from __future__ import annotations

import bisect
import re
import tomllib
from typing import NamedTuple

from ior.findings import Path

_BLANK = re.compile(r"[ \t]*")
_BETWEEN = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_SCALAR = re.compile(r"[^,\]}#\r\n]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRINGS = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r'"""(?:\\.|(?!""").)*"{3,5}',
        r"'''(?:(?!''').)*'{3,5}",
        r'"(?:\\.|[^"\\])*"',
        r"'[^']*'",
    )
)
_FIRST_BREAK = re.compile(r"\r?\n")  # right behind the opening quotes it is not of the text
_CONTINUED = re.compile(r"(?:\\[ \t]*\r?\n\s*)*")
_BASIC = re.compile(r"\\(?:u.{4}|U.{8}|.)|\r\n|.", re.DOTALL)  # one character of the value
_LITERAL = re.compile(r"\r\n|.", re.DOTALL)


class Place(NamedTuple):
    """A place in a text, both counted from 1, the column in characters."""

    line: int
    column: int


class Places:
    """The places of a document's keys and values, by their paths from its top."""

    def __init__(self, text: str = "") -> None:
        """Index `text`, which must be valid TOML."""
        self._text = text
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._keys: dict[Path, int] = {}
        self._values: dict[Path, tuple[int, int]] = {}
        self._lists: dict[Path, int] = {}  # arrays of tables: the number of the last one
        if text:
            self._document()

    def find(
        self, path: Path, *, at_key: bool = False, offset: int | None = None, of: object = None
    ) -> Place:
        """Return where `path` stands, or what is nearest above it; the value unless `at_key`.

        `offset` is the number of a character in the value `of`, if the text that stands there
        means that value.
        """
        while path:
            if not at_key and path in self._values:
                start, end = self._values[path]
                written = self._text[start:end]
                if offset is not None and written[0] in "\"'" and _meaning(written) == of:
                    start += _character(written, offset)
                return self._place(start)
            if path in self._keys:
                return self._place(self._keys[path])
            path, offset = path[:-1], None
        return Place(1, 1)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Places) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __contains__(self, path: Path) -> bool:
        """Return whether the text itself says something at `path`."""
        return path in self._keys or path in self._values

    def _place(self, at: int) -> Place:
        line = bisect.bisect_right(self._starts, at)
        return Place(line, at - self._starts[line - 1] + 1)

    def _document(self) -> None:
        at = _end(_BETWEEN, self._text, 0)
        table: Path = ()
        while at < len(self._text):
            if self._text[at] == "[":
                at, table = self._header(at)
            else:
                at = self._pair(at, table)
            at = _end(_BETWEEN, self._text, at)

    def _header(self, start: int) -> tuple[int, Path]:
        several = self._text.startswith("[[", start)
        names, at = self._key(start + 1 + several)
        path: Path = ()
        for name in names[:-1]:
            path = (*path, name)
            path = (*path, self._lists[path]) if path in self._lists else path
            self._keys.setdefault(path, start)
        path = (*path, names[-1])
        if several:
            self._keys.setdefault(path, start)
            self._lists[path] = self._lists.get(path, -1) + 1
            path = (*path, self._lists[path])
        self._keys[path] = start
        return at + 1 + several, path

    def _pair(self, start: int, table: Path) -> int:
        names, at = self._key(start)
        path = table
        for name in names:
            path = (*path, name)
            self._keys.setdefault(path, start)
        return self._value(_end(_BLANK, self._text, at + 1), path)

    def _key(self, at: int) -> tuple[list[str], int]:
        """Return the parts of a dotted key and the place of what follows it."""
        names = []
        while True:
            at = _end(_BLANK, self._text, at)
            end = _string(self._text, at) or _end(_BARE, self._text, at)
            word = self._text[at:end]
            names.append(next(iter(tomllib.loads(f"{word} = 0"))))
            at = _end(_BLANK, self._text, end)
            if self._text[at] != ".":
                return names, at
            at += 1

    def _value(self, start: int, path: Path) -> int:
        """Note the value that begins at `start`; return where it ends."""
        opening = self._text[start]
        if opening not in "[{":
            end = _string(self._text, start)
            if end is None:
                scalar = _SCALAR.match(self._text, start)
                assert scalar is not None
                end = start + len(scalar[0].rstrip())
        else:
            at, number = _end(_BETWEEN, self._text, start + 1), 0
            while self._text[at] not in "]}":
                at = self._pair(at, path) if opening == "{" else self._value(at, (*path, number))
                at, number = _end(_BETWEEN, self._text, at), number + 1
                if self._text[at] == ",":
                    at = _end(_BETWEEN, self._text, at + 1)
            end = at + 1
        self._values[path] = start, end
        return end


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _string(text: str, at: int) -> int | None:
    """Return where the string that begins at `at` ends, None if none begins there."""
    return next((match.end() for p in _STRINGS if (match := p.match(text, at))), None)


def _meaning(written: str) -> object:
    return tomllib.loads(f"text = {written}")["text"]


def _character(written: str, number: int) -> int:
    """Return where in a string, as it is written, the character of its value stands."""
    several = written.startswith(('"""', "'''"))
    at = 3 if several else 1
    if several:
        at = _end(_FIRST_BREAK, written, at)
    pattern = _BASIC if written[0] == '"' else _LITERAL
    while True:
        at = _end(_CONTINUED, written, at) if written[0] == '"' else at
        if not number:
            return at
        at, number = _end(pattern, written, at), number - 1
