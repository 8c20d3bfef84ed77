"""A row of the stream in full: what it tells, where it leads, the life of its descriptor."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest
from emulated import ledger
from hypothesis import given, settings
from hypothesis import strategies as st
from test_flame import after
from test_stream_tab import SECOND, Still, layout, lines, look, showing, some, tick, view

from ior.calls import Batch
from ior.expr import compile_filter
from ior.names import Names
from ior.testing import calls
from ior.text import sanitise, width
from ior.ui.events import Event, Look, Picture, Tick
from ior.ui.folding import wrapped
from ior.ui.keys import Action
from ior.ui.state import State
from ior.ui.stream.detail import Entry, entries
from ior.ui.stream.life import life_of
from ior.ui.stream.rows import Rows
from ior.waiting import Waiting

O_CLOEXEC, O_CREAT, O_RDWR = 0o2000000, 0o100, 0o2
F_DUPFD, CLOEXEC = 0, 4
CLOSE_RANGE_CLOEXEC = 4


def story(*told: tuple[Any, ...], **columns: Any) -> Batch:
    """Make calls of (syscall, fd, ret[, argument words]), a microsecond each, ten apart."""
    words = [(*(row[3] if len(row) > 3 else ()), 0, 0, 0, 0, 0)[:5] for row in told]
    given_ = {
        "names": Names(),
        "syscall": [row[0] for row in told],
        "fd": [row[1] for row in told],
        "ret": [row[2] for row in told],
        "args": np.array(words, np.uint64),
        "file": "/tmp/a",
    }
    return calls(**{**given_, **columns})


def about(batch: Batch, number: int, **more: Any) -> list[Entry]:
    rows, _ = look(Still(batch))
    rows = Rows(rows.parts, rows.ends, rows.warned, **more)
    return list(entries(rows, rows.place(number)))


def said(found: list[Entry], label: str) -> str:
    """Return the text of the first line of a label."""
    return next(entry.text for entry in found if entry.label == label)


def numbers(batch: Batch, number: int, fd: int) -> tuple[list[int], bool, bool]:
    rows, _ = look(Still(batch))
    life = life_of(rows.parts, rows.place(number), fd)
    assert life.place(life.at).number == number
    lived = [life.place(i).number for i in range(len(life))]
    return lived, life.opened, life.closed


# --- what a row tells ----------------------------------------------------------------------


def test_arguments_are_decoded_and_stand_as_numbers_too() -> None:
    flags = O_RDWR | O_CREAT | O_CLOEXEC
    found = about(story(("openat", 5, 5, (flags, 0o640))), 0)
    assert found[0].label == "openat"
    assert said(found, "call_flags") == f"O_RDWR|O_CREAT|O_CLOEXEC ({flags})"
    assert said(found, "mode") == f"0640 ({0o640})"
    assert said(found, "result") == "5"
    entered = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}, [\d.]+ s after boot"
    assert re.fullmatch(entered, said(found, "entered"))
    assert said(found, "returned").endswith("after 1.00 us (1,000 ns)")


def test_an_error_is_told_in_words() -> None:
    found = about(story(("openat", -1, -2)), 0)
    assert said(found, "result") == "-1 ENOENT (No such file or directory)"
    assert not any(entry.label.startswith("descriptor") for entry in found)


def test_a_call_that_never_returns_and_one_that_was_restarted() -> None:
    batch = calls(names=Names(), syscall=["exit", "futex"], latency_ns=[-1, 5], restarts=[0, 2])
    assert said(about(batch, 0), "returned") == "never: this call does not return"
    assert said(about(batch, 1), "restarted").startswith("2 times by the kernel")


@pytest.mark.parametrize("number", [0, 41, 99])
def test_every_filter_of_a_row_lets_the_row_through(number: int) -> None:
    batch = some()
    terms = [entry.term for entry in about(batch, number) if entry.term]
    assert len(terms) >= 9
    for term in terms:
        where = compile_filter(term)
        if "and syscall ==" not in term:  # what was done with the descriptor by others
            assert where(batch)[number], term


def test_the_rows_of_the_thread_before_and_after() -> None:
    found = about(some(), 50)
    at = {entry.label: entry.row for entry in found}
    assert (at["before"], at["after"]) == (47, 53)
    labels = [entry.label for entry in about(some(), 1)]
    assert "before" not in labels
    assert "after" in labels


# --- what went on meanwhile ----------------------------------------------------------------


def test_the_other_end_of_a_pipe_is_the_partner_of_a_call_that_waited() -> None:
    batch = calls(
        names=Names(),
        time_ns=[1000, 100, 5000, 900],
        latency_ns=[10, 2000, 10, 50],
        comm=["writer", "reader", "writer", "other"],
        syscall=["write", "read", "write", "read"],
        pid=[1, 2, 1, 3],
        file=["pipe:[7]", "pipe:[7]", "pipe:[7]", "pipe:[8]"],
    )
    found = about(batch, 1)
    assert said(found, "meanwhile") == "1 call on the same file in flight"
    assert [entry.row for entry in found if entry.label == "writer 1"] == [0]
    assert "meanwhile" not in [entry.label for entry in about(batch, 3)]


def test_the_partner_of_a_connection_is_its_other_end() -> None:
    batch = calls(
        names=Names(),
        time_ns=[1000, 100],
        latency_ns=[10, 2000],
        comm=["server", "client"],
        pid=[1, 2],
        syscall=["sendto", "recvfrom"],
        file=["tcp 10.0.0.1:80 → 10.0.0.2:5000", "tcp 10.0.0.2:5000 → 10.0.0.1:80"],
    )
    assert [entry.row for entry in about(batch, 1) if entry.label == "server 1"] == [0]


def test_calls_that_have_not_returned_are_partners_too() -> None:
    batch = story(("write", 4, 10), file="pipe:[7]", pid=1, time_ns=10_000)
    asleep = Waiting(5 * SECOND, 2, 2, "reader", "read", 3, "pipe:[7]")
    own = Waiting(2_000_000, 1, 1, "test", "futex", -1, "")
    since = {"waiting": (asleep, own), "now_ns": 5 * SECOND + 9_000}
    found = about(batch, 0, **since)
    assert said(found, "now") == "futex: has not returned for 2.00 ms"
    assert said(found, "meanwhile") == "1 call on the same file in flight"
    assert said(found, "reader 2") == "2  read fd 3 pipe:[7]: has not returned for 5.00 s"
    late = {"waiting": (asleep,), "now_ns": 5 * SECOND + 90_000}
    assert "meanwhile" not in [entry.label for entry in about(batch, 0, **late)]


# --- the life of a descriptor --------------------------------------------------------------

STORY = (
    ("openat", 3, 3),  # 0
    ("read", 3, 100),
    ("openat", 4, 4),  # 2
    ("read", 3, 50),
    ("close", 3, 0),  # 4
    ("openat", 3, 3),  # 5: the number again
    ("write", 3, 7),
    ("read", 4, -11),  # 7
    ("close", 3, 0),  # 8
)


@pytest.mark.parametrize(
    ("number", "fd", "lived"),
    [
        *((n, 3, [0, 1, 3, 4]) for n in (0, 1, 3, 4)),
        *((n, 3, [5, 6, 8]) for n in (5, 6, 8)),
    ],
)
def test_a_life_is_from_open_to_close(number: int, fd: int, lived: list[int]) -> None:
    assert numbers(story(*STORY), number, fd) == (lived, True, True)


def test_a_life_that_goes_on_and_one_whose_beginning_is_gone() -> None:
    assert numbers(story(*STORY), 7, 4) == ([2, 7], True, False)
    assert numbers(story(*STORY[1:]), 0, 3) == ([0, 2, 3], False, True)
    assert numbers(story(("read", 9, 1)), 0, 9) == ([0], False, False)


def test_a_life_is_told_with_what_was_done() -> None:
    found = about(story(*STORY), 1)
    heading = next(entry for entry in found if entry.label == "descriptor 3")
    assert heading.text == "of process 100: 4 calls retained"
    assert np.flatnonzero(compile_filter(heading.term)(story(*STORY))).tolist() == [0, 1, 3, 4]
    assert said(found[1:], "read") == "2 calls, 150 B, 2.00 us"
    rows = {entry.label: entry.row for entry in found}
    assert (rows["opened"], rows["closed"], rows["this call"]) == (0, 4, 1)
    found = about(story(*STORY), 7)
    assert said(found[1:], "read") == "1 call, 1 failed, 1.00 us"
    assert said(found, "closed") == "not so far, or by no retained call"


def test_other_processes_have_other_descriptors() -> None:
    batch = story(*STORY, pid=[1, 1, 1, 2, 2, 1, 1, 1, 1])
    assert numbers(batch, 1, 3) == ([0, 1], True, False)  # 5 opens the number anew
    assert numbers(batch, 3, 3) == ([3, 4], False, True)


def test_a_duplicate_put_over_a_number_ends_its_life_and_begins_another() -> None:
    batch = story(
        ("openat", 3, 3), ("read", 3, 1), ("dup2", 3, 3), ("read", 3, 2), fd2=[-1, -1, 8, -1]
    )
    assert numbers(batch, 1, 3) == ([0, 1], True, False)
    assert numbers(batch, 2, 3) == ([2, 3], True, False)
    found = about(batch, 1)
    assert said(found, "closed").startswith("replaced: ")
    assert numbers(batch, 2, 8) == ([2], False, False)  # where it was duplicated from


@pytest.mark.parametrize(
    ("words", "errno", "closed"),
    [
        ((3, 9, 0), 0, True),
        ((4, 9, 0), 0, False),
        ((3, 9, CLOEXEC), 0, False),
        ((3, 9, 0), -22, False),
    ],
)
def test_a_range_closes_what_is_in_it(words: tuple[int, ...], errno: int, closed: bool) -> None:
    batch = story(("openat", 3, 3), ("read", 3, 1), ("close_range", -1, errno, words))
    assert numbers(batch, 0, 3)[2] is closed


def test_other_ways_to_open() -> None:
    batch = story(
        ("pipe2", 3, 0),
        ("fcntl", 5, 5, (F_DUPFD,)),
        ("accept4", 6, 6),
        ("write", 4, 1),
        ("read", 5, 1),
        ("read", 6, 1),
        fd2=[4, 3, 9, -1, -1, -1],
    )
    assert numbers(batch, 3, 4) == ([0, 3], True, False)
    assert numbers(batch, 4, 5) == ([1, 4], True, False)
    assert numbers(batch, 5, 6) == ([2, 5], True, False)
    assert numbers(batch, 1, 3) == ([0, 1], True, False)


def test_a_failed_close_closes_unless_the_number_was_not_open() -> None:
    assert numbers(story(("openat", 3, 3), ("close", 3, -5)), 0, 3)[2]
    assert not numbers(story(("openat", 3, 3), ("close", 3, -9)), 0, 3)[2]


@settings(deadline=None, max_examples=80)
@given(
    st.lists(
        st.tuples(st.sampled_from(["open", "read", "close", "dup2"]), st.integers(3, 5)),
        min_size=1,
        max_size=40,
    ),
    st.lists(st.integers(1, 15), max_size=4),
)
def test_lives_are_those_of_a_table_of_descriptors(
    acts: list[tuple[str, int]], cuts: list[int]
) -> None:
    """Every row of a number is of one life, which a model of the kernel's table gives."""
    names, told, lives = Names(), [], {3: 0, 4: 0, 5: 0}
    of: list[tuple[int, int]] = []
    for act, fd in acts:
        if act in ("open", "dup2"):
            lives[fd] += 1
        of.append((fd, lives[fd]))
        if act == "close":
            lives[fd] += 1
        told.append(("openat" if act == "open" else act, fd, fd if act != "read" else 1))
        if act == "close":
            told[-1] = ("close", fd, 0)
    whole = story(*told, names=names)
    edges = sorted({0, *np.cumsum(cuts).tolist(), len(told)})
    edges = [edge for edge in edges if edge <= len(told)]
    pieces = [whole.select(np.arange(a, b)) for a, b in itertools.pairwise(edges)]
    rows, _ = look(Still(*pieces))
    for number, (fd, _) in enumerate(of):
        life = life_of(rows.parts, rows.place(number), fd)
        lived = [life.place(i).number for i in range(len(life))]
        assert lived == [i for i, other in enumerate(of) if other == of[number]]


