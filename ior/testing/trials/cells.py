"""Cells as a test writes them: text as text, names for numbers, units where they help.

Reading and writing are inverse, and every value has one written form: rows are compared as
they are written, and what differs can be shown, and put into the file, as it stands.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ior import syscalls
from ior.calls import CALLS, HALVES, Array, Batch, Column, Schema, concat, decoder
from ior.errors import SpecError
from ior.names import Names
from ior.pipeline import registry
from ior.testing.batches import ORIGIN, calls, halves
from ior.units import DURATION, parse_duration, parse_size

_START_NS, _STEP_NS = 1_000_000_000, 10_000  # times of rows without one, as of built batches


def column(schema: Schema, key: str) -> Column:
    """Return the column that a key of a row means; a unit at the end of its name may lack.

    Raises SpecError.
    """
    known = {one.name: one for one in schema.columns}
    found = known.get(key) or known.get(f"{key}_ns")
    if found is None:
        raise SpecError(registry.unknown("column", key, known))
    return found


def batch(rows: Iterable[Mapping[str, Any]], schema: Schema, repeat: int) -> Batch:
    """Return rows of a schema made of what a test says of them. Raises SpecError.

    Rows without times follow each other by 10 us; `seq` counts.
    """
    names, made = Names(), []
    build = halves if schema.name == HALVES.name else calls
    base = HALVES if schema.name == HALVES.name else CALLS
    for row in rows:
        values = {column(schema, key).name: (key, value) for key, value in row.items()}
        read = {name: _read(column(schema, name), *said) for name, said in values.items()}
        try:
            one = build(names=names, **{n: v for n, v in read.items() if n in base.names})
        except (ValueError, TypeError, OverflowError) as error:
            raise SpecError(str(error)) from error
        more = {
            c: _single(c, read.get(c.name), names)
            for c in schema.columns
            if c.name not in base.names
        }
        made.append((one.with_columns(more) if more else one, read))
    if not made:
        raise SpecError("there are no rows")
    one = concat([part for part, _ in made])
    whole = one.select(np.tile(np.arange(len(one)), repeat))
    given = [set(read) for _, read in made] * repeat
    return _in_time(whole, given)


def _in_time(rows: Batch, given: list[set[str]]) -> Batch:
    """Return the rows one after the other, where they do not say otherwise."""
    new: dict[Column, Array] = {}
    number = np.arange(len(rows), dtype=np.uint64)
    begin = _START_NS + number * np.uint64(_STEP_NS)
    for one in rows.schema.columns:
        free = np.array([one.name not in keys for keys in given])
        values = rows[one.name]
        if one.name == "seq":
            new[one] = np.where(free, number, values).astype(one.dtype)
        elif one.name in ("time_ns", "enter_ns", "exit_ns"):
            shifted = values + begin - np.uint64(_START_NS)
            new[one] = np.where(free & (values > 0), shifted, values).astype(one.dtype)
    return rows.with_columns(new)


def _single(one: Column, value: Any, names: Names) -> Array:
    if one.kind == "text":
        value = names.intern(value) if isinstance(value, str) else 0
    return np.array([value or 0], one.dtype)


def _read(one: Column, key: str, value: Any) -> Any:
    """Return the value that a cell of a test means, for a builder. Raises SpecError."""
    try:
        return _value(one, value)
    except (ValueError, TypeError) as error:
        raise SpecError(f"column '{key}': {error}") from error


def _value(one: Column, value: Any) -> Any:
    if value == "" and one.empty is not None:
        return one.empty
    if one.kind == "duration":
        return parse_duration(value) if isinstance(value, str) else int(value)
    if one.kind == "size":
        return parse_size(value) if isinstance(value, str) else int(value)
    if one.kind == "bool":
        if not isinstance(value, bool):
            raise TypeError("must be true or false")
        return value
    if one.kind in ("text", "syscall", "family", "errno", "state"):
        return _named(one, value)
    if one.kind == "words":
        return [value]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"must be a number, not {json.dumps(value, default=str)}")
    return value


def _named(one: Column, value: Any) -> Any:
    if not isinstance(value, str):
        raise TypeError(f"must be text, not {value}")
    if one.kind in ("text", "syscall"):
        calls = syscalls.table(ORIGIN.arch)
        if one.kind == "syscall" and calls.nr(value) < 0:
            names = [call.name for call in calls.by_nr.values()]
            raise ValueError(registry.unknown("syscall", value, names))
        return value
    codes = _codes(one.kind)
    if value not in codes:
        raise ValueError(registry.unknown(one.kind, value, codes))
    return codes[value]


def _codes(kind: str) -> dict[str, int]:
    """Return the numbers behind the texts of a coded column."""
    empty = Batch(Schema("none", ()), {"n": np.zeros(1)}, Names(), ORIGIN)
    decode = decoder(kind, empty)
    assert decode is not None
    most = {"family": len(syscalls.table(ORIGIN.arch).families), "errno": 134, "state": 5}[kind]
    return {decode(code): code for code in range(most)}


def written(kind: str, value: Any) -> str:
    """Return a value as TOML in its one form; None, an empty cell, is `""`."""
    if value is None:
        return '""'
    if kind == "duration" and isinstance(value, int) and value > 0:
        units = {unit: size for unit, size in DURATION.items() if unit.isascii()}
        unit = max((u for u in units if value % units[u] == 0), key=units.__getitem__)
        return f'"{value // units[unit]}{unit}"'
    if isinstance(value, float):
        return f"{value:.6g}"
    return json.dumps(value, ensure_ascii=False, default=str)


def line(cells: Mapping[str, tuple[str, Any]]) -> str:
    """Return a row as an inline table; `cells` are kind and value by key."""
    inner = ", ".join(f"{key} = {written(kind, value)}" for key, (kind, value) in cells.items())
    return f"{{ {inner} }}"


def plain(kind: str, value: Any) -> Any:
    """Return a cell of a table as the number that it means. Raises SpecError."""
    try:
        if isinstance(value, str) and kind == "duration":
            return parse_duration(value)
        return parse_size(value) if isinstance(value, str) and kind == "size" else value
    except ValueError as error:
        raise SpecError(str(error)) from error


def wanted(row: Mapping[str, Any], schema: Schema) -> str:
    """Return an expected row in its written form. Raises SpecError."""
    cells: dict[str, tuple[str, Any]] = {}
    for key, value in row.items():
        one = column(schema, key)
        read = _read(one, key, value)
        if one.kind in ("text", "syscall", "family", "errno", "state"):
            read = value
        cells[key] = one.kind, None if read in ("", one.empty) and read is not False else read
    return line(cells)


def found(row: Mapping[str, Any], keys: Iterable[str], schema: Schema) -> str:
    """Return a row that came, as far as `keys` go, in its written form."""
    said = {key: column(schema, key) for key in keys}
    return line({key: (c.kind, row[c.name] or _none(row[c.name])) for key, c in said.items()})


def _none(value: Any) -> Any:
    return None if value == "" else value
