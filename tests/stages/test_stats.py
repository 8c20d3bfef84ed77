from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ior.calls import Batch, Origin
from ior.histogram import Histogram
from ior.names import Names
from ior.stages.by import OTHER
from ior.stages.stats import Stats, StatsConfig, StatsSnapshot
from ior.tasks import Task
from ior.testing.batches import calls

pytestmark = pytest.mark.usefixtures("added_up")

FILES = ["", "/dev/zero", "/dev/null", "/etc/passwd", "pipe:[7]", "/tmp/ä"]
CALL = st.fixed_dictionaries(
    {
        "syscall": st.sampled_from(["read", "write", "openat", "exit_group", "sendfile"]),
        "file": st.sampled_from(FILES),
        "pid": st.sampled_from([1, 2, 77, 4_000_000_000]),
        "comm": st.sampled_from(["dd", "sh", "cp"]),
        "ret": st.sampled_from([0, 1, 512, -2, -11, 2**40 + 1]),
        "latency_ns": st.one_of(st.just(-1), st.integers(0, 5000), st.integers(2**53, 2**57)),
        "gap_ns": st.one_of(st.just(-1), st.integers(0, 2**54)),
    }
)
CALLS = st.lists(CALL, min_size=1, max_size=40)
CUTS = st.lists(st.integers(0, 40), max_size=5)


def batch(rows: list[dict[str, Any]], start: int = 0, names: Names | None = None) -> Batch:
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
    time = 1000 + start + np.arange(len(rows))
    return calls(names=names, time_ns=time, **columns)


def run(batches: Sequence[Batch], **config: Any) -> StatsSnapshot:
    stage = Stats(StatsConfig(**config))
    for one in batches:
        stage.process(one)
    return stage.snapshot()


def cut(rows: list[dict[str, Any]], cuts: list[int], names: list[Names]) -> list[Batch]:
    edges = sorted({0, len(rows), *(c for c in cuts if c < len(rows))})
    return [batch(rows[a:b], a, names[i % len(names)]) for i, (a, b) in enumerate(pairwise(edges))]


def model(rows: list[dict[str, Any]], key: str) -> dict[Any, tuple[Any, ...]]:
    """Say for each key what its row must begin with, and its extremes."""
    groups = defaultdict(list)
    for row in rows:
        groups[row[key]].append(row)
    result = {}
    for value, group in groups.items():
        timed = [row["latency_ns"] for row in group if row["latency_ns"] >= 0]
        result[value] = (
            len(group),
            sum(row["ret"] < 0 for row in group),
            sum(max(row["ret"], 0) for row in group),
            sum(timed),
            min(timed, default=None),
            sum(timed) // len(timed) if timed else None,
            max(timed, default=None),
        )
    return result


def summed(row: tuple[Any, ...], keys: int) -> tuple[Any, ...]:
    return (*row[keys : keys + 6], row[-1])


@given(CALLS)
def test_each_row_is_what_its_calls_add_up_to(rows: list[dict[str, Any]]) -> None:
    snapshot = run([batch(rows)])
    by_file = model(rows, "file")
    no_file = by_file.pop("", None)
    assert {r[0]: summed(r, 1) for r in snapshot.by["syscall"].rows} == model(rows, "syscall")
    assert {r[0]: summed(r, 1) for r in snapshot.by["file"].rows} == by_file
    assert {r[0]: summed(r, 2) for r in snapshot.by["process"].rows} == model(rows, "pid")
    assert (snapshot.no_file and summed(snapshot.no_file, 1)) == no_file
    latest = {row["pid"]: row["comm"] for row in rows}
    assert {r[0]: r[1] for r in snapshot.by["process"].rows} == latest
    assert all(table.rest is None for table in snapshot.by.values())


