"""What a node objects to, with the place: from an error to the key that it is about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ior.errors import FilterError, SpecError, raised
from ior.findings import Code, Problem
from ior.findings import Path as At
from ior.pipeline import registry
from ior.pipeline.spec import NodeSpec

_KEY = re.compile(r"key '(\w+)': ")


def objections(spec: NodeSpec, error: Exception) -> Iterator[Problem]:
    """Yield what an error says about a stage's table, with the key that it is about."""
    if isinstance(error, FilterError):
        message, _, help_ = str(error).partition("; ")
        key = next((k for k, v in spec.keys.items() if v == error.source), "where")
        help_ = help_ or "the fields and operators are in docs/stages.md, 'Filters'"
        code = error.problems[0].code
        yield Problem(code, message, help_, (key,), False, error.caret(), error.start)
        return
    said = raised(error) if registry.is_own(spec.type, spec.use) else str(error)
    known = error.problems if isinstance(error, SpecError) else (Problem(Code.REFUSED, said),)
    for one in known:
        problem = one
        if match := _KEY.match(one.message):
            problem = one._replace(message=one.message[match.end() :])
            if not one.keys and match[1] in spec.keys:
                problem = problem._replace(keys=(match[1],))
        message, _, more = problem.message.partition("; ")
        help_ = problem.help or more
        if not help_ and spec.type:
            help_ = f"`ior stages {spec.type}` shows what it takes"
        if problem.keys == ("use",) and spec.use is None:
            problem = problem._replace(keys=("type",))  # of an installed package
        keys = _quoted(spec.keys, problem) or problem.keys or _mentioned(spec.keys, one.message)
        yield problem._replace(message=message, help=help_, keys=keys)


def _quoted(keys: Mapping[str, Any], problem: Problem) -> At:
    """Return the item of the value at the problem's keys that its message quotes, if it does."""
    quoted = set(re.findall(r"'([^']+)'", problem.message))
    for path, leaf in _leaves(keys):
        if isinstance(leaf, str) and leaf in quoted and path[: len(problem.keys)] == problem.keys:
            return path
    return ()


def _mentioned(keys: Mapping[str, Any], message: str) -> At:
    """Return the key that a message names, if it does."""
    words = set(re.findall(r"\w+", message))
    return next(((key,) for key in keys if key in words), ())


def _leaves(value: Any, path: At = ()) -> Iterator[tuple[At, Any]]:
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(inner, (*path, key))
    else:
        yield path, value


def value_at(keys: Any, path: At) -> object:
    """Return the value at a path, None where there is none."""
    for part in path:
        try:
            keys = keys[part]
        except (KeyError, IndexError, TypeError):
            return None
    return keys
