"""What a batch is added up to by group is what its rows add up to one by one."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ior.calls import CALLS, Batch, Column, Schema
from ior.histogram import bucket_of
from ior.names import Names
from ior.stages import grouped as module
from ior.stages.flamegraph import Flamegraph, FlamegraphConfig
from ior.stages.grouped import NEEDS, SAMPLE, SMALL, grouped
from ior.stages.groups import LEVELS, Spread
from ior.stages.stats import Stats, StatsConfig, StatsSnapshot
from ior.tasks import Task
from ior.testing.batches import calls

pytestmark = pytest.mark.usefixtures("by_group")

SECOND = 1_000_000_000
CALL = st.fixed_dictionaries(
    {
        "syscall": st.sampled_from(["read", "write", "openat", "exit_group", "sendfile"]),
        "file": st.sampled_from(["", "/dev/zero", "/etc/passwd", "pipe:[7]"]),
        "asked": st.sampled_from(["", "/link"]),
        "pid": st.sampled_from([1, 2, 77, 4_000_000_000]),
        "comm": st.sampled_from(["dd", "sh"]),
        "ret": st.sampled_from([0, 512, -2, -11, -512, 2**40]),
        "latency_ns": st.one_of(st.just(-1), st.integers(0, 5000), st.integers(0, 2**57)),
        "gap_ns": st.one_of(st.just(-1), st.integers(0, 2**40)),
    }
)
ROWS = st.lists(CALL, min_size=1, max_size=60)
BY = ["syscall", "file", "process"]


def batch(rows: list[dict[str, Any]]) -> Batch:
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
    return calls(time_ns=1000 + np.arange(len(rows)), tid=5, **columns)


def many(rows: int, **ranges: int) -> Batch:
    """Return calls with columns of random numbers below so many."""
    rng = np.random.default_rng(7)
    names = Names()
    for number in range(max(ranges.values())):
        names.intern(f"/{number}")
    columns = {name: rng.integers(0, below, rows) for name, below in ranges.items()}
    return calls(names=names, latency_ns=rng.integers(-1, 10**9, rows), **columns)


def cells(spread: Spread) -> Counter[tuple[int, int]]:
    found: Counter[tuple[int, int]] = Counter()
    for group, bucket, count in zip(*(column.tolist() for column in spread), strict=True):
        found[group, bucket] += count
    return found


def check(whole: Batch) -> None:
    """Hold the groups of a batch against its rows."""
    groups = grouped(whole)
    assert groups is not None
    assert groups is grouped(whole)
    levels = [*LEVELS, "is_error"]
    keys = list(zip(*(groups.keys[name].tolist() for name in levels), strict=True))
    rows = list(zip(*(whole[name].tolist() for name in levels), strict=True))
    assert list(dict.fromkeys(keys)) == list(dict.fromkeys(rows))  # in order of appearance
    latest = dict.fromkeys(keys[i] for i in groups.by_last.tolist()[::-1])
    assert list(latest) == list(dict.fromkeys(rows[::-1]))
    latency, gap = whole["latency_ns"], whole["gap_ns"]
    buckets = bucket_of(latency).tolist(), bucket_of(gap).tolist()
    expected: dict[Any, list[int]] = {}
    extremes: dict[Any, list[int]] = {}
    spreads: tuple[Counter[Any], Counter[Any]] = (Counter(), Counter())
    moved = whole["bytes"].tolist()
    for i, (key, spent, gone) in enumerate(zip(rows, latency.tolist(), gap.tolist(), strict=True)):
        values = (1, moved[i], spent >= 0, max(spent, 0), gone >= 0, max(gone, 0))
        old = expected.get(key, [0] * 6)
        expected[key] = [a + b for a, b in zip(old, values, strict=True)]
        for value, spread, bucket in zip((spent, gone), spreads, buckets, strict=True):
            if value >= 0:
                spread[key, bucket[i]] += 1
        if spent >= 0:
            extremes.setdefault(key, []).append(spent)
    found: dict[Any, list[int]] = {}
    for key, values in zip(keys, groups.sums.T.tolist(), strict=True):
        found[key] = [a + b for a, b in zip(found.get(key, [0] * 6), values, strict=True)]
    assert found == expected
    for spread, wanted in zip((groups.latency, groups.gap), spreads, strict=True):
        counted: Counter[Any] = Counter()
        for (group, bucket), count in cells(spread).items():
            counted[keys[group], bucket] += count
        assert counted == wanted
    bounds: dict[Any, tuple[int, int]] = {}
    for key, timed, least, greatest in zip(
        keys, groups["timed"].tolist(), *groups.bounds.tolist(), strict=True
    ):
        if timed:
            low, high = bounds.get(key, (least, greatest))
            bounds[key] = min(low, least), max(high, greatest)
    assert bounds == {key: (min(values), max(values)) for key, values in extremes.items()}
    assert groups.first_ns == int(whole["time_ns"].min())
    ends = whole["time_ns"].view(np.int64) + np.maximum(latency, 0)
    assert groups.last_ns == int(ends.max())


@given(ROWS)
def test_groups_are_what_their_rows_add_up_to(rows: list[dict[str, Any]]) -> None:
    check(batch(rows))


@pytest.mark.parametrize(
    "whole",
    [
        many(3000, pid=2),
        many(3000, pid=200, file=3),
        many(3000, pid=60_000, file=50_000, old_file=50_000, asked=50_000, comm=50_000),
        many(16384, pid=30_000),
        calls(rows=1),
        calls(rows=500),
    ],
    ids=["two", "hundreds", "wider than a word", "shared keys", "one call", "one group"],
)
def test_few_groups_and_as_many_as_calls(whole: Batch) -> None:
    check(whole)


def tables(snapshot: StatsSnapshot) -> tuple[Any, ...]:
    return (
        {name: snapshot.by[name] for name in BY},
        {name: snapshot.details[name] for name in BY},
        snapshot.totals,
        (snapshot.first_ns, snapshot.last_ns),
        (snapshot.latency, snapshot.gap, snapshot.no_file),
        snapshot.tasks,
    )


@given(ROWS, st.integers(1, 6))
def test_tables_are_those_that_go_row_by_row(rows: list[dict[str, Any]], max_keys: int) -> None:
    by_group = Stats(StatsConfig(max_keys=max_keys, by=BY))
    by_row = Stats(StatsConfig(max_keys=max_keys, by=[*BY, "tid"]))  # no group has a tid
    for stage in (by_group, by_row):
        for part in (rows, rows[::-1]):
            stage.process(batch(part))
    assert tables(by_group.snapshot()) == tables(by_row.snapshot())


@given(ROWS, st.integers(2, 12))
def test_frames_are_those_that_go_row_by_row(rows: list[dict[str, Any]], max_nodes: int) -> None:
    stack = ["comm", "path", "syscall", "errno"]
    one = Flamegraph(FlamegraphConfig(stack=stack, max_nodes=max_nodes))
    two = Flamegraph(FlamegraphConfig(stack=["tid", *stack], max_nodes=max_nodes + 1))
    for stage in (one, two):
        stage.process(batch(rows))
    for weight in ("calls", "latency", "gap", "bytes", "errors"):
        found = {frames[-len(frames) :]: n for frames, n in one.snapshot().folded(weight)}
        deeper = {f if f[0] != "5" else f[1:]: n for f, n in two.snapshot().folded(weight)}
        assert found == deeper


def test_a_process_has_the_command_and_the_task_of_its_latest_call() -> None:
    names = Names()
    tasks = [names.intern(Task(1, uid, 5, "/").text()) for uid in (7, 8, 9)]
    comms = ["sh", "dd", "sh", "cp", "sh"]
    whole = calls(names=names, comm=comms, pid=3, task=[*tasks, *tasks[:2]])
    stats = Stats(StatsConfig())
    stats.process(whole)
    snapshot = stats.snapshot()
    assert [row[:3] for row in snapshot.by["process"].rows] == [(3, "sh", 5)]
    assert snapshot.tasks[3].uid == 8


@pytest.mark.parametrize(
    ("whole", "pays"),
    [
        (calls(rows=SMALL - 1), False),
        (calls(rows=SMALL), True),
        (many(16384, pid=100, file=3), True),
        (many(16384, pid=30_000), False),
        (many(SMALL, pid=100), True),
        (many(SMALL, pid=30_000), False),
    ],
    ids=["small", "one group", "hundreds", "hardly alike", "just large", "large, hardly alike"],
)
def test_it_is_done_where_it_pays(
    whole: Batch, pays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SMALL", SMALL)
    monkeypatch.setattr(module, "SAMPLE", SAMPLE)
    assert (grouped(whole) is not None) == pays


def test_rows_without_a_column_that_groups_take_have_none() -> None:
    whole = calls(rows=3)
    for lacking in NEEDS:
        kept = [column for column in CALLS.columns if column.name != lacking]
        part = Batch(
            Schema("mine", tuple(kept)),
            {column.name: whole[column.name] for column in kept},
            whole.names,
            whole.origin,
        )
        assert grouped(part) is None


def test_an_error_that_a_stage_of_ones_own_made_counts_as_one() -> None:
    column = Column("is_error", "?", "bool", "as the stage sees it")
    whole = calls(rows=4, ret=0).with_columns({column: np.array([True, False, True, True])})
    stats = Stats(StatsConfig())
    stats.process(whole)
    assert stats.snapshot().totals.errors == 3
