"""Search in tables and trees: a regular expression, the rows in which a text or number matches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from ior.snapshots import Field
from ior.ui.grid import KEY_KINDS
from ior.ui.patterns import TOO_SLOW, matcher, typed
from ior.ui.tabs.abc import Question, Step, WrongAnswer
from ior.units import format_count

HINT = "a regular expression, in any case if it has no capital; empty ends the search"


def matches(pattern: str, row: Sequence[Any], fields: Sequence[Field]) -> bool:
    """Return whether a text or a number of a row that is no count matches; "" never does."""
    if not pattern:
        return False
    search = matcher(pattern)
    cells = (cell for cell, field in zip(row, fields, strict=False) if field.kind in KEY_KINDS)
    return any(cell is not None and search(str(cell)) for cell in cells)


def asked(view: Any) -> Step:
    """Ask for an expression."""
    return Step(view, ask=Question("table search", "search: ", HINT, view.pattern))


def answered(view: Any, text: str) -> Any:
    """Return the view with another expression. Raises WrongAnswer for one that is no good."""
    typed(text)
    return replace(view, pattern=text)


def gone(
    view: Any, found: Sequence[int], here: int, step: int, to: Callable[[Any, int], Any]
) -> Step:
    """Go to the next or previous of the lines `found`, or with 0 to one from `here` on.

    Beyond the last comes the first. `to` puts the cursor on a line. Raises WrongAnswer for an
    expression that takes too long.
    """
    if not view.pattern:
        return Step(view, "search with /" if step else "")
    if matcher(view.pattern).slow and not step:
        raise WrongAnswer(TOO_SLOW)
    if not found:
        return Step(view, f"no row matches {view.pattern}")
    if step < 0:
        line = next((at for at in reversed(found) if at < here), found[-1])
    else:
        line = next((at for at in found if at >= here + step), found[0])
    said = f"match {format_count(found.index(line) + 1)} of {format_count(len(found))}"
    return Step(to(view, line), said)
