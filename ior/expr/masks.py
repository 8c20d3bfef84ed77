"""From checked terms to masks: the numpy compiler.

A term becomes a function from a batch to a boolean mask. Numbers are compared as columns;
a text is tested once for each distinct name, the answers are kept by code and looked up
for the rows. So the cost of a text test does not depend on what it tests.
"""

from __future__ import annotations

import errno
import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ior import syscalls
from ior.calls import Array, Batch, Column
from ior.expr.tree import And, Const, Not, Number, Or, Text, Tree
from ior.names import FileState, Names
from ior.text import unescape

Mask = Callable[[Batch], Array]

_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NEGATIVE = {"!=": "==", "!~": "~", "not in": "in"}
_FEW = 6  # so many comparisons cost less than one np.isin
_ERRNO_LIMIT = 4096


def compile_tree(tree: Tree, columns: Mapping[str, Column]) -> Mask:
    """Return the function that gives the mask of `tree` over a batch with these columns.

    The mask has shape (len(batch),); it may be a column itself, so it must not be changed.
    """
    return _Compiler(columns).compile(tree)


class _Compiler:
    def __init__(self, columns: Mapping[str, Column]) -> None:
        self._columns = columns
        self._answers: dict[tuple[str, tuple[str, ...], bool], NameAnswers] = {}

    def compile(self, tree: Tree) -> Mask:
        match tree:
            case Const(value):
                return lambda batch: np.full(len(batch), value)
            case Not(term):
                return _not(self.compile(term))
            case And(terms):
                return _all([self.compile(term) for term in terms])
            case Or(terms):
                return _any([self.compile(term) for term in terms])
            case Number():
                return _number(tree, self._columns[tree.column])
            case Text(kind="text"):
                return self._text(tree)
            case Text():
                return _named(tree, self._columns[tree.column])

    def _text(self, term: Text) -> Mask:
        """Share the answers between columns: `path` asks one question of three."""
        name, empty = term.column, self._columns[term.column].empty is not None
        key = (term.op, term.values, empty)
        answers = self._answers.get(key)
        if answers is None:
            test = text_test(term.op, term.values, empty=empty)
            answers = self._answers[key] = NameAnswers(test)
        ask = answers.of

        def mask(batch: Batch) -> Array:
            codes = batch[name]  # first: a column that is computed now adds names
            return ask(batch.names).take(codes)

        return mask


def _not(mask: Mask) -> Mask:
    return lambda batch: ~mask(batch)


def _all(masks: Sequence[Mask]) -> Mask:
    first, *others = masks

    def both(batch: Batch) -> Array:
        found = first(batch)
        for mask in others:
            if not found.any():
                break
            found = found & mask(batch)
        return found

    return both


def _any(masks: Sequence[Mask]) -> Mask:
    first, *others = masks

    def either(batch: Batch) -> Array:
        found = first(batch)
        for mask in others:
            if found.all():
                break
            found = found | mask(batch)
        return found

    return either


# -- numbers --


def _number(term: Number, column: Column) -> Mask:
    name, op, empty = column.name, term.op, column.empty
    dtype = np.dtype(column.dtype)
    if dtype.kind == "b":
        return _truth(name, (op == "==") == bool(term.values[0]))
    low, high = (-np.inf, np.inf) if dtype.kind == "f" else _bounds(dtype)
    if op in ("in", "not in"):
        inside = [v for v in dict.fromkeys(term.values) if low <= v <= high and v != empty]
        mask = _one_of(name, inside, dtype)
        return mask if op == "in" else _where_filled(_not(mask), name, column, dtype)
    value, compare = term.values[0], _COMPARE[op]
    if low <= value <= high:
        mask = _compared(name, compare, dtype.type(value))
    else:  # every value of the column answers as its lowest does
        mask = _constant(bool(compare(low, value)))
    if empty is not None and not compare(empty, value):
        return mask
    return _where_filled(mask, name, column, dtype)


def _compared(name: str, compare: Callable[[Any, Any], Any], scalar: Any) -> Mask:
    return lambda batch: compare(batch[name], scalar)


def _bounds(dtype: np.dtype[Any]) -> tuple[int, int]:
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def _constant(value: bool) -> Mask:
    return lambda batch: np.full(len(batch), value)


def _truth(name: str, wanted: bool) -> Mask:
    return (lambda batch: batch[name]) if wanted else (lambda batch: ~batch[name])


def _one_of(name: str, values: Sequence[int | float], dtype: np.dtype[Any]) -> Mask:
    wanted = np.array(values, dtype)
    if len(values) > _FEW:
        return lambda batch: np.isin(batch[name], wanted)
    if not values:
        return _constant(False)
    return lambda batch: functools.reduce(operator.or_, [batch[name] == v for v in wanted])


def _where_filled(mask: Mask, name: str, column: Column, dtype: np.dtype[Any]) -> Mask:
    """Leave out empty cells, of which every comparison is false."""
    if dtype.kind == "f":
        return lambda batch: mask(batch) & ~np.isnan(batch[name])
    if column.empty is None:
        return mask
    empty = dtype.type(column.empty)
    return lambda batch: mask(batch) & (batch[name] != empty)


