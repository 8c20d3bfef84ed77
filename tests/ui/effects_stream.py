"""What the keys of the stream do, by their help."""

from __future__ import annotations

import re
from collections.abc import Callable

from effects import Done, Effect, view

from ior.ui.wishes import Copy

ROWS = 8000


def row_of(status: str) -> int:
    """Return which row the last line of the list says that the cursor is on."""
    found = re.match(rf" row ([\d,]+) of {ROWS:,} ", status)
    assert found is not None, status
    return int(found[1].replace(",", ""))


def under_the_cursor(done: Done) -> str:
    """Return the line of the row under the cursor."""
    layout = done.after.layout
    return done.now[layout.rows.line_of(layout.listing.row) - layout.listing.top + 1]


def stops_to_select(done: Done) -> None:
    assert done.was[-1].startswith(f" the latest of {ROWS:,} rows")
    assert done.after.paused
    assert row_of(done.now[-1]) == ROWS
    assert done.seat.reversed(done.after.head_rows + len(done.now) - 2).strip()
    assert done.now[1:-1] == done.was[1:-1]
    done.again(done.name)
    assert done.now == done.was
    assert not done.after.paused


def filters_by_the_cell(done: Done) -> None:
    assert done.after.terms == ('comm == "find"',)
    assert " of 8,000 retained rows match" in done.seat.show()[3]
    assert all(line.split()[1] == "find" for line in done.now[1:-1] if line.strip())


def shows_the_row_in_full(done: Done) -> None:
    assert done.now[0].startswith("›openat ")
    assert any(line.split()[-1:] == ["/var/lib/part1/file37"] for line in done.now)
    done.again(done.name)
    assert row_of(done.now[-1]) == ROWS


def goes_back_to_the_list(done: Done) -> None:
    assert view(done.before).opened
    assert not view(done.after).opened
    assert done.after.terms == done.before.terms
    assert done.again(done.name)[3].startswith(" filter is_error ")
    assert done.after.terms == ("is_error",)


def closes_the_row(done: Done) -> None:
    assert view(done.before).opened
    assert not view(done.after).opened
    done.again(done.name)  # which takes off nothing, unlike Backspace
    assert done.after.terms == done.before.terms


def searches(done: Done) -> None:
    assert any(line.startswith("search: ") for line in done.seat.show())
    assert "match 2,300 of 2,300" in done.again("nginx", "enter")[-2]
    assert "nginx" in under_the_cursor(done)


def next_match(expected: int) -> Effect:
    def check(done: Done) -> None:
        assert f"match {expected:,} of 2,300" in done.seat.show()[-2]
        assert under_the_cursor(done).split()[1] == "nginx"

    return check


def copies_the_row(done: Done) -> None:
    (wish,) = done.seat.wishes
    assert isinstance(wish, Copy)
    assert {"find", "openat", "/var/lib/part1/file37"} <= set(wish.text.split())


def on_row(to: Callable[[int, int], int]) -> Effect:
    """`to` gives the row from that before and the rows of a page."""

    def check(done: Done) -> None:
        was = done.was[-1]
        before = ROWS if was.startswith(" the latest") else row_of(was)
        assert row_of(done.now[-1]) == to(before, len(done.was) - 2) != before
        assert done.after.paused

    return check


def on_cell(step: int) -> Effect:
    def check(done: Done) -> None:
        columns = done.after.layout.listing.columns
        to = view(done.before).column + step
        assert view(done.after).column == to
        assert f"  {columns[to].title} " in done.seat.show()[-3]

    return check
