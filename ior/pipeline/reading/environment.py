"""Values from the environment: `${env:NAME}` in the texts of a pipeline.

`${env:NAME:-default}` gives the default where NAME is unset or empty, `${env:NAME:?why}`
refuses the pipeline and says why. `$${` is a `${` that means itself. Only values that are
texts are looked at, after the file was parsed: what a variable holds can never become a key,
a table, or another type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ior.findings import Code, Path, Problem, choice

_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)\}?")
_VARIABLE = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)(?:(:-|:\?)(.*))?", re.DOTALL)


def expand(
    value: Any, environment: Mapping[str, str], say: Callable[[Problem], None], at: Path = ()
) -> Any:
    """Return a parsed TOML value with its references replaced; what is wrong goes to `say`."""
    if isinstance(value, dict):
        return {k: expand(v, environment, say, (*at, k)) for k, v in value.items()}
    if isinstance(value, list):
        return [expand(v, environment, say, (*at, i)) for i, v in enumerate(value)]
    if not isinstance(value, str) or "${" not in value:
        return value

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        found = _VARIABLE.fullmatch(match[1]) if match[0].endswith("}") else None
        problem = _malformed(match[0]) if found is None else None
        if found is not None:
            name, mark, more = found.groups("")
            if given := environment.get(name, ""):
                return given
            if mark == ":-" or (not mark and name in environment):
                return more
            problem = _unset(name, more, environment)
        assert problem is not None
        say(problem._replace(keys=at, offset=match.start()))
        return ""

    return _REFERENCE.sub(replace, value)


def _malformed(said: str) -> Problem:
    name = re.sub(r"\W", "", said) or "NAME"
    if not said.endswith("}"):
        return Problem(
            Code.ENVIRONMENT, f"'{said}' has no closing '}}'", "write $${ for a plain ${"
        )
    help_ = f"write ${{env:{name}}} for a variable of the environment, $${{ for a plain ${{"
    if said.startswith("${env:"):
        help_ = "write ${env:NAME}, ${env:NAME:-default} or ${env:NAME:?why}"
    return Problem(Code.ENVIRONMENT, f"'{said}' is no reference", help_)


def _unset(name: str, why: str, environment: Mapping[str, str]) -> Problem:
    state = "empty" if name in environment else "not set"
    reason = f": {why}" if why else ""
    near = choice(name, environment)
    near = f"{near} Or set it" if near.startswith("did you") else "set it"
    help_ = f"{near}, or give a default: ${{env:{name}:-default}}"
    return Problem(Code.ENVIRONMENT, f"the variable {name} is {state}{reason}", help_)
