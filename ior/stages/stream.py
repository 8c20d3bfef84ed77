"""The last calls as they came: what a live view scrolls through.

Rows are kept as columns. A batch of few rows may hold a slab of many alive, so small ones
are copied together after a while; large ones are kept as they are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, NamedTuple

import msgspec
import numpy as np

from ior import decode
from ior.calls import MAX_CALLS, Batch, Schema, concat
from ior.kinds import COLUMNS
from ior.pipeline.abc import Config, Stage, WhenFull
from ior.snapshots import Field, Table

_LARGE = MAX_CALLS // 4  # a batch from here on holds at most four times its own size
_LOOSE = 8  # smaller ones kept by reference before they are copied together
_SHOWN = 20  # rows of the table
_KINDS = {"duration": "duration", "size": "size", "int": "int", "time": "int", "bool": "int"}
_TABLE = ("time_ns", "latency_ns", "comm", "pid", "tid", "syscall", "fd", "ret", "bytes", "file")


class StreamSnapshot(msgspec.Struct, frozen=True, eq=False):
    """The last rows, oldest first, and how many there ever were."""

    batches: tuple[Batch, ...]
    total: int

    def tables(self) -> tuple[Table, ...]:
        """Return one table: the last 20 rows, latest first, with what they asked for."""
        if not self.batches:
            return (Table("Latest calls", (), ()),)
        first = self.batches[0]
        columns = [column for column in first.schema.columns if column.name in _TABLE]
        fields = tuple(
            Field(column.name.removesuffix("_ns"), _KINDS.get(column.kind, "text"))
            for column in sorted(columns, key=lambda column: _TABLE.index(column.name))
        )
        asks = set(first.schema.names) >= COLUMNS
        if asks:
            fields += (Field("asked for", "text"),)
        rows: list[tuple[Any, ...]] = []
        for batch in reversed(self.batches):
            lacking = _SHOWN - len(rows)
            if lacking <= 0:
                break
            part = batch.select(np.arange(max(len(batch) - lacking, 0), len(batch)))
            asked = decode.summaries(part) if asks else [""] * len(part)
            cells = [
                (*(row[name] for name in _TABLE if name in row), *((what,) if asks else ()))
                for row, what in zip(part.rows(), asked, strict=True)
            ]
            rows += reversed(cells)
        return (Table("Latest calls", fields, tuple(rows)),)


class StreamConfig(Config, frozen=True, kw_only=True):
    """Keys of `stream`: `rows` is how many of the last rows are kept."""

    rows: Annotated[int, msgspec.Meta(ge=1)] = 10_000


class _Kept(NamedTuple):
    batch: Batch  # large, or copied together
    copied: bool


class Stream(Stage):
    """Keeps the last rows; ends the graph. Its edge drops the oldest unless told otherwise."""

    takes: ClassVar[Schema | None] = None
    gives: ClassVar[Mapping[str, Schema]] = {}
    when_full: ClassVar[WhenFull] = "drop_oldest"
    Config = StreamConfig

    def __init__(self, config: StreamConfig) -> None:
        super().__init__(config)
        self._kept: deque[_Kept] = deque()  # oldest first
        self._loose: list[Batch] = []  # the latest, small ones as they came
        self._rows = 0  # in `_kept` and `_loose`
        self._total = 0

    def process(self, batch: Batch) -> None:
        """Keep a batch, and let go of what is older than the last rows."""
        if not len(batch):
            return
        self._total += len(batch)
        self._rows += len(batch)
        if len(batch) >= _LARGE:
            self._pack()
            self._kept.append(_Kept(batch, copied=False))
        else:
            self._loose.append(batch)
            if len(self._loose) >= _LOOSE:
                self._pack()
        while self._kept and self._rows - len(self._kept[0].batch) >= self.config.rows:
            self._rows -= len(self._kept.popleft().batch)

    def _pack(self) -> None:
        """Copy the loose batches together, and with those copied before that are no larger.

        So sizes fall from old to new by halves, few batches hold any number of rows, and a
        row is copied as often as that has a logarithm.
        """
        while self._loose:
            alike = 1
            while alike < len(self._loose) and _alike(self._loose[0], self._loose[alike]):
                alike += 1
            packed = concat(self._loose[:alike])
            del self._loose[:alike]
            while self._mergeable(packed):
                packed = concat([self._kept.pop().batch, packed])
            self._kept.append(_Kept(packed, copied=True))

    def _mergeable(self, packed: Batch) -> bool:
        if not self._kept or not self._kept[-1].copied:
            return False
        earlier = self._kept[-1].batch
        small = len(earlier) <= len(packed) and 2 * len(packed) <= max(self.config.rows // 4, 16)
        return small and _alike(earlier, packed)

    def snapshot(self) -> StreamSnapshot:
        """Return the last rows until now."""
        batches, over = [], self._rows - self.config.rows
        for batch in (*(kept.batch for kept in self._kept), *self._loose):
            if over >= len(batch):
                over -= len(batch)
                continue
            batches.append(batch.select(np.arange(over, len(batch))) if over > 0 else batch)
            over = 0
        return StreamSnapshot(tuple(batches), self._total)


def _alike(one: Batch, other: Batch) -> bool:
    return one.names is other.names and one.schema == other.schema and one.origin == other.origin
