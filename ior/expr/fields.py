"""What a filter's fields and values mean: from syntax to checked terms.

Every column is a field, also without the unit at the end of its name (`latency` for
`latency_ns`); `path` stands for `file`, `old_file` and `asked`. A column's kind alone decides
which operators and values it takes, so columns that are added later can be filtered too.
"""

from __future__ import annotations

import difflib
import errno
import functools
import re
from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np

from ior import syscalls, units
from ior.calls import Column
from ior.errors import FilterError
from ior.expr import tree
from ior.expr.syntax import Constant, Inverse, Several, Syntax, Test, Value, short
from ior.findings import Code
from ior.names import FileState
from ior.text import sanitise

PATH = ("file", "old_file", "asked")  # the columns behind `path`

_ORDERED = ("==", "!=", "<", "<=", ">", ">=", "in", "not in")
_PATTERNS = ("==", "!=", "~", "!~", "^~", "$~", "in", "not in")
_UNDER = ("under", "directly under")
_POSITIVE = {"!=": "==", "!~": "~", "not in": "in"}
_UNITS = {"time": units.DURATION, "duration": units.DURATION, "size": units.SIZE}
_UNIT_SUFFIX = {"time": "_ns", "duration": "_ns", "size": "_bytes"}
_WHAT = {
    "int": "a number",
    "bool": "true or false",
    "time": "a time (ns since boot)",
    "duration": "a duration",
    "size": "a size",
    "text": "text",
    "syscall": "a syscall",
    "family": "a family",
    "errno": "an error number",
    "state": "a file state",
}
_EXAMPLE = {
    "int": "== 3",
    "time": ">= 10s",
    "duration": ">= 1ms",
    "size": ">= 4KiB",
    "text": '== "name"',
    "syscall": "== read",
    "family": "== FS",
    "errno": "== ENOENT",
    "state": "== deleted",
}
_TAKEN = {
    "int": _ORDERED,
    "bool": ("==", "!="),
    "time": _ORDERED,
    "duration": _ORDERED,
    "size": _ORDERED,
    "text": (*_PATTERNS, *_UNDER),
    "syscall": _PATTERNS,
    "family": _PATTERNS,
    "errno": (*_ORDERED, "~", "!~", "^~", "$~"),
    "state": _PATTERNS,
}
_NUMBER = re.compile(r"([-+]?)(0[xX][0-9a-fA-F]+|[0-9]+(?:_[0-9]+)*)(?:\.([0-9]+))?")
_MAX_DIGITS = 64


