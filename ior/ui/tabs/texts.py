"""What stands in a tab's place and is read from top to bottom: the help, the warnings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import msgspec

from ior.text import fit, sanitise, width
from ior.ui.folding import wrapped
from ior.ui.keys import KEYS, SCROLL, Action, Key, Pressed
from ior.ui.notes import Noted
from ior.ui.sight import Sight
from ior.ui.tabs.abc import AnyTab, Size, Step, Tab, TabEvent, View
from ior.ui.widgets import Line, exactly
from ior.units import format_clock


class TextView(View, frozen=True):
    """Which line stands at the top; None keeps the last page in sight, whatever is added."""

    top: int | None = 0


class TextLayout(msgspec.Struct, frozen=True):
    """What was given, as lines that are folded to the cells that there are for them."""

    seen: tuple[Line, ...]
    lines: tuple[Line, ...]
    size: Size

    def top(self, view: TextView) -> int:
        """Return the number of the line at the top."""
        return max(0, len(self.lines) - self.size.rows) if view.top is None else view.top


class TextTab(Tab[TextView, tuple[Line, ...], TextLayout]):
    """Shows lines; whoever opens it gives them. `nothing` is said when there are none."""

    keys: ClassVar[tuple[Key, ...]] = SCROLL
    looks = False
    begin = TextView()

    def __init__(self, name: str, nothing: str = "") -> None:
        self.name, self._nothing = name, nothing

    def look(
        self,
        sight: Sight,  # noqa: ARG002 (a hook)
        view: TextView,  # noqa: ARG002 (a hook)
    ) -> tuple[Line, ...] | None:
        """Return None: the lines were given."""
        return None

    def arrange(
        self,
        view: TextView,
        seen: tuple[Line, ...],
        size: Size,
        last: TextLayout | None,
    ) -> tuple[TextView, TextLayout]:
        """Fold what is too long; keep the last page full."""
        if last is not None and last.seen is seen and last.size.columns == size.columns:
            lines = last.lines
        else:
            lines = tuple(part for line in seen for part in self._folded(line, size.columns))
        if view.top is not None:
            view = TextView(max(0, min(view.top, len(lines) - size.rows)))
        return view, TextLayout(seen, lines, size)

    def _folded(self, line: Line, columns: int) -> list[Line]:
        """Return a line in as many as its last text needs, which stand under each other."""
        if not line:
            return [line]
        *before, (style, text) = line
        lead = sum(width(sanitise(part)) for _, part in before)
        first, *more = self.folds(text, max(1, columns - lead))
        return [[*before, (style, first)], *([("", " " * lead), (style, part)] for part in more)]

    def folds(self, text: str, cells: int) -> list[str]:
        """Return a text in lines of at most so many cells, broken between words."""
        return wrapped(text, cells)

    def reduce(self, view: TextView, layout: TextLayout, event: TabEvent) -> Step | None:
        """Scroll."""
        page, top = layout.size.rows, layout.top(view)
        tops = {
            Action.UP: top - 1,
            Action.DOWN: top + 1,
            Action.PAGE_UP: top - page,
            Action.PAGE_DOWN: top + page,
            Action.FIRST: 0,
            Action.LAST: None,
        }
        if not isinstance(event, Pressed) or event.action not in tops:
            return None
        return Step(TextView(tops[event.action]))

    def line(self, view: TextView, layout: TextLayout, row: int) -> Line:
        """Draw a line."""
        at = layout.top(view) + row
        if at < len(layout.lines):
            return exactly(layout.lines[at], layout.size.columns)
        said = self._nothing if not layout.lines and row == 0 else ""
        return exactly([("", said)], layout.size.columns)


HELP = TextTab("Help")
WARNINGS = TextTab("Warnings", " no warnings")


def help_lines(tab: AnyTab | None) -> tuple[Line, ...]:
    """Return the help: the keys of a tab, then those that mean the same everywhere."""
    lines: list[Line] = []
    if tab is not None and tab.keys:
        lines += [[("class:heading", f" In {tab.name} ")], *map(_key, tab.keys), []]
    return (*lines, [("class:heading", " Everywhere ")], *map(_key, KEYS))


def _key(line: Key) -> Line:
    return [("class:key", " " + fit(line.shown, 12)), ("", line.help)]


def warning_lines(notes: Iterable[Noted], since_ns: int) -> tuple[Line, ...]:
    """Return messages, latest first, each with when it came."""
    return tuple(
        [
            ("class:key", f" {format_clock(max(0, note.now_ns - since_ns)):>7}  "),
            ("class:bad" if note.bad else "", note.message),
        ]
        for note in reversed(list(notes))
    )
