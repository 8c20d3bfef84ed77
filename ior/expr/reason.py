"""What can be said about a filter without a call: that it can never hold."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ior.calls import NONE_NS, Column
from ior.expr.tree import And, Const, Not, Number, Or, Text, Tree
from ior.text import unescape

COMM_BYTES = 15  # TASK_COMM_LEN of the kernel, without its closing zero

_Range = tuple[float, float]


def never(tree: Tree, columns: Iterable[Column]) -> str | None:
    """Return why no row can ever fulfil `tree`, None where one may."""
    return _never(tree, {column.name: column for column in columns})


def _never(tree: Tree, columns: dict[str, Column]) -> str | None:
    match tree:
        case Const(value):
            return None if value else "it is false"
        case And(terms):
            found = (_never(term, columns) for term in terms)
            return next(filter(None, found), None) or _contradiction(terms, columns)
        case Or(terms):
            reasons = [_never(term, columns) for term in terms]
            return reasons[0] if all(reasons) else None
        case Not(term):
            return "it excludes every call" if term == Const(True) else None
        case Text():
            return _text(tree)
        case Number():
            return _number(tree, columns)


def _text(test: Text) -> str | None:
    if test.op == "in" and not test.values:
        return f"the list of '{test.column}' is empty"
    if test.column == "comm" and test.op in ("==", "in", "~", "^~", "$~"):
        long = [v for v in test.values if len(unescape(v)) > COMM_BYTES]
        if len(long) == len(test.values):
            return f"a comm has at most {COMM_BYTES} bytes, and '{long[0]}' is longer"
    return None


def _number(test: Number, columns: dict[str, Column]) -> str | None:
    if test.op == "in" and not test.values:
        return f"the list of '{test.column}' is empty"
    low, high = _limits(columns[test.column])
    if not _meets((low, high), test):
        return f"'{test.column}' goes from {low:.0f} to {high:.0f}"
    return None


def _limits(column: Column) -> _Range:
    dtype = np.dtype(column.dtype)
    if dtype.kind == "b":
        return 0, 1
    if dtype.kind not in "iu":
        return float("-inf"), float("inf")
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    return low if column.empty != NONE_NS else 0, high  # nothing compares with an empty cell


def _meets(limits: _Range, test: Number) -> bool:
    low, high = limits
    value = test.values[0] if test.values else 0
    match test.op:
        case "<":
            return low < value
        case "<=":
            return low <= value
        case ">":
            return high > value
        case ">=":
            return high >= value
        case "==" | "in":
            return any(low <= one <= high for one in test.values)
    return True


def _contradiction(terms: Iterable[Tree], columns: dict[str, Column]) -> str | None:
    """Say which column would have to be two things at once."""
    ranges: dict[str, _Range] = {}
    for term in terms:
        if not isinstance(term, Number) or len(term.values) != 1 or term.op in ("!=", "not in"):
            continue
        low, high = ranges.get(term.column, _limits(columns[term.column]))
        value = term.values[0]
        step = 0 if isinstance(value, float) else 1
        if term.op in ("==", "in", ">", ">="):
            low = max(low, value + step * (term.op == ">"))
        if term.op in ("==", "in", "<", "<="):
            high = min(high, value - step * (term.op == "<"))
        if low > high:
            return f"its conditions on '{term.column}' contradict each other"
        ranges[term.column] = low, high
    return None
