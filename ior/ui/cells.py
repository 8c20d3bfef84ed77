"""Which columns of a list are in sight when there is room for some: those around the cursor."""

from __future__ import annotations

from collections.abc import Sequence


def first_shown(
    widths: Sequence[int], first: int, cursor: int, room: int, *, held: int = 0, gap: int = 1
) -> int:
    """Return the column from which on columns are shown, so that the one at `cursor` is whole.

    It stays at `first` where that will do. The `held` first columns are always shown and do not
    count among those that scroll; `room` is in cells, `gap` the cells between two columns.
    """
    first = max(held, min(first, len(widths) - 1))
    if cursor < held:
        return first
    if cursor <= first:
        return cursor
    room -= sum(width + gap for width in widths[:held])
    while first < cursor and sum(widths[first : cursor + 1]) + gap * (cursor - first) > room:
        first += 1
    return first


def shown_from(
    widths: Sequence[int], first: int, room: int, *, held: int = 0, gap: int = 1
) -> list[int]:
    """Return the columns that fit whole, at least one: the held ones, then from `first` on."""
    shown: list[int] = []
    for column in (*range(held), *range(max(first, held), len(widths))):
        need = widths[column] + (gap if shown else 0)
        if need > room and shown:
            break
        shown.append(column)
        room -= need
    return shown
