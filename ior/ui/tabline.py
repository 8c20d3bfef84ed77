"""The line of the tabs' names, each with the key that leads there.

Where they do not all have room, the space between them gives way first; then they are called by
their short names, and what has none is cut before what has one; at last all of a name goes but the
key, unless it is that of the present tab. Otherwise names do not depend on which that is: they stay
in their places. Of more tabs than have room for that, names are whole, and scroll.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import msgspec

from ior.text import sanitise, width
from ior.ui.state import State
from ior.ui.widgets import Line, exactly

_LEAST = 3  # cells that are left of a name that is cut
_KEYS = 9  # tabs that have one


class _Label(msgspec.Struct, frozen=True):
    """One name, and how many cells stand on either side of it."""

    text: str
    before: int
    after: int

    @property
    def wide(self) -> int:
        return self.before + width(self.text) + self.after


def line(state: State) -> Line:
    """Name the tabs, beginning so far right that the present one is in sight."""
    labels = _labels(state)
    first = _first(labels, state)
    drawn: Line = [("", " " if first == 0 else "‹")]
    for i, label in enumerate(labels[first:], first):
        style = "class:tab.here" if i == state.tab else "class:tab"
        text = f"{' ' * label.before}{label.text}{' ' * label.before}"
        drawn += [(style, text), ("", " " * (label.after - label.before))]
    return exactly(drawn, state.columns)


def tab_at(state: State, column: int) -> int | None:
    """Return which tab's name stands at a column of its line, None where there is none."""
    labels = _labels(state)
    first, end = _first(labels, state), 1
    for i, label in enumerate(labels[first:], first):
        if end <= column < end + label.wide:
            return i
        end += label.wide
    return None


def _first(labels: list[_Label], state: State) -> int:
    """Return the number of the first tab whose name is in sight."""
    first = 0
    while first < state.tab and _wide(labels[first : state.tab + 1]) > state.columns:
        first += 1
    return first


def _wide(labels: list[_Label]) -> int:
    """Return the cells that names take, with the one before them and no gap behind the last."""
    last = labels[-1:]
    return 1 + sum(label.wide for label in labels) - sum(one.after - one.before for one in last)


def _labels(state: State) -> list[_Label]:
    names = tuple((tab.name, tab.short) for tab in state.tabs)
    return _placed(names, state.tab, state.columns)


@functools.lru_cache(16)
def _placed(tabs: tuple[tuple[str, str], ...], at: int, columns: int) -> list[_Label]:
    """Return the names, as long as all of them have room; whole ones if they have none at all."""
    names = [sanitise(name) for name, _ in tabs]
    for labels in _ways(names, [short for _, short in tabs]):
        if _wide(labels) <= columns:
            return labels
    keys = [_Label(_keyed(i, ""), 0, 1) for i in range(len(names))]
    room = columns - _wide(keys)
    if room <= _LEAST:
        return [_Label(_keyed(i, name), 0, 1) for i, name in enumerate(names)]
    keys[at] = _Label(_keyed(at, _cut(names[at], room - 1)), 0, 1)
    return keys


def _ways(names: list[str], shorts: list[str]) -> Iterator[list[_Label]]:
    """Yield the names in ever less room."""
    longest = max(map(width, names), default=0)
    yield [_Label(_keyed(i, name), 1, 1) for i, name in enumerate(names)]
    yield [_Label(_keyed(i, name), 0, 1) for i, name in enumerate(names)]
    shorter = range(longest, _LEAST - 1, -1)
    ways = [(most, longest) for most in shorter] + [(_LEAST, most) for most in shorter]
    for own, others in ways:
        yield [
            _Label(_keyed(i, _cut(short or name, others if short else own)), 0, 1)
            for i, (name, short) in enumerate(zip(names, shorts, strict=True))
        ]


def _keyed(i: int, name: str) -> str:
    """Return a name with its key, or either where there is not both."""
    return f"{i + 1} {name}".rstrip() if i < _KEYS else name or "·"


def _cut(name: str, cells: int) -> str:
    while width(name) > cells:
        name = name[:-1]
    return name
