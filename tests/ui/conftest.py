"""Fixtures for tests that look at the screen."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from emulated import Person, Stand, Terminal
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from scenes import Seat

from ior.stages.stats import Stats
from ior.ui.state import State


@pytest.fixture
def seat() -> Iterator[Callable[..., Seat]]:
    """Seat people before a tab, in a terminal of some size, with calls of some names."""
    with create_pipe_input() as keyboard, create_app_session(input=keyboard):
        yield lambda name, size=(80, 24), of="names": Seat(Terminal(*size), keyboard, name, of)


@pytest.fixture
def stand() -> Iterator[Callable[[int, int, State], Stand]]:
    """Make stands whose keys come from a pipe."""
    with create_pipe_input() as keyboard, create_app_session(input=keyboard):
        yield lambda columns, rows, state: Stand(Terminal(columns, rows), keyboard, state)


@pytest.fixture
def person() -> Iterator[Person]:
    """Sit somebody down in front of 80 by 24 cells."""
    with create_pipe_input() as keyboard:
        sitting = Person(Terminal(80, 24), keyboard)
        yield sitting
        sys.stdout.write("\n".join(sitting.terminal.lines))  # shown when the test fails


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note how many calls the groups have that `stats` is given, each time."""
    given: list[int] = []
    add = Stats.add

    def counting(stage: Stats, groups: Any) -> None:
        given.append(groups.calls)
        add(stage, groups)

    monkeypatch.setattr(Stats, "add", counting)
    return given
