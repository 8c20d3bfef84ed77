"""The keys that write files: recordings, exports, saved filters; a read-only view has none.

The functions are pure, from one state to the next; `ior.ui.reducer` says which key is which.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from ior.ui import filtering
from ior.ui.state import Phase, Prompt, State, said
from ior.ui.wishes import Kind, Propose, SaveFilter, StopRecording, Wish, Write

READ_ONLY = "this view is read-only: it writes no files"


def record(state: State) -> State:
    """Ask where to record to, or stop the recording."""
    if state.read_only:
        return said(state, READ_ONLY)
    if state.recording:
        return replace(state, wish=StopRecording())
    if state.phase is not Phase.RUNNING:
        return said(state, "nothing can be recorded: the run is not under way")
    return replace(state, wish=Propose("recording"))


def export(state: State) -> State:
    """Ask where to export to."""
    return wishing(state, Propose("export"))


def save(state: State) -> State:
    """Ask for the name under which to save the filter."""
    if state.read_only:
        return said(state, READ_ONLY)
    if not state.terms:
        return said(state, "there is no filter to save: f makes one")
    return replace(state, prompt=Prompt(filtering.NAME, ""))


def named(state: State, name: str) -> State:
    """Save the filter under a name."""
    return replace(state, wish=SaveFilter(name.strip(), filtering.source(state)))


def to(kind: Kind) -> Callable[[State, str], State]:
    """Return what writes to the path that was typed."""
    return lambda state, path: replace(state, wish=Write(kind, path))


def wishing(state: State, wish: Wish) -> State:
    """Let something be done that writes files, or starts what may."""
    return said(state, READ_ONLY) if state.read_only else replace(state, wish=wish)
