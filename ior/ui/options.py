"""What a view is asked for beside the pipeline, and how it was left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from ior.ui.picker.choice import Retarget, Target
from ior.ui.style import Theme


class ViewOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What else a view can do.

    With `retarget` another target can be chosen, which ends the run. `output_fd` is a pipe
    with what the command writes. A `read_only` view writes no files. `warnings` of the check
    stand first among those that are shown. Without a `theme` it is the one that fits the
    terminal; without the `mouse` that is the terminal's own. `command_line` gives the `ior run`
    that traces the same through further terms of a filter.
    """

    retarget: Retarget | None = None
    output_fd: int | None = None
    read_only: bool = False
    warnings: tuple[str, ...] = ()
    theme: Theme | None = None
    mouse: bool = True
    command_line: Callable[[Sequence[str]], str] = lambda terms: ""  # noqa: ARG005 (there is none)


class Left(NamedTuple):
    """How the view was left: the exit code, and whom to trace next if somebody was chosen."""

    code: int
    target: Target | None
