"""The filter as a stack of terms: what is typed is one, and what is drilled into adds one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ior import syscalls
from ior.errors import FilterError
from ior.expr import Predicate, compile_filter
from ior.snapshots import Field
from ior.ui.grid import Grid, key_of


def joined(terms: tuple[str, ...]) -> Predicate | None:
    """Return the filter for which every term holds, None without terms. Raises FilterError."""
    if len(terms) < 2:
        return compile_filter(terms[0]) if terms else None
    return compile_filter(" and ".join(f"({term})" for term in terms))


def term_of(grid: Grid, row: int) -> str | None:
    """Return the filter for what names a row, None where no filter says it."""
    key = key_of(grid, row)
    if key is None:
        return None
    values = {field.name: value for field, value in zip(grid.table.fields, key, strict=False)}
    if "pid" in values:
        values = {"pid": values["pid"]}  # the command's name is only the last that it had
    values.pop("sampled", None)  # how much of a syscall is recorded says nothing of a call
    term = " and ".join(equal(name, value) for name, value in values.items())
    try:
        compile_filter(term)
    except FilterError:
        return None
    return term


class NoTerm(ValueError):
    """Why no filter says what a cell shows."""


def cell_term(grid: Grid, row: int, column: int) -> str:
    """Return the filter for what a cell shows: of its row, the calls that it speaks of.

    Of a duration those that took as long or longer (of the least: as short or shorter), of
    errors those that failed, of bytes those that moved some; of what names a row the value; of
    anything else the whole row. Raises NoTerm where no filter says it.
    """
    fields = grid.table.fields
    whole = term_of(grid, row)
    if 0 < column < grid.keys:
        return _checked(equal(fields[column].name, grid.rows[row][column]))
    if whole is None:
        raise NoTerm(
            f"a row of this table is no filter: '{fields[0].name}' is not a field of calls"
        )
    return narrowed(whole, fields[column], grid.rows[row][column])


def narrowed(whole: str, field: Field, value: Any) -> str:
    """Return the filter for those of the calls of `whole` that their value of a field speaks of.

    Raises NoTerm where there is none of them.
    """
    if field.name not in _ASKS:
        return whole
    if not value:
        raise NoTerm(f"no filter by '{field.name}': there is nothing")
    return _checked(f"{whole} and {_ASKS[field.name](value)}")


def _checked(term: str) -> str:
    try:
        compile_filter(term)
    except FilterError as error:
        raise NoTerm(f"no filter by this cell: {error}") from None
    return term


def _moving(*classes: str) -> Callable[[Any], str]:
    """Return the calls that moved bytes in one direction."""

    def asked(_: Any) -> str:
        calls = syscalls.table().by_nr.values()
        names = sorted(call.name for call in calls if call.byte_class in classes)
        return f"bytes > 0 and syscall in [{', '.join(names)}]"

    return asked


_LONGEST = ("mean", "p50", "p95", "p99", "max")
_ASKS: dict[str, Callable[[Any], str]] = {
    "errors": lambda _: "is_error",
    "bytes": lambda _: "bytes > 0",
    "read": _moving("read", "transfer"),
    "written": _moving("write", "transfer"),
    "min": lambda ns: f"latency <= {int(ns)}ns",
    **dict.fromkeys(_LONGEST, lambda ns: f"latency >= {int(ns)}ns"),
}
"""What a cell of a column asks for beside its row."""


def equal(field: str, value: Any) -> str:
    """Return the filter for a value of a field; no comparison holds for an empty text."""
    return f'not {field} ~ ""' if value == "" else f"{field} == {literal(value)}"


def literal(value: Any) -> str:
    """Return a value as it is written in a filter."""
    if not isinstance(value, str):
        return str(value)
    quoted = value.replace('"', '\\"')  # backslashes mean in a literal what they do in a text
    return f'"{quoted}"'
