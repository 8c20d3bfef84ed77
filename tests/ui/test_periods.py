"""What is said of a filter: since when it decides what comes, and which hole it leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from emulated import Person, picture
from msgspec.structs import replace
from test_app import STREAM, live, pipeline
from test_frame import lines
from test_state import after, running
from test_switches import seen

from ior.pipeline.ledger import Ledger, StageBooks
from ior.ui.events import PeriodBegun, PromptEdited, Tick
from ior.ui.keys import Action
from ior.ui.periods import MOST, Period, begun, filtered
from ior.ui.state import State
from ior.ui.tabs.switches import SwitchesView

pytestmark = pytest.mark.timeout(30)

SECOND = 10**9


def period(seconds: float, where: str = "", **more: object) -> PeriodBegun:
    at = int(seconds * SECOND)
    return PeriodBegun(Period(since_ns=at, latest_ns=at, where=where, **more))


def at(seconds: float) -> Tick:
    shown = picture(seconds)
    books = shown.ledger
    books.stages["view"] = replace(books.stages["pair"], filtered=1234)
    books.kernel["filtered_in_kernel"] = 1000
    return Tick(replace(shown, latest_ns=shown.now_ns))


def typed(where: str) -> tuple[object, ...]:
    return (Action.FILTER, PromptEdited(where), Action.ACCEPT)


def head(state: State) -> list[str]:
    return [line.strip() for line in lines(state)[3 : state.head_rows]]


def test_a_filter_says_since_when_nothing_else_comes_and_where() -> None:
    state = running(*typed("is_error"), period(12, "is_error", filtered=34, kernel=""), at(20))
    assert head(state)[1] == "since 0:12 nothing else comes; 2,200 filtered; not in the kernel"
    state = running(*typed("is_error"), period(12, "is_error", kernel="all of it"), at(20))
    assert head(state)[1].endswith("; 2,234 filtered; in the kernel: all of it")
    state = running(*typed("is_error"), period(12, "is_error"), at(20))
    assert head(state)[1].endswith("; 2,234 filtered")


def test_the_hole_of_a_filter_is_said_while_it_is_in_what_is_shown() -> None:
    state = running(period(12, "is_error"), period(40), at(45))
    assert head(state) == ["0:12 to 0:40 only is_error"]
    assert len(lines(state)) == state.rows
    within = after(Action.WINDOW, at(46), state=state)
    assert head(within)[0] == "0:12 to 0:40 only is_error"
    later = after(at(60), state=within)
    assert head(later)[0].startswith("window 10 s")
    assert head(after(Action.LIVE, at(61), state=later)) == ["0:12 to 0:40 only is_error"]
    back = after(*[Action.EARLIER] * 3, at(61), state=later)
    assert "only is_error" in head(back)[0]


def test_more_holes_than_one_are_counted_and_listed_with_o() -> None:
    events = (period(1, "is_error"), period(2), period(3, switched="off read"), period(4), at(5))
    state = running(*events)
    assert head(state) == ["0:01 to 0:04 not everything: 2 changes (o)"]
    state = after(Action.SWITCHES, seen(read=3), state=state)
    assert state.over is not None
    assert isinstance(state.over.view, SwitchesView)
    assert len(state.over.view.periods) == 4


def test_the_list_says_what_was_let_through_when() -> None:
    state = running(period(1, "is_error", kernel="all of it", epoch=3), period(2), at(5))
    state = after(Action.SWITCHES, seen(read=3), state=state)
    found = [line.strip() for line in lines(state)]
    assert "0:01 filter_epoch 3; 0 filtered; only is_error; in the kernel: all of it" in found
    assert "0:02 everything" in found


def test_a_row_that_several_stages_left_out_counts_once() -> None:
    stages = {
        "pair": StageBooks(in_=100, out={"out": 100}),
        "view": StageBooks(in_=100, out={"out": 60}, filtered=40),
        "stats": StageBooks(in_=60, filtered=7, consumed=53),
        "stream": StageBooks(in_=60, filtered=5, consumed=55),
    }
    kernel = {"filtered_in_kernel": 1000}
    found = Ledger(closed=True, kernel=kernel, calls=100, stages=stages, edges={})
    assert filtered(found) == 1047


def test_a_great_many_changes_keep_the_first() -> None:
    periods: tuple[Period, ...] = ()
    for i in range(MOST + 50):
        periods = begun(periods, Period(since_ns=i))
    assert (len(periods), periods[0].since_ns, periods[-1].since_ns) == (MOST, 0, MOST + 49)


def test_a_filter_holds_from_now_on_and_its_hole_is_said(person: Person, tmp_path: Path) -> None:
    person.when("ior  the test", "2").when("read ", "f").when("filter:", "syscall == 'write'\r")
    person.when("nothing else comes", lambda: None)
    person.until(lambda: " filtered" in person.terminal.lines[4], "\x7f")
    person.when("only syscall == 'write'", "q")
    spec = pipeline(STREAM, source=GOING_ON)
    assert live(person, spec, ledger_path=tmp_path / "books.json") == 0
    assert "retained rows match" in person.saw[3][3]
    books = json.loads((tmp_path / "books.json").read_bytes())
    assert books["closed"] is True
    assert books["stages"]["view"]["filtered"] > 0


GOING_ON = "batches = 1000000\nends = false\npause_s = 0.002"


def test_no_kernel_is_spoken_of_where_none_is_traced(person: Person) -> None:
    person.when("ior  the test", "2").when("read ", "f").when("filter:", "is_error\r")
    person.when("nothing else comes", "o").when("only is_error", "q")
    assert live(person, pipeline(STREAM, source=GOING_ON)) == 0
    assert "kernel" not in "\n".join(person.saw[-2] + person.saw[-1])


def test_a_filter_that_holds_nothing_back_does_not_say_that_it_does(person: Person) -> None:
    report = '[stage.shown]\ntype = "report"\nof = "stats"\npath = "/dev/null"\n'
    person.when("ior  the test", "2").when("read ", "f").when("filter:", "is_error\r")
    person.when("not applied here", "o").when("[x] FS", "q")
    assert live(person, pipeline(report, source=GOING_ON)) == 0
    assert "comes" not in "\n".join(person.saw[-2])
    assert "only is_error" not in "\n".join(person.saw[-1])


def test_after_the_end_a_filter_changes_nothing_that_comes(person: Person) -> None:
    person.when("ended", "2").when("syscall ", "f").when("filter:", "is_error\r")
    person.when("rows match", "q")
    assert live(person, pipeline(STREAM)) == 0
    assert "nothing else comes" not in "\n".join(person.saw[-1])
