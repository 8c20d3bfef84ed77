"""Filters as a stack of terms, and terms made of what stands in a table."""

from __future__ import annotations

import pytest
from emulated import picture, table, tick
from test_state import after, running, shown

from ior.names import Names
from ior.snapshots import Field, Table
from ior.testing import calls
from ior.text import escape
from ior.ui.events import PromptEdited, Tick
from ior.ui.grid import Sort, arrange
from ior.ui.keys import Action
from ior.ui.terms import joined, term_of


@pytest.mark.parametrize(
    "raw", [b"a b", b'say "x"', b"back\\slash", b"\xff\n\t", b"'", "日".encode()]
)
def test_a_term_means_exactly_the_text_in_the_row(raw: bytes) -> None:
    text = escape(raw)
    grid = arrange(Table("t", (Field("comm", "text"),), ((text,),)), Sort())
    term = term_of(grid, 0)
    assert term is not None
    where = joined((term,))
    assert where is not None
    batch = calls(names=Names(), comm=[text, "other"], syscall=["read"] * 2)
    assert where(batch).tolist() == [True, False]


def test_a_process_is_its_pid_whatever_its_command_was_called() -> None:
    fields = (Field("pid", "int"), Field("comm", "text"))
    grid = arrange(Table("Processes", fields, ((7, "sh"),)), Sort())
    assert term_of(grid, 0) == "pid == 7"


def test_all_terms_must_hold_whatever_they_are_made_of() -> None:
    where = joined(('comm == "a" or comm == "b"', "pid == 1"))
    assert where is not None
    batch = calls(names=Names(), comm=["a", "b", "a"], pid=[1, 1, 2], syscall=["read"] * 3)
    assert where(batch).tolist() == [True, True, False]
    assert joined(()) is None


def test_terms_are_pushed_and_popped() -> None:
    state = running(Action.DOWN, Action.DRILL)
    assert (state.terms, state.layout) == (('syscall == "write"',), None)
    state = after(Tick(picture(1)), Action.FIRST, Action.DRILL, state=state)
    assert state.terms == ('syscall == "write"', 'syscall == "read"')
    state = after(Tick(picture(2)), Action.DRILL, state=state)
    assert len(state.terms) == 2  # once is enough
    state = after(Action.POP, state=state)
    assert state.where is not None
    assert state.where.source == 'syscall == "write"'
    assert after(Action.POP, Action.POP, state=state).where is None


def test_an_edited_filter_takes_the_place_of_the_terms_and_an_unchanged_one_does_not() -> None:
    state = running(Action.DRILL, Tick(picture(1)), Action.DOWN, Action.DRILL)
    terms = state.terms
    assert after(Action.FILTER, Action.ACCEPT, state=state).terms == terms
    state = after(Action.FILTER, PromptEdited("is_error"), Action.ACCEPT, state=state)
    assert state.terms == ("is_error",)


def test_a_row_that_is_no_filter_says_so() -> None:
    towns = Table("Weather", (Field("town", "text"),), (("Bergen",),))
    state = running(tick(towns, 1), Action.DRILL)
    assert state.terms == ()
    assert state.message is not None
    assert "'town' is not a field" in state.message.message


def test_a_paused_table_stands_still_while_the_books_go_on() -> None:
    state = running(Action.PAUSE, Tick(picture(3, rows=2, calls=900_000)))
    assert (len(shown(state)), state.elapsed_ns) == (30, 3 * 10**9)
    assert state.picture is not None
    assert state.picture.ledger.calls == 900_000
    other = after(Action.NEXT_TAB, Tick(picture(4, rows=5)), state=state)
    assert len(shown(other)) == 5  # what was not seen yet is shown once, then held
    state = after(Action.PAUSE, tick(table(2)), state=state)
    assert len(shown(state)) == 2
