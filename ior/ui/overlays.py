"""What stands in a tab's place, and the keys that show and hide it.

The functions are pure, from one state to the next; `ior.ui.reducer` says which key is which.
"""

from __future__ import annotations

from msgspec.structs import replace

from ior.ui.state import Over, State, said
from ior.ui.tabs.saved import SAVED, Saved
from ior.ui.tabs.switches import SWITCHES
from ior.ui.tabs.texts import HELP, WARNINGS, help_lines, warning_lines
from ior.ui.wishes import ListFilters


def turn_help(state: State) -> State:
    """Show or hide the help for the tab."""
    if state.over is not None and state.over.tab is HELP:
        return replace(state, over=None)
    own = state.tabs[state.tab] if state.tabs else None
    return replace(state, over=Over(HELP, HELP.begin, help_lines(own)))


def turn_warnings(state: State) -> State:
    """Show or hide what was warned of."""
    if state.over is not None and state.over.tab is WARNINGS:
        return replace(state, over=None)
    return with_warnings(replace(state, over=Over(WARNINGS, WARNINGS.begin, ())))


def turn_output(state: State) -> State:
    """Show or hide what the command writes."""
    if state.over is not None and state.over.tab is state.output:
        return replace(state, over=None)
    if state.output is None:
        return said(state, "ior started no command: it has no output")
    return replace(state, over=Over(state.output, state.output.begin, ()))


def turn_switches(state: State) -> State:
    """Show or hide which syscalls are on."""
    if state.over is not None and state.over.tab is SWITCHES:
        return replace(state, over=None)
    return with_switches(replace(state, over=Over(SWITCHES, SWITCHES.begin, None)))


def turn_saved(state: State) -> State:
    """Show or hide the saved filters, which are yet to be read."""
    if state.over is not None and state.over.tab is SAVED:
        return replace(state, over=None)
    return replace(state, over=Over(SAVED, SAVED.begin, Saved()), wish=ListFilters())


def with_switches(state: State) -> State:
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


def with_warnings(state: State) -> State:
    """Show the warnings that there are now, if they are what is shown."""
    if state.over is None or state.over.tab is not WARNINGS:
        return state
    lines = warning_lines(state.notes, state.started_ns or 0)
    return replace(state, over=replace(state.over, seen=lines))


def with_filters(state: State, filters: Saved) -> State:
    """Show the saved filters as they were read, if they are what is shown."""
    if state.over is None or state.over.tab is not SAVED:
        return state
    return replace(state, over=replace(state.over, seen=filters))
