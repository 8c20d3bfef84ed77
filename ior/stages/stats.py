"""Statistics over calls: totals, and per syscall, file and process, with latency quantiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np

from ior.calls import Batch, Schema
from ior.histogram import EDGES, Array, Histogram, HistogramSnapshot, bucket_of
from ior.pipeline.abc import Config, Stage
from ior.snapshots import SUMS, Field, Table
from ior.stages.by import ByProcess, check_key, keyed
from ior.stages.grouped import grouped
from ior.stages.groups import Groups, can_add
from ior.stages.tables import Detail, KeyedTable, Sample, TableSnapshot, Views
from ior.tasks import Task


class Totals(msgspec.Struct, frozen=True):
    """Sums over all calls.

    A call that transfers counts in `bytes_read` and in `bytes_written`, once in `bytes`.
    `latency_ns` and `gap_ns` leave out the calls that have none.
    """

    calls: int = 0
    errors: int = 0
    bytes: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    latency_ns: int = 0
    gap_ns: int = 0


class StatsSnapshot(msgspec.Struct, frozen=True, dict=True, eq=False):
    """Statistics at one moment.

    `first_ns` is the earliest entry, `last_ns` the latest entry or return seen (0 before the
    first call). `gap` leaves out the calls that have none; its extremes are those of its buckets.
    The tables are made of `kept` and `make_tasks` when they are asked for.
    """

    totals: Totals
    first_ns: int
    last_ns: int
    latency: HistogramSnapshot
    gap: HistogramSnapshot
    kept: Mapping[str, TableSnapshot]
    make_tasks: Callable[[], Mapping[int, Task]]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StatsSnapshot):
            return NotImplemented
        return self._whole() == other._whole()

    __hash__ = None  # type: ignore[assignment]  # as that of what it holds

    def _whole(self) -> tuple[Any, ...]:
        span = self.first_ns, self.last_ns
        tables = dict(self.by), dict(self.details), self.no_file
        return self.totals, span, self.latency, self.gap, tables, self.tasks

    @property
    def by(self) -> Mapping[str, Table]:
        """A table for each name in the stage's `by`: `syscall`, `file`, `process`.

        Rows go by calls, most first, equal ones in order of first appearance; a table's `rest`
        is the exact row of all keys beyond `max_keys`. Durations are None in a row none of whose
        calls has a latency (calls that never return). Calls without a file are in no row of
        `file` but in `no_file`.
        """
        return Views(self.kept, lambda table: table.table)

    @property
    def details(self) -> Mapping[str, Detail]:
        """What is behind the rows of each table."""
        return Views(self.kept, lambda table: table.detail)

    @cached_property
    def no_file(self) -> tuple[Any, ...] | None:
        """The calls without a file, a row of the same fields as those of `file`, or None."""
        return self.kept["file"].keyless() if "file" in self.kept else None

    @cached_property
    def tasks(self) -> Mapping[int, Task]:
        """What is known of processes, by pid."""
        return self.make_tasks()

    def tables(self) -> tuple[Table, ...]:
        """Return the tables by key, then the latency distribution, then the totals."""
        return (*self.by.values(), self._distribution(), self._sums())

    def _distribution(self) -> Table:
        """Return the histogram by powers of two."""
        fields = (
            Field("from", "duration"),
            Field("below", "duration"),
            Field("calls", "count"),
            Field("share", "ratio"),
        )
        counts: dict[int, int] = {}
        for low, _, count in self.latency.buckets():
            counts[low.bit_length()] = counts.get(low.bit_length(), 0) + count
        rows = tuple(
            (1 << bits >> 1, 1 << bits, count, count / self.latency.total)
            for bits, count in counts.items()
        )
        return Table("Latency", fields, rows)

    def _sums(self) -> Table:
        sizes, times = ("bytes", "bytes_read", "bytes_written"), ("latency_ns", "gap_ns")
        fields = (
            Field("calls", "count"),
            Field("errors", "count"),
            *(Field(name, "size") for name in sizes),
            *(Field(name.removesuffix("_ns"), "duration") for name in times),
        )
        return Table(SUMS, fields, (msgspec.structs.astuple(self.totals),))


class StatsConfig(Config, frozen=True, kw_only=True):
    """Keys of `stats`.

    `max_keys` is the rows of a table (a key met first when its table is full counts in the
    table's rest from then on), `by` the tables to keep: `process`, or any column that arrives.
    """

    max_keys: Annotated[int, msgspec.Meta(ge=1)] = 4096
    by: list[str] = msgspec.field(default_factory=lambda: ["syscall", "file", "process"])


class Stats(Stage):
    """Sums up calls; ends the graph."""

    takes: ClassVar[Schema | None] = None
    needs = ("time_ns", "gap_ns", "latency_ns", "syscall", "is_error", "bytes")
    gives: ClassVar[Mapping[str, Schema]] = {}

    Config = StatsConfig

    def __init__(self, config: StatsConfig) -> None:
        super().__init__(config)
        self._tables: dict[str, KeyedTable] = {
            name: KeyedTable(*keyed(name, config.max_keys)) for name in config.by
        }
        self._latency, self._gap = Histogram(), Histogram()
        self._totals = np.zeros(len(Totals.__struct_fields__), np.int64)
        self._first_ns: int | None = None
        self._last_ns = 0
        self._last: StatsSnapshot | None = None
        self._by_group = can_add(self)

    def connect(self, takes: Schema) -> Mapping[str, Schema]:
        """Look whether the columns of `by` arrive. Raises SpecError."""
        for name in self.config.by:
            check_key(name, takes)
        return super().connect(takes)

    def process(self, batch: Batch) -> None:
        """Count a batch of calls."""
        self._last = None
        if not len(batch):
            return
        groups = grouped(batch) if self._by_group else None
        if groups is not None:
            self._add(groups)
            return
        sample = Sample(batch)
        self._count(batch, sample, len(batch))
        self._latency.add(sample.latency, sample.buckets)
        gap = batch["gap_ns"]
        counts = np.bincount(bucket_of(gap[gap >= 0]))
        buckets = np.flatnonzero(counts)
        self._add_gaps(buckets, counts[buckets])
        enter, latency = batch["time_ns"].view(np.int64), batch["latency_ns"]
        self._span(int(enter.min()), int((enter + np.maximum(latency, 0)).max()))

    @property
    def columns(self) -> frozenset[str]:
        """The columns by which the tables go."""
        keys = (table.columns for table in self._tables.values())
        return frozenset(name for columns in keys for name in columns)

    def add(self, groups: Groups) -> None:
        """Count calls that were added up by group."""
        self._last = None
        if len(groups):
            self._add(groups)

    def _add(self, groups: Groups) -> None:
        sample = Sample.of(groups)
        self._count(groups.keys, sample, groups.calls)
        if len(sample.latency):
            least, greatest = int(sample.bounds[0].min()), int(sample.bounds[1].max())
            self._latency.add_counts(sample.buckets, groups.latency.counts, least, greatest)
        self._add_gaps(groups.gap.buckets.astype(np.intp), groups.gap.counts)
        self._span(groups.first_ns, groups.last_ns)

    def _count(self, batch: Batch, sample: Sample, calls: int) -> None:
        for table in self._tables.values():
            table.add(batch, sample)
        read, written, apart = (int(size.sum()) for _, size in sample.moved)
        self._totals += (
            calls,
            len(sample.failed) if sample.groups is None else sample.errors.sum(),
            read + written + apart,
            read,
            written,
            sample.latency.sum(),
            sample.gap.sum(),
        )

    def _add_gaps(self, buckets: Array, counts: Array) -> None:
        """Count gaps; of groups no extremes are known, so they are those of the buckets."""
        if len(buckets):
            least, greatest = int(EDGES[buckets.min()]), int(EDGES[buckets.max() + 1]) - 1
            self._gap.add_counts(buckets, counts, least, greatest)

    def _span(self, first: int, last: int) -> None:
        self._first_ns = first if self._first_ns is None else min(self._first_ns, first)
        self._last_ns = max(self._last_ns, last)

    def snapshot(self) -> StatsSnapshot:
        """Return the statistics of the calls until now."""
        if self._last is None:
            tables = {name: table.snapshot() for name, table in self._tables.items()}
            process = self._tables.get("process")
            keys = None if process is None else process.keys
            self._last = StatsSnapshot(
                totals=Totals(*self._totals.tolist()),
                first_ns=self._first_ns or 0,
                last_ns=self._last_ns,
                latency=self._latency.snapshot(),
                gap=self._gap.snapshot(),
                kept=tables,
                make_tasks=keys.tasks() if isinstance(keys, ByProcess) else dict,
            )
        return self._last
