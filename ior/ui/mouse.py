"""What the mouse means: a click, and turns of the wheel as steps of the keys that move."""

from __future__ import annotations

from prompt_toolkit.mouse_events import MouseButton, MouseEvent, MouseEventType

from ior.ui.keys import Action, Pressed

_WHEEL = {MouseEventType.SCROLL_UP: Action.UP, MouseEventType.SCROLL_DOWN: Action.DOWN}


def is_click(event: MouseEvent) -> bool:
    """Return whether the left button went down."""
    return event.event_type is MouseEventType.MOUSE_DOWN and event.button is MouseButton.LEFT


def turned(event: MouseEvent) -> Pressed | None:
    """Return the key of which a turn of the wheel is some steps, None for anything else."""
    action = _WHEEL.get(event.event_type)
    return None if action is None else Pressed(action)
