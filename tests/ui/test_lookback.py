"""Windows of seconds, looked at again and again: always what the seconds are added up anew."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_chunks import CALL, facts

from ior.calls import Origin
from ior.expr import compile_filter
from ior.names import Names
from ior.stages.flamegraph import Flamegraph, FlamegraphConfig
from ior.stages.history import SECOND_NS, History, HistoryConfig
from ior.stages.stats import Stats, StatsConfig
from ior.testing.batches import calls
from ior.ui.lookback import Counted, Lookback

STEPS = st.sampled_from([0, 1000, SECOND_NS // 3, SECOND_NS, 5 * SECOND_NS])
PARTS = st.lists(st.tuples(STEPS, st.lists(CALL, min_size=1, max_size=12)), min_size=1, max_size=25)
FILTERS = ['comm == "dd"', 'path under "/etc" or pid == 2', "is_error", "pid == 9"]


READ = {
    "syscall": "read",
    "file": "",
    "pid": 1,
    "ret": 0,
    "fd": 0,
    "latency_ns": -1,
    "gap_ns": -1,
}


@settings(deadline=None)
@example(
    [(0, [{**READ, "comm": "dd"}] * 9 + [{**READ, "comm": "sh"}]), (0, [{**READ, "comm": "dd"}])],
    2,
    None,
    (3, 4096),
)
@given(
    PARTS,
    st.sampled_from([2, 5, 300]),
    st.sampled_from([None, *FILTERS]),
    st.sampled_from([(3, 4096), (4096, 4096)]),
)
def test_each_look_is_what_the_seconds_are_anew(
    parts: list[tuple[int, list[dict[str, Any]]]],
    span_s: int,
    source: str | None,
    most: tuple[int, int],
) -> None:
    where = compile_filter(source) if source else None
    history, lookback = History(HistoryConfig(max_groups=most[0])), Lookback()
    now, latest = 7 * SECOND_NS, dict[int, str]()
    for step, part in parts:
        now += step
        latest |= {call["pid"]: call["comm"] for call in part}
        columns: dict[str, Any] = {name: [call[name] for call in part] for name in part[0]}
        history.process(calls(names=Names(), time_ns=now + np.arange(len(part)), **columns))
        end = history.snapshot().seconds[-1].number + 1
        seconds = history.snapshot().within((end - span_s) * SECOND_NS, end * SECOND_NS)
        chosen = [(s.groups, 0) if where is None else s.groups.matching(where) for s in seconds]
        counted = Counted(
            sum(second.groups.calls for second in seconds),
            sum(groups.calls for groups, _ in chosen),
            sum(untold for _, untold in chosen),
        )
        for cls, config in ((Stats, StatsConfig()), (Flamegraph, FlamegraphConfig())):
            found, told = lookback.added(cls, cls(config), where, seconds)
            assert told == counted
            expected = cls(config)
            for groups, _ in chosen:
                expected.add(groups)
            one, other = found.snapshot(), expected.snapshot()
            if cls is Stats:
                known = None if where is None else -1  # through a filter the span is a second's
                assert facts(one)[:known] == facts(other)[:known]
                for pid, comm, *_ in one.by["process"].rows:
                    assert where is not None or most[0] == 3 or comm == latest[pid]
            else:
                assert dict(one.folded("bytes")) == dict(other.folded("bytes"))
                assert dict(one.folded("calls")) == dict(other.folded("calls"))


def test_a_look_costs_what_has_come_since_the_last(added: list[int]) -> None:
    history, lookback = History(HistoryConfig()), Lookback()
    for number in range(60):
        for quarter in range(4):
            begin = number * SECOND_NS + quarter * SECOND_NS // 4
            history.process(calls(time_ns=begin + np.arange(100)))
            lookback.added("x", Stats(StatsConfig()), None, history.snapshot().seconds)
            assert added[-1] == 100
    assert len(added) == 60 * (2 + 3) - 1  # the first second has none before it


def test_seconds_of_two_hosts_are_added_up_apart() -> None:
    history, lookback = History(HistoryConfig()), Lookback()
    for number in range(12):
        origin = Origin("arm64" if number % 3 else "x86_64", 0)
        history.process(calls(time_ns=[number * SECOND_NS], syscall="read", origin=origin))
        seconds = history.snapshot().seconds[-5:]
        stage, counted = lookback.added("x", Stats(StatsConfig()), None, seconds)
        assert stage.snapshot().totals.calls == counted.calls == min(number + 1, 5)
        assert [row[0] for row in stage.snapshot().by["syscall"].rows] == ["read"]


def test_everything_is_let_go_of_after_many_looks_at_something_else() -> None:
    history, lookback = History(HistoryConfig()), Lookback()
    history.process(calls(rows=10))
    history.process(calls(time_ns=[99 * SECOND_NS]))
    seconds = history.snapshot().seconds
    first, _ = lookback.added("x", Stats(StatsConfig()), None, seconds)
    for _ in range(100):
        lookback.looked()
    again, _ = lookback.added("x", Stats(StatsConfig()), None, seconds)
    assert again is first
    for _ in range(300):
        lookback.looked()
    again, _ = lookback.added("x", Stats(StatsConfig()), None, seconds)
    assert again is not first
