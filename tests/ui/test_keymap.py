"""Every key of every tab: it is bound, it does something or says why not, and lines stay whole."""

from __future__ import annotations

from typing import Any

import pytest
import test_flame
import test_latency
import test_overview
import test_pipeline
import test_state
import test_stream_tab
from emulated import SIZES
from test_flame import lines

from ior.text import width
from ior.ui.events import PromptEdited
from ior.ui.keys import KEYS, Key, Mode, pressed
from ior.ui.reducer import reduce
from ior.ui.state import State
from ior.ui.tabs.catalogue import every_key
from ior.ui.tabs.flame import FlameTab
from ior.ui.tabs.latency import LatencyTab
from ior.ui.tabs.overview import OverviewTab
from ior.ui.tabs.pipeline import PipelineTab
from ior.ui.tabs.stream import StreamTab
from ior.ui.tabs.table import TableTab

KINDS: dict[str, tuple[Any, tuple[Key, ...]]] = {
    "Flame": (test_flame.showing, FlameTab.keys),
    "Overview": (test_overview.showing, OverviewTab.keys),
    "Latency": (test_latency.showing, LatencyTab.keys),
    "Pipeline": (test_pipeline.busy, PipelineTab.keys),
    "Stream": (test_stream_tab.showing, StreamTab.keys),
    "tables": (test_state.running, TableTab.keys),
}
GENERAL = [line for line in KEYS if Mode.TAB in line.modes]
OWN = [(kind, line, name) for kind, (_, own) in KINDS.items() for line in own for name in line.keys]
ANYWHERE = [(kind, line, name) for kind in KINDS for line in GENERAL for name in line.keys]


def placed(kind: str) -> State:
    """A tab with its cursor somewhere in the middle, so that every way is free."""
    state: State = KINDS[kind][0]()
    for name in ("down", "right", "down", "down"):
        event = pressed(name, state.keys)
        state = state if event is None else reduce(state, event)
    return state


@pytest.mark.parametrize(("kind", "line", "name"), OWN)
def test_a_key_of_a_tab_does_something(kind: str, line: Key, name: str) -> None:
    state = placed(kind)
    event = pressed(name, state.keys)
    assert event is not None
    assert event.action == line.action
    assert name in every_key()
    after = reduce(state, event)
    if name not in ("backspace", "F", "escape"):  # nothing to go back from
        assert after != state
    assert {width(text) for text in lines(after)} == {state.columns}


@pytest.mark.parametrize(("kind", "line", "name"), ANYWHERE)
def test_a_general_key_holds_in_every_tab(kind: str, line: Key, name: str) -> None:
    state = placed(kind)
    event = pressed(name, state.keys)
    assert event is not None
    own = {key for own in KINDS[kind][1] for key in own.keys}
    assert name in own or event.action == line.action
    assert {width(text) for text in lines(reduce(state, event))} == {state.columns}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_every_tab_paused_filtered_and_without_a_picture(kind: str, size: tuple[int, int]) -> None:
    make = KINDS[kind][0]
    state = make(size=size) if kind != "tables" else make()
    for name, text in (("space", None), ("f", "is_error"), ("enter", None)):
        event = pressed(name, state.keys)
        assert event is not None
        state = reduce(state, event)
        if text is not None:
            state = reduce(state, PromptEdited(text))
    assert (state.paused, state.terms) == (True, ("is_error",))
    assert {width(text) for text in lines(state)} == {state.columns}
