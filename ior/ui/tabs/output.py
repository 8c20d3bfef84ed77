"""What a traced command writes, in the tab's place: the last of it, scrolling along at its end."""

from __future__ import annotations

from ior.host.tail import Tail
from ior.ui.folding import chopped
from ior.ui.sight import Sight
from ior.ui.tabs.texts import TextTab, TextView
from ior.ui.widgets import Line
from ior.units import format_size


class OutputTab(TextTab):
    """Shows the lines of a `Tail`."""

    begin = TextView(None)
    looks = True

    def __init__(self, tail: Tail) -> None:
        super().__init__("Output", " nothing was written yet")
        self._tail = tail
        self._last: tuple[int, tuple[Line, ...]] = (-1, ())  # the tail's version, and its lines

    def look(self, sight: Sight, view: TextView) -> tuple[Line, ...]:  # noqa: ARG002 - not the run
        """Return the lines that there are now, the same object while nothing was written."""
        if self._last[0] != self._tail.version:
            lines: list[Line] = [[("", line)] for line in self._tail.lines()]
            if self._tail.left_out_bytes:
                said = f"({format_size(self._tail.left_out_bytes)} before this are not kept)"
                lines.insert(0, [("class:rest", said)])
            self._last = self._tail.version, tuple(lines)
        return self._last[1]

    def folds(self, text: str, cells: int) -> list[str]:
        """Return a text in pieces of so many cells, as a terminal would show it."""
        return chopped(text, cells)
