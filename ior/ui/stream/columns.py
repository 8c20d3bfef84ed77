"""The columns of the Stream tab: their titles and widths, each cell's text, each cell's filter.

Cells are made for the rows on the screen alone. Every column of the rows has one here, those of
a user's own stages at the end.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from ior import decode, kinds, sampling
from ior.calls import NONE_NS, RAW, Batch, Schema, decoder
from ior.calls import Column as Described
from ior.errors import FilterError
from ior.expr import compile_filter
from ior.ui.durations import step_of
from ior.ui.tabs.latency import term as duration_term
from ior.ui.terms import literal
from ior.units import format_duration, format_size

WIDE = 100  # columns of the terminal from which on columns have more room
_HEX = 1 << 32  # results from here on are addresses

Keep = Literal["start", "end", "digits"]
Texts = Callable[[Batch], list[str]]
Term = Callable[[Batch], str]


class Column(NamedTuple):
    """One column: `reads` are those of the rows that it is made of.

    It takes `narrow` cells on a narrow terminal and `wide` ones on a wide one, or with `share`
    that part of a very wide one; what is left over goes to those that `grow`. `keep` says which
    end of a long text stays; with `digits` it is the start, without a mark. `term` gives the
    filter for the cell of a batch's only row, "" for an empty cell.
    """

    title: str
    reads: tuple[str, ...]
    narrow: int
    wide: int
    texts: Texts
    term: Term
    right: bool = False
    grow: bool = False
    keep: Keep = "start"
    share: int = 0

    def width(self, columns: int) -> int:
        """Return its cells on a terminal of so many columns."""
        if columns < WIDE:
            return self.narrow
        return max(self.wide, columns // self.share) if self.share else self.wide


def when(time_ns: int, wall_offset_ns: int) -> str:
    """Return a time since boot as the clock on the wall shows it, in microseconds."""
    seconds, rest = divmod(time_ns + wall_offset_ns, 10**9)
    clock = datetime.datetime.fromtimestamp(seconds).astimezone()
    return f"{clock:%H:%M:%S}.{rest // 1000:06}"


def dated(time_ns: int, wall_offset_ns: int) -> str:
    """Return what `when` does, with the day in front."""
    day = datetime.datetime.fromtimestamp((time_ns + wall_offset_ns) // 10**9).astimezone()
    return f"{day:%Y-%m-%d} {when(time_ns, wall_offset_ns)}"


def results(batch: Batch) -> list[str]:
    """Return what calls returned: the error's name, or the number; `?` where none did."""
    return [
        error or ("?" if never else hex(ret & (2**64 - 1)) if abs(ret) >= _HEX else str(ret))
        for error, ret, never in zip(
            batch.text("errno"),
            batch["ret"].tolist(),
            (batch["latency_ns"] == NONE_NS).tolist(),
            strict=True,
        )
    ]


def _times(batch: Batch) -> list[str]:
    return [when(ns, batch.origin.wall_offset_ns) for ns in batch["time_ns"].tolist()]


def _result_term(batch: Batch) -> str:
    if batch["errno"][0]:
        return f"errno == {batch.text('errno')[0]}"
    return "" if batch["latency_ns"][0] == NONE_NS else f"ret == {batch['ret'][0]}"


def _duration_term(metric: str) -> Term:
    def term(batch: Batch) -> str:
        ns = int(batch[f"{metric}_ns"][0])
        return "" if ns == NONE_NS else duration_term(metric, step_of(ns), step_of(ns))

    return term


def asked_terms(batch: Batch) -> list[tuple[str, str, str]]:
    """Return the arguments of a batch's only row: name, as people read it, and its filter."""
    found = []
    for name in _arguments(batch.schema):
        (text,) = decode.texts(batch, name)
        if text:
            found.append((name.removesuffix("_ns"), text, f"{name} == {batch[name][0]}"))
    return found


@functools.lru_cache(8)
def _arguments(schema: Schema) -> tuple[str, ...]:
    names = (c.name for c in schema.columns if c.name in kinds.COLUMNS)
    return tuple(names)


def _fd_term(name: str) -> Term:
    def term(batch: Batch) -> str:
        fd = int(batch[name][0])
        return f"pid == {batch['pid'][0]} and {name} == {fd}" if fd >= 0 else ""

    return term


def of_kind(column: Described) -> Column:
    """Return what shows a column of the rows by its kind alone."""
    return Column(
        column.name.removesuffix("_ns"),
        (column.name,),
        10,
        14,
        lambda batch: texts_of(batch, column.name),
        lambda batch: _term_of(batch, column.name),
        right=column.kind in ("int", "bool", "duration", "size", "time"),
    )


def texts_of(batch: Batch, name: str) -> list[str]:
    """Return any column as people read it; "" where it is empty."""
    column = batch.column(name)
    if decode.is_ours(batch, name):
        return decode.texts(batch, name)
    if column.kind in ("text", "syscall", "family", "errno", "state"):
        return batch.text(name)
    show = {"duration": format_duration, "size": format_size}.get(column.kind, str)
    return ["" if value == column.empty else show(value) for value in batch[name].tolist()]