@given(CALLS)
def test_totals_are_sums_without_empty_durations(rows: list[dict[str, Any]]) -> None:
    snapshot = run([batch(rows)])
    totals = snapshot.totals
    moved = {row["syscall"]: 0 for row in rows}
    for row in rows:
        moved[row["syscall"]] += max(row["ret"], 0)
    assert totals.calls == len(rows)
    assert totals.errors == sum(row["ret"] < 0 for row in rows)
    assert totals.bytes == sum(moved.values())
    assert totals.bytes_read == moved.get("read", 0) + moved.get("sendfile", 0)
    assert totals.bytes_written == moved.get("write", 0) + moved.get("sendfile", 0)
    assert totals.latency_ns == sum(max(row["latency_ns"], 0) for row in rows)
    assert totals.gap_ns == sum(max(row["gap_ns"], 0) for row in rows)
    assert snapshot.latency.total == sum(row["latency_ns"] >= 0 for row in rows)
    gaps = [row["gap_ns"] for row in rows if row["gap_ns"] >= 0]
    expected = Histogram()
    expected.add(np.array(gaps, np.int64))
    assert snapshot.gap.buckets() == expected.snapshot().buckets()
    assert snapshot.first_ns == 1000
    returns = [1000 + i + max(row["latency_ns"], 0) for i, row in enumerate(rows)]
    assert snapshot.last_ns == max(returns)


@given(CALLS, CUTS, st.booleans(), st.integers(1, 6))
def test_cutting_the_stream_anywhere_changes_nothing(
    rows: list[dict[str, Any]], cuts: list[int], two_names: bool, max_keys: int
) -> None:
    names = [Names(), Names()] if two_names else [Names()]
    whole = run([batch(rows)], max_keys=max_keys)
    assert run(cut(rows, cuts, names), max_keys=max_keys) == whole


@given(CALLS, CUTS, st.booleans(), st.integers(1, 6))
def test_snapshots_tell_of_their_moment_whenever_they_are_asked(
    rows: list[dict[str, Any]], cuts: list[int], two_names: bool, max_keys: int
) -> None:
    """What they show is made late, and here of the last one first."""
    names = [Names(), Names()] if two_names else [Names()]
    parts, kept = cut(rows, cuts, names), []
    stage = Stats(StatsConfig(max_keys=max_keys))
    for part in parts:
        stage.process(part)
        kept.append(stage.snapshot())
    for number, snapshot in reversed(list(enumerate(kept))):
        assert snapshot == run(parts[: number + 1], max_keys=max_keys)


@given(CALLS, st.integers(1, 4))
def test_rows_and_rest_and_no_file_are_the_totals(
    rows: list[dict[str, Any]], max_keys: int
) -> None:
    snapshot = run([batch(rows)], max_keys=max_keys)
    totals = snapshot.totals
    expected = (totals.calls, totals.errors, totals.bytes, totals.latency_ns)
    for name, table in snapshot.by.items():
        start = [field.name for field in table.fields].index("calls")
        parts = [*table.rows, table.rest, snapshot.no_file if name == "file" else None]
        sums = [sum(part[start + i] for part in parts if part) for i in range(4)]
        assert tuple(sums) == expected
        assert len(table.rows) <= max_keys
        assert table.rest is None or OTHER in table.rest


@given(CALLS, st.integers(1, 3))
def test_the_first_keys_get_the_rows(rows: list[dict[str, Any]], max_keys: int) -> None:
    first = list(dict.fromkeys(row["file"] for row in rows if row["file"]))[:max_keys]
    table = run([batch(rows)], max_keys=max_keys).by["file"]
    assert {row[0] for row in table.rows} == set(first)


@settings(max_examples=20)
@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=300))
def test_quantiles_of_a_row_are_within_a_thirtysecond(latencies: list[int]) -> None:
    (row,) = run([calls(latency_ns=latencies)]).by["syscall"].rows
    ranked = sorted(latencies)
    for q, found in zip((0.5, 0.95, 0.99), row[7:10], strict=True):
        exact = ranked[max(int(np.ceil(q * len(ranked))), 1) - 1]
        assert abs(found - exact) <= exact / 32
        assert ranked[0] <= found <= ranked[-1]


def test_rows_go_by_calls_and_equal_ones_by_first_appearance() -> None:
    snapshot = run([calls(syscall=["close", "write", "read", "read", "write"])])
    assert [row[0] for row in snapshot.by["syscall"].rows] == ["write", "read", "close"]


