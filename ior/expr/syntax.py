"""From the text of a filter to its syntax: what was written, and where.

The grammar is `filter.lark`; lark is imported here and nowhere else. Whatever it objects to
becomes a `FilterError` in words, with the place. The result is a tree of bounded depth, so
that whoever walks it may do so by recursion.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from importlib import resources
from typing import Literal, NoReturn, cast

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedToken, v_args

from ior import text
from ior.errors import FilterError

MAX_LENGTH = 65536  # characters
MAX_DEPTH = 50  # levels of and, or, not inside each other

_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|([\\\"'ntr]))?")
_LAST_WORD = re.compile(r"\b(\w{2,8})\s*\Z")
_ESCAPED = {"n": b"\n", "t": b"\t", "r": b"\r"}
_SUGGESTED = {
    "=": "write '==' for equal, '~' for contains",
    "!": "write 'not', '!=' or '!~'",
    "&": "write 'and'",
    "|": "write 'or'",
    "^": "write '^~' for starts with",
    "$": "write '$~' for ends with",
}
_KEYWORDS = frozenset({"and", "or", "not", "in", "under", "directly", "true", "false"})


@dataclass(frozen=True, slots=True)
class Value:
    """A literal: a string in text-column form, a number with or without unit, a bare word."""

    kind: Literal["string", "number", "word"]
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Test:
    """A field compared with values (one, but for `in` and `not in`); without, a field alone."""

    field: Token
    op: str
    op_start: int
    op_end: int
    values: tuple[Value, ...]
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Constant:
    """`true` or `false` in the place of a comparison."""

    value: bool
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Inverse:
    """`not`; never of another `Inverse`."""

    term: Syntax
    depth: int


@dataclass(frozen=True, slots=True)
class Several:
    """`and` or `or` of at least two terms."""

    op: Literal["and", "or"]
    terms: tuple[Syntax, ...]
    depth: int


Syntax = Test | Constant | Inverse | Several


class _Wrong(Exception):
    """A complaint from inside the parser, which does not know the source."""

    def __init__(self, message: str, start: int = 0, end: int | None = None) -> None:
        super().__init__(message)
        self.start, self.end = start, end


def parse(source: str) -> Syntax:
    """Return what `source` says. Raises FilterError, whatever the text is."""
    if len(source) > MAX_LENGTH:
        message = f"the filter has {len(source):,} characters; {MAX_LENGTH:,} are the most"
        raise FilterError(message, source, MAX_LENGTH, len(source))
    if not source.strip():
        raise FilterError("the filter is empty; 'true' keeps every call", source, 0, len(source))
    try:
        tree = cast("Syntax", _grammar().parse(source))  # what `_Builder.start` gives
    except UnexpectedToken as error:
        _refuse_token(error, source)
    except UnexpectedCharacters as error:
        _refuse_character(source, error.pos_in_stream or 0)
    except _Wrong as error:
        end = len(source) if error.end is None else error.end
        raise FilterError(str(error), source, error.start, end) from None
    return tree


@functools.cache
def _grammar() -> Lark:
    grammar = resources.files("ior.expr").joinpath("filter.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", lexer="basic", transformer=_Builder())


@v_args(inline=True)
class _Builder(Transformer[Token, Syntax]):
    """Makes syntax nodes while the parser runs, bottom up: no recursion, however deep."""

    def start(self, tree: Syntax) -> Syntax:
        return tree

    def disjunction(self, *terms: Syntax) -> Syntax:
        return Several("or", terms, _deeper(*terms))

    def conjunction(self, *terms: Syntax) -> Syntax:
        return Several("and", terms, _deeper(*terms))

    def inverse(self, term: Syntax) -> Syntax:
        return term.term if isinstance(term, Inverse) else Inverse(term, _deeper(term))

    def constant(self, word: Token) -> Syntax:
        return Constant(word == "true")

    def flag(self, field: Token) -> Syntax:
        return Test(field, "", *_span(field), ())

    def comparison(self, field: Token, op: Token, values: Value | tuple[Value, ...]) -> Syntax:
        if isinstance(values, Value):
            values = (values,)
        return Test(field, str(op), *_span(op), values)

    def children(self, field: Token, first: Token, second: Token, value: Value) -> Syntax:
        return Test(field, "directly under", _span(first)[0], _span(second)[1], (value,))

    def exclusion(
        self, field: Token, first: Token, second: Token, values: tuple[Value, ...]
    ) -> Syntax:
        return Test(field, "not in", _span(first)[0], _span(second)[1], values)

    def list(self, *values: Value | None) -> tuple[Value, ...]:
        return tuple(value for value in values if value is not None)

    def string(self, token: Token) -> Value:
        start, end = _span(token)
        return Value("string", _unquoted(token, start), start, end)

    def number(self, token: Token, unit: Token | None = None) -> Value:
        start, end = _span(token)
        if unit is None:
            return Value("number", str(token), start, end)
        return Value("number", f"{token}{unit}", start, _span(unit)[1])

    def word(self, token: Token) -> Value:
        start, end = _span(token)
        return Value("word", text.escape(_bytes(token, start)), start, end)


def _span(token: Token) -> tuple[int, int]:
    assert token.start_pos is not None
    assert token.end_pos is not None
    return token.start_pos, token.end_pos


def _deeper(*terms: Syntax) -> int:
    depth = 1 + max(term.depth for term in terms)
    if depth > MAX_DEPTH:
        raise _Wrong(f"the filter is nested more than {MAX_DEPTH} levels deep")
    return depth


def _unquoted(token: str, start: int) -> str:
    """Return what a string literal means, in text-column form."""
    raw: list[bytes] = []
    at = 1
    for match in _ESCAPE.finditer(token, 1, len(token) - 1):
        raw.append(_bytes(token[at : match.start()], start + at))
        digits, letter = match.groups()
        if digits is None and letter is None:
            place = start + match.start()
            message = r"a backslash stands before \, \", ', n, t, r or xHH; write \\ for itself"
            raise _Wrong(message, place, place + 2)
        raw.append(bytes((int(digits, 16),)) if digits else _ESCAPED.get(letter, letter.encode()))
        at = match.end()
    raw.append(_bytes(token[at:-1], start + at))
    return text.escape(b"".join(raw))


def _bytes(piece: str, start: int) -> bytes:
    """Return the bytes of source text; those of a command line may be no valid UTF-8."""
    try:
        return piece.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        place = start + error.start
        raise _Wrong("half of a surrogate pair is no text", place, start + error.end) from None


def _refuse_character(source: str, place: int) -> NoReturn:
    character = source[place]
    if character in "\"'":
        message, end = f"the string that begins here has no closing {character}", len(source)
    else:
        message, end = f"'{text.sanitise(character)}' means nothing here", place + 1
        message += f"; {_SUGGESTED.get(character, 'a value that holds it is written in quotes')}"
    raise FilterError(message, source, place, end) from None


def _refuse_token(error: UnexpectedToken, source: str) -> NoReturn:
    token: Token = error.token
    expected = _in_words(set(error.accepts or error.expected))
    if token.type == "$END":
        message = f"the filter ends where {expected} should follow"
        raise FilterError(message, source, len(source.rstrip()), len(source)) from None
    start, end = _span(token)
    before = _LAST_WORD.search(source, 0, start)
    if before and before[1].lower() in _KEYWORDS and before[1] not in _KEYWORDS:
        start, end = before.span(1)  # `1 AND x`: taken for a unit, and really the mistake
        token = Token("WORD", before[1])
    if token.type == "RPAR" and "an end" in expected:
        raise FilterError("this ')' closes nothing", source, start, end) from None
    message = f"expected {expected}, found '{text.sanitise(short(token))}'"
    if token.lower() in _KEYWORDS and token not in _KEYWORDS:
        message += f"; write '{token.lower()}'"
    elif token.type in ("COMPARE", "IN", "UNDER", "DIRECTLY") and "a field" in expected:
        message += "; the field stands before the operator"
    raise FilterError(message, source, start, end) from None


def short(word: str) -> str:
    """Return a word for a message, cut where it is long."""
    return word if len(word) <= 40 else f"{word[:39]}…"


def _in_words(accepted: set[str]) -> str:
    """Return what the parser would take next as a person would say it."""
    if "LPAR" in accepted:
        return "a field, 'not' or '('"
    if "COMPARE" in accepted:
        return "an operator (==, !=, <, <=, >, >=, ~, !~, ^~, $~, in, under), 'and' or 'or'"
    if "STRING" in accepted:
        return "a value or ']'" if "RSQB" in accepted else "a value"
    if "COMMA" in accepted:
        return "',' or ']'"
    if "AND" in accepted or "OR" in accepted:
        return "'and', 'or' or " + ("')'" if "RPAR" in accepted else "an end")
    for terminal, words in (
        ("RPAR", "')'"),
        ("LSQB", "a list in [ ]"),
        ("UNDER", "'under'"),
        ("IN", "'in'"),
    ):
        if terminal in accepted:
            return words
    return "an end"
