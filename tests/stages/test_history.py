from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ior.calls import Batch, Origin
from ior.expr import compile_filter
from ior.names import Names
from ior.stages.flamegraph import Flamegraph, FlamegraphConfig
from ior.stages.groups import Groups, can_tell
from ior.stages.history import SECOND_NS, History, HistoryConfig, HistorySnapshot
from ior.stages.sliding import Sliding
from ior.stages.stats import Stats, StatsConfig, StatsSnapshot
from ior.testing.batches import calls

pytestmark = pytest.mark.usefixtures("added_up")

CALL = st.fixed_dictionaries(
    {
        "syscall": st.sampled_from(["read", "write", "openat", "exit_group"]),
        "file": st.sampled_from(["", "/dev/zero", "/etc/passwd", "/etc/ssl/a", "pipe:[7]"]),
        "asked": st.sampled_from(["", "", "/link"]),
        "pid": st.sampled_from([1, 2, 77, 4_000_000_000]),
        "comm": st.sampled_from(["dd", "sh"]),
        "ret": st.sampled_from([0, 512, -2, -11]),
        "latency_ns": st.one_of(st.just(-1), st.integers(0, 3 * SECOND_NS)),
        "gap_ns": st.one_of(st.just(-1), st.integers(0, 2**40)),
        "step_ns": st.one_of(st.integers(0, 1000), st.integers(0, 2 * SECOND_NS)),
    }
)
CALLS = st.lists(CALL, min_size=1, max_size=40)
CUTS = st.lists(st.integers(0, 40), max_size=5)
WHERE = ['comm == "dd"', 'path under "/etc"', "is_error and pid != 77", "family == FS or pid == 2"]


def batch(rows: Sequence[dict[str, Any]], start_ns: int = 0, names: Names | None = None) -> Batch:
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
    time = 5 * SECOND_NS + start_ns + np.cumsum(columns.pop("step_ns"))
    return calls(names=names, time_ns=time, **columns)


def history(batches: Sequence[Batch], **config: Any) -> HistorySnapshot:
    stage = History(HistoryConfig(**config))
    for one in batches:
        stage.process(one)
    return stage.snapshot()


def cut(rows: list[dict[str, Any]], cuts: list[int]) -> list[Batch]:
    edges = sorted({0, len(rows), *(c for c in cuts if c < len(rows))})
    steps = np.cumsum([0, *(row["step_ns"] for row in rows)]).tolist()
    return [batch(rows[a:b], steps[a], Names()) for a, b in pairwise(edges)]


def merged(snapshot: HistorySnapshot) -> Groups:
    sliding = Sliding(None)
    sliding.turn(snapshot.seconds)
    groups = sliding.groups()
    assert groups is not None
    return groups


def stats_of(snapshot: HistorySnapshot) -> StatsSnapshot:
    stats = Stats(StatsConfig())
    for second in snapshot.seconds:
        stats.add(second.groups)
    return stats.snapshot()


def stats_of_rows(*batches: Batch) -> StatsSnapshot:
    stats = Stats(StatsConfig())
    for one in batches:
        stats.process(one)
    return stats.snapshot()


def same(one: StatsSnapshot, other: StatsSnapshot) -> bool:
    """Compare all but the extremes of gaps, and the order of processes."""
    tables = [{name: table.rows for name, table in s.by.items()} for s in (one, other)]
    by_pid = [sorted(rows.pop("process"), key=repr) for rows in tables]
    return (
        tables[0] == tables[1]
        and by_pid[0] == by_pid[1]
        and one.totals == other.totals
        and one.latency == other.latency
        and one.no_file == other.no_file
        and (one.first_ns, one.last_ns) == (other.first_ns, other.last_ns)
    )


@given(CALLS)
def test_all_seconds_together_are_the_whole(rows: list[dict[str, Any]]) -> None:
    assert same(stats_of(history([batch(rows)])), stats_of_rows(batch(rows)))


