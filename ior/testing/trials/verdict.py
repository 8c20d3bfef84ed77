"""Compares what came of a test with what was expected, in words and as a diff."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, NamedTuple

from ior.calls import RAW, Batch, Schema
from ior.errors import SpecError
from ior.pipeline import registry
from ior.pipeline.ledger import Ledger
from ior.pipeline.reading.trials import BOOKS, Expect
from ior.snapshots import Snapshot, Table
from ior.testing.trials import cells

_CONTEXT = 2  # rows around one that differs


class Verdict(NamedTuple):
    """What one expectation came to.

    `wrong` are blocks of lines, one a key that does not hold. `came` is by key what came
    instead, as TOML, for the keys that can be rewritten.
    """

    wrong: list[str]
    came: dict[str, str]


def judge(
    expect: Expect, seen: Sequence[Batch], schema: Schema, ledger: Ledger, snapshot: Snapshot | None
) -> Verdict:
    """Judge one expectation. Raises SpecError where it asks for what there is not."""
    verdict = Verdict([], {})
    if expect.table is not None:
        table = _table(expect, snapshot)
        count = len(table.rows)
        if expect.rows is not None:
            _rows(verdict, expect.at, *_table_rows(expect.rows, table))
    else:
        count = sum(map(len, seen))
        if expect.rows is not None:
            keys = [list(row) for row in expect.rows]
            want = [cells.wanted(row, schema) for row in expect.rows]
            _rows(verdict, expect.at, want, _came(seen, keys, schema))
    _number(verdict, expect.at, "count", expect.count, count)
    names = [field.name for field in table.fields] if expect.table else list(_columns(seen, schema))
    lacking = [name for name in expect.columns or () if name not in names]
    if lacking:
        there = ", ".join(names)
        verdict.wrong.append(f"{expect.at}: no column {', '.join(lacking)}; there are: {there}")
    stage = expect.at.partition(".")[0]
    for key in BOOKS:
        _number(verdict, stage, key, getattr(expect, key), getattr(ledger.stages[stage], key))
    dropped = sum(e.dropped for name, e in ledger.edges.items() if name.endswith(f"->{stage}"))
    _number(verdict, stage, "dropped", expect.dropped, dropped)
    return verdict


def _columns(seen: Sequence[Batch], schema: Schema) -> tuple[str, ...]:
    return seen[0].schema.names if seen else schema.names


def _number(verdict: Verdict, at: str, key: str, want: int | None, came: int) -> None:
    if want is not None and want != came:
        verdict.wrong.append(f"{at}: {key}: expected {want}, got {came}")
        verdict.came[key] = str(came)


def _rows(verdict: Verdict, at: str, want: list[str], came: list[str]) -> None:
    if want == came:
        return
    diff = list(difflib.unified_diff(want, came, lineterm="", n=_CONTEXT))[2:]
    shown = [f"  {line[0]} {line[1:]}" for line in diff if not line.startswith("@@")]
    head = f"{at}: rows (- expected {len(want)}, + got {len(came)})"
    verdict.wrong.append("\n".join([head, *shown]))
    inner = "".join(f"  {row},\n" for row in came)
    verdict.came["rows"] = f"[\n{inner}]" if came else "[]"


def _came(seen: Sequence[Batch], keys: list[list[str]], schema: Schema) -> list[str]:
    """Return the rows that came, each with the keys that its expected row names."""
    default = keys[-1] if keys else [c.name for c in schema.columns if c.kind not in RAW]
    rows = [(row, batch.schema) for batch in seen for row in batch.rows()]
    return [
        cells.found(row, keys[i] if i < len(keys) else default, there)
        for i, (row, there) in enumerate(rows)
    ]


def _table(expect: Expect, snapshot: Snapshot | None) -> Table:
    tables = list(snapshot.tables()) if snapshot is not None else []
    for table in tables:
        if table.title == expect.table:
            return table
    titles = [table.title for table in tables]
    raise SpecError(
        f"expect: '{expect.at}': {registry.unknown('table', expect.table or '', titles)}"
    )


def _table_rows(rows: list[dict[str, Any]], table: Table) -> tuple[list[str], list[str]]:
    kinds = {field.name: field.kind for field in table.fields}
    for row in rows:
        for key in row:
            if key not in kinds:
                raise SpecError(f"expect: {registry.unknown('field', key, kinds)}")
    want = [
        cells.line({k: (kinds[k], cells.plain(kinds[k], v)) for k, v in r.items()}) for r in rows
    ]
    default = list(rows[-1]) if rows else list(kinds)
    came = []
    for i, values in enumerate(table.rows):
        row = dict(zip(kinds, values, strict=True))
        keys = list(rows[i]) if i < len(rows) else default
        came.append(cells.line({key: (kinds[key], row[key]) for key in keys}))
    return want, came
