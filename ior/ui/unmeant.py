"""What is said of keys that do nothing where one is, so that nobody waits for them to."""

from __future__ import annotations

from ior.text import sanitise
from ior.ui.keys import Action, Mode
from ior.ui.state import State, said

_QUIET = (Action.CANCEL,)  # whoever presses Esc wants nothing else


def unbound(state: State, key: str) -> State:
    """Say that a key is in no line of what is in front; `key` is as prompt_toolkit names it."""
    front = state.front
    if front is None or state.mode is Mode.PROMPT or key == "escape":
        return state
    message = f"{_shown(key)} means nothing in {front.tab.name}; ? shows what does"
    return said(state, message, here=True)


def idle(state: State, action: Action) -> State:
    """Say that a key is for another view of what is in front, and what it would do there."""
    if state.front is None or state.layout is None or state.mode is Mode.PROMPT:
        return state
    line = next((line for line in state.keys if line.action is action), None)
    if line is None or action in _QUIET:
        return state
    return said(state, f"not in this view: {line.shown}: {line.help}", here=True)


def _shown(key: str) -> str:
    if len(key) == 1:
        return sanitise(key)
    return f"Ctrl-{key[2:].upper()}" if key.startswith("c-") else key.capitalize()
