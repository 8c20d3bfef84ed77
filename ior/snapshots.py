"""What a node answers when it is looked at: frozen values that anyone may keep.

Whoever shows results (the report, the UI, a file writer) takes snapshots and never touches
a running node. Every snapshot can be shown as tables, so a stage of one's own that answers
`snapshot` is shown in the report and the UI without more code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec


class Field(msgspec.Struct, frozen=True):
    """One column of a table.

    `kind` says how it is written for people: `text` (from traced programs, to be
    sanitised), `count`, `duration` (ns), `size` (bytes), `ratio` (0 to 1), `rate`
    (a second), `int`.
    """

    name: str
    kind: str


QUANTILES = (0.5, 0.95, 0.99)
VALUES = (
    Field("calls", "count"),
    Field("errors", "count"),
    Field("bytes", "size"),
    *(Field(name, "duration") for name in ("total", "min", "mean", "p50", "p95", "p99", "max")),
)
"""What every table of calls has behind its keys; the quantiles are `QUANTILES`."""


SUMS = "Totals"
"""The title of a table of one row: the sums of all calls."""


class Table(msgspec.Struct, frozen=True):
    """Rows to be looked at, best first. `rest` is the exact sum of the rows left out."""

    title: str
    fields: tuple[Field, ...]
    rows: Sequence[tuple[Any, ...]]
    rest: tuple[Any, ...] | None = None


class Snapshot(Protocol):
    """What `snapshot` returns."""

    def tables(self) -> Sequence[Table]:
        """Return the snapshot as tables, the most important first."""
