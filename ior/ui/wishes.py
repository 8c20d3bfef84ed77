"""What the reducer wants done outside the state; whoever runs the screen does it, once."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["recording", "export"]


class Choose(msgspec.Struct, frozen=True):
    """Let the person choose another target, among `threads` or among processes."""

    threads: bool


class Redraw(msgspec.Struct, frozen=True):
    """Draw the whole screen, whatever else has written on it."""


class Propose(msgspec.Struct, frozen=True):
    """Ask where to write, proposing a name."""

    kind: Kind


class Write(msgspec.Struct, frozen=True):
    """Start a recording, or export what is in front, to `path`."""

    kind: Kind
    path: str


class StopRecording(msgspec.Struct, frozen=True):
    """Complete the recording."""


class Copy(msgspec.Struct, frozen=True):
    """Put a text on the clipboard of the terminal."""

    text: str


class CopyCommand(msgspec.Struct, frozen=True):
    """Show and copy the `ior run` that traces the same."""


class Edit(msgspec.Struct, frozen=True):
    """Open the last export in the editor."""


class ListFilters(msgspec.Struct, frozen=True):
    """Read the saved filters."""


class SaveFilter(msgspec.Struct, frozen=True):
    """Save a filter under a name; an empty filter deletes it."""

    name: str
    where: str


Wish = (
    Choose
    | Redraw
    | Propose
    | Write
    | StopRecording
    | Copy
    | CopyCommand
    | Edit
    | ListFilters
    | SaveFilter
)
