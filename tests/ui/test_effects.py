"""Every key in every tab does what its help says, on the screen or in what is asked for.

The keys come from the tables of keys: one without an effect here fails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import effects as do
import effects_drawn as drawn
import effects_shapes as shapes
import effects_stream as stream
import effects_switches as switch
import pytest
from effects import SPECIAL, Done, Effect
from msgspec.structs import replace
from scenes import NAMES, Seat, body, looked_at, opened, sequence

from ior.ui.events import Noted
from ior.ui.grid import key_count
from ior.ui.keys import Action, Key, Mode, active
from ior.ui.tabs.abc import AnyTab
from ior.ui.tabs.flame import FlameTab
from ior.ui.tabs.latency import LatencyTab
from ior.ui.tabs.overview import OverviewTab
from ior.ui.tabs.pipeline import PipelineTab
from ior.ui.tabs.stats import StatsTab
from ior.ui.tabs.stream import StreamTab
from ior.ui.tabs.switches import SwitchesTab
from ior.ui.tabs.table import TableTab
from ior.ui.tabs.texts import TextTab
from ior.ui.terms import joined
from ior.ui.wishes import Choose, CopyCommand, Edit, Propose, Redraw

Make = Callable[..., Seat]

EFFECTS: dict[tuple[type[Any] | None, Action], Effect] = {
    (None, Action.QUIT): do.leaves,
    (None, Action.HELP): do.helps,
    (None, Action.WARNINGS): do.shows_and_hides("0:29  something was warned of"),
    (None, Action.OUTPUT): do.shows_and_hides("the command said this"),
    (None, Action.FILTER): do.edits_the_filter,
    (None, Action.POP): do.takes_the_last_term_off,
    (None, Action.PAUSE): do.holds_the_picture,
    (None, Action.WINDOW): do.longer_windows,
    (None, Action.EARLIER): do.earlier,
    (None, Action.LATER): do.later,
    (None, Action.LIVE): do.live,
    (None, Action.NEXT_TAB): do.tab_to(1),
    (None, Action.PREVIOUS_TAB): do.tab_to(-1),
    (None, Action.TAB): do.tab_of_that_number,
    (None, Action.RECORD): do.starts_and_stops_a_recording,
    (None, Action.EXPORT): do.wishes(Propose("export")),
    (None, Action.EDIT): do.wishes(Edit()),
    (None, Action.COPY_COMMAND): do.wishes(CopyCommand()),
    (None, Action.REDRAW): do.wishes(Redraw()),
    (None, Action.PROCESSES): do.wishes(Choose(threads=False)),
    (None, Action.THREADS): do.wishes(Choose(threads=True)),
    (TableTab, Action.DRILL): do.drills_into_the_row,
    (TableTab, Action.SORT): do.sorts_by_the_next_column,
    (TableTab, Action.REVERSE): do.reverses,
    (TableTab, Action.COPY): do.copies_the_row,
    (TableTab, Action.SEARCH): do.searches_rows,
    (TableTab, Action.NEXT_MATCH): do.to_match(1),
    (TableTab, Action.PREVIOUS_MATCH): do.to_match(-1),
    (TableTab, Action.UP): do.rows_by(lambda _: -1),
    (TableTab, Action.DOWN): do.rows_by(lambda _: 1),
    (TableTab, Action.PAGE_UP): do.rows_by(lambda layout: -layout.page),
    (TableTab, Action.PAGE_DOWN): do.rows_by(lambda layout: layout.page),
    (TableTab, Action.FIRST): do.rows_by(lambda layout: -len(layout.grid.rows)),
    (TableTab, Action.LAST): do.rows_by(lambda layout: len(layout.grid.rows)),
    (TableTab, Action.LEFT): do.to_the_cell(-1),
    (TableTab, Action.RIGHT): do.to_the_cell(1),
    (StatsTab, Action.VIEW): shapes.goes_through_the_shapes,
    (StatsTab, Action.OPEN): shapes.opens,
    (StatsTab, Action.CLOSE): shapes.closes,
    (StatsTab, Action.ALL): shapes.opens_everything,
    (StatsTab, Action.GROUP): shapes.groups,
    (StatsTab, Action.METRIC): do.widths(4),
    (FlameTab, Action.DRILL): drawn.zooms,
    (FlameTab, Action.POP): drawn.undoes_the_zoom,
    (FlameTab, Action.METRIC): do.widths(5),
    (FlameTab, Action.VIEW): drawn.recolours,
    (FlameTab, Action.HEIGHT): drawn.heightens,
    (FlameTab, Action.SORT): drawn.another_order,
    (FlameTab, Action.REVERSE): drawn.types_an_order,
    (FlameTab, Action.COPY): drawn.copies_the_frame,
    (FlameTab, Action.SEARCH): drawn.searches,
    (FlameTab, Action.NEXT_MATCH): drawn.next_match(1),
    (FlameTab, Action.PREVIOUS_MATCH): drawn.next_match(-1),
    (FlameTab, Action.BASELINE): drawn.counts_from_now,
    (FlameTab, Action.UP): drawn.to_the_frame(drawn.is_parent),
    (FlameTab, Action.DOWN): drawn.to_the_frame(drawn.is_heaviest_child),
    (FlameTab, Action.LEFT): drawn.to_the_frame(drawn.is_beside(-1)),
    (FlameTab, Action.RIGHT): drawn.to_the_frame(drawn.is_beside(1)),
    (FlameTab, Action.PAGE_UP): drawn.frame_rows(-1),
    (FlameTab, Action.PAGE_DOWN): drawn.frame_rows(1),
    (FlameTab, Action.FIRST): drawn.root,
    (FlameTab, Action.LAST): drawn.last_row,
    (OverviewTab, Action.DRILL): drawn.drills_into_the_list,
    (OverviewTab, Action.METRIC): drawn.lists_by,
    (OverviewTab, Action.UP): drawn.in_list(0, -1),
    (OverviewTab, Action.DOWN): drawn.in_list(0, 1),
    (OverviewTab, Action.LEFT): drawn.in_list(-1, 0),
    (OverviewTab, Action.RIGHT): drawn.in_list(1, 0),
    (OverviewTab, Action.FIRST): drawn.in_list(0, None),
    (OverviewTab, Action.LAST): drawn.in_list(0, 10**6),
    (LatencyTab, Action.DRILL): drawn.filters_by_the_step,
    (LatencyTab, Action.MARK): drawn.begins_a_range,
    (LatencyTab, Action.METRIC): drawn.other_metric,
    (LatencyTab, Action.UP): drawn.on_step(lambda done: drawn.step_at(done.before) - 1),
    (LatencyTab, Action.DOWN): drawn.on_step(lambda done: drawn.step_at(done.before) + 1),
    (LatencyTab, Action.PAGE_UP): drawn.on_step(
        lambda done: max(
            int(done.before.layout.first), drawn.step_at(done.before) - int(done.before.layout.page)
        )
    ),
    (LatencyTab, Action.PAGE_DOWN): drawn.on_step(
        lambda done: min(
            drawn.last_step(done), drawn.step_at(done.before) + int(done.before.layout.page)
        )
    ),
    (LatencyTab, Action.FIRST): drawn.on_step(lambda done: int(done.before.layout.first)),
    (LatencyTab, Action.LAST): drawn.on_step(drawn.last_step),
    (None, Action.SWITCHES): do.shows_and_hides("[x] FS"),
    (None, Action.SAVED): do.shows_and_hides("no filter is saved"),
    (None, Action.NEXT_FAMILY): switch.another_family(0),
    (None, Action.PREVIOUS_FAMILY): switch.another_family(-1),
    (SwitchesTab, Action.TOGGLE): switch.toggles,
    (SwitchesTab, Action.SEARCH): switch.searches,
    (SwitchesTab, Action.RIGHT): switch.opens,
    (SwitchesTab, Action.LEFT): switch.hides,
    (SwitchesTab, Action.UP): switch.moves(lambda row, page, last: row - 1),
    (SwitchesTab, Action.DOWN): switch.moves(lambda row, page, last: row + 1),
    (SwitchesTab, Action.PAGE_UP): switch.moves(lambda row, page, last: row - page),
    (SwitchesTab, Action.PAGE_DOWN): switch.moves(lambda row, page, last: row + page),
    (SwitchesTab, Action.FIRST): switch.moves(lambda row, page, last: 0),
    (SwitchesTab, Action.LAST): switch.moves(lambda row, page, last: last),
    (SwitchesTab, Action.CANCEL): drawn.closes,
    (StreamTab, Action.PAUSE): stream.stops_to_select,
    (StreamTab, Action.DRILL): stream.filters_by_the_cell,
    (StreamTab, Action.VIEW): stream.shows_the_row_in_full,
    (StreamTab, Action.POP): stream.goes_back_to_the_list,
    (StreamTab, Action.CANCEL): stream.closes_the_row,
    (StreamTab, Action.SEARCH): stream.searches,
    (StreamTab, Action.NEXT_MATCH): stream.next_match(1),
    (StreamTab, Action.PREVIOUS_MATCH): stream.next_match(2299),
    (StreamTab, Action.COPY): stream.copies_the_row,
    (StreamTab, Action.UP): stream.on_row(lambda row, page: row - 1),
    (StreamTab, Action.DOWN): stream.on_row(lambda row, page: row + 1),
    (StreamTab, Action.PAGE_UP): stream.on_row(lambda row, page: row - page),
    (StreamTab, Action.PAGE_DOWN): stream.on_row(lambda row, page: row + page),
    (StreamTab, Action.FIRST): stream.on_row(lambda row, page: 1),
    (StreamTab, Action.LAST): stream.on_row(lambda row, page: stream.ROWS),
    (StreamTab, Action.LEFT): stream.on_cell(-1),
    (StreamTab, Action.RIGHT): stream.on_cell(1),
    (TextTab, Action.UP): drawn.scrolls(lambda top, page, last: top - 1),
    (TextTab, Action.DOWN): drawn.scrolls(lambda top, page, last: top + 1),
    (TextTab, Action.PAGE_UP): drawn.scrolls(lambda top, page, last: top - page),
    (TextTab, Action.PAGE_DOWN): drawn.scrolls(lambda top, page, last: top + page),
    (TextTab, Action.FIRST): drawn.scrolls(lambda top, page, last: 0),
    (TextTab, Action.LAST): drawn.scrolls(lambda top, page, last: last),
    (TextTab, Action.CANCEL): drawn.closes,
}
"""What a key does by its help, of a kind of tab or anywhere (None)."""


def two_terms(sitting: Seat) -> None:
    """Filter by two terms, as by drilling in twice."""
    terms = ("is_error", 'comm == "nginx"')
    sitting.state = replace(sitting.state, terms=terms, where=joined(terms))
    sitting.tick()


BEFORE: dict[tuple[type[Any] | None, Action], tuple[Any, ...]] = {
    (None, Action.POP): (two_terms,),
    (None, Action.LATER): (",", ","),
    (None, Action.LIVE): ("W",),
    (StatsTab, Action.METRIC): ("v", "v"),
    (StatsTab, Action.OPEN): ("v", *shapes.all_closed),
    (StatsTab, Action.CLOSE): ("v", *shapes.all_closed, "+"),
    (StatsTab, Action.ALL): ("v", *shapes.all_closed),
    (FlameTab, Action.DRILL): ("down",),
    (FlameTab, Action.POP): ("f", "is_error", "enter", "down", "enter"),
    (FlameTab, Action.COPY): ("down", "down"),
    (FlameTab, Action.NEXT_MATCH): ("/", "part2", "enter"),
    (FlameTab, Action.PREVIOUS_MATCH): ("/", "part2", "enter", "n"),
    (FlameTab, Action.UP): ("down", "right", "down"),
    (FlameTab, Action.DOWN): ("down",),
    (FlameTab, Action.LEFT): ("down", "right"),
    (FlameTab, Action.RIGHT): ("down",),
    (FlameTab, Action.PAGE_UP): ("G",),
    (FlameTab, Action.FIRST): ("down", "down"),
    (OverviewTab, Action.UP): ("down",),
    (OverviewTab, Action.LEFT): ("right",),
    (OverviewTab, Action.FIRST): ("down",),
    (LatencyTab, Action.MARK): ("g",),
    **{(LatencyTab, action): ("G",) for action in (Action.UP, Action.PAGE_UP, Action.FIRST)},
    **{(LatencyTab, action): ("g",) for action in (Action.DOWN, Action.PAGE_DOWN, Action.LAST)},
    (StreamTab, Action.DRILL): ("space", "right"),
    (StreamTab, Action.POP): (two_terms, "v"),
    (StreamTab, Action.CANCEL): (two_terms, "v"),
    (StreamTab, Action.NEXT_MATCH): ("/", "nginx", "enter"),
    (StreamTab, Action.PREVIOUS_MATCH): ("/", "nginx", "enter"),
    **{(StreamTab, action): ("g",) for action in (Action.DOWN, Action.PAGE_DOWN, Action.LAST)},
    (StreamTab, Action.LEFT): ("space", "right"),
    (StreamTab, Action.RIGHT): ("space",),
    (TableTab, Action.NEXT_MATCH): ("/", ".", "enter"),
    (TableTab, Action.PREVIOUS_MATCH): ("/", ".", "enter"),
    (TableTab, Action.UP): ("down", "down"),
    (TableTab, Action.PAGE_UP): ("G",),
    (TableTab, Action.FIRST): ("G",),
    (TableTab, Action.LEFT): ("right",),
    (SwitchesTab, Action.LEFT): ("right",),
    **{(SwitchesTab, action): ("G",) for action in (Action.UP, Action.PAGE_UP, Action.FIRST)},
    **{(TextTab, action): ("G",) for action in (Action.UP, Action.PAGE_UP, Action.FIRST)},
}
"""The keys that come before, so that there is something to do."""


def found(
    table_: dict[tuple[type[Any] | None, Action], Any], kind: type[Any], action: Action
) -> Any:
    """Return what stands in a table for the most special kind of tab."""
    kinds = [*kind.__mro__, *((TableTab,) if kind is PipelineTab else ()), None]
    return next((table_[one, action] for one in kinds if (one, action) in table_), None)


def lines_in(mode: Mode, keys: tuple[Key, ...]) -> list[tuple[Action, str]]:
    """Return what each key that holds means."""
    meant: dict[str, Action] = {}
    for line in active(mode, keys):
        for name in line.keys:
            meant.setdefault(name, line.action)
    return [(action, name) for name, action in meant.items()]


def means_something(tab: AnyTab, action: Action) -> bool:
    """Return whether there is enough in a tab for a key to have an effect."""
    if not isinstance(tab, TableTab):
        return True
    table = looked_at(tab)
    moves = (Action.UP, Action.DOWN, Action.PAGE_UP, Action.PAGE_DOWN, Action.FIRST, Action.LAST)
    if action in (Action.LEFT, Action.RIGHT):
        return len(table.fields) - key_count(table.fields) > 1
    if action in (*moves, Action.REVERSE, Action.NEXT_MATCH, Action.PREVIOUS_MATCH):
        return len(table.rows) > 1
    return len(table.rows) > 0 or action not in (Action.DRILL, Action.COPY, Action.SEARCH)


IN_TABS = [
    (tab.name, type(tab), action, name)
    for tab in opened()
    for action, name in lines_in(Mode.TAB, tab.keys)
    if means_something(tab, action) and (action is not Action.TAB or int(name) <= len(NAMES))
]


def named(value: object) -> str:
    return value if isinstance(value, str) and not isinstance(value, Action) else ""


@pytest.mark.parametrize(("tab", "kind", "action", "name"), IN_TABS, ids=named)
def test_a_key_in_a_tab(seat: Make, tab: str, kind: type[Any], action: Action, name: str) -> None:
    check(seat(tab), kind, action, name)


IN_SHAPES = [
    (tab.name, shape, action, name)
    for tab in opened()
    if isinstance(tab, StatsTab)
    for shape in shapes.SHAPES[1:]
    for action, name in lines_in(Mode.TAB, tab.keys)
    if action in {line.action for line in tab.keys}
    if (StatsTab, action) not in EFFECTS or (shape, action) in shapes.IN_SHAPES
]


@pytest.mark.parametrize(("tab", "shape", "action", "name"), IN_SHAPES, ids=named)
def test_a_key_in_a_table_of_another_shape(
    seat: Make, tab: str, shape: str, action: Action, name: str
) -> None:
    sitting = seat(tab)
    sitting.show(*"v" * shapes.SHAPES.index(shape))
    effect = shapes.IN_SHAPES.get((shape, action))
    assert effect is not None, f"nothing says what {name} does in a {shape}"
    pressed(sitting, shapes.BEFORE.get((shape, action), ()), effect, name)


OPENS = {"?": Action.HELP, "w": Action.WARNINGS, "O": Action.OUTPUT, "o": Action.SWITCHES}
OVERS = [
    (key, action, name)
    for key in OPENS
    for action, name in lines_in(Mode.OVER, (SwitchesTab if key == "o" else TextTab).keys)
]


@pytest.mark.parametrize(("key", "action", "name"), OVERS, ids=named)
def test_a_key_in_what_stands_in_a_tabs_place(
    seat: Make, key: str, action: Action, name: str
) -> None:
    sitting = seat("Flame", (60, 15))
    for i in range(40):
        sitting.dispatch(Noted(f"warning {i}", 0))
        sitting.tail.feed(b"more %d\n" % i)
    sitting.show(key)
    if action in (*OPENS.values(), Action.SAVED):
        kept = sitting.state.over
        sitting.show(sequence(name))
        assert kept is not None
        assert (sitting.state.over is None) == (action is OPENS[key])
        return
    if action is Action.FILTER:
        sitting.show(sequence(name))
        assert (sitting.state.over, sitting.state.mode) == (None, Mode.PROMPT)
        return
    sitting.tick()
    if action in (Action.DOWN, Action.PAGE_DOWN, Action.LAST):
        sitting.show("g")
    check(sitting, SwitchesTab if key == "o" else TextTab, action, name)


@pytest.mark.parametrize(("action", "name"), lines_in(Mode.PROMPT, ()), ids=named)
def test_a_key_in_a_prompt(seat: Make, action: Action, name: str) -> None:
    sitting = seat("Flame")
    sitting.show("f", "is_error", sequence(name))
    state = sitting.state
    if action is Action.QUIT:
        assert (state.quits, state.prompt is None) == (1, False)
    elif action is Action.ACCEPT:
        assert (state.terms, state.prompt) == (("is_error",), None)
    elif action in (Action.COMPLETE, Action.COMPLETE_BEFORE):
        assert state.prompt is not None  # what is proposed is tested in test_completing.py
    elif action is Action.REDRAW:
        assert state.prompt is not None
    else:
        assert (action, state.terms, state.prompt) == (Action.CANCEL, (), None)


def check(sitting: Seat, kind: type[Any], action: Action, name: str) -> None:
    """Press the key, and look for its effect."""
    effect = found(EFFECTS, kind, action)
    assert effect is not None, f"nothing says what {name} does in {kind.__name__}"
    pressed(sitting, found(BEFORE, kind, action) or (), effect, name)


def pressed(sitting: Seat, before_: Sequence[Any], effect: Effect, name: str) -> None:
    """Press what comes before and the key, and look for its effect."""
    first: list[str] = []
    for key in before_:
        if isinstance(key, str):
            first.append(sequence(key) if key in SPECIAL else key)
        else:
            key(sitting)
    sitting.show(*first, sequence(name))
    before, cells = sitting.before
    effect(Done(sitting, body(before, cells), before, name))
