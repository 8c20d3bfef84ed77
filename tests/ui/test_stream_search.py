"""Search in the Stream tab: every cell that has a name or number, each asked once."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_flame import after
from test_stream_tab import Still, layout, lines, look, showing, some, tick, under, view

from ior import decode, kinds
from ior.calls import Batch
from ior.names import Names
from ior.stages.stream import Stream, StreamConfig
from ior.tasks import Task
from ior.testing import calls
from ior.ui.events import PromptEdited
from ior.ui.keys import Action
from ior.ui.patterns import matcher
from ior.ui.state import State
from ior.ui.stream.rows import Part, Rows
from ior.ui.stream.search import Pattern
from ior.ui.tabs.stream import StreamTab

SYSCALLS = ("read", "openat", "fcntl", "mmap", "close", "socket")


def asked(text: str, state: State) -> State:
    """Search as a person does."""
    return after(Action.SEARCH, PromptEdited(text), Action.ACCEPT, state=state)


def texts(batch: Batch) -> list[list[str]]:
    """Return what a search looks at, row by row, the slow way."""
    columns: list[list[str]] = [
        batch.text(name) for name in ("comm", "file", "old_file", "asked", "syscall", "errno")
    ]
    numbers = (batch[name].tolist() for name in ("pid", "tid", "fd", "fd2", "ret"))
    columns += [[str(v) if 0 <= v < 1 << 22 else "" for v in values] for values in numbers]
    words = [set[str]() for _ in range(len(batch))]
    for name in (*sorted(kinds.COLUMNS), "fd_flags"):
        for known, cell in zip(words, decode.texts(batch, name), strict=True):
            known |= {word for word in cell.split("|") if word[:1].isalpha()}
    rows = zip(*columns, strict=True)
    return [[*row, *known] for row, known in zip(rows, words, strict=True)]


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    rows = draw(st.integers(1, 30))

    def column(values: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(values, min_size=rows, max_size=rows))

    words = st.integers(0, 7) | st.sampled_from([0o100, 0o102, 0x80000, 2**32 + 5, 2**63 + 9])
    args = np.array(column(st.tuples(*[words] * 5)), np.uint64)
    return calls(
        names=Names(),
        args=args,
        comm=column(st.sampled_from(["sh", "Cat", "\x1bx", ""])),
        file=column(st.sampled_from(["/etc/hosts", "/tmp/x1", "", "tcp 1.2.3.4:5"])),
        syscall=column(st.sampled_from(SYSCALLS)),
        pid=column(st.integers(1, 40) | st.just(4_000_000)),
        fd=column(st.integers(-1, 20)),
        ret=column(st.sampled_from([0, 1, -1, -2, 7, -512, 2**40, 2**63 - 1])),
    )


@settings(deadline=None, max_examples=60)
@given(
    st.lists(batches(), min_size=1, max_size=3),
    st.sampled_from(
        ["a", "O_", "ENOENT", "^1$", "x", ".*", "CREAT", "FD_CLO", "4", "sh|/tmp", "S", "^O_DSYNC"]
    ),
)
def test_a_search_finds_the_rows_in_which_a_cell_matches(found: list[Batch], text: str) -> None:
    pattern, search = Pattern(text), matcher(text)
    for batch in found * 2:
        expected = [any(cell and search(cell) for cell in row) for row in texts(batch)]
        assert pattern.matches(batch).tolist() == expected


def test_each_name_is_asked_once_however_many_rows_have_it() -> None:
    pattern, said = Pattern("hosts"), list[str]()
    search = pattern.search
    pattern.search = lambda text: said.append(text) or search(text)
    names = Names()
    for first in (0, 1000):
        assert pattern.matches(some(1000, first, names)).sum() == 200
    assert said.count("/etc/hosts") == 1
    assert said.count("worker1") == 1
    assert said.count("read") == 1


def test_a_search_finds_the_control_group_and_the_container_of_a_row() -> None:
    names, one = Names(), "ab" * 32
    cgroups = ["/system.slice/ssh.service", f"/system.slice/docker-{one}.scope", ""]
    tasks = [names.intern(Task(7, 0, 9, cgroup).text()) for cgroup in cgroups]
    batch = calls(names=names, task=[*tasks, 0], comm="x", file="")
    for text, expected in (("ssh", [0]), ("^abab", [1]), ("slice", [0, 1]), ("^7", [])):
        assert np.flatnonzero(Pattern(text).matches(batch)).tolist() == expected
    stage = Stream(StreamConfig())
    stage.process(batch)
    (kept,) = stage.snapshot().batches
    assert Pattern("ssh").matches(kept).tolist() == [True, False, False, False]
    told = kept.with_columns({kept.column("container"): ["", "", "", "mine"]})
    assert Pattern("mine").matches(told).tolist() == [False, False, False, True]


def test_an_older_picture_after_a_newer_one_has_its_own_matches() -> None:
    pattern, names = Pattern("hosts"), Names()
    parts = [Part(some(1000, first, names), first, None) for first in (0, 1000)]
    for shown in (parts, parts[:1], parts[1:], parts):
        found = pattern.find(Rows(tuple(shown), 1000 * np.arange(1, len(shown) + 1)))
        assert len(found.at) == 200 * len(shown)


def test_matches_are_gone_through_both_ways_and_round_the_ends() -> None:
    state = asked("enoent", showing())
    assert under(state)[0] == 99
    assert "10 of 10 match" in lines(state)[-1]
    state = after(Action.NEXT_MATCH, state=state)
    assert (under(state)[0], state.paused) == (9, True)
    assert "1 of 10 match" in lines(state)[-1]
    state = after(Action.PREVIOUS_MATCH, Action.PREVIOUS_MATCH, state=state)
    assert under(state)[0] == 89
    state = after(Action.UP, Action.NEXT_MATCH, state=state)
    assert under(state)[0] == 89
    assert state.message is not None
    assert state.message.message == "match 9 of 10"


def test_a_search_is_of_what_the_filter_shows_and_counts_new_rows() -> None:
    state = asked("passwd", showing())
    assert "20 match" in lines(state)[-1]
    state = after(Action.PAUSE, tick(Still(some(100), some(100, 100))), state=state)
    assert "40 match" in lines(state)[-1]
    state = after(tick(Still(some(100), some(100, 100)), "pid == 100"), state=state)
    expected = sum(i % 5 == 1 and i % 3 == 0 for i in range(200))
    assert f"{expected} match" in lines(state)[-1]
    assert layout(state).found is not None


def test_another_search_and_none() -> None:
    state = asked("no such thing", showing())
    assert "no row matches no such thing" in str(state.message)
    assert not state.paused
    assert "0 match" in lines(state)[-1]
    state = asked("", state)
    assert view(state).pattern is None
    assert "search with /" in str(after(Action.NEXT_MATCH, state=state).message)


def test_a_bad_expression_stays_in_the_prompt() -> None:
    state = asked("a(b", showing())
    assert state.prompt is not None
    assert (state.prompt.text, state.prompt.start) == ("a(b", 1)
    assert "no regular expression" in state.prompt.error


def test_the_cells_that_match_stand_out() -> None:
    state = asked("openat", showing())
    tab = state.tabs[0]
    assert isinstance(tab, StreamTab)
    line = tab.line(
        view(state),
        layout(state),
        1
        + layout(state).listing.lines.index(
            next(one for one in layout(state).listing.lines if getattr(one, "row", None) == 97)
        ),
    )
    assert [text.strip() for style, text in line if "match" in style] == ["openat"]


@pytest.mark.parametrize("text", ["(", "[", "*", "a{2,1}"])
def test_every_bad_expression_is_refused(text: str) -> None:
    with pytest.raises(re.error):
        re.compile(text)
    assert asked(text, showing()).prompt is not None


def test_only_new_rows_are_asked() -> None:
    names = Names()
    stage, pattern = Stream(StreamConfig(rows=100)), Pattern("openat")
    asked_of: list[int] = []
    matches = pattern.matches
    pattern.matches = lambda batch: asked_of.append(len(batch)) or matches(batch)
    for first in range(0, 400, 40):
        stage.process(some(40, first, names))
        rows, _ = look(Still(snapshot=stage.snapshot()))
        numbers = [rows.place(int(row)).number for row in pattern.find(rows).at]
        assert numbers == [i for i in range(rows.parts[0].first, first + 40) if i % 3 == 1]
    assert sum(asked_of) == 400
    pattern.find(look(Still(some(7)))[0])
    assert sum(asked_of) == 407  # another stream, which has not come so far