@given(CALLS)
def test_merged_seconds_are_the_whole(rows: list[dict[str, Any]]) -> None:
    whole = merged(history([batch(rows)]))
    stats = Stats(StatsConfig())
    stats.add(whole)
    assert same(stats.snapshot(), stats_of_rows(batch(rows)))
    assert whole["gapped"].sum() == whole.gap.counts.sum()
    assert whole["gapped"].sum() == sum(row["gap_ns"] >= 0 for row in rows)


@given(CALLS, CUTS)
def test_cutting_the_stream_anywhere_changes_nothing(
    rows: list[dict[str, Any]], cuts: list[int]
) -> None:
    whole, parts = history([batch(rows)]), history(cut(rows, cuts))
    assert [second.number for second in whole.seconds] == [s.number for s in parts.seconds]
    for one, other in zip(whole.seconds, parts.seconds, strict=True):
        assert list(one.groups.keys.rows()) == list(other.groups.keys.rows())
        assert (one.groups.sums == other.groups.sums).all()
        assert (one.groups.bounds == other.groups.bounds).all()
        for mine, theirs in zip(one.groups.latency, other.groups.latency, strict=True):
            assert (mine == theirs).all()


@given(CALLS, st.sampled_from(WHERE))
def test_a_filter_on_groups_means_what_it_means_on_rows(
    rows: list[dict[str, Any]], source: str
) -> None:
    where, whole = compile_filter(source), batch(rows)
    assert can_tell(where)
    stats = Stats(StatsConfig())
    for second in history([whole]).seconds:
        groups, unknown = second.groups.matching(where)
        stats.add(groups)
        assert unknown == 0
    expected = stats_of_rows(whole.select(where(whole)))
    assert (stats.snapshot().totals, stats.snapshot().latency) == (
        expected.totals,
        expected.latency,
    )
    assert stats.snapshot().by["file"] == expected.by["file"]


def test_a_filter_on_what_groups_do_not_have_cannot_be_told() -> None:
    assert not can_tell(compile_filter("latency > 1ms"))
    assert not can_tell(compile_filter("pid == 1 and fd == 3"))
    assert can_tell(compile_filter('path ~ "log" and errno == ENOENT and family == FS'))


@given(CALLS)
def test_a_flamegraph_of_groups_is_that_of_the_rows(rows: list[dict[str, Any]]) -> None:
    config = FlamegraphConfig(stack=["family", "comm", "path", "syscall", "errno"])
    flame, expected = Flamegraph(config), Flamegraph(config)
    for second in history([batch(rows)]).seconds:
        flame.add(second.groups)
    expected.process(batch(rows))
    for weight in ("calls", "latency", "gap", "bytes"):
        found = dict(flame.snapshot().folded(weight))
        assert found == dict(expected.snapshot().folded(weight))


@given(CALLS, st.integers(1, 12))
def test_folded_groups_are_few_and_exact_but_for_what_was_forgotten(
    rows: list[dict[str, Any]], keep: int
) -> None:
    whole = merged(history([batch(rows)]))
    folded = whole.folded(keep)
    assert len(folded) <= len(whole)
    stats = Stats(StatsConfig())
    stats.add(folded)
    found, expected = stats.snapshot(), stats_of_rows(batch(rows))
    assert (found.totals, found.latency) == (expected.totals, expected.latency)
    assert set(found.by["syscall"].rows) == set(expected.by["syscall"].rows)
    assert {row[0] for row in found.by["file"].rows} <= {r[0] for r in expected.by["file"].rows}
    parts = [*found.by["file"].rows, found.by["file"].rest, found.no_file]
    assert sum(part[1] for part in parts if part) == len(rows)
    where = compile_filter('file == "/etc/passwd"')
    chosen, unknown = folded.matching(where)
    passwd = sum(row["file"] == "/etc/passwd" for row in rows)
    assert chosen.calls <= passwd <= chosen.calls + unknown


def test_the_groups_of_most_calls_are_kept() -> None:
    files = ["/a"] * 5 + ["/b"] * 3 + ["/c", "/d", "/e"]
    (second,) = history([calls(file=files)]).seconds
    stats = Stats(StatsConfig())
    stats.add(second.groups.folded(3))
    table = stats.snapshot().by["file"]
    assert [row[:2] for row in table.rows] == [("/a", 5), ("/b", 3), ("/c", 1)]
    assert table.rest is not None
    assert table.rest[:2] == ("(other)", 2)


