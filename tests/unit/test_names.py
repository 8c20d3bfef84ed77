"""Names: codes never change their text, and a text has one code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ior.names import FileState, Names

PAIRS = st.lists(st.tuples(st.text(max_size=8), st.sampled_from(FileState)), max_size=60)


def test_empty_text_is_code_zero() -> None:
    names = Names()
    assert names.intern("") == 0
    assert names.text(0) == ""
    assert len(names) == 1


@given(PAIRS)
def test_a_pair_has_one_code_and_a_code_one_pair(pairs: list[tuple[str, FileState]]) -> None:
    names = Names()
    codes = [names.intern(text, state) for text, state in pairs]
    assert names.texts(codes) == [text for text, _ in pairs]
    assert names.states[codes].tolist() == [state for _, state in pairs]
    assert [names.intern(text, state) for text, state in pairs] == codes
    assert len(names) == len({("", FileState.OK), *pairs})
    assert sorted({0, *codes}) == list(range(len(names)))


@given(PAIRS, PAIRS)
def test_what_is_interned_later_changes_nothing_before(
    before: list[tuple[str, FileState]], after: list[tuple[str, FileState]]
) -> None:
    names = Names()
    for text, state in before:
        names.intern(text, state)
    size, seen, states = len(names), names.since(0), names.states.tolist()
    for text, state in after:
        names.intern(text, state)
    assert names.since(0)[:size] == seen
    assert names.states[:size].tolist() == states
    assert seen + names.since(size) == names.since(0)


def test_states_are_read_only_and_grow_with_the_names() -> None:
    names = Names()
    before = names.states
    code = names.intern("/gone", FileState.DELETED)
    assert names.states[code] == FileState.DELETED
    assert len(before) == 1
    with pytest.raises(ValueError, match="read-only"):
        names.states[code] = 0
    with pytest.raises(ValueError, match="read-only"):
        before[0] = 1
    assert names.states.dtype == np.uint8


def test_same_text_in_two_states_has_two_codes() -> None:
    names = Names()
    assert names.intern("/f") != names.intern("/f", FileState.DELETED)


def test_unknown_code_raises() -> None:
    with pytest.raises(IndexError):
        Names().text(1)


def test_size_grows_with_new_text_only() -> None:
    names = Names()
    names.intern("/some/path")
    size = names.size_bytes
    assert size > len("/some/path")
    names.intern("/some/path")
    assert names.size_bytes == size
    names.intern("/some/other/path")
    assert names.size_bytes > size
