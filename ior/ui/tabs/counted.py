"""Syscalls that the kernel counts, in the table of syscalls, with a sign that it does.

Of a syscall that has a rate (`ior.sampling`) the rows are a part of the calls or none of them, so
its line is the kernel's own, which knows them all. The kernel cannot look back: through a filter or
a window of time it has nothing to say.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec.structs import replace

from ior import sampling, syscalls
from ior.counted import Counted, Standing, Totals
from ior.expr import Predicate
from ior.expr.sieve import syscalls_of
from ior.histogram import Histograms
from ior.snapshots import Field, Table
from ior.stages.tables import Detail
from ior.ui.parts import Detailed


def with_counted(
    table: Table,
    detail: Detail | None,
    totals: Totals,
    *,
    known: bool,
    where: Predicate | None = None,
) -> tuple[Table, Detail | None]:
    """Return the table of syscalls, and what is behind it, with the lines of what is counted.

    Where the kernel's numbers are not `known`, those of a part of the calls stand for their
    syscall, and none for one that is only counted, which has no line where the filter `where`
    holds for no call of it.
    """
    if not totals.counted:
        return table, detail
    counted = {one.syscall: one for one in totals.counted}
    at = [field.name for field in table.fields].index("calls")
    empty = (None,) * (len(table.fields) - 1)
    lines: list[tuple[tuple[Any, ...], int, Counted | None]] = []
    for i, row in enumerate(table.rows):
        one = counted.pop(row[0], None)
        own = one if known else None
        lines.append((row if own is None else (row[0], *own.values()), i, own))
    asked = None if where is None else syscalls_of(where.tree)
    for one in counted.values():
        if asked is not None and syscalls.table().by_name[one.syscall].nr not in asked:
            continue
        values = one.values() if known else empty
        lines.append(((one.syscall, *values), -1, one if known else None))
    lines.sort(key=lambda line: -1 if line[0][at] is None else line[0][at], reverse=True)
    rows = tuple(row for row, _, _ in lines)
    behind = None
    if detail is not None:
        rest = [(len(table.rows), None)] if table.rest is not None else []
        behind = _detail(detail, [*((i, one) for _, i, one in lines), *rest])
    return replace(table, rows=rows), behind


def _detail(detail: Detail, lines: list[tuple[int, Counted | None]]) -> Detail:
    """Return what is behind lines: rows of `detail`, what the kernel counts, or (-1) nothing."""
    kept = [(line, row) for line, (row, one) in enumerate(lines) if one is None and row >= 0]
    to = np.array([line for line, _ in kept], np.intp)
    rows = np.array([row for _, row in kept], np.intp)
    histograms = detail.histograms.merged(detail.numbers[rows], to, len(lines))
    moved = []
    for line, (row, one) in enumerate(lines):
        if one is None:
            moved.append((detail.read[row], detail.written[row]) if row >= 0 else (None, None))
            continue
        _add(histograms, line, one)
        kind = syscalls.table().by_name[one.syscall].byte_class
        reads, writes = kind in ("read", "transfer"), kind in ("write", "transfer")
        moved.append((one.bytes * reads, one.bytes * writes))
    read, written = zip(*moved, strict=True)
    return Detail(read, written, np.arange(len(lines)), histograms)


def _add(histograms: Histograms, line: int, one: Counted) -> None:
    latency = one.latency
    buckets = latency.first + np.flatnonzero(latency.counts)
    histograms.add(np.full(len(buckets), line), buckets, latency.counts[latency.counts > 0])


def signed(table: Detailed, totals: Totals, *, known: bool) -> Detailed:
    """Return the table of syscalls with a column that says how each is sampled."""
    if not totals.counted:
        return table
    rates = {one.syscall: one.rate for one in totals.counted}
    at_least = "at least; " if totals.standing is Standing.AT_LEAST else ""

    def sign(syscall: str) -> str:
        rate = rates.get(syscall)
        if rate is None:
            return ""
        if known:
            return at_least + sampling.label(rate)
        return sampling.label(rate) if rate else "unavailable"

    fields = (table.fields[0], Field("sampled", "text"), *table.fields[1:])
    rows = tuple((row[0], sign(row[0]), *row[1:]) for row in table.rows)
    rest = None if table.rest is None else (table.rest[0], "", *table.rest[1:])
    return replace(table, fields=fields, rows=rows, rest=rest)