def test_fields_begin_with_the_keys() -> None:
    by = run([calls(rows=1)]).by
    assert list(by) == ["syscall", "file", "process"]
    values = ["calls", "errors", "bytes", "total", "min", "mean", "p50", "p95", "p99", "max"]
    for table, keys in zip(by.values(), (["syscall"], ["file"], ["pid", "comm"]), strict=True):
        assert [field.name for field in table.fields] == keys + values
    kinds = [field.kind for field in by["process"].fields]
    assert kinds == ["int", "text", "count", "count", "size"] + 7 * ["duration"]


def test_a_call_that_never_returns_counts_and_has_no_latency() -> None:
    snapshot = run([calls(syscall=["exit_group"], latency_ns=[-1])])
    (row,) = snapshot.by["syscall"].rows
    assert row == ("exit_group", 1, 0, 0, 0, None, None, None, None, None, None)
    assert snapshot.latency.total == 0
    assert snapshot.last_ns == snapshot.first_ns


def test_only_the_tables_asked_for_are_kept() -> None:
    snapshot = run([calls(rows=3)], by=["process"])
    assert list(snapshot.by) == ["process"]
    assert snapshot.no_file is None
    assert snapshot.totals.calls == 3


def test_a_snapshot_given_is_never_changed_by_later_batches() -> None:
    stage = Stats(StatsConfig())
    first = calls(file=["/a", "/b"], latency_ns=[5, 7])
    stage.process(first)
    kept = stage.snapshot()
    stage.process(calls(file=["/a", "/c"], latency_ns=[500, 1], comm="new"))
    later = stage.snapshot()
    assert kept == run([first])
    assert later.totals.calls == 4
    assert later != kept


def test_what_is_known_of_a_task_is_that_of_the_moment() -> None:
    names = Names()
    stage, kept = Stats(StatsConfig()), []
    for uid in (1000, 0):
        task = names.intern(Task(1, uid, 7, "/user.slice").text())
        stage.process(calls(names=names, pid=[5], task=[task]))
        kept.append(stage.snapshot())
    assert [snapshot.tasks[5].uid for snapshot in reversed(kept)] == [0, 1000]


def test_nothing_yet_is_an_empty_snapshot() -> None:
    snapshot = run([])
    assert snapshot.totals.calls == snapshot.first_ns == snapshot.last_ns == 0
    assert all(not table.rows and table.rest is None for table in snapshot.by.values())
    assert [table.title for table in snapshot.tables()][:3] == ["Syscalls", "Files", "Processes"]


def test_files_are_told_apart_by_text_not_by_state_or_code() -> None:
    names = Names()
    codes = [names.intern("/a"), names.intern("/a", 2), names.intern("", 3)]
    snapshot = run([calls(names=names, file=codes)])
    assert [row[:2] for row in snapshot.by["file"].rows] == [("/a", 2)]
    assert snapshot.no_file is not None
    assert snapshot.no_file[:2] == ("-", 1)


def test_batches_of_another_machine_name_their_own_syscalls() -> None:
    arm = calls(syscall="read", origin=Origin("arm64", 0))
    snapshot = run([calls(syscall="read"), arm, calls(syscall="read")])
    assert [row[:2] for row in snapshot.by["syscall"].rows] == [("read", 3)]


def test_thousands_of_keys_beyond_the_first_hash_cells() -> None:
    rng = random.Random(3)
    pids = [rng.randrange(1, 2**32) for _ in range(5000)]
    batches = [calls(pid=pids[i : i + 700]) for i in range(0, 5000, 700)]
    table = run([*batches, *batches], max_keys=10_000).by["process"]
    assert {row[0]: row[2] for row in table.rows} == {pid: 2 * pids.count(pid) for pid in set(pids)}


def test_the_distribution_covers_every_timed_call() -> None:
    snapshot = run([calls(latency_ns=[0, 1, 900, 1023, 1024])])
    (table,) = [table for table in snapshot.tables() if table.title == "Latency"]
    shown = [row[:3] for row in table.rows]
    assert shown == [(0, 1, 1), (1, 2, 1), (512, 1024, 2), (1024, 2048, 1)]
    assert sum(row[3] for row in table.rows) == 1