def _term_of(batch: Batch, name: str) -> str:
    column = batch.column(name)
    value = batch[name][0].item()
    if value == column.empty:
        return ""
    if column.kind == "bool":
        return name if value else f"not {name}"
    decode_one = decoder(column.kind, batch)
    if column.kind == "text" and decode_one is not None:
        return f"{name} == {literal(decode_one(value))}"
    if column.kind in ("syscall", "family", "errno", "state") and decode_one is not None:
        return f"{name} == {decode_one(value)}"
    return f"{name} == {value}"


def _kind(name: str) -> Term:
    return lambda batch: _term_of(batch, name)


def _texts(name: str) -> Texts:
    return lambda batch: texts_of(batch, name)


def _filled(name: str, none: int) -> Texts:
    """Return the texts of numbers of which `none` says nothing."""
    return lambda batch: ["" if v == none else str(v) for v in batch[name].tolist()]


def _column(
    title: str,
    name: str,
    narrow: int,
    wide: int,
    *,
    right: bool = False,
    grow: bool = False,
    keep: Keep = "start",
    share: int = 0,
) -> Column:
    texts, term = _texts(name), _kind(name)
    return Column(title, (name,), narrow, wide, texts, term, right, grow, keep, share)


COLUMNS: tuple[Column, ...] = (
    Column(
        *("time", ("time_ns",), 12, 15, _times, lambda b: f"time >= {b['time_ns'][0]}ns"),
        keep="digits",
    ),
    _column("command", "comm", 8, 15),
    _column("pid", "pid", 7, 7, right=True),
    _column("syscall", "syscall", 10, 14),
    _column("file", "file", 16, 32, grow=True, keep="end", share=4),
    Column("result", ("ret", "errno", "latency_ns"), 9, 9, results, _result_term, right=True),
    Column(
        *("latency", ("latency_ns",), 8, 9, _texts("latency_ns"), _duration_term("latency")),
        right=True,
    ),
    Column(
        *("bytes", ("bytes",), 9, 9),
        lambda b: ["" if v == 0 else format_size(v) for v in b["bytes"].tolist()],
        lambda b: f"bytes == {b['bytes'][0]}" if b["bytes"][0] else "",
        right=True,
    ),
    Column(
        *("asked for", ("args",), 14, 32, decode.summaries),
        lambda b: " and ".join(term for _, _, term in asked_terms(b)),
        grow=True,
    ),
    Column("fd", ("fd", "pid"), 4, 4, _filled("fd", -1), _fd_term("fd"), right=True),
    _column("tid", "tid", 7, 7, right=True),
    Column(
        *("gap", ("gap_ns",), 8, 9, _texts("gap_ns"), _duration_term("gap")),
        right=True,
    ),
    _column("from", "old_file", 16, 32, grow=True, keep="end"),
    Column("fd2", ("fd2", "pid"), 4, 4, _filled("fd2", -1), _fd_term("fd2"), right=True),
    _column("asked path", "asked", 16, 32, grow=True, keep="end"),
    _column("state", "file_state", 10, 10),
    _column("status flags", "fd_flags", 16, 20),
    _column("family", "family", 8, 8),
    Column(
        *("restarts", ("restarts",), 8, 8, _filled("restarts", 0)),
        lambda b: f"restarts == {b['restarts'][0]}" if b["restarts"][0] else "",
        right=True,
    ),
    _column("parent", "ppid", 7, 7, right=True),
    _column("user", "uid", 6, 6, right=True),
    _column("container", "container", 12, 14),
    _column("cgroup", "cgroup", 16, 24, keep="end"),
    Column(
        *("sampled", ("sample_rate",), 8, 8),
        lambda b: ["" if rate == 1 else sampling.label(rate) for rate in b["sample_rate"].tolist()],
        lambda b: f"sample_rate == {b['sample_rate'][0]}" if b["sample_rate"][0] != 1 else "",
    ),
)
"""The columns in their order: what tells a call apart first."""

_SHOWN = {name for column in COLUMNS for name in column.reads}
_BESIDE = {"seq", "is_error", "filter_epoch", "cgroup_id", *kinds.COLUMNS}  # in a row's own view


@functools.lru_cache(8)
def columns_of(schema: Schema) -> tuple[Column, ...]:
    """Return the columns for rows of a schema; those of no column here come last."""
    names = set(schema.names)
    more = (
        of_kind(column)
        for column in schema.columns
        if column.kind not in RAW and column.name not in _SHOWN | _BESIDE
    )
    return (*(column for column in COLUMNS if names.issuperset(column.reads)), *more)


def widths(columns: Sequence[Column], terminal: int) -> list[int]:
    """Return the cells of every column on a terminal of so many columns."""
    return [column.width(terminal) for column in columns]


def objection(term: str) -> str:
    """Return why filters cannot say a term, "" if they can: not on a stage's own columns, say."""
    try:
        compile_filter(term)
    except FilterError as error:
        return str(error)
    return ""
