"""The Pipeline tab: the graph, and under it the calls that have not returned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from emulated import SIZES, Person, Stand, ledger
from test_flame import after, lines
from test_flow import books, times

from ior.pipeline.spec import parse
from ior.text import width
from ior.ui.app import run_tui
from ior.ui.events import Event, Look, Resized, Started, Tick
from ior.ui.events import Picture as Taken
from ior.ui.flow import Flow
from ior.ui.keys import Action
from ior.ui.state import State
from ior.ui.tabs.pipeline import Picture, PipelineTab, PipelineView, waiting
from ior.waiting import Earlier, InFlight, Waiting

SECOND = 1_000_000_000
WAITS = (
    Waiting(90 * SECOND, 812, 816, "nginx", "read", 5, "pipe:[90002]"),
    Waiting(7 * SECOND, 1044, 1047, "postgres", "fdatasync", 9, "/var/lib/pg_wal/0003"),
    Waiting(20_000, 1044, 1045, "postgres", "openat", -1, ""),
)


def seen(*calls: Waiting) -> Picture:
    graph = Flow().table_of(0, books(1000), times((10, 0, 0), (10, 0)))
    return Picture(graph, waiting(InFlight(calls)))


def showing(
    *events: Event | Action,
    size: tuple[int, int] = (80, 24),
    picture: Picture | None = None,
) -> State:
    shown = seen(*WAITS) if picture is None else picture
    state = after(Resized(*size), Started(0, (PipelineTab(),)), state=State(title="x"))
    return after(Tick(Taken(Look(shown), ledger(), SECOND)), *events, state=state)


def busy(size: tuple[int, int] = (80, 24)) -> State:
    """More calls than have room, the cursor among them."""
    return showing(size=size, picture=seen(*WAITS * 30))


def view(state: State) -> PipelineView:
    assert state.front is not None
    assert isinstance(state.front.view, PipelineView)
    return state.front.view


def test_calls_in_flight_stand_under_the_graph_oldest_first() -> None:
    found = lines(showing())
    assert found[0].split()[:4] == ["stage", "or", "edge", "rows/s"]
    assert found[4].strip() == "in flight 3 not returned, the oldest after 90.0 s"
    assert found[5].split()[:4] == ["pid", "tid", "comm", "age"]
    assert [row.split()[1] for row in found[6:9]] == ["816", "1047", "1045"]
    assert found[6].split()[:4] == ["812", "816", "nginx", "90.0"]
    assert found[7].split()[-2:] == ["fdatasync", "…ib/pg_wal/0003"]


def test_enter_filters_by_whose_call_it_is() -> None:
    assert showing(Action.DRILL).terms == ("pid == 812",)
    assert showing(Action.DOWN, Action.DRILL).terms == ("pid == 1044",)
    state = showing(Action.UP, Action.DRILL)
    assert state.terms == ()
    assert state.message is not None
    assert "no filter" in state.message.message


def test_the_cursor_goes_from_one_table_to_the_other() -> None:
    state = showing(Action.UP)
    assert (view(state).below, view(state).graph.cursor) == (False, 0)
    state = after(Action.LAST, state=state)
    assert (view(state).below, view(state).graph.cursor) == (False, 2)
    state = after(Action.DOWN, Action.DOWN, state=state)
    assert (view(state).below, view(state).waiting.cursor) == (True, 1)


def test_it_is_said_that_every_call_has_returned() -> None:
    found = lines(showing(picture=seen()))
    assert found[4].strip() == "every call has returned"
    assert not found[5].strip()
    assert view(showing(Action.DOWN, picture=seen())).graph.cursor == 1


def test_calls_from_before_the_trace_come_first_and_have_no_age() -> None:
    hung = Earlier(77, 78, "cat", "read", 0, "/mnt/nfs/x", deaf=True)
    graph = seen().graph
    found = lines(showing(picture=Picture(graph, waiting(InFlight(WAITS, (hung,))))))
    said = "in flight 4 not returned: 1 begun before the trace, others up to 90.0 s"
    assert found[4].strip() == said
    assert found[6].split() == ["77", "78", "cat", "read", "/mnt/nfs/x"]
    assert [row.split()[1] for row in found[7:10]] == ["816", "1047", "1045"]
    alone = lines(showing(picture=Picture(graph, waiting(InFlight((), (hung,))))))
    assert alone[4].strip() == "in flight 1 not returned: 1 begun before the trace"


def test_without_a_source_that_knows_there_is_the_graph_alone() -> None:
    found = lines(showing(picture=Picture(seen().graph)))
    assert not any(line.strip() for line in found[4:])


def test_the_table_with_the_cursor_is_exported() -> None:
    for state, heading in ((showing(), "pid,tid,comm"), (showing(Action.UP), "stage or edge")):
        front = state.front
        assert front is not None
        assert "".join(front.tab.export(front.view, state.layout)).startswith(heading)


def test_where_there_is_little_room_each_table_gets_half() -> None:
    many = seen(*WAITS * 30)
    found = lines(showing(size=(80, 15), picture=many))
    assert [line.split()[1] for line in found[6:10]] == ["816", "1047", "1045", "816"]
    assert found[4].strip().startswith("in flight 90 not returned")
    assert lines(showing(size=(80, 12), picture=many))[0].strip().startswith("in flight 90")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("calls", [WAITS, (), WAITS * 40])
def test_lines_are_as_wide_as_the_terminal(
    size: tuple[int, int], calls: tuple[Waiting, ...]
) -> None:
    for action in (Action.UP, Action.DOWN, Action.LAST, Action.RIGHT, Action.SORT):
        state = showing(action, size=size, picture=seen(*calls))
        assert {width(line) for line in lines(state)} == {size[0]}


def test_a_demonstration_has_calls_that_do_not_return(person: Person) -> None:
    text = (
        'version = 1\n[stage.made]\ntype = "synthetic"\nrate = 5000\n[stage.pair]\ntype = "pair"\n'
        'inputs = "made"\n[stage.stats]\ntype = "stats"\ninputs = "pair"\n'
    )
    person.when("lost 0", "6").when("fdatasync", "\r").when("pid == 1044", "q")
    spec = parse(text, directory=Path(), label="demo")
    left = run_tui(spec, refresh_ms=20, input=person.keyboard, output=person.terminal.output)
    assert left.code == 0
    assert any("1047  postgres" in line for line in person.saw[1])


def test_a_screen_of_it(stand: Callable[[int, int, State], Stand]) -> None:
    found = stand(80, 24, showing()).show()
    assert found[7].startswith(" in flight 3 not returned")
    assert found[9].split()[:3] == ["812", "816", "nginx"]
