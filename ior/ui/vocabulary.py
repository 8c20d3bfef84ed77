"""The values that a filter may ask for: those that were seen, the most frequent first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ior import syscalls
from ior.calls import Batch
from ior.expr.fields import PATH
from ior.stages.stream import StreamSnapshot
from ior.ui.switches import families

_ROWS = 100_000  # that are looked at
_MOST = 2000  # distinct values
_NUMBERS = ("pid", "tid", "fd", "ret", "uid")
_TEXTS = ("comm", *PATH)


def values(field: str, rows: StreamSnapshot | None) -> Sequence[str]:
    """Return the values of a field in the latest rows, then all there are where they are few."""
    found: Counter[str] = Counter()
    looked_at = 0
    for batch in reversed(rows.batches if rows else ()):
        for column in PATH if field == "path" else (field,):
            if column in batch.schema.names:
                found.update(_counted(batch, column))
        looked_at += len(batch)
        if looked_at >= _ROWS:
            break
    found.pop("", None)
    seen = [value for value, _ in found.most_common(_MOST)]
    return list(dict.fromkeys((*seen, *_known(field))))


def _counted(batch: Batch, column: str) -> dict[str, int]:
    """Return how often each value of a column occurs, as a filter writes it."""
    if column not in (*_NUMBERS, *_TEXTS, "syscall", "family", "errno"):
        return {}
    source = "syscall" if column == "family" else column
    _, first, counts = np.unique(batch[source], return_index=True, return_counts=True)
    order = np.argsort(-counts)[:_MOST]
    part, counted = batch.select(first[order]), counts[order].tolist()
    names = part[column].tolist() if column in _NUMBERS else part.text(column)
    found: Counter[str] = Counter()
    for name, calls in zip(names, counted, strict=True):
        found[str(name)] += calls
    return found


def _known(field: str) -> Sequence[str]:
    if field == "syscall":
        return sorted(call.name for call in syscalls.table().by_nr.values())
    if field == "family":
        return tuple(families())
    if field in ("is_error",):
        return ("true", "false")
    return ()
