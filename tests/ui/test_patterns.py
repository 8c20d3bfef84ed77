"""Regular expressions that never end, or that are no good: said, and everything goes on."""

from __future__ import annotations

import re
import signal
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_flame import lines
from test_flame import showing as flame
from test_shapes import showing as shapes
from test_state import after
from test_stream_tab import showing as stream

from ior.ui.events import PromptEdited
from ior.ui.keys import Action
from ior.ui.patterns import PATIENCE_S, TOO_SLOW, Matcher, compiled
from ior.ui.state import State

ENDLESS = "(.?.?){30,}~$"
TOO_LARGE = ("(" * 5000 + ")" * 5000, "a{99999999999}")


def search(state: State, text: str) -> State:
    return after(Action.SEARCH, PromptEdited(text), Action.ACCEPT, state=state)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(a|a)*$", "(a|aa)" * 40 + "$"])
def test_a_search_that_does_not_end_is_given_up_and_the_alarm_is_as_it_was(pattern: str) -> None:
    handler = signal.getsignal(signal.SIGALRM)
    search_ = Matcher(pattern)
    begun = time.monotonic()
    assert not search_("a" * 200 + "!")
    assert time.monotonic() - begun < 20 * PATIENCE_S
    assert search_.slow
    assert not search_("a")  # not tried any more
    assert signal.getsignal(signal.SIGALRM) is handler


@given(st.text(st.sampled_from("aB.*+?[]()|{2}"), max_size=8), st.text("aBb", max_size=8))
def test_it_finds_what_the_expression_finds(pattern: str, text: str) -> None:
    flags = 0 if pattern != pattern.lower() else re.IGNORECASE
    try:
        expected = compiled(pattern, flags).search(text)
    except re.error:
        with pytest.raises(re.error):
            Matcher(pattern)
        return
    assert bool(Matcher(pattern)(text)) == bool(expected)


@pytest.mark.parametrize(
    "state",
    [flame(), stream(), *(shapes("file", shape=shape) for shape in range(3))],
    ids=["flame", "stream", "table", "tree", "icicle"],
)
def test_the_prompt_stays_and_says_so(state: State) -> None:
    slow = search(state, ENDLESS)
    assert slow.prompt is not None
    assert (slow.prompt.text, slow.prompt.error) == (ENDLESS, TOO_SLOW)
    back = after(Action.CANCEL, state=slow)
    assert lines(back) == lines(state)
    for pattern in TOO_LARGE:
        large = search(state, pattern)
        assert large.prompt is not None
        assert "it is too large" in large.prompt.error
