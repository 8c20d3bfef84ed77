"""Retained rows that a filter chooses, added up batch by batch: always what they are anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulated import ledger
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import wired

from ior.calls import Batch, Origin
from ior.expr import compile_filter
from ior.names import Names
from ior.pipeline.ledger import Ledger
from ior.pipeline.pace import NodeTimes
from ior.pipeline.spec import parse
from ior.snapshots import Snapshot
from ior.stages.flamegraph import Flamegraph, FlamegraphConfig
from ior.stages.history import SECOND_NS
from ior.stages.stats import Stats, StatsConfig, StatsSnapshot
from ior.stages.stream import Stream, StreamConfig
from ior.testing.batches import calls
from ior.ui.kept import Kept
from ior.ui.nodes import Nodes
from ior.ui.sight import Chosen, Matched, Sight
from ior.ui.trend import Trend
from ior.ui.window import Window

SPEC = parse(wired("stats", "stream"), directory=Path(), label="x")
CALL = st.fixed_dictionaries(
    {
        "syscall": st.sampled_from(["read", "write", "openat", "exit_group"]),
        "file": st.sampled_from(["", "/dev/zero", "/etc/passwd", "/a/b"]),
        "pid": st.sampled_from([1, 2, 77]),
        "comm": st.sampled_from(["dd", "sh"]),
        "ret": st.sampled_from([0, 512, -2]),
        "fd": st.integers(-1, 3),
        "latency_ns": st.one_of(st.just(-1), st.integers(0, 10**6)),
        "gap_ns": st.one_of(st.just(-1), st.integers(0, 2**40)),
    }
)
PARTS = st.lists(st.lists(CALL, min_size=1, max_size=30), min_size=1, max_size=12)


class Flowing:
    """A run whose stream retains the last rows, looked at again and again."""

    def __init__(self, rows: int) -> None:
        self.stream, self._stats = Stream(StreamConfig(rows=rows)), Stats(StatsConfig())
        self._kept, self._nodes = Kept(), Nodes(self, SPEC)

    @property
    def kept_groups(self) -> int:
        return sum(len(one.groups) for one in self._kept.chunks._pieces.values() if one)

    def look(self, where: Any, window: Window | None = None) -> Sight:
        chosen = Chosen(where, window or Window())
        return Sight(self, self._nodes, 0, chosen, Trend(), kept=self._kept)

    def snapshot(self, name: str) -> Snapshot:
        stage = {"stream": self.stream, "stats": self._stats}.get(name)
        return stage and stage.snapshot()  # type: ignore[return-value]  # of any kind

    def ledger(self) -> Ledger:
        return ledger()

    def times(self) -> dict[str, NodeTimes]:
        return {}


def anew(stage: Any, batches: tuple[Batch, ...], where: Any) -> Any:
    for batch in batches:
        some = batch if where is None else batch.select(where(batch))
        if len(some):
            stage.process(some)
    return stage.snapshot()


def facts(snapshot: StatsSnapshot) -> Any:
    tables = {name: sorted(table.rows, key=repr) for name, table in snapshot.by.items()}
    span = snapshot.first_ns, snapshot.last_ns
    return tables, snapshot.totals, snapshot.latency, snapshot.gap, snapshot.no_file, span


@settings(deadline=None)
@given(
    PARTS,
    st.sampled_from([1, 40, 130, 1000]),
    st.sampled_from([None, "fd >= 2", "latency >= 500us", 'comm == "dd"', "pid == 9"]),
)
def test_each_look_is_what_the_rows_are_anew(
    parts: list[list[dict[str, Any]]], rows: int, source: str | None
) -> None:
    where = compile_filter(source) if source else None
    run, names = Flowing(rows), Names()
    for number, part in enumerate(parts):
        columns: dict[str, Any] = {name: [call[name] for call in part] for name in part[0]}
        times = number * SECOND_NS + np.arange(len(part))
        run.stream.process(calls(names=names, time_ns=times, **columns))
        batches = run.stream.snapshot().batches
        sight = run.look(where)
        found = sight.added(Stats, StatsConfig())
        assert facts(found) == facts(anew(Stats(StatsConfig()), batches, where))
        assert sight.matched == Matched(found.totals.calls, sum(map(len, batches)))
        flame = sight.added(Flamegraph, FlamegraphConfig())
        expected = anew(Flamegraph(FlamegraphConfig()), batches, where)
        assert dict(flame.folded("latency")) == dict(expected.folded("latency"))


def some(number: int, rows: int = 500, **columns: Any) -> Batch:
    begin = number * SECOND_NS
    return calls(time_ns=begin + np.arange(rows), fd=np.arange(rows) % 5, **columns)


def test_rows_are_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    run, where = Flowing(8000), compile_filter("fd == 2")
    asked: list[int] = []
    ask = type(where).__call__

    def counting(predicate: Any, batch: Batch) -> Any:
        asked.append(len(batch))
        return ask(predicate, batch)

    monkeypatch.setattr(type(where), "__call__", counting)
    for number in range(40):
        run.stream.process(some(number))
        found = run.look(where).added(Stats, StatsConfig())
        assert found.totals.calls == min(number + 1, 16) * 100
    assert sum(asked) < 40 * 500 * 3  # those of the first and the last batch are asked again


def test_a_window_cuts_the_rows_that_it_is_of() -> None:
    run, where = Flowing(100_000), compile_filter("fd == 2")
    for number in range(30):
        run.stream.process(some(number))
        sight = run.look(where, Window(10))
        found = sight.added(Stats, StatsConfig())
        assert found.totals.calls == min(number + 1, 10) * 100
        assert sight.matched == Matched(found.totals.calls, 500 * (number + 1))


def test_rows_of_two_hosts_are_added_up_as_before() -> None:
    run = Flowing(1000)
    run.stream.process(some(0, 10, syscall="read"))
    run.stream.process(some(1, 10, syscall="read", origin=Origin("arm64", 0)))
    sight = run.look(compile_filter("fd == 2"))
    assert sight.added(Stats, StatsConfig()).totals.calls == 4
    assert sight.matched == Matched(4, 20)


def test_rows_that_have_little_in_common_are_not_kept() -> None:
    run, where = Flowing(100_000), compile_filter("fd >= 0")
    for number in range(6):
        alike = number % 2 == 0
        files = "/same" if alike else [f"/{number}/{i}" for i in range(6000)]
        run.stream.process(some(number, 6000, file=files))
        found = run.look(where).added(Stats, StatsConfig(max_keys=50_000))
        batches = run.stream.snapshot().batches
        assert facts(found) == facts(anew(Stats(StatsConfig(max_keys=50_000)), batches, where))
    assert run.kept_groups < 3000
