"""The filter as a stack of terms: what is typed is one, and what is drilled into adds one."""

from __future__ import annotations

from typing import Any

from ior.errors import FilterError
from ior.expr import Predicate, compile_filter
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
    term = " and ".join(f"{name} == {literal(value)}" for name, value in values.items())
    try:
        compile_filter(term)
    except FilterError:
        return None
    return term


def literal(value: Any) -> str:
    """Return a value as it is written in a filter."""
    if not isinstance(value, str):
        return str(value)
    quoted = value.replace('"', '\\"')  # backslashes mean in a literal what they do in a text
    return f'"{quoted}"'
