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


def shade(count: int, most: int) -> int:
    """Return 0 for nothing and 1 to 4 by the logarithm of a count of at most `most`."""
    if count <= 0:
        return 0
    return 1 + min(3, int(4 * math.log1p(count) / math.log1p(most) - 1e-9))


def shaded(level: int) -> str:
    """Return the character of a shade."""
    return _SHADES[level]
