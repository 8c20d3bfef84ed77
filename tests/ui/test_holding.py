"""A picture that is held is of one moment, in every tab, and its rates are of that moment."""

from __future__ import annotations

from pathlib import Path

from emulated import ledger
from msgspec.structs import replace
from scenes import Turned, wired
from test_flame import after

from ior.pipeline.ledger import Ledger
from ior.pipeline.pace import NodeTimes
from ior.pipeline.spec import parse
from ior.snapshots import Snapshot
from ior.stages.stats import Stats, StatsConfig
from ior.stages.stream import Stream, StreamConfig
from ior.testing import calls
from ior.ui.events import Picture, Resized, Started, Tick
from ior.ui.keys import Action
from ior.ui.sight import Chosen
from ior.ui.state import State
from ior.ui.tabs.stats import SyscallsTab
from ior.ui.viewer import Viewer

SECOND = 1_000_000_000
EACH = 100  # calls a second


class Steady:
    """A run that has `EACH` reads in every second of its clock."""

    def __init__(self) -> None:
        self.clock = Turned(SECOND)
        self._stats, self._stream = Stats(StatsConfig()), Stream(StreamConfig())

    def go_on(self, seconds: int) -> None:
        batch = calls(syscall=["read"] * EACH * seconds)
        self._stats.process(batch)
        self._stream.process(batch)
        self.clock.ns += seconds * SECOND

    def snapshot(self, name: str) -> Snapshot:
        return self._stats.snapshot() if name == "stats" else self._stream.snapshot()

    def ledger(self) -> Ledger:
        return ledger()

    def times(self) -> dict[str, NodeTimes]:
        return {}


class Looker:
    """Somebody who looks at the syscalls of a steady run, a second after the other."""

    def __init__(self) -> None:
        self.run = Steady()
        self.viewer = Viewer(
            self.run, parse(wired("stats", "stream"), directory=Path(), label="x"), self.run.clock
        )
        self.tab = SyscallsTab("stats")

    def look(self, *, held: bool = False) -> tuple[int, float | None]:
        """Return the calls of the one row, and its rate."""
        self.run.go_on(1)
        table = self.viewer.look(self.tab, self.tab.begin, Chosen(), held=held).seen
        (row,) = table.rows
        names = [field.name for field in table.fields]
        return row[names.index("calls")], row[names.index("rate")]


def test_the_rate_after_a_pause_is_not_that_of_the_whole_pause_in_a_second() -> None:
    looker = Looker()
    looker.look()
    assert looker.look()[1] == EACH
    looker.viewer.hold()
    assert {looker.look(held=True) for _ in range(10)} == {(2 * EACH, EACH)}
    assert looker.look() == (13 * EACH, EACH)


def test_what_was_not_looked_at_before_is_held_as_well() -> None:
    looker = Looker()
    looker.run.go_on(1)
    looker.viewer.look(SyscallsTab("stream"), SyscallsTab.begin, Chosen())
    looker.viewer.hold()
    assert looker.look(held=True)[0] == EACH


def test_another_tab_does_not_show_an_older_moment_than_that_of_the_pause() -> None:
    looker, tabs = Looker(), (SyscallsTab("stats"), SyscallsTab("stats"))
    state = after(Resized(80, 24), Started(0, tabs), state=State(title="x"))
    for tab in (0, 1):
        state = replace(state, tab=tab)
        look = looker.viewer.look(tabs[tab], tabs[tab].begin, Chosen())
        state = after(Tick(Picture(look, ledger(), SECOND)), state=state)
    state = after(Action.PAUSE, state=state)
    assert [look is None for look in state.looks] == [True, False]


def test_a_rate_is_of_late_or_none() -> None:
    looker = Looker()

    def look(*, held: bool = False) -> float | None:
        rate = looker.look(held=held)[1]
        looker.viewer.picture(None)
        return rate

    assert [look() for _ in range(4)] == [None, EACH, EACH, EACH]
    for _ in range(10):  # another tab is in front
        looker.run.go_on(1)
        looker.viewer.picture(None)
    assert [look(), look()] == [None, EACH]
    looker.viewer.hold()
    assert {look(held=True) for _ in range(10)} == {EACH}
    assert [look(), look()] == [None, EACH]


def test_rare_pictures_have_rates_too() -> None:
    looker, rates = Looker(), []
    for _ in range(5):
        looker.run.go_on(9)
        rates.append(looker.look()[1])
        looker.viewer.picture(None)
    assert rates == [None, *[EACH] * 4]
