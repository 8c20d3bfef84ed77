from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ior.calls import Batch
from ior.names import Names
from ior.stages.flamegraph import (
    NO_FILE,
    OTHER,
    WEIGHTS,
    Flamegraph,
    FlamegraphConfig,
    FlameSnapshot,
    path_frames,
)
from ior.stages.stats import Stats, StatsConfig
from ior.testing.batches import calls

pytestmark = pytest.mark.usefixtures("added_up")

ORDERS = ["comm", "pid", "tid", "syscall", "family", "path", "errno"]
CALL = st.fixed_dictionaries(
    {
        "syscall": st.sampled_from(["read", "write", "openat", "exit_group"]),
        "file": st.sampled_from(["", "/", "/dev/zero", "/dev", "/usr/lib//x", "pipe:[7]", "a/b"]),
        "pid": st.sampled_from([1, 2, 4_000_000_000]),
        "tid": st.sampled_from([1, 5, 4_294_967_295]),
        "comm": st.sampled_from(["dd", "sh;x", "zero"]),
        "ret": st.sampled_from([0, 512, -2, 2**54 + 1]),
        "latency_ns": st.one_of(st.just(-1), st.integers(0, 2**57)),
        "gap_ns": st.one_of(st.just(-1), st.integers(0, 2**54)),
    }
)
CALLS = st.lists(CALL, min_size=1, max_size=40)
STACK = st.lists(st.sampled_from(ORDERS), min_size=1, max_size=7, unique=True)
CUTS = st.lists(st.integers(0, 40), max_size=5)


def batch(rows: list[dict[str, Any]], names: Names | None = None) -> Batch:
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
    return calls(names=names, **columns)


def run(batches: list[Batch], **config: Any) -> FlameSnapshot:
    stage = Flamegraph(FlamegraphConfig(**config))
    for one in batches:
        stage.process(one)
    return stage.snapshot()


def cut(rows: list[dict[str, Any]], cuts: list[int], names: list[Names]) -> list[Batch]:
    edges = sorted({0, len(rows), *(c for c in cuts if c < len(rows))})
    pairs = enumerate(pairwise(edges))
    return [batch(rows[a:b], names[i % len(names)]) for i, (a, b) in pairs]


def columns(snapshot: FlameSnapshot) -> tuple[Any, ...]:
    weights = {name: values.tolist() for name, values in snapshot.self_weight.items()}
    parents, depths = snapshot.parent.tolist(), snapshot.depth.tolist()
    return snapshot.stack, snapshot.total, parents, depths, snapshot.name, weights


def frames(row: dict[str, Any], stack: list[str]) -> tuple[str, ...]:
    family = "Process" if row["syscall"] == "exit_group" else "FS"
    errno = {-2: "ENOENT"}.get(row["ret"], "ok")
    plain = {name: str(row[name]) for name in ("comm", "pid", "tid", "syscall")}
    one = {**plain, "family": family, "errno": errno}
    parts = [path_frames(row["file"]) if name == "path" else (one[name],) for name in stack]
    return sum(parts, ()) or (NO_FILE,)


@given(CALLS, STACK)
def test_folded_adds_up_each_stack_in_any_order(
    rows: list[dict[str, Any]], stack: list[str]
) -> None:
    snapshot = run([batch(rows)], stack=stack)
    expected: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name in WEIGHTS}
    for row in rows:
        key = frames(row, stack)
        expected["calls"][key] += 1
        expected["latency"][key] += max(row["latency_ns"], 0)
        expected["gap"][key] += max(row["gap_ns"], 0)
        expected["bytes"][key] += max(row["ret"], 0)
        expected["errors"][key] += row["ret"] < 0
    for weight, sums in expected.items():
        assert dict(snapshot.folded(weight)) == {key: n for key, n in sums.items() if n}


@given(CALLS, STACK, st.integers(2, 12))
def test_every_weight_is_the_sum_of_the_stats_however_few_nodes(
    rows: list[dict[str, Any]], stack: list[str], max_nodes: int
) -> None:
    stats = Stats(StatsConfig())
    stats.process(batch(rows))
    totals = stats.snapshot().totals
    sums = {
        "calls": totals.calls,
        "latency": totals.latency_ns,
        "gap": totals.gap_ns,
        "bytes": totals.bytes,
        "errors": totals.errors,
    }
    for weight in WEIGHTS:
        snapshot = run([batch(rows)], stack=stack, max_nodes=max_nodes, weight=weight)
        assert len(snapshot.name) <= max_nodes
        assert snapshot.total == sums[weight] == sum(n for _, n in snapshot.folded())
        assert int(snapshot.inclusive()[0]) == sums[weight]


