"""What is wrong with a pipeline, where, and what to do about it.

A `Finding` has a place in a file and a stable code; docs/codes.md explains every code with an
example. Whoever checks a part knows only the keys that it looked at: it says a `Problem`, and
the checker, which knows the text of the file, makes a finding of it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

Path = tuple[str | int, ...]
"""Keys from the top of a table to a value; numbers count the items of a list from 0."""


_SHOWN = 24  # choices in one line


class Code(StrEnum):
    """Every code; a code keeps its meaning for good. Those with W are warnings."""

    SYNTAX = "E101"
    NOT_TEXT = "E102"
    VERSION = "E103"
    UNKNOWN_TABLE = "E104"
    NO_STAGE = "E105"
    STAGE_NAME = "E106"
    ENVIRONMENT = "E107"
    UNKNOWN_KEY = "E201"
    MISSING_KEY = "E202"
    WRONG_TYPE = "E203"
    NO_CHOICE = "E204"
    REFUSED = "E205"
    UNKNOWN_TYPE = "E301"
    TYPE_OR_USE = "E302"
    NOT_FOUND = "E303"
    IMPORT_FAILED = "E304"
    NOT_A_STAGE = "E305"
    UNTRUSTED = "E306"
    UNKNOWN_INPUT = "E401"
    UNKNOWN_PORT = "E402"
    NO_ROWS = "E403"
    CYCLE = "E404"
    NOT_CONNECTED = "E405"
    NO_SOURCE = "E406"
    OUT_OF_PLACE = "E407"
    TWICE = "E408"
    SCHEMA = "E409"
    COLUMN = "E410"
    DROPS_HALVES = "E411"
    MEMORY = "E412"
    UNKNOWN_OF = "E413"
    FILTER_SYNTAX = "E501"
    FILTER_FIELD = "E502"
    FILTER_VALUE = "E503"
    OUTPUT = "E601"
    INPUT = "E602"
    HOST = "E603"
    TEST_PLACE = "E701"
    TEST_VALUE = "E702"
    UNUSED = "W101"
    NEVER = "W102"


class Problem(NamedTuple):
    """Something wrong at `keys` of the table that was looked at.

    `at_key` means the key itself, not its value; `excerpt` is the value with carets under the
    place, which begins `offset` characters into it.
    """

    code: Code
    message: str
    help: str = ""
    keys: Path = ()
    at_key: bool = False
    excerpt: str = ""
    offset: int | None = None


class Finding(NamedTuple):
    """Something wrong in a file; `line` and `column` count from 1, 0 where there is no place."""

    file: str
    line: int
    column: int
    code: Code
    where: str  # `stage.NAME.key`, empty for the whole file
    message: str
    help: str = ""
    excerpt: str = ""

    @property
    def is_warning(self) -> bool:
        """Whether the pipeline runs in spite of it."""
        return self.code.startswith("W")

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self._head()}{'; ' if self.help else ''}{self.help}"

    def lines(self) -> list[str]:
        """Return it as lines: what is wrong and where, the value with carets, the help."""
        lines = [self._head(), *(f"  {line}" for line in self.excerpt.split("\n") if line)]
        return [*lines, f"  help: {self.help}"] if self.help else lines

    def _head(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.code} {self.where}{': ' if self.where else ''}{self.message}"


def choice(word: str, choices: Iterable[str], more: str = "") -> str:
    """Return the help for a word that is none of `choices`: the nearest ones, or all of them.

    `more` is said where nothing is near.
    """
    choices = list(dict.fromkeys(choices))
    near = difflib.get_close_matches(word, choices, 3, 0.6)
    if near:
        return f"did you mean {' or '.join(repr(c) for c in near)}?"
    more_than = f", and {len(choices) - _SHOWN} more" if len(choices) > _SHOWN else ""
    said = f"the choices are {', '.join(choices[:_SHOWN])}{more_than}"
    if not choices:
        said = "there is none to choose from"
    return f"{said}; {more}" if more else said


def dotted(path: Path) -> str:
    """Return a path as people write it: `stage.x.inputs[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    return text