# --- keys ----------------------------------------------------------------------------------


def opened(*events: Event | Action, batch: Batch | None = None, where: str = "") -> State:
    """Open the last row but one, looking again as a session does."""
    run = Still(batch or story(*STORY))
    state = showing(Action.UP, Action.VIEW, run=run)
    state = after(tick(run, where), state=state)
    for event in events:
        state = after(event, state=state)
        if state.layout is None:
            state = after(tick(run, where), state=state)
    return state


def on(state: State, label: str) -> State:
    """Go to a line."""
    full = layout(state).page
    assert full is not None
    at = next(i for i, entry in enumerate(full.entries) if entry.label == label)
    state = after(Action.FIRST, state=state)
    return after(*[Action.DOWN] * at, state=state)


def test_v_opens_a_row_and_closes_it_again() -> None:
    state = opened()
    assert lines(state)[0].startswith("›read ")
    assert "EAGAIN" in "\n".join(lines(state))
    assert state.paused
    assert lines(after(tick(Still(some())), state=state)) == lines(state)
    closed = opened(Action.VIEW)
    assert lines(closed)[0].startswith("time ")
    assert view(closed).at == 7
    assert view(opened(Action.POP)).opened is False


def test_sideways_goes_from_row_to_row() -> None:
    assert lines(opened(Action.LEFT))[0].startswith("›write ")
    assert lines(opened(Action.RIGHT))[0].startswith("›close ")
    assert view(opened(Action.RIGHT, Action.RIGHT)).at == 8


