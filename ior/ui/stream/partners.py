"""What went on beside a row: the thread's rows before and after, and the other side of its file.

A call that waits is waiting for somebody: the calls on the same file, or the other end of the
same connection, that were in flight while it was.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ior.expr.masks import NameAnswers
from ior.ui.stream.rows import Part, Place, Rows
from ior.waiting import Waiting

SHOWN = 10
_NEEDED = {"time_ns", "latency_ns", "file", "comm", "pid", "tid", "syscall"}
_CONNECTION = re.compile(r"(\w+) (\S+) → (\S+)")


class Meanwhile(NamedTuple):
    """The first few calls that were in flight at the same time on the same file, and how many.

    `waiting` are those of them that have not returned yet.
    """

    places: tuple[Place, ...] = ()
    total: int = 0
    waiting: tuple[Waiting, ...] = ()


def neighbour(parts: Sequence[Part], place: Place, step: int) -> Place | None:
    """Return the retained row of the same thread before (-1) or after (1) a row."""
    if "tid" not in place.batch.schema.names:
        return None
    tid = place.batch["tid"][place.index]
    for part in parts if step > 0 else reversed(parts):
        inside = place.number - part.first
        if inside >= len(part.batch) if step > 0 else inside < 0:
            continue
        low, high = (max(0, inside + 1), len(part.batch)) if step > 0 else (0, inside)
        found = np.flatnonzero(part.batch["tid"][low:high] == tid)
        if len(found):
            index = low + int(found[0 if step > 0 else -1])
            return Place(part.batch, index, part.first + index)
    return None


def now(rows: Rows, place: Place) -> Waiting | None:
    """Return the call that the row's thread has not returned from; None where none is known."""
    if not {"pid", "tid"}.issubset(place.batch.schema.names):
        return None
    who = int(place.batch["pid"][place.index]), int(place.batch["tid"][place.index])
    return next((call for call in rows.waiting or () if (call.pid, call.tid) == who), None)


def meanwhile(rows: Rows, place: Place) -> Meanwhile:
    """Return the calls of other threads on the row's file that were in flight while it was."""
    batch, index = place.batch, place.index
    if not _NEEDED.issubset(batch.schema.names):
        return Meanwhile()
    file = batch.names.text(int(batch["file"][index]))
    begun, latency = int(batch["time_ns"][index]), int(batch["latency_ns"][index])
    if not file or latency < 0:
        return Meanwhile()
    files = [file]
    connection = _CONNECTION.fullmatch(file)
    if connection:
        files.append(f"{connection[1]} {connection[3]} → {connection[2]}")
    is_this = NameAnswers(lambda text: text in files)
    found: list[Place] = []
    total = 0
    for part in rows.parts:
        begin = part.batch["time_ns"].view(np.int64)
        end = begin + np.maximum(part.batch["latency_ns"], 0)
        beside = np.flatnonzero((begin <= begun + latency) & (end >= begun))
        if not len(beside):
            continue
        beside = beside[is_this.of(part.batch.names)[part.batch["file"][beside]]]
        beside = beside[part.batch["tid"][beside] != batch["tid"][index]]
        total += len(beside)
        first = beside[: SHOWN - len(found)].tolist()
        found += [Place(part.batch, i, part.first + i) for i in first]
    waiting = tuple(
        call
        for call in rows.waiting or ()
        if call.file in files
        and call.tid != batch["tid"][index]
        and rows.now_ns - call.age_ns <= begun + latency
    )
    return Meanwhile(tuple(found), total + len(waiting), waiting[:SHOWN])
