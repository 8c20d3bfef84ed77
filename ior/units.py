"""Durations, sizes and counts: as people write them, and as they are shown.

Numbers in columns and files are plain nanoseconds and bytes; units exist where a person
reads or writes. What is shown can be typed into a filter again.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from fractions import Fraction

DURATION: Mapping[str, int] = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # micro sign
    "μs": 1_000,  # Greek mu
    "ms": 1_000_000,
    "s": 1_000_000_000,
}
"""Units of duration, in nanoseconds."""

SIZE: Mapping[str, int] = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
"""Units of size, in bytes."""

_LONG: Mapping[str, int] = {**DURATION, "m": 60 * 10**9, "h": 3600 * 10**9}
_QUANTITY = re.compile(r"\s*([-+]?)([0-9]+(?:_[0-9]+)*)(?:\.([0-9]+))?\s*([^\W\d_]*)\s*")
_MAX_LENGTH = 64  # of what a person writes; more is not a number


def parse_quantity(text: str, units: Mapping[str, int], default: str | None = None) -> Fraction:
    """Return `text`, a number with one of `units`, exactly, in the unit whose value is 1.

    A number without a unit has the unit `default`; where that is None only 0 may stand
    alone. Raises ValueError with a sentence that names the units.
    """
    match = _QUANTITY.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if match is None:
        raise ValueError(f"'{_short(text)}' is not a number with a unit ({spoken(units)})")
    sign, whole, part, unit = match.groups("")
    if unit and unit not in units:
        raise ValueError(f"unknown unit '{unit}'; {_suggestion(unit, units)}")
    number = Fraction(int(whole + part), 10 ** len(part))
    if not unit and default is None and number:
        raise ValueError(f"'{text.strip()}' needs a unit ({spoken(units)})")
    unit = unit or default or ""
    factor = units[unit] if unit else 1
    return -number * factor if sign == "-" else number * factor


def spoken(units: Mapping[str, int]) -> str:
    """Return the ASCII names of units for a message: `ns, us, ms, s`."""
    return ", ".join(unit for unit in units if unit.isascii())


def _suggestion(unit: str, units: Mapping[str, int]) -> str:
    lower = unit.lower()
    near = [known for known in units if lower in (known.lower(), known.lower().replace("i", ""))]
    near = near or difflib.get_close_matches(lower, units, 1, 0.65)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"the units are {spoken(units)}"


def _short(text: str) -> str:
    return text if len(text) <= _MAX_LENGTH else text[: _MAX_LENGTH - 1] + "…"


def parse_duration(text: str) -> int:
    """Return nanoseconds for `1ms`, `1.5 s`, `250us`, `2m`, `1h`, or plain nanoseconds.

    Raises ValueError for another unit and for a fraction of a nanosecond.
    """
    return _whole(parse_quantity(text, _LONG, "ns"), text, "nanoseconds")


def parse_size(text: str) -> int:
    """Return bytes for `4KiB`, `1.5 MiB`, `1MB` (10^6), or a plain number of bytes.

    Raises ValueError for another unit, a negative number and a fraction of a byte.
    """
    size = _whole(parse_quantity(text, SIZE, "B"), text, "bytes")
    if size < 0:
        raise ValueError(f"a size is not negative: '{text}'")
    return size


def _whole(number: Fraction, text: str, what: str) -> int:
    if number.denominator != 1:
        raise ValueError(f"'{text}' is not a whole number of {what}")
    return int(number)


def parse_seconds(text: str) -> float:
    """Return seconds for `5`, `1.5`, `500ms`, `2m`, `1h`.

    Raises ValueError for another unit and a negative number.
    """
    seconds = parse_quantity(text, _LONG, "s") / 10**9
    if seconds < 0:
        raise ValueError(f"a time to wait is not negative: '{text}'")
    return float(seconds)


def format_duration(ns: float) -> str:
    """Return nanoseconds in three significant digits: `1.23 ms`, `45.6 us`, `1,234 s`."""
    if abs(ns) < 999.5:
        return f"{ns:.0f} ns"
    value = float(ns)
    for unit in ("us", "ms", "s"):
        value /= 1000
        if abs(value) < 999.5 or unit == "s":
            break
    return f"{_digits(value)} {unit}"


def _digits(value: float) -> str:
    size = abs(value)
    if size < 9.995:
        return f"{value:.2f}"
    return f"{value:.1f}" if size < 99.95 else f"{value:,.0f}"


def format_size(size: float) -> str:
    """Return bytes with one decimal of a binary unit: `512 B`, `4.0 KiB`, `1,234.5 TiB`."""
    if abs(size) < 1023.5:
        return f"{size:.0f} B"
    value = float(size)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        value /= 1024
        if abs(value) < 1023.95 or unit == "TiB":
            break
    return f"{value:,.1f} {unit}"


def format_count(number: int) -> str:
    """Return a number with separators between its thousands: `1,000,000`."""
    return f"{number:,}"


def format_rate(per_s: float) -> str:
    """Return a number per second, short: `0.5 /s`, `850 /s`, `1.2 M/s`."""
    if abs(per_s) < 9.95:
        return f"{per_s:.1f} /s"
    if abs(per_s) < 999.5:
        return f"{per_s:.0f} /s"
    value = float(per_s)
    for prefix in ("k", "M", "G"):
        value /= 1000
        if abs(value) < 999.95 or prefix == "G":
            break
    return f"{value:,.1f} {prefix}/s"


def format_clock(ns: int) -> str:
    """Return nanoseconds as a clock shows them: `m:ss`, from an hour on `h:mm:ss`."""
    minutes, seconds = divmod(ns // 1_000_000_000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