def test_enter_filters_by_a_line() -> None:
    state = after(Action.DRILL, state=on(opened(), "result"))
    assert state.terms == ("errno == EAGAIN",)
    state = after(tick(Still(story(*STORY)), state.terms[0]), state=state)
    assert lines(state)[0].startswith("›read ")  # the row is still there, and still open
    assert "it is empty" in str(after(Action.DRILL, state=on(opened(), "this thread")).message)


def test_enter_goes_to_the_call_that_a_line_names() -> None:
    state = after(Action.DRILL, state=on(opened(), "opened"))
    assert (view(state).at, lines(state)[0].split()[0]) == (2, "›openat")


def test_a_call_that_the_filter_hides_is_said() -> None:
    state = on(opened(where="syscall == read"), "opened")
    state = after(Action.DRILL, state=state)
    assert "filter or window hides that call" in str(state.message)
    assert view(state).at == 7


def test_a_search_goes_on_in_the_open_row() -> None:
    state = opened()
    assert view(state).opened
    state = after(Action.VIEW, tick(Still(story(*STORY))), Action.SEARCH, state=state)
    assert state.prompt is not None


def test_long_texts_are_folded_and_nothing_is_left_out() -> None:
    path = "/" + "/".join(f"directory{i}" for i in range(60))
    state = opened(batch=story(("read", 3, 1), ("read", 3, 2), ("read", 3, 3), file=path))
    full = layout(state).page
    assert full is not None
    at = next(i for i, entry in enumerate(full.entries) if entry.label == "file")
    assert "".join(piece.text for piece in full.pieces if piece.entry == at) == path


