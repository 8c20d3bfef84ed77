"""The one function that changes the state.

`reduce(state, event)` is pure: no clock, no screen, no graph. Here is what keys, ticks and
messages mean everywhere; what is a tab's alone goes to the tab, which answers with a `Step`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from ior.errors import FilterError
from ior.ui import filtering, overlays, writing
from ior.ui.events import (
    Asked,
    Ended,
    Event,
    Faded,
    FiltersRead,
    Look,
    PeriodBegun,
    Picture,
    PromptEdited,
    Recording,
    Resized,
    Started,
    Tick,
    Unbound,
)
from ior.ui.keys import Action, Mode, Pressed
from ior.ui.notes import Noted, Said, latest
from ior.ui.periods import begun
from ior.ui.rates import Mark, recent
from ior.ui.state import Phase, Prompt, State, said
from ior.ui.tabs.abc import Answered, Clicked, Step, View, WrongAnswer
from ior.ui.tabs.saved import Saved
from ior.ui.unmeant import idle, unbound
from ior.ui.window import Window
from ior.ui.wishes import Choose, Copy, CopyCommand, Edit, Redraw, Wish

MESSAGE_NS = 10_000_000_000  # how long a message stays on its line
NOTES = 200  # messages that the Warnings view keeps


def reduce(state: State, event: Event) -> State:
    """Return the state after `event`."""
    return _arranged(state, _reduced(state, event))


def _reduced(state: State, event: Event) -> State:
    match event:
        case Tick(picture):
            return _seen(state, picture)
        case Started(now_ns, tabs):
            views = tuple(tab.begin for tab in tabs)
            looks: tuple[Look | None, ...] = (None,) * len(tabs)
            state = replace(state, phase=Phase.RUNNING, started_ns=now_ns)
            return replace(state, tabs=tabs, tab=0, views=views, looks=looks)
        case Ended(picture, error, advice, status):
            phase = Phase.FAILED if error else Phase.ENDED
            state = replace(_seen(state, picture), status=status, advice=advice)
            return replace(state, phase=phase, error=error, ended_ns=picture.now_ns)
        case Faded():
            return replace(state, message=None)
        case Pressed(action, nth):
            return _pressed(state, event, action, nth)
        case Unbound(key):
            return unbound(state, key)
        case Clicked():
            return _told(state, event) or state
        case PromptEdited(text):
            if state.prompt is not None and state.prompt.text != text:
                state = replace(state, prompt=Prompt(state.prompt.question, text))
            return state
        case PeriodBegun(period):
            return overlays.with_switches(replace(state, periods=begun(state.periods, period)))
        case Resized() | Asked() | Said() | Recording() | FiltersRead():
            return _taken_over(state, event)
        case Noted():
            notes = (*state.notes, event)[-NOTES:]
            state = replace(
                state, message=latest(state.message, event), notes=notes, noted=state.noted + 1
            )
            return overlays.with_warnings(state)


def _taken_over(state: State, event: Resized | Asked | Said | Recording | FiltersRead) -> State:
    match event:
        case Resized(columns, rows):
            return replace(state, columns=columns, rows=rows)
        case Asked(question, text, error):
            return replace(state, prompt=Prompt(question, text, error))
        case Said():
            return replace(state, message=event)
        case Recording(path):
            return replace(state, recording=path)
        case FiltersRead(filters, error):
            return overlays.with_filters(state, Saved(filters, error))


def _seen(state: State, picture: Picture) -> State:
    """Take over a new picture; while paused, the tab keeps the one that it has."""
    if state.over is not None:
        if state.over.tab.looks and picture.look is not None:
            state = replace(state, over=replace(state.over, seen=picture.look.seen))
    elif state.looks and not (state.paused and state.looks[state.tab] is not None):
        state = replace(state, looks=_put(state.looks, state.tab, picture.look))
    message = state.message
    if message is not None and picture.now_ns - message.now_ns > MESSAGE_NS:
        message = None
    marks = recent(state.marks, Mark.of(picture))
    return replace(state, picture=picture, marks=marks, message=message)


def _put(values: tuple[Any, ...], at: int, value: Any) -> tuple[Any, ...]:
    return (*values[:at], value, *values[at + 1 :])


def _viewed(state: State, view: View) -> State:
    """Return the state with another view of what is in front."""
    if state.over is not None:
        return replace(state, over=replace(state.over, view=view))
    return replace(state, views=_put(state.views, state.tab, view))


def _arranged(before: State, state: State) -> State:
    """Lay out what is in front if anything changed that it depends on."""
    front, last = state.front, before.front
    if front is None or front.seen is None or state.small:
        return state if state.layout is None else replace(state, layout=None)
    same = before.layout is not None and last is not None and last.tab is front.tab
    unchanged = last is not None and last.view is front.view and last.seen is front.seen
    if same and unchanged and before.size == state.size:
        return state
    view, layout = front.tab.arrange(
        front.view, front.seen, state.size, before.layout if same else None
    )
    state = replace(state, layout=layout)
    return state if view is front.view else _viewed(state, view)


def _pressed(state: State, event: Pressed, action: Action, nth: int) -> State:
    """Let what is in front have the key, and where it does not want it the general meaning."""
    if state.mode is not Mode.PROMPT:
        told = _told(state, event)
        if told is not None:
            return told
    if action is Action.TAB:
        return _at_tab(state, nth)
    change = _ACTIONS.get(action)
    return idle(state, action) if change is None else change(state)


def _told(state: State, event: Pressed | Answered | Clicked) -> State | None:
    """Return what the tab in front makes of an event, None where it makes nothing of it."""
    front = state.front
    if front is None or state.layout is None:
        return None
    step = front.tab.reduce(front.view, state.layout, event)
    return None if step is None else _stepped(state, step)


def _stepped(state: State, step: Step) -> State:
    wanted = state.front.view.wants if state.front else None
    state = _viewed(state, step.view)
    if state.over is None and step.view.wants != wanted:  # also while paused
        state = replace(state, looks=_put(state.looks, state.tab, None))
    if step.pause is not None:
        state = _held(state, paused=step.pause)
    if step.message:
        state = said(state, step.message)
    if step.copy:
        state = replace(state, wish=Copy(step.copy))
    if step.ask is not None:
        state = replace(state, prompt=Prompt(step.ask, step.ask.text))
    if step.switches is not None:
        state = replace(state, switches=step.switches)
    if step.wish is not None:
        state = writing.wishing(state, step.wish)
    if step.where:
        try:
            state = replace(filtering.apply(state, step.where), over=None)
        except WrongAnswer as error:
            state = said(state, f"not applied: {error}")
    if step.term and step.term not in state.terms:
        state = filtering.filtered(state, (*state.terms, step.term), state.family)
    return state


def _quit(state: State) -> State:
    phase = state.phase if state.is_over else Phase.STOPPING
    return replace(state, quits=state.quits + 1, phase=phase)


def _accept(state: State) -> State:
    """Hand the answer to who asked; where it is no good, the prompt stays and says why."""
    prompt = state.prompt
    if prompt is None:
        return state
    closed = replace(state, prompt=None)
    try:
        answer = _ANSWERS.get(prompt.question.name)
        if answer is not None:
            return answer(closed, prompt.text)
        return _told(closed, Answered(prompt.question.name, prompt.text)) or closed
    except (FilterError, WrongAnswer) as error:
        bad = Prompt(prompt.question, prompt.text, str(error), error.start, error.end)
        return replace(state, prompt=bad)


def _pause(state: State) -> State:
    return _held(state, paused=not state.paused)


def _held(state: State, *, paused: bool) -> State:
    """Return the state paused or not; what other tabs saw before it is of other moments."""
    if paused == state.paused:
        return state
    looks = state.looks
    if paused and looks:
        looks = _put((None,) * len(looks), state.tab, looks[state.tab])
    return replace(state, paused=paused, looks=looks)


def _windowed(change: Callable[[Window, int], Window]) -> Callable[[State], State]:
    """Show another window of time; its pictures are yet to come, also while paused."""

    def act(state: State) -> State:
        window = change(state.window, state.picture.latest_ns if state.picture else 0)
        if window == state.window:
            held = state.paused and "the picture is held: Space or 0 goes on"
            return said(state, held or "this is the present already")
        views = tuple(view.renewed() for view in state.views)
        return replace(state, window=window, looks=(None,) * len(state.tabs), views=views)

    return act


def _earlier(state: State) -> State:
    """Show the window before, unless that would lie before the first call."""
    latest_ns = state.picture.latest_ns if state.picture else 0
    end_ns = state.window.earlier(latest_ns).end_ns
    if end_ns is not None and end_ns <= latest_ns - state.shown_ns:
        return said(state, "there is no call before that")
    return _windowed(Window.earlier)(state)


def _live(state: State) -> State:
    """Return to the present: everything, and what goes on."""
    window = Window()
    if not state.paused or state.window != window:
        state = _windowed(lambda *_: window)(state)
    views = tuple(view.live() for view in state.views)
    return _held(replace(state, views=views), paused=False)


def _cancel(state: State) -> State:
    return replace(state, prompt=None) if state.prompt is not None else replace(state, over=None)


def _at_tab(state: State, tab: int) -> State:
    """Return the state with another tab in front, and nothing over it."""
    if tab >= len(state.tabs):
        return said(state, f"there is no tab {tab + 1}")
    if isinstance(state.message, Said) and state.message.here:
        state = replace(state, message=None)
    return replace(state, tab=tab, over=None)


def _tab(step: int) -> Callable[[State], State]:
    return lambda state: _at_tab(state, (state.tab + step) % max(1, len(state.tabs)))


def _wishing(wish: Wish) -> Callable[[State], State]:
    return lambda state: replace(state, wish=wish)


_ANSWERS: dict[str, Callable[[State, str], State]] = {
    filtering.FILTER.name: filtering.apply,
    filtering.NAME.name: writing.named,
    "recording": writing.to("recording"),
    "export": writing.to("export"),
}
"""What the general questions do with their answers; they may raise WrongAnswer."""

_ACTIONS: dict[Action, Callable[[State], State]] = {
    Action.QUIT: _quit,
    Action.HELP: overlays.turn_help,
    Action.WARNINGS: overlays.turn_warnings,
    Action.OUTPUT: overlays.turn_output,
    Action.FILTER: filtering.ask,
    Action.POP: filtering.pop,
    Action.SAVED: overlays.turn_saved,
    Action.SAVE: writing.save,
    Action.SWITCHES: overlays.turn_switches,
    Action.NEXT_FAMILY: filtering.step_family(1),
    Action.PREVIOUS_FAMILY: filtering.step_family(-1),
    Action.PAUSE: _pause,
    Action.WINDOW: _windowed(lambda window, _: window.longer()),
    Action.EARLIER: _earlier,
    Action.LATER: _windowed(Window.later),
    Action.LIVE: _live,
    Action.ACCEPT: _accept,
    Action.CANCEL: _cancel,
    Action.RECORD: writing.record,
    Action.EXPORT: writing.export,
    Action.EDIT: lambda state: writing.wishing(state, Edit()),
    Action.COPY_COMMAND: _wishing(CopyCommand()),
    Action.REDRAW: _wishing(Redraw()),
    Action.PROCESSES: _wishing(Choose(threads=False)),
    Action.THREADS: _wishing(Choose(threads=True)),
    Action.NEXT_TAB: _tab(1),
    Action.PREVIOUS_TAB: _tab(-1),
}
