"""The one function that changes the state.

`reduce(state, event)` is pure: no clock, no screen, no graph. Here is what keys, ticks and
messages mean everywhere; what is a tab's alone goes to the tab, which answers with a `Step`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from ior.errors import FilterError
from ior.ui import filtering
from ior.ui.events import (
    Asked,
    Ended,
    Event,
    FiltersRead,
    Look,
    PeriodBegun,
    Picture,
    PromptEdited,
    Recording,
    Resized,
    Started,
    Tick,
)
from ior.ui.keys import Action, Mode, Pressed
from ior.ui.notes import Noted, Said, latest
from ior.ui.periods import begun
from ior.ui.rates import Mark, recent
from ior.ui.state import Over, Phase, Prompt, State
from ior.ui.tabs.abc import Answered, Clicked, Step, View, WrongAnswer
from ior.ui.tabs.saved import SAVED, Saved
from ior.ui.tabs.switches import SWITCHES
from ior.ui.tabs.texts import HELP, WARNINGS, help_lines, warning_lines
from ior.ui.window import Window
from ior.ui.wishes import (
    Choose,
    Copy,
    CopyCommand,
    Edit,
    Kind,
    ListFilters,
    Propose,
    SaveFilter,
    StopRecording,
    Wish,
    Write,
)

MESSAGE_NS = 10_000_000_000  # how long a message stays on its line
NOTES = 200  # messages that the Warnings view keeps
READ_ONLY = "this view is read-only: it writes no files"


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
        case Ended(picture, error, advice):
            phase = Phase.FAILED if error else Phase.ENDED
            state = _seen(state, picture)
            return replace(state, phase=phase, error=error, ended_ns=picture.now_ns, advice=advice)
        case Pressed(action, nth):
            return _pressed(state, event, action, nth)
        case Clicked():
            return _told(state, event) or state
        case PromptEdited(text):
            if state.prompt is not None and state.prompt.text != text:
                state = replace(state, prompt=Prompt(state.prompt.question, text))
            return state
        case PeriodBegun(period):
            return _shown_over(replace(state, periods=begun(state.periods, period)))
        case Resized() | Asked() | Said() | Recording() | FiltersRead():
            return _taken_over(state, event)
        case Noted():
            notes = (*state.notes, event)[-NOTES:]
            state = replace(
                state, message=latest(state.message, event), notes=notes, noted=state.noted + 1
            )
            return _warned(state)


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
            if state.over is None or state.over.tab is not SAVED:
                return state
            return replace(state, over=replace(state.over, seen=Saved(filters, error)))


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
    return state if change is None else change(state)


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
        state = _said(state, step.message)
    if step.copy:
        state = replace(state, wish=Copy(step.copy))
    if step.ask is not None:
        state = replace(state, prompt=Prompt(step.ask, step.ask.text))
    if step.switches is not None:
        state = replace(state, switches=step.switches)
    if step.wish is not None:
        state = _writable(step.wish)(state)
    if step.where:
        try:
            state = replace(filtering.apply(state, step.where), over=None)
        except WrongAnswer as error:
            state = _said(state, f"not applied: {error}")
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
            return state
        views = tuple(view.renewed() for view in state.views)
        return replace(state, window=window, looks=(None,) * len(state.tabs), views=views)

    return act


def _cancel(state: State) -> State:
    return replace(state, prompt=None) if state.prompt is not None else replace(state, over=None)


def _help(state: State) -> State:
    if state.over is not None and state.over.tab is HELP:
        return replace(state, over=None)
    own = state.tabs[state.tab] if state.tabs else None
    return replace(state, over=Over(HELP, HELP.begin, help_lines(own)))


def _warnings(state: State) -> State:
    if state.over is not None and state.over.tab is WARNINGS:
        return replace(state, over=None)
    return _warned(replace(state, over=Over(WARNINGS, WARNINGS.begin, ())))


def _output(state: State) -> State:
    if state.over is not None and state.over.tab is state.output:
        return replace(state, over=None)
    if state.output is None:
        return _said(state, "ior started no command: it has no output")
    return replace(state, over=Over(state.output, state.output.begin, ()))


def _switches(state: State) -> State:
    if state.over is not None and state.over.tab is SWITCHES:
        return replace(state, over=None)
    return _shown_over(replace(state, over=Over(SWITCHES, SWITCHES.begin, None)))


def _shown_over(state: State) -> State:
    """Show what was let through when and is switched on now, if that is what is shown."""
    if state.over is None or state.over.tab is not SWITCHES:
        return state
    view = replace(
        state.over.view,
        switches=state.switches,
        periods=state.periods,
        started_ns=state.started_ns or 0,
    )
    return replace(state, over=replace(state.over, view=view))


def _warned(state: State) -> State:
    """Show the warnings that there are now, if they are what is shown."""
    if state.over is None or state.over.tab is not WARNINGS:
        return state
    lines = warning_lines(state.notes, state.started_ns or 0)
    return replace(state, over=replace(state.over, seen=lines))


def _at_tab(state: State, tab: int) -> State:
    """Return the state with another tab in front; as it is where there is none."""
    return state if tab >= len(state.tabs) else replace(state, tab=tab)


def _tab(step: int) -> Callable[[State], State]:
    return lambda state: _at_tab(state, (state.tab + step) % max(1, len(state.tabs)))


def _said(state: State, message: str) -> State:
    now_ns = state.picture.now_ns if state.picture else 0
    return replace(state, message=Said(message, now_ns))


def _record(state: State) -> State:
    if state.read_only:
        return _said(state, READ_ONLY)
    if state.recording:
        return replace(state, wish=StopRecording())
    if state.phase is not Phase.RUNNING:
        return _said(state, "nothing can be recorded: the run is not under way")
    return replace(state, wish=Propose("recording"))


def _export(state: State) -> State:
    if state.read_only:
        return _said(state, READ_ONLY)
    return replace(state, wish=Propose("export"))


def _writable(wish: Wish) -> Callable[[State], State]:
    """Let something be done that writes files, or starts what may."""
    return lambda state: _said(state, READ_ONLY) if state.read_only else replace(state, wish=wish)


def _saved(state: State) -> State:
    if state.over is not None and state.over.tab is SAVED:
        return replace(state, over=None)
    return replace(state, over=Over(SAVED, SAVED.begin, Saved()), wish=ListFilters())


def _save(state: State) -> State:
    if state.read_only:
        return _said(state, READ_ONLY)
    if not state.terms:
        return _said(state, "there is no filter to save: f makes one")
    return replace(state, prompt=Prompt(filtering.NAME, ""))


def _named(state: State, name: str) -> State:
    return replace(state, wish=SaveFilter(name.strip(), filtering.source(state)))


def _writing(kind: Kind) -> Callable[[State, str], State]:
    return lambda state, text: replace(state, wish=Write(kind, text))


def _wishing(wish: Wish) -> Callable[[State], State]:
    return lambda state: replace(state, wish=wish)


_ANSWERS: dict[str, Callable[[State, str], State]] = {
    filtering.FILTER.name: filtering.apply,
    filtering.NAME.name: _named,
    "recording": _writing("recording"),
    "export": _writing("export"),
}
"""What the general questions do with their answers; they may raise WrongAnswer."""

_ACTIONS: dict[Action, Callable[[State], State]] = {
    Action.QUIT: _quit,
    Action.HELP: _help,
    Action.WARNINGS: _warnings,
    Action.OUTPUT: _output,
    Action.FILTER: filtering.ask,
    Action.POP: filtering.pop,
    Action.SAVED: _saved,
    Action.SAVE: _save,
    Action.SWITCHES: _switches,
    Action.NEXT_FAMILY: filtering.step_family(1),
    Action.PREVIOUS_FAMILY: filtering.step_family(-1),
    Action.PAUSE: _pause,
    Action.WINDOW: _windowed(lambda window, _: window.longer()),
    Action.EARLIER: _windowed(Window.earlier),
    Action.LATER: _windowed(Window.later),
    Action.LIVE: _windowed(lambda *_: Window()),
    Action.ACCEPT: _accept,
    Action.CANCEL: _cancel,
    Action.RECORD: _record,
    Action.EXPORT: _export,
    Action.EDIT: _writable(Edit()),
    Action.COPY_COMMAND: _wishing(CopyCommand()),
    Action.PROCESSES: _wishing(Choose(threads=False)),
    Action.THREADS: _wishing(Choose(threads=True)),
    Action.NEXT_TAB: _tab(1),
    Action.PREVIOUS_TAB: _tab(-1),
}
