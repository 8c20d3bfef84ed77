"""References to the environment in the texts of a pipeline."""

from __future__ import annotations

from typing import Any

import pytest

from ior.findings import Problem
from ior.pipeline.reading.environment import expand

ENVIRONMENT = {"HOME": "/root", "EMPTY": "", "QUOTE": '" = ${env:HOME}'}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("${env:HOME}/x", "/root/x"),
        ("${env:HOME}${env:HOME}", "/root/root"),
        ("${env:GONE:-a b}", "a b"),
        ("${env:GONE:-}", ""),
        ("${env:EMPTY:-there}", "there"),
        ("${env:EMPTY}", ""),
        ("${env:HOME:-other}", "/root"),
        ("${env:HOME:?why}", "/root"),
        ("$${env:HOME}", "${env:HOME}"),
        ("$HOME and $", "$HOME and $"),
        ("${env:QUOTE}", '" = ${env:HOME}'),  # what a variable holds is never read again
    ],
)
def test_texts_are_expanded(text: str, expanded: str) -> None:
    problems: list[Problem] = []
    value = {"${env:HOME}": [text, 3, {"k": text}]}
    assert expand(value, ENVIRONMENT, problems.append) == {
        "${env:HOME}": [expanded, 3, {"k": expanded}]
    }
    assert problems == []


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("${env:GONE}", "the variable GONE is not set", "${env:GONE:-default}"),
        ("${env:HOMES}", "the variable HOMES is not set", "did you mean 'HOME'?"),
        ("${env:GONE:?where to}", "the variable GONE is not set: where to", "set it"),
        ("${env:EMPTY:?it must say}", "the variable EMPTY is empty: it must say", "set it"),
        ("x ${HOME}", "'${HOME}' is no reference", "${env:HOME}"),
        ("${env:}", "'${env:}' is no reference", "${env:NAME}"),
        ("${env:A B}", "'${env:A B}' is no reference", "${env:NAME:-default}"),
        ("${env:HOME", "'${env:HOME' has no closing '}'", "$${"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, said: str, hint: str) -> None:
    problems: list[Problem] = []
    expand({"a": ["b", text]}, ENVIRONMENT, problems.append)
    (problem,) = problems
    assert (problem.message, problem.keys) == (said, ("a", 1))
    assert problem.offset == text.index("${")
    assert hint in problem.help


def test_only_values_that_are_texts_are_looked_at() -> None:
    value: dict[str, Any] = {"${x}": 1, "b": True, "c": 1.5}
    assert expand(value, {}, lambda problem: pytest.fail(str(problem))) == value