def test_a_second_of_more_files_than_groups_forgets_the_later_files_then_processes() -> None:
    files = [f"/f{i}" for i in range(100)]
    batches = [calls(file=files), calls(file="/late", pid=[5, 6, 7, 8], comm="late")]
    (second,) = history(batches, max_groups=3).seconds
    stats = Stats(StatsConfig())
    stats.add(second.groups)
    by = stats.snapshot().by
    assert [row[:2] for row in by["file"].rows] == [("/f0", 1), ("/f1", 1), ("/f2", 1)]
    assert [row[:3] for row in by["process"].rows] == [
        (100, "test", 100),
        (5, "late", 1),
        (6, "late", 1),
    ]
    assert by["process"].rest is not None
    assert by["process"].rest[:3] == (None, "(other)", 2)
    assert [row[:2] for row in by["syscall"].rows] == [("read", 104)]


def test_a_call_belongs_to_the_second_of_its_return_and_time_never_goes_back() -> None:
    times = np.array([0, 9, 5, 9]) * SECOND_NS
    latency = np.array([3 * SECOND_NS, -1, 10, 10])
    found = history([calls(time_ns=times, latency_ns=latency)]).seconds
    assert [(second.number, second.groups.calls) for second in found] == [(3, 1), (9, 3)]


def test_seconds_beyond_the_span_are_let_go() -> None:
    batches = [calls(time_ns=[i * SECOND_NS]) for i in range(100)]
    numbers = [second.number for second in history(batches, span_s=10).seconds]
    assert numbers == list(range(89, 100))
    assert [s.number for s in history(batches).within(3 * SECOND_NS, 5 * SECOND_NS)] == [3, 4]


def busy(second: int, files: int = 2000) -> Batch:
    number = np.arange(files)
    return calls(
        time_ns=second * SECOND_NS + number,
        file=[f"/second/{second}/{i}" for i in range(files)],
        latency_ns=number * 1000,
    )


def test_memory_is_bounded_and_no_call_is_forgotten() -> None:
    stage = History(HistoryConfig(mib=1))
    for second in range(60):
        stage.process(busy(second))
    seconds = stage.snapshot().seconds
    assert sum(second.nbytes for second in seconds[:-1]) <= 1 << 20
    assert [second.groups.calls for second in seconds] == [2000] * 60
    names = seconds[0].groups.keys.names
    assert names.size_bytes < 4 << 20  # of 120000 texts, some 20 MiB


def test_a_snapshot_given_is_never_changed() -> None:
    stage = History(HistoryConfig(mib=1))
    stage.process(busy(0, 10))
    kept = stage.snapshot()
    before = list(kept.seconds[0].groups.keys.rows())
    for second in range(40):
        stage.process(busy(second))
    assert [second.groups.calls for second in kept.seconds] == [10]
    assert list(kept.seconds[0].groups.keys.rows()) == before


def test_calls_of_two_hosts_are_kept_apart() -> None:
    arm = calls(syscall="read", origin=Origin("arm64", 0))
    snapshot = history([calls(syscall="read"), arm, calls(syscall="read")])
    with pytest.raises(ValueError, match="different hosts"):
        merged(snapshot)
    assert [row[:2] for row in stats_of(snapshot).by["syscall"].rows] == [("read", 3)]


def test_its_table_shows_the_latest_seconds_first() -> None:
    batches = [calls(time_ns=[i * SECOND_NS] * (i + 1), ret=[-2, *([7] * i)]) for i in range(3)]
    (table,) = history(batches).tables()
    assert [field.name for field in table.fields][:4] == ["seconds ago", "calls", "errors", "bytes"]
    assert [row[:4] for row in table.rows] == [(0, 3, 1, 14), (1, 2, 1, 7), (2, 1, 1, 0)]


def test_nothing_yet_is_an_empty_snapshot() -> None:
    assert history([]).seconds == ()
    assert history([]).tables()[0].rows == ()
