"""Tables of snapshots as plain text: aligned, in units that people read, never too wide.

The title of a table heads its key. Where the width does not allow all columns, the ones
that say least go first, then keys are cut: a path from the left, other text from the right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, Literal, NamedTuple

from ior.snapshots import Field, Table
from ior.text import fit, sanitise, width
from ior.units import format_count, format_duration, format_size

GAP = "  "
_KEPT_LONGEST = ("calls", "total", "errors", "bytes", "mean", "p99", "max", "p50", "p95", "min")
_CORE = 6  # of these; the others are shown where the keys fit beside them in full
_MIN_KEY = 20
_MAX_KEY = 60
_BAR = 24
_TAIL = 0.01
_PATH = re.compile("^/|;")  # a path, or a stack: its end says most
_NONE = "-"
_MAX_ROWS = 64  # of a table without keys: a distribution is shown whole


class _Keyed(NamedTuple):
    """A table as text, before its columns are chosen."""

    title: str
    labels: list[str]
    heads: tuple[str, ...]
    cells: list[list[str]]


def render(tables: Sequence[Table], *, columns: int, top: int) -> list[list[str]]:
    """Return each table as lines of at most `columns` cells, with its first `top` keys.

    What is cut off is one more row, `(N more)`, with the sums of what can be summed. A table
    of one row without a key is a line of names and values. Tables with the same columns
    stand in one grid.
    """
    keyed = {i: _keyed(table, top) for i, table in enumerate(tables) if _is_keyed(table)}
    grids: dict[tuple[str, ...], list[int]] = {}
    for i, one in keyed.items():
        grids.setdefault(one.heads, []).append(i)
    blocks: dict[int, list[str]] = {}
    for members in grids.values():
        lines = _align_keyed([keyed[i] for i in members], columns)
        blocks |= dict(zip(members, lines, strict=True))
    for i, table in enumerate(tables):
        if i not in keyed:
            single = len(table.rows) == 1 and table.fields[-1].kind != "ratio"
            blocks[i] = _sentence(table, columns) if single else _align(table, columns)
    return [blocks[i] for i in range(len(tables))]


def _is_keyed(table: Table) -> bool:
    return _key_fields(table) > 0


def _keyed(table: Table, top: int) -> _Keyed:
    keys = _key_fields(table)
    rows = table.rows[:top]
    cells = [_cells(table.fields[keys:], row[keys:]) for row in rows]
    labels = _labels(table.fields[:keys], [row[:keys] for row in rows])
    more = _more(table, keys, len(rows))
    if more is not None:
        labels.append(more[0])
        cells.append(_cells(table.fields[keys:], more[1]))
    heads = tuple(sanitise(field.name) for field in table.fields[keys:])
    return _Keyed(sanitise(table.title), labels or ["(nothing)"], heads, cells)


def value(kind: str, raw: Any) -> str:
    """Return one value as people read it; None is `-`."""
    if raw is None:
        return _NONE
    if kind == "ratio":
        return f"{100 * raw:.1f} %"
    known: dict[str, Callable[[Any], str]] = {
        "count": format_count,
        "duration": format_duration,
        "size": format_size,
        "text": sanitise,
    }
    return known.get(kind, str)(raw)


def _key_fields(table: Table) -> int:
    """Return how many fields at the start name the row: texts, and numbers that are ids."""
    kinds = [field.kind for field in table.fields]
    return next((i for i, kind in enumerate(kinds) if kind not in ("text", "int")), len(kinds))


def _cells(fields: Sequence[Field], row: Sequence[Any]) -> list[str]:
    quiet = ("count", "size")  # a nought in a table is noise
    return [
        _NONE if field.kind in quiet and raw == 0 else value(field.kind, raw)
        for field, raw in zip(fields, row, strict=True)
    ]


def _labels(fields: Sequence[Field], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Return one label a row; of several key columns all but the last are aligned."""
    parts = [
        ["" if v is None else value(f.kind, v) for v in column]
        for f, column in zip(fields, zip(*rows, strict=True), strict=False)
    ]
    for i, column in enumerate(parts[:-1]):
        wide = max(map(width, column))
        numbers = fields[i].kind == "int"
        parts[i] = [" " * (wide - width(c)) + c if numbers else fit(c, wide) for c in column]
    return [GAP.join(row) for row in zip(*parts, strict=True)]


def _more(table: Table, keys: int, shown: int) -> tuple[str, list[Any]] | None:
    """Return label and sums of the rows that are not shown, None if all are."""
    hidden = list(table.rows[shown:])
    rest = [] if table.rest is None else [table.rest]
    if not hidden and not rest:
        return None
    sums: list[Any] = []
    for i, field in enumerate(table.fields[keys:], keys):
        added = [row[i] for row in hidden + rest if row[i] is not None]
        is_sum = field.kind in ("count", "size", "ratio") or field.name in ("total", "gap")
        sums.append(sum(added) if is_sum and added else None)
    label = f"({len(hidden):,} more)" if hidden else "(other)"
    if hidden and rest:
        label = f"({len(hidden):,} more and others)"
    return label, sums