class Fields:
    """The fields of a schema, by every name that a filter may give them."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._by_name: dict[str, tuple[Column, ...]] = {c.name: (c,) for c in columns}
        self._shown: list[str] = []
        for column in columns:
            if column.kind not in _TAKEN:
                continue
            bare = column.name.removesuffix(_UNIT_SUFFIX.get(column.kind, "\0"))
            self._by_name.setdefault(bare, (column,))
            self._shown.append(bare)
        behind = tuple(c for c in columns if c.name in PATH and c.kind == "text")
        if behind and "path" not in self._by_name:
            self._by_name["path"] = behind
            self._shown.append("path")

    @property
    def names(self) -> tuple[str, ...]:
        """The names that people write."""
        return tuple(self._shown)

    def kind(self, name: str) -> str | None:
        """Return the kind of a field; None for a name that is none, or takes no values."""
        columns = self._by_name.get(name)
        return None if columns is None or columns[0].kind not in _TAKEN else columns[0].kind

    def operators(self, name: str) -> tuple[str, ...]:
        """Return the operators that a field takes."""
        kind = self.kind(name)
        return () if kind is None else _TAKEN[kind]

    def check(self, syntax: Syntax, source: str) -> tree.Tree:
        """Return the terms of `syntax`. Raises FilterError for what does not fit."""
        match syntax:
            case Constant(value):
                return tree.Const(value)
            case Inverse(term):
                return tree.Not(self.check(term, source))
            case Several("and", terms):
                return tree.And(tuple(self.check(term, source) for term in terms))
            case Several(_, terms):
                return tree.Or(tuple(self.check(term, source) for term in terms))
            case Test():
                return self._test(syntax, source)

    def _test(self, test: Test, source: str) -> tree.Tree:
        columns = self._by_name.get(test.field)
        start, end = test.field.start_pos or 0, test.field.end_pos or 0
        if columns is None:
            message = _unknown("field", test.field, self._shown, "fields")
            raise FilterError(message, source, start, end, Code.FILTER_FIELD)
        kind = columns[0].kind
        if kind not in _TAKEN:
            message = f"'{test.field}' cannot be used in a filter"
            raise FilterError(message, source, start, end, Code.FILTER_FIELD)
        if not test.op and kind != "bool":
            message = f"'{test.field}' is {_WHAT[kind]} and must be compared"
            example = f"{test.field} {_EXAMPLE[kind]}"
            message += f", for example '{example}'"
            raise FilterError(message, source, start, end, Code.FILTER_VALUE)
        if test.op and test.op not in _TAKEN[kind]:
            taken = ", ".join(_TAKEN[kind])
            message = f"'{test.field}' is {_WHAT[kind]} and takes {taken}, not '{test.op}'"
            raise FilterError(message, source, test.op_start, test.op_end, Code.FILTER_VALUE)
        for value in test.values:
            if value.kind == "word" and value.text in self._by_name and kind in (*_UNITS, "int"):
                message = f"'{test.field}' is {_WHAT[kind]}; two fields cannot be compared"
                raise FilterError(message, source, value.start, value.end, Code.FILTER_VALUE)
        values = [_value(columns[0], test, value, source) for value in test.values]
        if len(columns) == 1:
            return _leaf(columns[0], test.op, values)
        positive = _POSITIVE.get(test.op, test.op)
        any_of = tree.Or(tuple(_leaf(column, positive, values) for column in columns))
        return any_of if positive == test.op else tree.Not(any_of)


def _leaf(column: Column, op: str, values: Sequence[int | float | str]) -> tree.Number | tree.Text:
    if not op:
        return tree.Number(column.name, column.kind, "==", (1,))
    numbers = tuple(value for value in values if not isinstance(value, str))
    texts = tuple(value for value in values if isinstance(value, str))
    as_number = column.kind in ("int", "bool", *_UNITS) or (
        column.kind == "errno" and op in _ORDERED
    )
    if as_number:
        return tree.Number(column.name, column.kind, op, numbers)
    return tree.Text(column.name, column.kind, op, texts)


def _value(column: Column, test: Test, value: Value, source: str) -> int | float | str:
    try:
        return _meaning(column, test, value)
    except ValueError as error:
        raise FilterError(str(error), source, value.start, value.end, Code.FILTER_VALUE) from None


def _meaning(column: Column, test: Test, value: Value) -> int | float | str:
    """Return what a value means for a column. Raises ValueError with a sentence."""
    kind, shown = column.kind, _quoted(value)
    if kind == "bool":
        if value.kind != "word" or value.text not in ("true", "false"):
            raise ValueError(f"'{test.field}' is true or false, not {shown}")
        return int(value.text == "true")
    if kind in _UNITS or kind == "int":
        if value.kind != "number":
            quotes = "; it is written without quotes" if value.text[:1].isdigit() else ""
            raise ValueError(f"'{test.field}' is {_WHAT[kind]}; {shown} is not a number{quotes}")
        return _number(column, test, value.text)
    pattern = test.op in ("~", "!~", "^~", "$~")
    if kind == "errno" and not pattern:
        return _errno(column, test, value)
    if value.kind == "number":
        if kind == "text" or pattern:
            raise ValueError(f"'{test.field}' is {_WHAT[kind]}; write \"{value.text}\" in quotes")
        raise ValueError(f"'{test.field}' is compared by name, not by number")
    if kind == "text" or pattern:
        return _directory(value.text) if test.op in _UNDER else value.text
    return _NAMED[kind](value.text)


def _number(column: Column, test: Test, written: str) -> int | float:
    if len(written) > _MAX_DIGITS:
        raise ValueError(f"a number has at most {_MAX_DIGITS} digits")
    known = _UNITS.get(column.kind)
    number: Fraction | int
    if known is not None and not written.lower().lstrip("+-").startswith("0x"):
        other = next((u for u in _UNITS.values() if u is not known and _unit(written) in u), None)
        if other is not None:
            what = "size" if other is units.SIZE else "duration"
            message = f"'{test.field}' is {_WHAT[column.kind]}, and {written} is a {what}"
            raise ValueError(f"{message}; the units are {units.spoken(known)}")
        number = units.parse_quantity(written, known, next(iter(known)))
    else:
        match = _NUMBER.fullmatch(written)
        if match is None:
            unit = _unit(written)
            if unit in units.DURATION or unit in units.SIZE:
                raise ValueError(f"'{test.field}' is a plain number; it takes no unit")
            raise ValueError(f"'{sanitise(written)}' is not a number")
        sign, whole, part = match.groups("")
        number = int(whole, 16) if whole[1:2] in ("x", "X") else Fraction(int(whole + part))
        number = (-number if sign == "-" else number) / Fraction(10 ** len(part))
    if np.dtype(column.dtype).kind == "f":
        return float(number)
    if number.denominator != 1:
        what = {"size": " of bytes", "int": "", "errno": ""}.get(column.kind, " of nanoseconds")
        raise ValueError(f"{written} is not a whole number{what}")
    return int(number)


def _unit(written: str) -> str:
    return written.lstrip("+-0123456789_.")


def _errno(column: Column, test: Test, value: Value) -> int | float:
    if value.kind == "number":
        return _number(column, test, value.text)
    if test.op not in ("==", "!=", "in", "not in"):
        raise ValueError(f"error names have no order; '{test.op}' takes a number")
    number = _errnos().get(value.text.upper())
    if number is None:
        raise ValueError(_unknown("error", value.text, _errnos(), "names"))
    return number


@functools.cache
def _errnos() -> dict[str, int]:
    """Return the C library's error names, those that share a number included."""
    return {name: number for name, number in vars(errno).items() if name.startswith("E")}


