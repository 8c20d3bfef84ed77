"""Checked terms as people write them: what was meant, in the filter language."""

from __future__ import annotations

from typing import Final

from ior.expr.tree import And, Const, Not, Number, Or, Text, Tree
from ior.units import DURATION, SIZE

_UNITS: Final = {"time": DURATION, "duration": DURATION, "size": SIZE}
_BARE: Final = {"syscall", "family", "errno", "state"}


def wording(tree: Tree) -> str:
    """Return an expression that means `tree`."""
    match tree:
        case Const(value):
            return "true" if value else "false"
        case Not(term):
            said = _inside(term)
            return said.removeprefix("not ") if said.startswith("not ") else f"not {said}"
        case And(terms):
            return " and ".join(_inside(term) for term in terms)
        case Or(terms):
            return " or ".join(_inside(term) for term in terms)
        case Number(column, kind, op, values):
            if kind == "bool":
                return column if (op == "==") == bool(values[0]) else f"not {column}"
            name = column
            if kind in _UNITS:
                name = column.removesuffix("_bytes" if kind == "size" else "_ns")
            return f"{name} {op} {_values(op, [_number(kind, value) for value in values])}"
        case Text(column, kind, op, values):
            if op in ("under", "directly under"):  # of the root nothing is left
                values = (values[0] or "/",)
            bare = kind in _BARE and op in ("==", "!=", "in", "not in")
            shown = [value if bare else _quoted(value) for value in values]
            return f"{column} {op} {_values(op, shown)}"


def _inside(tree: Tree) -> str:
    said = wording(tree)
    return f"({said})" if isinstance(tree, And | Or) else said


def _values(op: str, values: list[str]) -> str:
    return f"[{', '.join(values)}]" if op in ("in", "not in") else values[0]


def _number(kind: str, value: float) -> str:
    """Return a number in the largest unit of which it is a whole number."""
    units = _UNITS.get(kind)
    if units is None or not value or isinstance(value, float):
        return str(value)
    whole = [(size, unit) for unit, size in units.items() if unit.isascii() and value % size == 0]
    size, unit = max(whole, key=lambda one: one[0])
    return f"{value // size}{unit}"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'
