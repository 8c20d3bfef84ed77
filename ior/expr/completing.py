"""What may come next in a filter that is being typed: fields, operators, values, connectives.

The text need not be right: only what stands before the cursor is looked at, from the last
connective on. The values that are worth proposing are given from outside.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from ior.calls import CALLS, Column
from ior.expr.fields import PATH, Fields

_TOKEN: Final = re.compile(
    r'\s*(?:(?P<string>"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\')|(?P<open>["\'](?:[^"\'\\]|\\.)*$)'
    r"|(?P<op>\^~|\$~|!~|==|!=|<=|>=|[<>~])|(?P<mark>[()\[\],])|(?P<word>[\w.+:-]+)|(?P<other>\S))"
)
_CONNECTIVES: Final = ("and", "or")
_BEGUN: Final = ("not", "directly")  # the first words of operators
_UNDER: Final = ("under", "directly under")
MOST: Final = 200  # proposals


class Proposal(NamedTuple):
    """A text for the last `replaces` characters, and what it is."""

    text: str
    replaces: int
    what: str


def proposals(
    before: str,
    values: Callable[[str], Iterable[str]],
    columns: Sequence[Column] = CALLS.columns,
) -> list[Proposal]:
    """Return what may stand in the place of the word before the cursor, best first.

    `values` gives those of a field that are worth proposing, as texts of its column.
    """
    typed = _split(before)
    tokens, partial = typed.tokens, typed.partial
    fields = Fields(columns)
    field, op, place = _where(tokens, fields)
    if place == "value" and field is not None:
        mark = '"' if fields.kind(field) == "text" else ""
        return _values(typed, values(field), typed.quote or mark, _parted(field, op))
    if typed.quote:
        return []
    words: dict[str, str] = {}
    if place == "field":
        words = dict.fromkeys(fields.names, "field")
        words |= {} if tokens and tokens[-1] == "not" else {"not": "connective"}
    elif place == "operator" and field is not None:
        words = dict.fromkeys(_operators(fields, field, op), "operator")
        if fields.kind(field) == "bool" and not op:
            words = dict.fromkeys(_CONNECTIVES, "connective") | words
    elif place == "connective":
        words = dict.fromkeys(_CONNECTIVES, "connective")
    found = [
        Proposal(word, len(partial), what)
        for word, what in words.items()
        if word.startswith(partial) and word != partial
    ]
    return found if place != "field" else sorted(found, key=lambda one: one.what != "field")


class _Typed(NamedTuple):
    """The tokens before the cursor, the word that is being typed, and its open quote."""

    tokens: list[str]
    partial: str = ""
    quote: str = ""


def _split(before: str) -> _Typed:
    tokens: list[str] = []
    at = 0
    while match := _TOKEN.match(before, at):
        at = match.end()
        if match["open"] is not None:
            return _Typed(tokens, match["open"][1:], match["open"][0])
        word = match["word"] or match["op"]
        if word is not None and at == len(before):
            return _Typed(tokens, word)
        tokens.append(match[0].strip())
    return _Typed(tokens)


def _where(tokens: list[str], fields: Fields) -> tuple[str | None, str, str]:
    """Return the field and the operator of the last term, and what comes behind its tokens."""
    field, op, listed = None, "", False
    place = "field"
    for part in tokens:
        if part in (*_CONNECTIVES, "(") and not listed:
            field, op, place = None, "", "field"
        elif part == "[":
            listed, place = True, "value"
        elif part == "]":
            listed, place = False, "connective"
        elif part == ",":
            place = "value"
        elif place == "field" and fields.kind(part) is not None:
            field, place = part, "operator"
        elif place == "operator":
            op = f"{op} {part}".strip()
            place = "operator" if op in _BEGUN else "value"
        elif place != "field" or part != "not":
            place = "connective" if place == "value" and not listed else "nothing"
    return field, op, place


def _operators(fields: Fields, field: str, begun: str) -> list[str]:
    """Return the operators of a field; with the first word of one, their second words."""
    taken = fields.operators(field)
    if not begun:
        return list(taken)
    return [one.removeprefix(begun).strip() for one in taken if one.startswith(f"{begun} ")]


def _parted(field: str, op: str) -> Callable[[str, int], str]:
    """Return what is proposed of a value; of a path up to the next slash, as files are many."""
    if field != "path" and field not in PATH:
        return lambda value, typed: value  # noqa: ARG005 (all of it)

    def parted(path: str, typed: int) -> str:
        at = path.find("/", typed)
        if at >= 0:
            return path[: at + 1]
        return path.rpartition("/")[0] or "/" if op in _UNDER else path

    return parted


def _values(
    typed: _Typed, values: Iterable[str], mark: str, parted: Callable[[str, int], str]
) -> list[Proposal]:
    found: dict[str, None] = {}
    for value in values:
        if value.startswith(typed.partial):
            found[parted(value, len(typed.partial))] = None
        if len(found) >= MOST:
            break
    replaces = len(typed.partial) + len(typed.quote)
    return [
        Proposal(_written(value, mark), replaces, "seen")
        for value in found
        if value != typed.partial
    ]


def _written(value: str, mark: str) -> str:
    """Return a value as it is written; behind a slash the string stays open, for more."""
    if not mark:
        return value
    return mark + value.replace(mark, "\\" + mark) + ("" if value.endswith("/") else mark)
