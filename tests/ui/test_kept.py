"""Retained rows are added up once: again only when others come, or others are chosen of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from emulated import ledger
from scenes import Turned

from ior.calls import Batch
from ior.expr import Predicate, compile_filter
from ior.pipeline.ledger import Ledger
from ior.pipeline.pace import NodeTimes
from ior.pipeline.spec import parse
from ior.snapshots import Snapshot
from ior.stages.flamegraph import Flamegraph, FlamegraphConfig
from ior.stages.grouped import SMALL, grouped
from ior.stages.history import History, HistoryConfig
from ior.stages.stats import Stats, StatsConfig
from ior.stages.stream import Stream, StreamConfig
from ior.testing import calls
from ior.ui.events import Look
from ior.ui.notes import Noted
from ior.ui.sight import Chosen, Matched
from ior.ui.tabs.abc import AnyTab
from ior.ui.tabs.flame import FlameTab
from ior.ui.tabs.flamemoves import FlameView
from ior.ui.tabs.latency import LatencyTab
from ior.ui.tabs.overview import OverviewTab
from ior.ui.tabs.stats import SyscallsTab
from ior.ui.tabs.stream import StreamTab
from ior.ui.viewer import Viewer
from ior.ui.window import Window

SECOND = 1_000_000_000
ROWS = 100  # come in a second
SPEC = "version = 1\n[stage.pair]\ntype = 'pair'\n" + "\n".join(
    f"[stage.{name}]\ntype = '{name}'\ninputs = 'pair'"
    for name in ("stats", "stream", "flamegraph", "history")
)
SLOW, FAST = compile_filter("latency >= 50ns"), compile_filter("latency < 50ns")
TABS: list[AnyTab] = [
    SyscallsTab("stats"),
    OverviewTab("stats"),
    LatencyTab("stats"),
    StreamTab(),
    FlameTab("flamegraph", FlamegraphConfig(), rows=True),
]


class Watching:
    """Somebody who looks at a run, four times a second, in which calls come when they are made."""

    def __init__(self) -> None:
        self.clock, self._begun = Turned(SECOND), 0
        self._stages: dict[str, Any] = {
            "stats": Stats(StatsConfig()),
            "stream": Stream(StreamConfig()),
            "flamegraph": Flamegraph(FlamegraphConfig()),
            "history": History(HistoryConfig()),
        }
        self._viewer = Viewer(self, parse(SPEC, directory=Path(), label="x"), self.clock)
        self.come()

    def come(self, rows: int = ROWS) -> None:
        """Let the calls of another second come."""
        times = [self._begun * SECOND + i for i in range(rows)]
        self._begun += 1
        batch = calls(time_ns=times, latency_ns=list(range(rows)), syscall="read")
        for stage in self._stages.values():
            stage.process(batch)

    def look(self, tab: AnyTab, chosen: Chosen, view: Any = None) -> Look:
        """Look a quarter of a second later."""
        self.clock.ns += SECOND // 4
        return self._viewer.look(tab, view or tab.begin, chosen)

    def snapshot(self, name: str) -> Snapshot:
        stage = self._stages.get(name)  # the source answers nothing
        return stage and stage.snapshot()  # type: ignore[return-value]  # of any kind

    def ledger(self) -> Ledger:
        return ledger()

    def times(self) -> dict[str, NodeTimes]:
        return {}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each use of a filter asked for."""
    counts: list[int] = []
    ask = Predicate.__call__

    def counting(predicate: Predicate, batch: Batch) -> Any:
        counts.append(len(batch))
        return ask(predicate, batch)

    monkeypatch.setattr(Predicate, "__call__", counting)
    return counts


@pytest.mark.parametrize("tab", TABS, ids=lambda tab: tab.name)
def test_a_filter_looks_at_rows_once_and_again_when_others_come(
    tab: AnyTab, asked: list[int]
) -> None:
    watching = Watching()
    looks = [watching.look(tab, Chosen(SLOW)) for _ in range(10)]
    assert asked == [ROWS]
    assert {look.matched for look in looks} == {Matched(ROWS // 2, ROWS)}
    watching.come()
    assert watching.look(tab, Chosen(SLOW)).matched == Matched(ROWS, 2 * ROWS)
    assert sum(asked) == ROWS + 2 * ROWS


@pytest.mark.parametrize("tab", TABS, ids=lambda tab: tab.name)
def test_what_is_seen_while_nothing_comes_is_the_same(tab: AnyTab) -> None:
    watching = Watching()
    first = watching.look(tab, Chosen(SLOW))
    assert watching.look(tab, Chosen(SLOW)) == first


@pytest.mark.parametrize(
    ("other", "rows"),
    [
        (Chosen(FAST), ROWS),
        (Chosen(), 2 * ROWS),
        (Chosen(window=Window(10)), 2 * ROWS),
        (Chosen(SLOW, Window(10, 0)), ROWS // 2),
    ],
)
def test_whatever_else_is_chosen_is_seen(other: Chosen, rows: int) -> None:
    watching = Watching()
    watching.come()
    found = [watching.look(TABS[0], chosen).seen for chosen in (Chosen(SLOW), other) * 2]
    assert [table.rows[0][1] for table in found] == [ROWS, rows] * 2


def test_a_window_is_added_up_once_and_moves_when_calls_come(added: list[int]) -> None:
    watching = Watching()
    seen = []
    for _ in range(12):
        for _ in range(8):
            look = watching.look(TABS[0], Chosen(window=Window(10)))
        seen.append((look.seen.rows[0][1], look.matched))
        watching.come()
    calls = [min(second, 10) * ROWS for second in range(1, 13)]
    assert seen == [(n, Matched(n, n, by_second=True)) for n in calls]
    assert sum(added) == sum(calls)


def test_what_retained_rows_add_up_to_does_not_stay_with_them() -> None:
    watching, every = Watching(), compile_filter("latency >= 0ns")
    watching.come(SMALL)
    assert watching.look(TABS[0], Chosen(every)).seen.rows[0][1] == ROWS + SMALL
    (batch,) = watching.snapshot("stream").batches  # type: ignore[attr-defined]
    assert len(batch) == ROWS + SMALL
    assert not batch._shared
    assert grouped(batch) is not None
    assert batch._shared


def test_rows_are_let_go_of_by_many_looks_without_a_filter(asked: list[int]) -> None:
    watching = Watching()
    for chosen in (Chosen(SLOW), Chosen(), Chosen(SLOW)):
        watching.look(TABS[0], chosen)
    assert asked == [ROWS]
    for _ in range(30):
        watching.look(TABS[0], Chosen())
    watching.look(TABS[0], Chosen(SLOW))
    assert asked == [ROWS, ROWS]


def test_a_warning_is_seen_at_once_while_no_rows_come() -> None:
    watching, tab = Watching(), StreamTab()
    assert watching.look(tab, Chosen(SLOW)).seen.warned == ()
    note = Noted("look here", SECOND, row=ROWS)
    found = watching.look(tab, Chosen(SLOW, notes=(note,))).seen
    assert [warned.note for warned in found.warned] == [note]


def test_each_order_of_frames_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, ...]] = []
    add = Flamegraph.add

    def counting(stage: Flamegraph, groups: Any) -> None:
        made.append(tuple(stage.config.stack))
        add(stage, groups)

    watching, tab = Watching(), TABS[-1]
    monkeypatch.setattr(Flamegraph, "add", counting)
    for _ in range(3):
        for stack in (("comm",), ("syscall",)):
            found = watching.look(tab, Chosen(), FlameView(stack=stack)).seen
            assert found.stack == stack
    assert made == [("comm",), ("syscall",)]