# -- text --


class NameAnswers:
    """The answers of one test by code, for the dictionaries that were asked about last.

    A dictionary only grows, so what was tested stays tested; two are kept, so that batches
    of two sources may alternate and an old dictionary is let go soon.
    """

    _KEPT = 2

    def __init__(self, test: Callable[[str], bool]) -> None:
        self._test = test
        self._known: list[tuple[Names, Array, int]] = []  # the latest first

    def of(self, names: Names) -> Array:
        """Return one boolean a code, shape (n,) with n at least `len(names)` as of now."""
        for i, (known, answers, tested) in enumerate(self._known):
            if known is names:
                if tested >= len(names) and i == 0:
                    return answers
                del self._known[i]
                break
        else:
            answers, tested = np.zeros(0, np.bool_), 0
        new = names.since(tested)
        if tested + len(new) > len(answers):
            grown = np.zeros(max(64, 2 * (tested + len(new))), np.bool_)
            grown[:tested] = answers[:tested]
            answers = grown
        answers[tested : tested + len(new)] = np.fromiter(map(self._test, new), bool, len(new))
        self._known.insert(0, (names, answers, tested + len(new)))
        del self._known[self._KEPT :]
        return answers


def text_test(op: str, values: Sequence[str], *, empty: bool = True) -> Callable[[str], bool]:
    """Return the test of one text, given in text-column form, as `values` are.

    With `empty`, "" is an empty cell, and every test of it false.
    """
    positive = _NEGATIVE.get(op)
    if positive is not None:
        holds = text_test(positive, values, empty=False)
        return lambda text: bool(text or not empty) and not holds(text)
    if op in ("==", "in"):  # text-column form is bijective: no need to decode
        wanted = frozenset(values) - ({""} if empty else set())
        return wanted.__contains__
    value = plain(values[0])
    holds = _PATTERN_TESTS[op](value)
    return lambda text: bool(text or not empty) and holds(plain(text))


def plain(text: str) -> str:
    r"""Return text-column form as characters, an invalid byte being a surrogate of its own.

    So a pattern is found where the name has it, and not in how a byte is spelled: `xff`
    does not match `\xff`.
    """
    if "\\" not in text:
        return text
    try:
        return unescape(text).decode("utf-8", "surrogateescape")
    except ValueError:  # made by a stage that does not know the rule: as it stands
        return text


def _contains(value: str) -> Callable[[str], bool]:
    if value == value.lower():
        return lambda text: value in text.lower()
    return lambda text: value in text


def _starts(value: str) -> Callable[[str], bool]:
    return lambda text: text.startswith(value)


def _ends(value: str) -> Callable[[str], bool]:
    return lambda text: text.endswith(value)


def _under(directory: str) -> Callable[[str], bool]:
    inside = f"{directory}/"
    return lambda text: text == directory or text.startswith(inside)


def _directly_under(directory: str) -> Callable[[str], bool]:
    start = len(directory) + 1
    inside = f"{directory}/"
    return lambda text: text.startswith(inside) and len(text) > start and text.find("/", start) < 0


_PATTERN_TESTS: Mapping[str, Callable[[str], Callable[[str], bool]]] = {
    "~": _contains,
    "^~": _starts,
    "$~": _ends,
    "under": _under,
    "directly under": _directly_under,
}


# -- names of numbers --


def _named(term: Text, column: Column) -> Mask:
    """Test the names behind a column's numbers, once for each machine that rows come from."""
    name = column.name
    made: dict[str, Array] = {}

    def mask(batch: Batch) -> Array:
        arch = batch.origin.arch
        answers = made.get(arch)
        if answers is None:
            answers = made[arch] = _answers(term, arch)
            if column.empty is not None and 0 <= column.empty < len(answers):
                answers[column.empty] = False
        return answers.take(batch[name], mode="clip")

    return mask


def _answers(term: Text, arch: str) -> Array:
    positive = _NEGATIVE.get(term.op, term.op)
    test = text_test(positive, term.values)
    found = [any(map(test, names)) for names in _names_of(term.kind, arch)]
    answers = np.array(found, np.bool_)
    return answers if positive == term.op else ~answers


def _names_of(kind: str, arch: str) -> list[tuple[str, ...]]:
    """Return all names of each number of a kind, from 0."""
    if kind == "state":
        return [(state.name.lower(),) for state in FileState]
    if kind == "errno":
        names: list[tuple[str, ...]] = [()] + [(str(n),) for n in range(1, _ERRNO_LIMIT)]
        for n in errno.errorcode:
            names[n] = tuple(sorted(name for name, m in vars(errno).items() if m == n))
        return names
    table = syscalls.table(arch)
    if kind == "family":
        return [(family,) for family in table.families]
    return [
        (table.name(nr), table.by_nr[nr].tracepoint) if nr in table.by_nr else (table.name(nr),)
        for nr in range(syscalls.NR_LIMIT)
    ]
