"""Warnings: one a second of each kind, the others counted."""

from __future__ import annotations

import pytest

from ior.pipeline.running.context import MAX_KINDS, MAX_WARNINGS, Warnings
from ior.testing import VirtualClock, context

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nothing_blocks")]


async def test_a_kind_is_shown_once_a_second_and_its_repeats_counted() -> None:
    clock, shown = VirtualClock(), list[tuple[str, str]]()
    warnings = Warnings(clock, lambda node, message: shown.append((node, message)))
    for rows in (1, 20, 3_000):
        warnings.warn("live", f"{rows:,} rows dropped")
    warnings.warn("live", "ring full")
    warnings.warn("csv", "5 rows dropped")
    assert shown == [("live", "1 rows dropped"), ("live", "ring full"), ("csv", "5 rows dropped")]
    assert warnings.suppressed == 2
    await clock.advance(1)
    warnings.warn("live", "4,000 rows dropped")
    assert shown[-1] == ("live", "4,000 rows dropped (2 more like it before)")
    assert str(warnings.recent[-1]) == "live: 4,000 rows dropped (2 more like it before)"
    assert warnings.recent[-1].time_ns == 1_000_000_000


async def test_the_last_word_is_said_at_the_end() -> None:
    shown: list[str] = []
    warnings = Warnings(VirtualClock(), lambda _, message: shown.append(message))
    for rows in (1, 2, 3):
        warnings.warn("live", f"{rows} rows dropped")
    warnings.flush()
    warnings.flush()
    assert shown == ["1 rows dropped", "3 rows dropped (1 more like it before)"]


async def test_only_the_last_warnings_are_kept() -> None:
    warnings = Warnings(VirtualClock(), None)
    for letter in range(MAX_WARNINGS + 5):
        warnings.warn(f"n{letter}", "slow")
    assert len(warnings.recent) == MAX_WARNINGS
    assert warnings.recent[0].node == "n5"


def test_a_context_without_a_graph_keeps_books_and_warnings() -> None:
    said: list[str] = []
    ctx = context("mine", warnings=said)
    ctx.warn("careful")
    ctx.book(filtered=3, made=1)
    ctx.hold(2)
    assert said == ["careful"]
    assert (ctx.books.filtered, ctx.books.made, ctx.books.held) == (3, 1, 2)
    assert ctx.ledger().closed


async def test_a_node_that_always_says_something_else_is_held_back_too() -> None:
    shown: list[str] = []
    warnings = Warnings(VirtualClock(), lambda _, message: shown.append(message))
    for number in range(10_000):
        letters = "".join(chr(97 + int(digit)) for digit in str(number))
        warnings.warn("mine", f"cannot read {letters}")
    warnings.warn("live", "ring full")
    assert len(shown) == MAX_KINDS + 2
    assert shown[-1] == "ring full"
    assert warnings.suppressed == 10_000 - MAX_KINDS - 1
