"""The rates of a capture, second by second, while it is read."""

from __future__ import annotations

import numpy as np
import pytest

from ior.calls import Origin
from ior.stages.history import SECOND_NS, History, HistoryConfig, Second
from ior.testing import calls
from ior.ui import paces
from ior.ui.paces import Paces
from ior.ui.trend import Point


def test_each_second_is_counted_once_and_the_last_as_it_grows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    history, kept, counted = History(HistoryConfig()), Paces(), list[int]()
    point = paces._point

    def noted(second: Second) -> Point:
        counted.append(second.number)
        return point(second)

    monkeypatch.setattr(paces, "_point", noted)
    expected: list[float] = []
    for second, rows in ((3, 5), (4, 2), (4, 4), (7, 1)):
        history.process(
            calls(time_ns=second * SECOND_NS + np.arange(rows), latency_ns=0, ret=[-2] * rows)
        )
        expected += [0.0] * (second - 3 - len(expected))
        expected[second - 3 :] = [sum(expected[second - 3 :]) + rows]
        seen = history.snapshot()
        found = kept.of(seen)
        assert found["calls"] == found["errors"] == tuple(expected)
        assert kept.of(seen) is found
        kept.looked()
    assert counted == [3, 3, 4, 4, 4, 7]  # 3 and 4 again once they were over


def test_what_no_look_asks_for_is_let_go_of() -> None:
    history, kept = History(HistoryConfig()), Paces()
    history.process(calls(time_ns=SECOND_NS, latency_ns=0, ret=1))
    seen = history.snapshot()
    found = kept.of(seen)
    kept.looked()
    kept.looked()
    assert kept.of(seen) is not found


def test_a_second_in_which_the_clock_was_set_is_one() -> None:
    history = History(HistoryConfig())
    for wall_offset_ns in (0, 5):
        batch = calls(time_ns=SECOND_NS + np.arange(3), latency_ns=0, ret=1)
        batch.origin = Origin("x86_64", wall_offset_ns)
        history.process(batch)
    assert len(history.snapshot().seconds) == 2
    assert Paces().of(history.snapshot())["calls"] == (6.0,)
