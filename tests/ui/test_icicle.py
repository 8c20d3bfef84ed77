"""Syscalls, Files and Processes as icicles: what rows are part of, and terms for the parts."""

from __future__ import annotations

import pytest
from emulated import SIZES, ledger
from hypothesis import given, settings
from hypothesis import strategies as st
from test_flame import after, batch, lines

from ior.calls import CALLS
from ior.stages.stats import Stats, StatsConfig
from ior.text import width
from ior.ui.events import Event, Look, Picture, Resized, Started, Tick
from ior.ui.keys import Action
from ior.ui.state import State
from ior.ui.tabs.abc import Clicked
from ior.ui.tabs.stats import FilesTab, ProcessesTab, StatsTab, SyscallsTab

KINDS: dict[str, type[StatsTab]] = {
    "syscall": SyscallsTab,
    "file": FilesTab,
    "process": ProcessesTab,
}


def showing(key: str, *events: Event | Action, size: tuple[int, int] = (80, 24)) -> State:
    stage = Stats(StatsConfig(max_keys=20))
    stage.connect(CALLS)
    stage.process(batch())
    state = after(Resized(*size), Started(0, (KINDS[key]("stats"),)), state=State(title="x"))
    seen = Look(stage.snapshot().by[key])
    return after(
        Tick(Picture(seen, ledger(), 10**9)), Action.VIEW, Action.VIEW, *events, state=state
    )


def test_files_hang_under_their_directories_and_what_has_no_row_beside_them() -> None:
    found = lines(showing("file"))
    assert found[0].startswith(" path  width calls")
    assert all(name in found[3] for name in ("│/dev", "│/etc", "│/bin", "│(o"))
    assert "│null" in found[5]
    assert "│passwd" in found[5]


def test_a_directory_becomes_a_filter_and_so_does_a_file() -> None:
    state = showing("file", Action.DOWN, Action.RIGHT, Action.DRILL)
    assert state.terms == ('path under "/etc"',)
    state = showing("file", Action.DOWN, Action.RIGHT, Action.DOWN, Action.DRILL)
    assert state.terms == ('file == "/etc/passwd"',)


@pytest.mark.parametrize(
    ("key", "outer", "inner"),
    [
        ("syscall", 'family == "FS"', 'syscall == "write"'),
        ("process", "pid == 100", None),
    ],
)
def test_the_parts_of_other_tables_become_filters(key: str, outer: str, inner: str | None) -> None:
    assert showing(key, Action.DOWN, Action.DRILL).terms == (outer,)
    if inner is not None:
        assert showing(key, Action.DOWN, Action.DOWN, Action.DRILL).terms == (inner,)


def test_processes_stand_under_their_commands_if_one_asks() -> None:
    assert showing("process", Action.GROUP, Action.DOWN, Action.DRILL).terms == ('comm == "sh"',)
    inner = showing("process", Action.GROUP, Action.DOWN, Action.DOWN, Action.DRILL)
    assert inner.terms == ("pid == 100",)


def test_back_to_the_table_and_its_own_cursor() -> None:
    state = showing("file", Action.VIEW, Action.VIEW)
    assert lines(state)[0].split()[:2] == ["file", "calls"]
    assert state.layout.grid.rows[0][0] == "/dev/null"


def test_width_by_latency_is_that_of_the_total() -> None:
    found = lines(showing("file", Action.METRIC))
    assert "width latency" in found[0]
    assert "│/usr" in found[3][:5]


ACTIONS = st.sampled_from(sorted({key.action for key in StatsTab.keys} - {Action.DRILL}))


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(sorted(KINDS)),
    st.lists(ACTIONS | st.builds(Clicked, st.integers(0, 90), st.integers(0, 40)), max_size=15),
    st.integers(20, 220),
    st.integers(5, 70),
)
def test_every_line_is_as_wide_as_the_terminal(
    key: str, events: list[Event | Action], columns: int, rows: int
) -> None:
    assert {width(text) for text in lines(showing(key, *events, size=(columns, rows)))} == {columns}


@pytest.mark.parametrize("size", SIZES[1:])
def test_at_every_size(size: tuple[int, int]) -> None:
    assert any("│/dev" in line for line in lines(showing("file", size=size)))
