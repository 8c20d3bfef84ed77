"""The lines of a row in full on a screen: long texts go on in the next line, nothing is cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from ior.text import fit
from ior.ui.folding import wrapped
from ior.ui.stream.detail import Entry
from ior.ui.tabs.abc import Size
from ior.ui.widgets import Line, exactly

_LABEL = 16  # cells


class _Piece(NamedTuple):
    entry: int
    first: bool
    label: str
    text: str


class Page(msgspec.Struct, frozen=True, eq=False):
    """The entries of row `number`, folded for a size."""

    number: int
    entries: tuple[Entry, ...]
    pieces: tuple[_Piece, ...]
    size: Size

    def line_of(self, entry: int) -> int:
        """Return the first line of an entry."""
        return next(i for i, piece in enumerate(self.pieces) if piece.entry == entry)

    def top(self, top: int, entry: int) -> int:
        """Return the line to stand at the top so that an entry is in sight, `top` if it is."""
        first = self.line_of(entry)
        count = sum(piece.entry == entry for piece in self.pieces)
        top = max(min(top, first), first + min(count, self.size.rows) - self.size.rows)
        return max(0, min(top, len(self.pieces) - self.size.rows))

    def line(self, top: int, cursor: int, row: int) -> Line:
        """Draw a line."""
        at = top + row
        if at >= len(self.pieces):
            return exactly([], self.size.columns)
        piece = self.pieces[at]
        entry = self.entries[piece.entry]
        style = "class:heading" if entry.heading else "class:bad" if entry.bad else ""
        label = style if entry.heading else "class:key"
        if piece.entry == cursor:
            style = label = "class:cursor"
        sign = "›" if piece.first and (entry.row >= 0 or entry.term) else " "
        drawn: Line = [(label, f"{sign}{fit(piece.label, _LABEL)} ")]
        return exactly([*drawn, (style, piece.text)], self.size.columns, style)


def folded(number: int, entries: Sequence[Entry], size: Size) -> Page:
    """Fold entries into lines of a size."""
    room = max(1, size.columns - _LABEL - 2)
    pieces = [
        _Piece(i, k == 0, entry.label if k == 0 else "", text)
        for i, entry in enumerate(entries)
        for k, text in enumerate(wrapped(entry.text, room))
    ]
    return Page(number, tuple(entries), tuple(pieces), size)
