"""Families and syscalls that are switched off and on: values, keys, screens and the books."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from emulated import SIZES, Person, Stand, picture, tick
from test_app import HERE, STREAM, live, pipeline
from test_frame import lines
from test_state import after, running

from ior import syscalls
from ior.errors import IorError
from ior.pipeline.spec import parse
from ior.text import width
from ior.ui.app import ViewOptions
from ior.ui.errands import equivalent_terms
from ior.ui.events import Event, Look, Picture, PromptEdited, Resized, Tick
from ior.ui.keys import SCROLL, Action
from ior.ui.nodes import looked_at
from ior.ui.selecting import gated
from ior.ui.state import State
from ior.ui.switches import Switches, families
from ior.ui.tabs.switches import Counted, SwitchesView

pytestmark = pytest.mark.timeout(30)

FS = families()["FS"]


def seen(**calls: int) -> Tick:
    return Tick(Picture(Look(Counted(calls)), picture().ledger, 10**9))


def opened(*events: Event | Action, **calls: int) -> State:
    return after(seen(**(calls or {"read": 7, "write": 30, "sendto": 2})), *events, state=over())


def over() -> State:
    return running(Action.SWITCHES)


def view(state: State) -> SwitchesView:
    assert state.over is not None
    assert isinstance(state.over.view, SwitchesView)
    return state.over.view


def row(state: State, name: str) -> str:
    return next(line for line in lines(state) if re.match(rf" \[.\] +{name} ", line))


def test_a_family_goes_off_as_a_whole_and_comes_back_as_it_was() -> None:
    numbers = frozenset({syscalls.table().nr("read"), syscalls.table().nr("openat")})
    first = Switches.tracing(numbers)
    assert first.numbers == numbers
    assert (first.words(), first.where) == ("", "")
    off = first.toggled(FS)
    assert off.numbers == frozenset()
    assert off.words() == "off FS"
    assert off.where == 'syscall not in ["openat", "read"]'
    assert off.toggled(FS) == first
    on = first.toggled(families()["Network"])
    assert on.words() == "on Network"
    assert on.numbers > numbers
    assert on.where == ""


def test_whole_families_are_said_by_their_name() -> None:
    switches = Switches().toggled(FS).toggled(frozenset({"sendto"}))
    assert switches.words() == "off FS, sendto"
    assert "FS" not in switches.families
    assert "Network" in switches.families


def test_the_view_lists_families_with_counts_and_toggles_them() -> None:
    state = opened()
    whole = len(FS)
    assert re.search(rf"\[x\] FS +{whole} of {whole} +37 ", row(state, "FS"))
    down = [Action.DOWN] * list(families()).index("FS")
    state = after(*down, Action.TOGGLE, state=state)
    assert state.switches.off == FS
    assert re.search(rf"\[ \] FS +0 of {whole} +37 ", row(state, "FS"))
    assert any("off FS" in line for line in lines(state)[:5])
    state = after(Action.TOGGLE, state=state)
    assert state.switches == Switches()


def test_a_family_is_opened_and_one_syscall_is_toggled() -> None:
    down = [Action.DOWN] * list(families()).index("FS")
    state = opened(*down, Action.RIGHT, Action.DOWN, Action.TOGGLE)
    first = min(FS)
    assert state.switches.off == {first}
    assert "[-]" in row(state, "FS")
    state = after(Action.LEFT, state=state)
    assert view(state).opened == frozenset()
    assert view(state).cursor == list(families()).index("FS")
    assert after(Action.LEFT, Action.RIGHT, Action.RIGHT, state=state).over is not None


def test_syscalls_are_searched_by_name() -> None:
    state = opened(Action.SEARCH, PromptEdited("^read$"), Action.ACCEPT)
    assert re.search(r"\[x\] read +on +7   FS", row(state, "read"))
    state = after(Action.TOGGLE, state=state)
    assert state.switches.off == {"read"}
    bad = after(Action.SEARCH, PromptEdited("re(ad"), Action.ACCEPT, state=state)
    assert bad.prompt is not None
    assert "no regular expression" in bad.prompt.error
    none = after(Action.SEARCH, PromptEdited("nosuch"), Action.ACCEPT, state=state)
    assert any("no syscall is called so" in line for line in lines(none))
    assert after(Action.TOGGLE, state=none).switches == state.switches
    state = after(Action.CANCEL, state=state)  # first out of the search, then out of the view
    assert view(state).pattern == ""
    assert after(Action.CANCEL, state=state).over is None
    assert after(Action.SWITCHES, state=state).over is None


@pytest.mark.parametrize("key", SCROLL)
def test_the_cursor_stays_in_sight(key: object) -> None:
    state = opened(Resized(60, 15), Action.RIGHT, *[key.action] * 30)  # type: ignore[attr-defined]
    at = view(state)
    assert at.top <= at.cursor <= at.top + state.body_rows
    assert len(lines(state)) == 15


@pytest.mark.parametrize("size", SIZES)
def test_lines_are_as_wide_as_the_terminal(
    stand: Callable[[int, int, State], Stand], size: tuple[int, int]
) -> None:
    made = stand(*size, after(Resized(*size), state=opened()))
    found = made.show("l", "j", " ", "/", "readl\r")
    assert all(width(line) == size[0] for line in found)
    assert len(found) == size[1]
    if size[0] >= 40:
        assert "readlinkat" in "\n".join(found)
        assert made.state.switches.off == {min(families()["AIO"])}


def test_without_a_stats_stage_nothing_is_counted() -> None:
    state = after(Tick(Picture(Look(Counted(None)), picture().ledger, 10**9)), state=over())
    assert row(state, "FS").split()[-1] == str(len(FS))


def test_brackets_step_through_the_families_that_are_on() -> None:
    state = running(Action.NEXT_FAMILY)
    first, *_, last = families()
    assert state.family == first
    assert state.where is not None
    assert state.where.source == f'family == "{first}"'
    assert any(f"family {first}" in line for line in lines(state))
    assert after(Action.PREVIOUS_FAMILY, state=state).where is None
    assert after(Action.PREVIOUS_FAMILY, Action.PREVIOUS_FAMILY, state=state).family == last
    state = after(tick(None, 1), *[Action.NEXT_FAMILY] * len(families()), state=state)
    assert (state.family, state.where) == ("", None)
    filtered = running(Action.FILTER, PromptEdited("is_error"), Action.ACCEPT, Action.NEXT_FAMILY)
    assert filtered.where is not None
    assert filtered.where.source == f'(is_error) and (family == "{first}")'
    assert any(f" is_error  family {first}" in line for line in lines(filtered))
    assert after(Action.POP, state=filtered).terms == ("is_error",)
    assert after(Action.POP, Action.POP, state=filtered).where is None
    prompt = after(Action.FILTER, state=filtered).prompt
    assert prompt is not None
    assert prompt.text == "is_error"


SINKS = """\
version = 1
[stage.made]
use = "own_nodes.py:Made"
[stage.slow]
type = "filter"
inputs = "made"
where = "latency >= 1ms"
[stage.stats]
type = "stats"
inputs = "made"
[stage.flame]
type = "flamegraph"
inputs = "made"
[stage.live]
type = "stream"
inputs = "slow"
[stage.shown]
type = "stats"
inputs = "made"
[stage.report]
type = "report"
of = ["shown"]
[stage.csv]
type = "csv"
inputs = "made"
path = "x.csv"
"""


def test_filters_stand_in_front_of_the_view_and_of_nothing_that_is_written() -> None:
    spec = parse(SINKS, directory=HERE, label="test.toml")
    made, gates = gated(spec, looked_at(spec))
    inputs = {name: node.inputs for name, node in made.nodes.items()}
    assert gates == ("view", "view2")
    assert inputs["stats"] == inputs["flame"] == ("view",)
    assert inputs["live"] == ("view2",)
    assert (inputs["view"], inputs["view2"]) == (("made",), ("slow",))
    assert inputs["shown"] == inputs["csv"] == ("made",)


def counts(person: Person) -> dict[str, int]:
    """The calls of each syscall that the view of switches lists now."""
    found = (re.match(r" \[.\] (\w+) +\w+ +([0-9,]+) ", line) for line in person.terminal.lines)
    return {row[1]: int(row[2].replace(",", "")) for row in found if row}


def test_what_is_switched_off_is_not_shown_again_and_booked(person: Person, tmp_path: Path) -> None:
    then: dict[str, int] = {}

    def goes_on() -> bool:
        now = counts(person)
        return now.get("write", 0) > then["write"] + 20_000

    person.when("read ", "o").when("AIO", "/").when("syscalls: ", "^(read|write)$\r")
    person.when("[x] read", " ").when("[ ] read", lambda: then.update(counts(person)))
    person.until(goes_on, lambda: then.update(later=counts(person)["read"])).when("off read", "q")
    spec = pipeline(STREAM, source="batches = 1000000\nends = false\npause_s = 0.002")
    assert live(person, spec, ledger_path=tmp_path / "books.json") == 0
    assert then["later"] == then["read"] > 0
    books = json.loads((tmp_path / "books.json").read_bytes())
    assert books["closed"] is True
    view = books["stages"]["view"]
    assert view["filtered"] > 13_000
    assert view["in"] == view["filtered"] + view["out"]["out"]


def test_the_equivalent_command_line_leaves_out_what_is_off(person: Person) -> None:
    person.when("read ", "o").when("AIO", "/").when("syscalls: ", "^read$\r")
    person.when("[x] read", " ").when("off read", "oY").when("copied: ", "q")
    options = ViewOptions(command_line=lambda terms: f"ior run {terms}")
    spec = pipeline(STREAM, source="ends = false")
    assert live(person, spec, options=options) == 0
    screen = "\n".join(person.saw[-1])
    assert """copied: ior run ('syscall not in ["read"]',)""" in screen


def test_there_is_no_command_line_for_what_was_switched_on() -> None:
    switched = Switches(off=frozenset(), at_first=frozenset({"read"}))
    with pytest.raises(IorError, match="on read since the run began"):
        equivalent_terms(State(title="x", switches=switched, terms=("is_error",)))
    assert equivalent_terms(State(title="x", terms=("is_error",))) == ("is_error",)
