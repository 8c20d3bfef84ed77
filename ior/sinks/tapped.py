"""Rows for a person who looks at one edge: as text on a terminal, as CSV elsewhere.

On a terminal a row is one line of `column=value`, times and sizes with units, empty cells left
out; everything is made safe to look at. CSV is that of the sink `csv`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import numpy as np

from ior import decode
from ior.calls import RAW, Batch, Column
from ior.pipeline.abc import Config
from ior.sinks.csv import CellWriter
from ior.sinks.writer import WriterSink
from ior.text import sanitise
from ior.units import format_duration, format_size

_PLAIN = frozenset('"=')  # what a bare value does not hold, beside blanks


class TappedConfig(Config, frozen=True, kw_only=True):
    """Keys of a tap.

    `path` is the file to write, `-` for stdout. `limit` rows are written, then the end of the
    run is asked for.
    """

    path: str = "-"
    limit: int | None = None


class Tapped(WriterSink):
    """Writes the rows of one edge and counts them.

    `shown` is how many were written. `skipped` is how many rows its edges had dropped until
    then.
    """

    Config = TappedConfig
    config: TappedConfig
    when_full = "drop_oldest"
    tick_s = 0.25

    def __init__(self, config: TappedConfig) -> None:
        super().__init__(config)
        self.shown = self.skipped = 0
        self.full = False
        self._header: tuple[str, ...] = ()
        self._cells = CellWriter()

    async def process(self, batch: Batch) -> None:
        """Write one batch, up to the limit."""
        if self.closed or self.full:
            return
        limit = self.config.limit
        if limit is not None and len(batch) >= limit - self.shown:
            batch = batch.select(np.arange(limit - self.shown))
        self.shown += len(batch)
        text = self.output is not None and self.output.is_terminal
        await self.put(lambda: _text(batch) if text else self._csv(batch))
        if limit is not None and self.shown >= limit:
            self.full = True
            self._count()
            self.ctx.request_stop()

    async def tick(self, now_ns: int) -> None:  # noqa: ARG002 - the signature is the contract's
        """Notice a reader that left while nothing was written."""
        if self.output is not None and not self.output.has_reader():
            self.reader_gone()

    async def drain(self) -> None:
        """Complete the output."""
        if not self.full:
            self._count()
        await self.finish()

    def _count(self) -> None:
        edges = self.ctx.ledger().edges
        self.skipped = sum(e.dropped for n, e in edges.items() if n.endswith(f"->{self.ctx.name}"))

    def _csv(self, batch: Batch) -> bytes:
        header = b""
        if not self._header:
            named = (column.name for column in batch.schema.columns if column.kind not in RAW)
            self._header = tuple(named)
            header = (",".join(self._header) + "\n").encode()
        return header + self._cells.lines(batch, self._header)


def _text(batch: Batch) -> bytes:
    cells = [_cells(batch, column) for column in batch.schema.columns if column.kind not in RAW]
    lines = (" ".join(filter(None, row)) for row in zip(*cells, strict=True))
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")


def _cells(batch: Batch, column: Column) -> Iterator[str]:
    """Yield `name=value` for each row, "" where there is no value."""
    if column.kind in ("text", "syscall", "family", "errno", "state"):
        values = batch.text(column.name)
        return (f"{column.name}={_bare(value)}" if value else "" for value in values)
    if decode.is_ours(batch, column.name):
        name = column.name.removesuffix("_ns")
        asked = (text.replace(" ", "") for text in decode.texts(batch, column.name))
        return (f"{name}={text}" if text else "" for text in asked)
    units: dict[str, Callable[[int], str]] = {
        "duration": lambda ns: format_duration(ns).replace(" ", ""),
        "size": lambda size: format_size(size).replace(" ", ""),
        "bool": lambda truth: "true" if truth else "",
    }
    said = units.get(column.kind, str)
    name = column.name.removesuffix("_ns") if column.kind == "duration" else column.name
    texts = ("" if v == column.empty else said(v) for v in batch[column.name].tolist())
    return (f"{name}={value}" if value else "" for value in texts)


def _bare(value: str) -> str:
    """Return text as it is, in quotes where it could not be told from what follows."""
    safe = sanitise(value)
    if any(c in _PLAIN or c.isspace() for c in safe):
        return json.dumps(safe, ensure_ascii=False)
    return safe
