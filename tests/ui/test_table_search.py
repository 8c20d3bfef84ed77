"""Search in tables and trees: where the cursor goes, what is said, what stands out."""

from __future__ import annotations

import re

import pytest
from emulated import ledger
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from test_flame import after, lines
from test_shapes import showing, table_of

from ior.ui import frame
from ior.ui.events import Event, Look, Picture, PromptEdited, Tick
from ior.ui.keys import Action
from ior.ui.state import State

NEXT, PREVIOUS = Action.NEXT_MATCH, Action.PREVIOUS_MATCH


def search(text: str) -> tuple[Event | Action, ...]:
    return (Action.SEARCH, PromptEdited(text), Action.ACCEPT)


def here(state: State) -> str:
    """The first cell of the row under the cursor of a table or a tree."""
    styled = (frame.body(state, row) for row in range(1, state.body_rows))
    return next(line[0][1] for line in styled if line[0][0] == "class:cursor").strip()


def said(state: State) -> str:
    assert state.message is not None
    return state.message.message


def test_the_cursor_goes_to_the_first_match_and_on_and_round_the_ends() -> None:
    names = [row[0] for row in table_of("file").rows]
    matching = [name for name in names if "/var" in name]
    assert len(matching) > 1
    state = showing("file", *search("/var"), shape=0)
    seen = [(here(state), said(state))]
    for key in (*[NEXT] * len(matching), *[PREVIOUS] * len(matching)):
        state = after(key, state=state)
        seen.append((here(state), said(state)))
    count = len(matching)
    expected = [*range(count), 0, *reversed(range(count))]
    assert seen == [(matching[i], f"match {i + 1} of {count}") for i in expected]


def test_case_matters_where_there_is_a_capital() -> None:
    assert said(showing("syscall", *search("READ"), shape=0)) == "no row matches READ"
    assert here(showing("syscall", *search("^read$"), shape=0)) == "read"


def test_numbers_that_name_a_row_are_found_and_counts_are_not() -> None:
    pids = [str(row[0]) for row in table_of("process").rows]
    assert here(showing("process", *search(f"^{pids[-1]}$"), shape=0)) == pids[-1]
    calls = table_of("syscall").rows[0][1]
    assert "no row" in said(showing("syscall", *search(str(calls)), shape=0))


def test_matches_stand_out_until_the_search_ends() -> None:
    def marked(state: State) -> int:
        body = (frame.body(state, row) for row in range(state.body_rows))
        return sum(style == "class:match" for line in body for style, _ in line)

    state = showing("syscall", *search("e"), shape=0)
    names = [row[0] for row in table_of("syscall").rows]
    assert marked(state) == sum("e" in name for name in names) - 1  # one is under the cursor
    ended = after(*search(""), state=state)
    assert marked(ended) == 0
    assert said(after(NEXT, state=ended)) == "search with /"


@pytest.mark.parametrize("shape", [0, 1, 2])
def test_a_wrong_expression_stays_in_the_prompt_with_its_place(shape: int) -> None:
    state = showing("file", *search("a(b"), shape=shape)
    assert state.prompt is not None
    assert "no regular expression" in state.prompt.error
    assert state.prompt.start == 1


def test_in_a_tree_what_a_match_is_in_is_opened_and_stays_so() -> None:
    state = showing("file", *search("^deep"))
    assert here(state).startswith("deep/c")
    found = lines(state)
    assert any(line.startswith("▾ /var/log ") for line in found)
    assert said(state) == "match 1 of 1"
    assert any("deep/c" in line for line in lines(after(Action.FIRST, state=state)))


def test_a_tree_is_searched_through_whatever_is_open_in_the_order_that_it_shows() -> None:
    state = showing("file", Action.ALL)
    shown = [line.split("  ")[0] for line in map(str.strip, lines(state)[1:]) if line]
    names = [re.sub("^[▾▸] ", "", name) for name in shown]
    matching = [name for name in names if "l" in name and name != "(itself)"]
    closed = showing("file", *search("l"))
    seen = [re.sub("^[▾▸] ", "", here(closed))]
    for _ in matching[1:]:
        closed = after(NEXT, state=closed)
        seen.append(re.sub("^[▾▸] ", "", here(closed)))
    assert seen == matching


def test_processes_are_found_in_a_tree_that_is_open_from_the_start() -> None:
    state = showing("process", Action.ALL, *search("cc1"))
    assert here(state).endswith("cc1")


def test_an_icicle_is_searched_as_a_flamegraph_is() -> None:
    state = showing("file", *search("deep"), shape=2)
    assert "/deep " in lines(state)[0]


def on_area(state: State) -> str:
    """What the treemap's area under the cursor is called."""
    inner = state.layout.inner
    return str(inner.parts.label(inner.rects[inner.at].node, inner.rects[inner.at].above))


def test_in_a_treemap_the_cursor_goes_to_areas_that_match_and_these_stand_out() -> None:
    state = showing("file", *search("[cd]$|/x"), shape=3)
    assert lines(state)[0].rstrip().endswith("/[cd]$|/x")
    drawn = state.layout.inner.rects
    expected = [
        label
        for rect in drawn
        if re.search("[cd]$|/x", label := state.layout.inner.parts.label(rect.node, rect.above))
    ]
    assert {"deep/c", "/etc/passwd", "/usr/lib/x/y"} == set(expected)
    seen = [(on_area(state), said(state))]
    for key in (NEXT, NEXT, NEXT, PREVIOUS):
        state = after(key, state=state)
        seen.append((on_area(state), said(state)))
    order = [0, 1, 2, 0, 2]
    assert seen == [(expected[i], f"match {i + 1} of 3") for i in order]
    styled = [part for row in range(state.body_rows) for part in frame.body(state, row)]
    matching = {text[1:].rstrip("─") for style, text in styled if "class:match" in style}
    assert matching & set(expected) == set(expected) - {on_area(state)}
    assert said(showing("file", *search("absent"), shape=3)) == "no row matches absent"


def test_what_matches_and_has_no_area_of_its_own_is_said() -> None:
    table = table_of("file")
    calls = [10**6, *[1] * 50]
    rows = tuple((f"/d/f{i}", n, *table.rows[0][2:]) for i, n in enumerate(calls))
    shown = Tick(Picture(Look(replace(table, rows=rows)), ledger(), 2 * 10**9))
    state = after(*search("f33"), state=after(shown, state=showing("file", shape=3)))
    assert said(state) == "matches are in areas too small to be drawn: zoom in"


@given(st.text(st.sampled_from("ab/[(.*"), max_size=4), st.integers(0, 3))
def test_any_expression_is_taken_or_refused(text: str, shape: int) -> None:
    state = showing("file", *search(text), NEXT, PREVIOUS, shape=shape)
    assert len(lines(state)) == state.body_rows
