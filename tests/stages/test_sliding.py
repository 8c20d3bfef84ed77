"""Seconds added up that come and go: always what the present ones are when added up anew."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from test_history import CALL, WHERE, batch, busy, history

from ior.calls import Batch
from ior.expr import Predicate, compile_filter
from ior.names import Names
from ior.stages.flamegraph import Flamegraph, FlamegraphConfig
from ior.stages.groups import Groups
from ior.stages.history import History, HistoryConfig, Second
from ior.stages.sliding import Sliding, since
from ior.stages.stats import Stats, StatsConfig, StatsSnapshot
from ior.testing.batches import calls

ROWS = st.lists(CALL, min_size=1, max_size=40)
TURNS = st.lists(st.tuples(st.integers(0, 12), st.integers(1, 12)), min_size=1, max_size=8)
FILTERS = st.sampled_from([None, *map(compile_filter, WHERE)])


def stats(groups: Sequence[Groups]) -> StatsSnapshot:
    stage = Stats(StatsConfig())
    for one in groups:
        stage.add(one)
    return stage.snapshot()


def chosen(seconds: Sequence[Second], where: Predicate | None) -> list[Groups]:
    return [s.groups if where is None else s.groups.matching(where)[0] for s in seconds]


def facts(snapshot: StatsSnapshot) -> Any:
    """Return all that there is, in no order."""
    tables = {name: sorted(table.rows, key=repr) for name, table in snapshot.by.items()}
    span = snapshot.first_ns, snapshot.last_ns
    return tables, snapshot.totals, snapshot.latency, snapshot.gap, snapshot.no_file, span


@given(ROWS, TURNS, FILTERS)
def test_turned_to_any_seconds_it_is_their_sum(
    rows: list[dict[str, Any]], turns: list[tuple[int, int]], where: Predicate | None
) -> None:
    seconds = history([batch(rows)]).seconds
    sliding = Sliding(where)
    for first, count in turns:
        some = seconds[first : first + count] or seconds
        sliding.turn(some)
        groups = sliding.groups()
        assert groups is not None
        expected = chosen(some, where)
        assert facts(stats([groups])) == facts(stats(expected))
        assert sliding.calls == sum(second.groups.calls for second in some)
        assert sliding.matching == groups.calls == sum(one.calls for one in expected)
        assert len(groups) <= sum(map(len, expected))


@given(ROWS, TURNS)
def test_a_flamegraph_of_the_sum_is_that_of_the_seconds(
    rows: list[dict[str, Any]], turns: list[tuple[int, int]]
) -> None:
    seconds, sliding = history([batch(rows)]).seconds, Sliding(None)
    for first, count in turns:
        some = seconds[first : first + count] or seconds
        sliding.turn(some)
        found, expected = (Flamegraph(FlamegraphConfig()) for _ in range(2))
        groups = sliding.groups()
        assert groups is not None
        found.add(groups)
        for second in some:
            expected.add(second.groups)
        for weight in ("calls", "latency", "gap", "bytes", "errors"):
            assert dict(found.snapshot().folded(weight)) == dict(expected.snapshot().folded(weight))


def test_groups_that_come_and_go_leave_nothing_behind() -> None:
    stage, sliding = History(HistoryConfig()), Sliding(None)
    for number in range(40):
        stage.process(busy(number))
        some = stage.snapshot().seconds[-3:]
        sliding.turn(some)
        groups = sliding.groups()
        assert groups is not None
        assert len(groups) == 2000 * len(some)
        assert groups.latency.counts.sum() == 2000 * len(some)
        assert sliding.numbers <= 3 * 2000 * 2 + 4096 + 2000


def test_folded_seconds_take_the_place_of_those_that_were() -> None:
    stage, where = History(HistoryConfig(mib=1)), compile_filter('path under "/second/12"')
    ways = [(Sliding(by), by) for by in (None, where)]
    untold = 0
    for number in range(25):
        stage.process(busy(number, 1000))
        some = stage.snapshot().seconds[-15:]
        for sliding, by in ways:
            sliding.turn(some)
            groups = sliding.groups()
            assert groups is not None
            assert facts(stats([groups])) == facts(stats(chosen(some, by)))
        untold = ways[1][0].untold
        assert untold == sum(second.groups.matching(where)[1] for second in some)
    assert untold


@given(ROWS, st.integers(0, 39), st.integers(0, 39), FILTERS)
def test_what_was_added_to_a_second_is_the_difference(
    rows: list[dict[str, Any]], first: int, second: int, where: Predicate | None
) -> None:
    still = [row | {"step_ns": 0, "latency_ns": min(row["latency_ns"], 10**6)} for row in rows]
    edges = sorted((first, second))
    stage, names = History(HistoryConfig()), Names()
    seen: list[Groups] = []
    for part in (still[: edges[0]], still[edges[0] : edges[1]], still[edges[1] :]):
        if part:
            stage.process(batch(part, names=names))
            (now,) = stage.snapshot().seconds
            seen.append(now.groups)
    for before, after in pairwise(seen):
        more = since(after, before)
        assert more is not None
        assert more.calls == after.calls - before.calls
        both, whole = [before, more], [after]
        if where is not None:
            both, whole = ([g.matching(where)[0] for g in some] for some in (both, whole))
        known = None if where is None else -1  # through a filter the span is a second's
        assert facts(stats(both))[:known] == facts(stats(whole))[:known]


def test_another_second_is_no_difference() -> None:
    def groups(*batches: Batch) -> Groups:
        return history(batches).seconds[0].groups

    one, other = groups(calls(file=["/a", "/b"])), groups(calls(file=["/a", "/b", "/c"]))
    assert since(other, one) is None  # of another dictionary
    stage = History(HistoryConfig())
    stage.process(calls(file=["/a", "/b"], time_ns=[10**9, 2 * 10**9]))
    first, second = (s.groups for s in stage.snapshot().seconds)
    assert since(second, first) is None
    stage.process(calls(file=["/b"], time_ns=[2 * 10**9], latency_ns=[5]))
    grown = stage.snapshot().seconds[1].groups
    more = since(grown, second)
    assert more is not None
    assert (more.calls, more.latency.counts.tolist(), np.diff(more.bounds, axis=0).tolist()) == (
        1,
        [1],
        [[995]],
    )
    assert since(second, grown) is None