@given(CALLS, STACK, CUTS, st.booleans(), st.sampled_from([4, 8, 2**18]))
def test_cutting_the_stream_anywhere_changes_nothing(
    rows: list[dict[str, Any]], stack: list[str], cuts: list[int], two: bool, max_nodes: int
) -> None:
    names = [Names(), Names()] if two else [Names()]
    whole = run([batch(rows)], stack=stack, max_nodes=max_nodes)
    parts = run(cut(rows, cuts, names), stack=stack, max_nodes=max_nodes)
    assert columns(parts) == columns(whole)


@given(CALLS, STACK)
def test_parents_come_first_and_siblings_have_different_names(
    rows: list[dict[str, Any]], stack: list[str]
) -> None:
    snapshot = run([batch(rows)], stack=stack)
    parents = snapshot.parent.tolist()
    assert parents[0] == -1
    assert all(-1 < parent < node for node, parent in enumerate(parents[1:], 1))
    assert snapshot.depth.tolist()[1:] == [snapshot.depth[parent] + 1 for parent in parents[1:]]
    assert len(set(zip(parents, snapshot.name, strict=True))) == len(parents)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/dev/zero", ("/dev", "zero")),
        ("/", ("/",)),
        ("//a///b/", ("/a", "b")),
        ("", ()),
        ("pipe:[4]", ("pipe:[4]",)),
        ("unix /run/x.sock", ("unix /run/x.sock",)),
    ],
)
def test_a_path_is_one_frame_a_component(text: str, expected: tuple[str, ...]) -> None:
    assert path_frames(text) == expected


def test_a_stack_that_does_not_fit_goes_to_other_whole_and_stays_there() -> None:
    stage = Flamegraph(FlamegraphConfig(stack=["comm", "syscall"], max_nodes=5))
    stage.process(calls(comm=["a", "a", "b", "a"], syscall=["read", "write", "read", "close"]))
    stage.process(calls(comm=["b", "a"], syscall=["read", "read"]))
    assert dict(stage.snapshot().folded()) == {
        ("a", "read"): 2,
        ("a", "write"): 1,
        (OTHER,): 3,
    }


def test_a_snapshot_given_is_never_changed_by_later_batches() -> None:
    stage = Flamegraph(FlamegraphConfig())
    stage.process(calls(comm="a", file="/x", rows=3))
    kept = stage.snapshot()
    before = columns(kept)
    stage.process(calls(comm=["a", "b"], file=["/x", "/y"]))
    assert columns(kept) == before
    assert stage.snapshot().total == 5
    with pytest.raises(ValueError, match="read-only"):
        kept.self_weight["calls"][0] = 1


def test_more_distinct_values_than_one_key_holds() -> None:
    many = np.arange(3000)
    stack = ["pid", "tid", "syscall", "errno", "comm", "path"]
    one = calls(pid=many % 50 + 2**31, tid=many + 2**31, ret=-(many % 90), comm="x")
    snapshot = run([one, one], stack=stack)
    assert snapshot.total == 6000
    assert {n for _, n in snapshot.folded()} == {2}
    assert len(list(snapshot.folded())) == 3000


def test_the_table_shows_the_heaviest_stacks_and_the_exact_rest() -> None:
    files = [f"/d/{i}" for i in range(60) for _ in range(i + 1)]
    (table,) = run([calls(file=files)], stack=["comm", "path"]).tables()
    assert [field.kind for field in table.fields] == ["text", "count", "ratio"]
    assert table.rows[0] == ("test;/d;59", 60, 60 / 1830)
    assert table.rest is not None
    assert sum(row[1] for row in table.rows) + table.rest[1] == 1830


def test_nothing_yet_is_an_empty_tree() -> None:
    snapshot = run([])
    assert (snapshot.total, list(snapshot.folded()), snapshot.tables()[0].rows) == (0, [], ())