def _align_keyed(tables: list[_Keyed], columns: int) -> list[list[str]]:
    """Return tables with the same columns as lines, all in one grid."""
    heads = tables[0].heads
    rows = [row for table in tables for row in table.cells]
    widths = [max(map(width, column)) for column in zip(heads, *rows, strict=True)]
    longest = max(width(label) for table in tables for label in [table.title, *table.labels])
    chosen = _choose(heads, widths, longest, columns)
    taken = sum(widths[i] + len(GAP) for i in chosen)
    room = max(min(longest, columns - taken), 1)

    def line(label: str, row: Sequence[str], keep: Literal["start", "end"] = "start") -> str:
        numbers = "".join(GAP + _right(row[i], widths[i]) for i in chosen) if row else ""
        return (fit(label, room, keep=keep) + numbers).rstrip()

    blocks = []
    for table in tables:
        is_path = any(_PATH.search(label) for label in table.labels)
        keep: Literal["start", "end"] = "end" if is_path else "start"
        body: list[list[str]] = table.cells or [[]]
        lines = [line(label, row, keep) for label, row in zip(table.labels, body, strict=True)]
        blocks.append([line(table.title, heads), *lines])
    return blocks


def _choose(heads: Sequence[str], widths: list[int], longest: int, columns: int) -> list[int]:
    """Return which columns fit, in their order."""

    def rank(i: int) -> int:
        return _KEPT_LONGEST.index(heads[i]) if heads[i] in _KEPT_LONGEST else -1

    chosen: list[int] = []
    taken = 0
    for i in sorted(range(len(heads)), key=rank):
        key = min(longest, _MIN_KEY if rank(i) < _CORE else _MAX_KEY)
        if taken + widths[i] + len(GAP) + key > columns:
            break
        chosen.append(i)
        taken += widths[i] + len(GAP)
    return sorted(chosen)


def _align(table: Table, columns: int) -> list[str]:
    """Return a table without keys; shares are drawn as bars beside their numbers."""
    if not table.rows:
        return []
    heads = [sanitise(field.name) for field in table.fields]
    rows = _without_tails(table)[:_MAX_ROWS]
    cells = [[value(f.kind, v) for f, v in zip(table.fields, row, strict=True)] for row in rows]
    widths = [max(map(width, column)) for column in zip(heads, *cells, strict=True)]
    lines = [
        GAP.join(_right(cell, wide) for cell, wide in zip(row, widths, strict=True))
        for row in [heads, *cells]
    ]
    if table.fields[-1].kind == "ratio":
        bar = min(_BAR, columns - width(lines[0]) - len(GAP))
        scale = max(bar, 0) / (max(row[-1] for row in rows) or 1)
        bars = [GAP + "█" * round(row[-1] * scale) for row in rows]
        lines = [lines[0], *(line + bar for line, bar in zip(lines[1:], bars, strict=True))]
    return [sanitise(table.title), *(fit(line, columns).rstrip() for line in lines)]


def _without_tails(table: Table) -> list[Sequence[Any]]:
    """Return the rows of a distribution with the thin ends, 1 % each, as one row each.

    A distribution has the bounds of its buckets first and the share of each last.
    """
    kinds = [field.kind for field in table.fields]
    rows: list[Sequence[Any]] = list(table.rows)
    if len(kinds) < 3 or kinds[0] != kinds[1] or kinds[-1] != "ratio":
        return rows

    def joined(some: list[Sequence[Any]]) -> list[Sequence[Any]]:
        sums = (sum(column) for column in list(zip(*some, strict=True))[2:])
        return [(some[0][0], some[-1][1], *sums)] if some else []

    def tail(some: list[Sequence[Any]]) -> int:
        shares = list(accumulate(row[-1] for row in some))
        return sum(share < _TAIL for share in shares)

    low, high = tail(rows), len(rows) - tail(rows[::-1])
    return [*joined(rows[:low]), *rows[low:high], *joined(rows[high:])] if low < high else rows


def _right(text: str, wide: int) -> str:
    return " " * (wide - width(text)) + text


def _sentence(table: Table, columns: int) -> list[str]:
    """Return the one row of a table as names and values, broken at the width."""
    pairs = [
        f"{value(f.kind, raw)} {sanitise(f.name.replace('_', ' '))}"
        if f.kind == "count"
        else f"{sanitise(f.name.replace('_', ' '))} {value(f.kind, raw)}"
        for f, raw in zip(table.fields, table.rows[0], strict=True)
    ]
    return wrap(sanitise(table.title), pairs, columns)


def wrap(head: str, parts: Sequence[str], columns: int, indent: int = 12) -> list[str]:
    """Return `head` and then `parts`, separated and broken between them at the width."""
    lines = [fit(head, max(indent - 2, width(head))) + GAP]
    fresh = True
    for part in parts:
        joint = "" if fresh else " · "
        if not fresh and width(lines[-1] + joint + part) > columns:
            lines.append(" " * indent)
            joint = ""
        lines[-1] += joint + part
        fresh = False
    return [line.rstrip() for line in lines]
