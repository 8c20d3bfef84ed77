"""Rows as CSV: RFC 4180 quoting, one header line, lines that end in a newline.

Text cells hold the escaped form of a text column, which `ior.text.unescape` turns back into
the exact bytes; on a terminal they are made safe instead. Cells are exact, not prepared for
spreadsheets: a leading `=` stays. Empty values are empty cells, truths `true` and `false`,
times and durations whole nanoseconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import repeat
from typing import Literal

import numpy as np

from ior.calls import CALLS, RAW, Array, Batch, Column, Schema, decoder
from ior.errors import SpecError
from ior.findings import Code, choice
from ior.names import Names
from ior.pipeline.abc import Config
from ior.sinks.writer import WriterSink
from ior.text import sanitise

_SPECIAL = re.compile(r'[",\r\n]')
_CACHED = 1 << 16  # cells of numbers kept per formatter
_SMALL_BYTES = 4  # numbers up to this size repeat: ids, descriptors, flags


def quote(text: str) -> str:
    """Return `text` as one cell: in quotes where RFC 4180 wants them."""
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text


class CsvConfig(Config, frozen=True, kw_only=True):
    """Keys of `csv`.

    `path` is the file to write, `-` for stdout.
    `columns` chooses and orders columns (default: all but `args`), `time` counts times from
    boot or as `wall` clock since 1970, `header` writes the first line.
    """

    path: str = "-"
    columns: list[str] | None = None
    header: bool = True
    time: Literal["boot", "wall"] = "boot"


class Csv(WriterSink):
    """Writes every row of every batch as a line, as soon as the batch arrives.

    The header is that of the first batch. A later batch of another schema gives the same
    columns, empty where it has none. A file appears under its name when the run ends well.
    """

    Config = CsvConfig
    config: CsvConfig
    tick_s = 0.25

    def __init__(self, config: CsvConfig) -> None:
        super().__init__(config)
        if config.columns is not None and len(set(config.columns)) != len(config.columns):
            raise SpecError("csv: 'columns' names a column twice")
        if config.columns is not None and not config.columns:
            raise SpecError("csv: 'columns' is empty; leave it out for all of them")
        self._header: tuple[str, ...] = ()
        self._cells: CellWriter | None = None

    def connect(self, takes: Schema) -> Mapping[str, Schema]:
        """Look whether the chosen columns arrive. Raises SpecError."""
        self._choose(takes)
        return super().connect(takes)

    async def process(self, batch: Batch) -> None:
        """Write one batch; once nobody reads any more, rows are filtered. Raises SpecError."""
        first = not self._header
        if first:
            self._header = self._choose(batch.schema)
        await self.put(lambda: self._lines(batch, first))
        if self.closed:  # not written, or not to its end
            self.ctx.book(filtered=len(batch))

    async def tick(self, now_ns: int) -> None:  # noqa: ARG002 - the signature is the contract's
        """Notice a reader that left while nothing was written."""
        if self.output is not None and not self.output.has_reader():
            self.reader_gone()

    async def drain(self) -> None:
        """Complete the file; one without rows has its header all the same."""
        if not self._header:
            self._header = self._choose(CALLS if self.config.columns is None else None)
            await self.put(self._first_line)
        await self.finish()

    def _choose(self, schema: Schema | None) -> tuple[str, ...]:
        wanted = self.config.columns
        if wanted is None and schema is not None:
            return tuple(column.name for column in schema.columns if column.kind not in RAW)
        for name in wanted or ():
            if schema is not None and name not in schema.names:
                message = f"no column '{name}' in rows of {schema.name}"
                hint = choice(name, schema.names)
                raise SpecError(message, code=Code.COLUMN, hint=hint, keys=("columns",))
        return tuple(wanted or ())

    def _first_line(self) -> bytes:
        return (",".join(map(quote, self._header)) + "\n").encode() if self.config.header else b""

    def _lines(self, batch: Batch, first: bool) -> bytes:
        if self._cells is None:
            terminal = self.output is not None and self.output.is_terminal
            self._cells = CellWriter(terminal=terminal, wall=self.config.time == "wall")
        lines = self._cells.lines(batch, self._header)
        return (self._first_line() if first else b"") + lines


class CellWriter:
    """Turns columns into cells, with work per value only where values differ.

    `terminal` makes text safe to look at, `wall` adds the wall clock's offset to times.
    Numbers and names that were seen before come from caches, which are bounded: texts by
    the `Names` at hand, the others by their size.
    """

    def __init__(self, *, terminal: bool = False, wall: bool = False) -> None:
        self._terminal, self._wall = terminal, wall
        self._names: Names | None = None
        self._texts: list[str] = []
        self._caches: dict[object, _Cache] = {}

    def lines(self, batch: Batch, columns: Iterable[str]) -> bytes:
        """Return the rows of `batch` as lines of UTF-8; a column that it lacks is empty."""
        have = {column.name: column for column in batch.schema.columns}
        parts: list[list[str] | str] = []  # a string where all cells are the same
        for name in columns:
            cells = self._column(batch, have[name]) if name in have else ""
            if isinstance(cells, str) and parts and isinstance(parts[-1], str):
                parts[-1] = f"{parts[-1]},{cells}"
            else:
                parts.append(cells)
        if len(parts) == 1 and isinstance(parts[0], str):
            text = f"{parts[0]}\n" * len(batch)
        else:
            length = len(batch)
            rows = zip(
                *(repeat(p, length) if isinstance(p, str) else p for p in parts), strict=True
            )
            text = "\n".join(map(",".join, rows)) + "\n"
        return text.encode("utf-8", "backslashreplace")

    def _column(self, batch: Batch, column: Column) -> list[str] | str:
        values = batch[column.name]
        if column.kind == "words":
            return [" ".join(map(str, words)) for words in values.tolist()]
        same = len(values) > 1 and bool((values == values[0]).all())
        cells = self._cells(batch, column, values[:1] if same else values)
        return cells[0] if same else cells

    def _cells(self, batch: Batch, column: Column, values: Array) -> list[str]:
        """Return one cell a value."""
        empty = column.empty
        if column.kind == "text":
            return list(map(self._quoted(batch.names).__getitem__, values.tolist()))
        named = column.kind in ("syscall", "family", "state")
        if named or (column.kind == "errno" and self._terminal):  # files hold numbers
            decode = decoder(column.kind, batch)
            assert decode is not None
            return self._cached((column.kind, empty, batch.origin.arch), decode, empty, values)
        if values.dtype.kind == "b":
            return self._cached("bool", ("false", "true").__getitem__, None, values)
        if column.kind == "time" and self._wall:
            shifted = values.astype(np.int64) + batch.origin.wall_offset_ns
            return _blank(list(map(str, shifted.tolist())), values, empty)
        if values.dtype.kind in "iu" and values.dtype.itemsize <= _SMALL_BYTES:
            return self._cached(("int", empty), str, empty, values)
        return _blank(list(map(str, values.tolist())), values, empty)

    def _quoted(self, names: Names) -> list[str]:
        """Return the cells of all texts of `names`, by code."""
        if names is not self._names:
            self._names, self._texts = names, []
        new = names.since(len(self._texts))
        self._texts += map(quote, map(sanitise, new) if self._terminal else new)
        return self._texts

    def _cached(
        self, key: object, decode: Callable[[int], str], empty: int | None, values: Array
    ) -> list[str]:
        cache = self._caches.get(key)
        if cache is None or len(cache) > _CACHED:
            cache = self._caches[key] = _Cache(decode)
            if empty is not None:
                cache[empty] = ""
        return list(map(cache.__getitem__, values.tolist()))


class _Cache(dict[int, str]):
    """Cells by value, made when they are first asked for."""

    def __init__(self, decode: Callable[[int], str]) -> None:
        super().__init__()
        self._decode = decode

    def __missing__(self, value: int) -> str:
        cell = self[value] = quote(self._decode(value))
        return cell


def _blank(cells: list[str], values: Array, empty: int | None) -> list[str]:
    """Empty the cells of values that mean "none"."""
    if empty is not None:
        for i in np.flatnonzero(values == empty).tolist():
            cells[i] = ""
    return cells
