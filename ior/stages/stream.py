"""The last calls as they came: what a live view scrolls through.

What keeps them, and how much memory that takes, is `ior.stages.retained`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np

from ior import decode
from ior.calls import Batch, Schema
from ior.kinds import COLUMNS
from ior.pipeline.abc import Config, Stage, WhenFull
from ior.snapshots import Field, Table
from ior.stages.retained import Retained

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
    """Keys of `stream`.

    The last `rows` rows are kept (0: any number), as many of them as have room in `mib` of
    memory with the names that they refer to.
    """

    rows: Annotated[int, msgspec.Meta(ge=0)] = 2_000_000
    mib: Annotated[int, msgspec.Meta(ge=1)] = 256


class Stream(Stage):
    """Keeps the last rows; ends the graph. Its edge drops the oldest unless told otherwise."""

    takes: ClassVar[Schema | None] = None
    gives: ClassVar[Mapping[str, Schema]] = {}
    when_full: ClassVar[WhenFull] = "drop_oldest"
    Config = StreamConfig

    def __init__(self, config: StreamConfig) -> None:
        super().__init__(config)
        self._rows = Retained(config.rows, config.mib << 20)
        self._total = 0
        self._last: StreamSnapshot | None = None

    def process(self, batch: Batch) -> None:
        """Keep a batch, and let go of what is older than the last rows."""
        if len(batch):
            self._last = None
            self._total += len(batch)
            self._rows.add(batch)

    def snapshot(self) -> StreamSnapshot:
        """Return the last rows until now."""
        if self._last is None:
            self._last = StreamSnapshot(self._rows.batches(), self._total)
        return self._last
