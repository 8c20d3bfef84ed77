"""Quantities as blocks in cells: bars, sparklines, shades."""

from __future__ import annotations

import math
from collections.abc import Sequence

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_LEVELS = "▁▂▃▄▅▆▇█"
_SHADES = " ░▒▓█"


def bar(part: float, cells: int) -> str:
    """Return a bar of `part` (0 to 1) of `cells`; what is not nothing is seen."""
    eighths = round(min(max(part, 0.0), 1.0) * cells * 8)
    if part > 0:
        eighths = max(1, eighths)
    full, rest = divmod(eighths, 8)
    text = "█" * full + (_EIGHTHS[rest] if rest else "")
    return text.ljust(cells)[:cells]


def sparkline(values: Sequence[float], cells: int) -> str:
    """Return the last `cells` values as columns, from 0 to their greatest."""
    shown = list(values)[-cells:]
    most = max(shown, default=0)
    if most <= 0:
        return ("▁" * len(shown)).rjust(cells)
    levels = [_LEVELS[min(7, int(max(value, 0) / most * 7.999))] for value in shown]
    return "".join(levels).rjust(cells)


def columns_of(shares: Sequence[float], high: int, row: int, wide: int) -> str:
    """Return line `row` of `high` of columns, each `wide` cells with the space to the next."""
    cells = []
    for share in shares:
        eighths = max(1, round(share * high * 8)) if share > 0 else 0
        here = max(0, min(8, eighths - (high - 1 - row) * 8))
        mark = " " if not here else _LEVELS[here - 1]
        cells.append((mark * max(1, wide - 1)).ljust(wide))
    return "".join(cells)


def shade(count: int, most: int) -> int:
    """Return 0 for nothing and 1 to 4 by the logarithm of a count of at most `most`."""
    if count <= 0:
        return 0
    return 1 + min(3, int(4 * math.log1p(count) / math.log1p(most) - 1e-9))


def shaded(level: int) -> str:
    """Return the character of a shade."""
    return _SHADES[level]
