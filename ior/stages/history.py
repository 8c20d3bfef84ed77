"""What happened second by second: what a long look goes back to when the rows are gone.

Each second's calls are added up by group (`ior.stages.groups`), from which any tab can be
drawn for any span, filtered by command, process, syscall, error and path. Memory is bounded:
when it is used up, the seconds with the most groups fold their least ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np

from ior.calls import Batch, Origin, Schema
from ior.names import Names
from ior.pipeline.abc import Config, Stage
from ior.snapshots import Field, Table
from ior.stages.grouped import grouped
from ior.stages.grouping import Grouping
from ior.stages.groups import LEVELS, TEXTS, Groups

SECOND_NS = 1_000_000_000
_SHOWN = 20  # rows of the table
_NAMES_BYTES = 1 << 20  # of the dictionary, from where on it is looked through


class Second(msgspec.Struct, frozen=True, eq=False):
    """The calls that returned within one second, from `number` times a second of the clock on."""

    number: int
    groups: Groups
    nbytes: int  # of memory

    @classmethod
    def of(cls, number: int, groups: Groups) -> Second:
        """Return a second, having measured it."""
        return cls(number, groups, groups.nbytes)


class HistorySnapshot(msgspec.Struct, frozen=True, eq=False):
    """The seconds, oldest first; those without a call are left out, the last may go on."""

    seconds: tuple[Second, ...]

    def within(self, begin_ns: int, end_ns: int) -> tuple[Second, ...]:
        """Return the seconds that have a part in a span of CLOCK_BOOTTIME."""
        first, last = begin_ns // SECOND_NS, (end_ns - 1) // SECOND_NS
        return tuple(second for second in self.seconds if first <= second.number <= last)

    def tables(self) -> tuple[Table, ...]:
        """Return one table: the last 20 seconds, latest first."""
        fields = (
            Field("seconds ago", "int"),
            *(Field(name, "count") for name in ("calls", "errors")),
            Field("bytes", "size"),
            Field("latency", "duration"),
            Field("groups", "count"),
        )
        shown = self.seconds[: -_SHOWN - 1 : -1]
        return (Table("By second", fields, tuple(self._row(second) for second in shown)),)

    def _row(self, second: Second) -> tuple[Any, ...]:
        groups = second.groups
        failed = groups["calls"][groups.keys["is_error"]]
        sums = (int(groups["bytes"].sum()), int(groups["latency_ns"].sum()))
        ago = self.seconds[-1].number - second.number
        return (ago, groups.calls, int(failed.sum()), *sums, len(groups))


class HistoryConfig(Config, frozen=True, kw_only=True):
    """Keys of `history`.

    `span_s` is how far back it goes, `mib` the memory that it may take, `max_groups` how many
    groups of one second are kept in full.
    """

    span_s: Annotated[int, msgspec.Meta(ge=1)] = 1800
    mib: Annotated[int, msgspec.Meta(ge=1)] = 128
    max_groups: Annotated[int, msgspec.Meta(ge=1)] = 4096


class History(Stage):
    """Adds up calls second by second; ends the graph.

    A call belongs to the second in which it returned, one that never returns to that of its
    entry; one that comes later than a call of a later second belongs to that one.
    """

    takes: ClassVar[Schema | None] = None
    needs = ("time_ns", "gap_ns", "latency_ns", "bytes", *LEVELS)
    gives: ClassVar[Mapping[str, Schema]] = {}
    Config = HistoryConfig

    def __init__(self, config: HistoryConfig) -> None:
        super().__init__(config)
        self._names = Names()
        self._names_limit = _NAMES_BYTES
        self._past: deque[Second] = deque()
        self._bytes = 0  # of `_past`
        self._number = -1  # of the present second
        self._open: Grouping | None = None
        self._last: HistorySnapshot | None = None

    def process(self, batch: Batch) -> None:
        """Add up a batch of calls."""
        if not len(batch):
            return
        self._last = None
        groups = grouped(batch)
        if groups is not None and groups.last_ns // SECOND_NS <= self._number:
            self._add(batch, self._number)
            return
        returned = batch["time_ns"].view(np.int64) + np.maximum(batch["latency_ns"], 0)
        if int(returned.max()) // SECOND_NS <= self._number:
            self._add(batch, self._number)
            return
        numbers = np.maximum(np.maximum.accumulate(returned) // SECOND_NS, self._number)
        edges = np.flatnonzero(np.diff(numbers)) + 1
        if not len(edges):
            self._add(batch, int(numbers[0]))
            return
        for rows in np.split(np.arange(len(batch)), edges):
            self._add(batch.select(rows), int(numbers[rows[0]]))

    def _add(self, part: Batch, number: int) -> None:
        if self._open is None or number != self._number or self._open.origin != part.origin:
            self._seal()
            self._number = number
            self._open = self._begun(part.origin)
        self._open.add(part)

    def _begun(self, origin: Origin) -> Grouping:
        return Grouping(self._names, origin, self.config.max_groups)

    def _seal(self) -> None:
        """Put the present second to those of the past, and see that they stay small."""
        if self._open is None:
            return
        second = Second.of(self._number, self._open.groups())
        self._past.append(second)
        self._bytes += second.nbytes
        while self._past[0].number <= self._number - self.config.span_s:
            self._bytes -= self._past.popleft().nbytes
        self._forget_names()
        self._fold()

    def _fold(self) -> None:
        """Fold the seconds of most memory until all have room."""
        room = (self.config.mib << 20) - self._names.size_bytes
        while self._bytes > room:
            at = max(range(len(self._past)), key=lambda i: self._past[i].nbytes)
            whole = self._past[at]
            folded = Second.of(whole.number, whole.groups.folded(len(whole.groups) // 4))
            if folded.nbytes >= whole.nbytes:
                return  # one a syscall and error is as few as there can be
            self._past[at] = folded
            self._bytes += folded.nbytes - whole.nbytes

    def _forget_names(self) -> None:
        """Begin another dictionary when the present one has doubled; keep what is referred to."""
        if self._names.size_bytes < self._names_limit:
            return
        used = np.zeros(len(self._names), np.bool_)
        for second in self._past:
            for column in TEXTS:
                used[second.groups.keys[column]] = True
        kept, names = np.flatnonzero(used), Names()
        codes = np.zeros(len(used), np.uint32)
        codes[kept] = [names.intern(text) for text in self._names.texts(kept.tolist())]
        self._past = deque(
            msgspec.structs.replace(second, groups=second.groups.recoded(codes, names))
            for second in self._past
        )
        self._names, self._names_limit = names, max(_NAMES_BYTES, 2 * names.size_bytes)

    def snapshot(self) -> HistorySnapshot:
        """Return the seconds until now."""
        if self._last is None:
            present = () if self._open is None else (Second.of(self._number, self._open.groups()),)
            self._last = HistorySnapshot((*self._past, *present))
        return self._last