def _syscall(word: str) -> str:
    for arch in ("x86_64", "arm64"):
        table = syscalls.table(arch)
        if word in table.by_name:
            return table.by_name[word].name
    if re.fullmatch(r"syscall_[0-9]{1,5}", word):  # what a number without a name is shown as
        return word
    every = {name for arch in ("x86_64", "arm64") for name in syscalls.table(arch).by_name}
    raise ValueError(_unknown("syscall", word, every, "syscalls"))


def _family(word: str) -> str:
    families = syscalls.table("x86_64").families
    for family in families:
        if family.lower() == word.lower():
            return family
    raise ValueError(_unknown("family", word, families, "families"))


def _state(word: str) -> str:
    states = [state.name.lower() for state in FileState if state]
    if word.lower() in states:
        return word.lower()
    raise ValueError(_unknown("file state", word, states, "states"))


_NAMED = {"syscall": _syscall, "family": _family, "state": _state}


def _directory(text: str) -> str:
    """Return a directory without needless slashes; the root is ""."""
    if not text.startswith("/"):
        raise ValueError(f"'{sanitise(short(text))}' is not an absolute directory")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    return "".join(f"/{part}" for part in parts)


def _quoted(value: Value) -> str:
    text = sanitise(short(value.text))
    return f'"{text}"' if value.kind == "string" else f"'{text}'"


def _unknown(what: str, word: str, choices: Iterable[str], plural: str) -> str:
    lower = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(word.lower()[:40], lower, 3, 0.6)
    if near:
        hint = f"did you mean {' or '.join(lower[found] for found in near)}?"
    elif len(lower) <= 60:
        hint = f"the {plural} are {', '.join(lower.values())}"
    else:
        hint = f"there is none like it among {len(lower)} {plural}"
    return f"unknown {what} '{sanitise(short(word))}'; {hint}"
