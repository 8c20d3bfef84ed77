"""The columns of the tables by syscall, file and process, as the live view has them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from ior.snapshots import Field, Table
from ior.stages.tables import Detail
from ior.tasks import Task
from ior.ui.parts import Detailed

SPAN_NS = 1_000_000_000  # rates are means over about this
RATE, READ, WRITTEN = Field("rate", "rate"), Field("read", "size"), Field("written", "size")
ORDER = (
    *("calls", "rate", "errors", "read", "written", "total"),
    *("mean", "p50", "p95", "p99", "max", "min", "bytes"),
)
"""The fields behind those that name a row, most wanted first."""


def rates(
    table: Table,
    now_ns: int,
    seen: deque[tuple[int, Mapping[Any, int]]],
    lately_ns: int | None = None,
) -> dict[Any, float]:
    """Return calls a second since about a second ago, by the first field; {} at the first look.

    `seen` is what was seen of late: when, and the calls by the first field. If the last of it
    was before `lately_ns` it is forgotten: this is a first look.
    """
    at = [field.name for field in table.fields].index("calls")
    if lately_ns is not None and seen and seen[-1][0] < lately_ns:
        seen.clear()
    while len(seen) > 1 and seen[1][0] <= now_ns - SPAN_NS:
        seen.popleft()
    then_ns, before = seen[0] if seen else (now_ns, {})
    if not seen or now_ns > seen[-1][0]:  # not while the picture is held
        seen.append((now_ns, {row[0]: row[at] for row in table.rows}))
    seconds = (now_ns - then_ns) / 10**9
    if seconds <= 0:
        return {}
    known = ((row[0], row[at]) for row in table.rows if row[at] is not None)
    return {key: (calls - (before.get(key) or 0)) / seconds for key, calls in known}


def detailed(
    table: Table, detail: Detail | None, late: Mapping[Any, float], tasks: Mapping[int, Task]
) -> Detailed:
    """Return a table with all that there is to see of its rows, the fields in `ORDER`."""
    keys = [field.name for field in table.fields].index("calls")
    shown = [*table.fields, RATE, *((READ, WRITTEN) if detail is not None else ())]
    names = [field.name for field in shown]
    places = (*range(keys), *(names.index(name) for name in ORDER if name in names))
    rows: Sequence[tuple[Any, ...]] = table.rows
    whole = rows if table.rest is None else (*rows, table.rest)
    read = detail.read if detail is not None else ()
    written = detail.written if detail is not None else ()
    pick, made = itemgetter(*places), []
    for i, row in enumerate(whole):
        rate = late.get(row[0]) if i < len(rows) else None
        wide = (*row, rate, read[i], written[i]) if detail is not None else (*row, rate)
        made.append(pick(wide))
    return Detailed(
        table.title,
        tuple(shown[at] for at in places),
        tuple(made[: len(rows)]),
        made[-1] if table.rest is not None else None,
        detail=detail,
        tasks=tasks,
    )