@given(st.text(max_size=80), st.integers(2, 30))
def test_wrapped_pieces_fit_and_are_the_text(text: str, cells: int) -> None:
    pieces = wrapped(text, cells)
    assert "".join(pieces).replace(" ", "") == sanitise(text).replace(" ", "")
    assert all(width(piece) <= cells for piece in pieces)


@given(st.lists(st.text("abc", min_size=1, max_size=9), min_size=1), st.integers(9, 30))
def test_words_that_fit_are_not_torn(words: list[str], cells: int) -> None:
    assert " ".join(wrapped("  ".join(words), cells)).split() == words


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("since the thread's previous row", ["since the", "thread's", "previous row"]),
        ("at /usr/share/misc/names", ["at", "/usr/share/", "misc/names"]),
        ("O_RDWR|O_CREAT|O_CLOEXEC", ["O_RDWR|", "O_CREAT|", "O_CLOEXEC"]),
        ("/abcdefghijklmnopqrst", ["/abcdefghijk", "lmnopqrst"]),
        ("twelve cells  ", ["twelve cells"]),
        ("", [""]),
    ],
)
def test_texts_are_folded_between_words_else_at_their_joints(text: str, pieces: list[str]) -> None:
    assert wrapped(text, 12) == pieces


def test_what_says_nothing_is_left_out() -> None:
    for epoch in (0, 1):
        labels = {entry.label for entry in about(story(("read", 3, 1), filter_epoch=epoch), 0)}
        assert not labels & {"filter_epoch", "sampled", "sample_rate"}
    sampled = story(("read", 3, 1), sample_rate=100, filter_epoch=3)
    assert said(about(sampled, 0), "sampled") == "1 in 100"
    assert said(about(sampled, 0), "filter_epoch") == "3"


def test_the_row_in_full_asks_for_what_is_in_flight() -> None:
    state = showing(Action.UP, run=Still(story(*STORY)))
    assert state.front is not None
    before = state.looks_at
    state = after(Action.VIEW, state=state)
    assert state.looks_at != before
    rows, _ = look(Still(story(*STORY)))
    waiting = (Waiting(SECOND, 100, 100, "test", "read", 3, "/tmp/a"),)
    seen = Rows(rows.parts, rows.ends, rows.warned, waiting, 2 * SECOND)
    state = after(Tick(Picture(Look(seen), ledger(), SECOND)), state=state)
    assert any("has not returned for 1.00 s" in line for line in lines(state))
