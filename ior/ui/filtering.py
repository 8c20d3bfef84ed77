"""The filter as keys and prompts change it: terms, and the family that one looks at.

The functions are pure, from one state to the next; `ior.ui.reducer` says which key is which.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from ior.errors import FilterError
from ior.ui.events import Look
from ior.ui.state import Prompt, State, said
from ior.ui.tabs.abc import Question, WrongAnswer
from ior.ui.terms import joined

FILTER = Question(
    "filter", "filter: ", "Enter applies it, also to what comes; empty shows everything"
)

NAME = Question("name", "save as: ", "Enter saves the present filter; one of that name is replaced")


def ask(state: State) -> State:
    """Let the filter be edited."""
    return replace(state, prompt=Prompt(FILTER, source(state)), over=None)


def source(state: State) -> str:
    """Return the terms as one filter."""
    where = joined(state.terms)
    return "" if where is None else where.source


def apply(state: State, typed: str) -> State:
    """Apply a filter; an empty one shows everything again."""
    text = typed.strip()
    terms = (text,) if text else ()
    try:
        joined(terms)
    except FilterError as error:
        lead = len(typed) - len(typed.lstrip())
        raise WrongAnswer(str(error), error.start + lead, error.end + lead) from None
    if terms == state.terms or text == source(state):
        return state
    return filtered(state, terms, state.family)


def filtered(state: State, terms: tuple[str, ...], family: str) -> State:
    """Return the state with another filter; its pictures are yet to come."""
    looks: tuple[Look | None, ...] = (None,) * len(state.tabs)
    where = joined((*terms, f'family == "{family}"') if family else terms)
    views = tuple(view.renewed() for view in state.views)
    return replace(state, terms=terms, family=family, where=where, looks=looks, views=views)


def pop(state: State) -> State:
    """Take the family off, or else the last term."""
    if state.family:
        return filtered(state, state.terms, "")
    if not state.terms:
        return said(state, "there is no filter to take a term off")
    return filtered(state, state.terms[:-1], "")


def step_family(step: int) -> Callable[[State], State]:
    """Look at another of the families that are on; between the last and the first stand all."""

    def act(state: State) -> State:
        ring = ("", *state.switches.families)
        at = ring.index(state.family) if state.family in ring else 0
        return filtered(state, state.terms, ring[(at + step) % len(ring)])

    return act
