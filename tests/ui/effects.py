"""What the keys do that mean the same everywhere, and those of tables, by their help."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec.structs import replace
from scenes import NAMES, Seat, sequence, text

from ior.ui import frame
from ior.ui.events import Recording
from ior.ui.keys import KEYS
from ior.ui.state import Phase, State
from ior.ui.tabs.catalogue import every_key
from ior.ui.tabs.pipeline import PipelineTab
from ior.ui.tabs.table import TableLayout, TableView
from ior.ui.wishes import Copy, Propose, StopRecording


class Done(NamedTuple):
    """A key was pressed: the screen, what it was before, and the state before."""

    seat: Seat
    was: list[str]  # lines of the body
    before: State
    name: str

    @property
    def after(self) -> State:
        """The state now."""
        return self.seat.state

    @property
    def now(self) -> list[str]:
        """The lines of the body now."""
        return self.seat.body

    def again(self, *names: str) -> list[str]:
        """Press more keys; return the whole screen."""
        return self.seat.show(*(sequence(name) if name in SPECIAL else name for name in names))


SPECIAL = {name for name in every_key() if len(name) > 1}
Effect = Callable[[Done], None]


def view(state: State) -> Any:
    assert state.front is not None
    return state.front.view


def table(state: State) -> tuple[TableView, TableLayout]:
    """Return the view and the layout of the table in front."""
    shown, layout = view(state), state.layout
    if isinstance(state.front.tab, PipelineTab):  # type: ignore[union-attr]  # view() saw to it
        return shown.graph, layout.graph
    assert isinstance(layout, TableLayout)
    return shown, layout


def leaves(done: Done) -> None:
    assert (done.after.quits, done.after.phase) == (1, Phase.STOPPING)
    assert "stopping" in done.seat.show()[0]


def shows_and_hides(words: str) -> Effect:
    def check(done: Done) -> None:
        assert any(words in line for line in done.now)
        assert not any(words in line for line in done.was)
        done.again(done.name)
        assert done.now == done.was

    return check


def helps(done: Done) -> None:
    tab = done.before.front.tab  # type: ignore[union-attr]  # there are tabs
    assert done.now[0].strip() == (f"In {tab.name}" if tab.keys else "Everywhere")
    for line in done.after.over.seen[1:]:  # type: ignore[union-attr]  # that is what it shows
        assert (
            not line
            or any(key.help in text(line) for key in (*tab.keys, *KEYS))
            or ("Everywhere" in text(line))
        )
    done.again("G")
    assert KEYS[-1].help in done.now[-1]
    done.again(done.name)
    assert done.now == done.was


def edits_the_filter(done: Done) -> None:
    assert any(line.startswith("filter: ") for line in done.seat.show())
    assert done.again("is_error", "enter")[3].startswith(" filter is_error ")
    done.again("f", "\x15", "enter")
    assert done.after.terms == ()
    assert done.now == done.was


def takes_the_last_term_off(done: Done) -> None:
    assert done.before.terms == ("is_error", 'comm == "nginx"')
    assert done.after.terms == ("is_error",)
    lines = done.seat.show()
    assert lines[3].startswith(" filter is_error ")
    assert "nginx" not in lines[3]


def holds_the_picture(done: Done) -> None:
    assert " paused " in done.seat.show()[0]
    done.seat.turn("nothing")
    lines = done.seat.show(done.seat.tick)
    assert done.now == done.was
    assert lines[1].startswith(" calls 0 ")  # the trace goes on
    assert " paused " not in done.again(done.name)[0]
    done.seat.show(done.seat.tick)
    assert NOT_OF_CALLS(done) or done.now != done.was


def NOT_OF_CALLS(done: Done) -> bool:  # noqa: N802 (a list elsewhere)
    return done.before.front.tab.name in ("Pipeline", "Unmatched", "Weather")  # type: ignore[union-attr]


def longer_windows(done: Done) -> None:
    said = [done.seat.show()[3], done.again("W")[3], done.again("W")[3]]
    assert [line.split()[:3] for line in said] == [["window", s, "s"] for s in ("10", "60", "300")]
    if "not applied here" not in said[0]:
        assert " retained rows " in said[0] or " by the second " in said[0]
    done.again("W")
    assert done.after.window.span_s == 0
    assert [line.split()[0:1] for line in done.now] == [line.split()[0:1] for line in done.was]


def earlier(done: Done) -> None:
    assert "10 s until 0:10 ago, 0 returns" in done.seat.show()[3]
    assert "10 s until 0:20 ago" in done.again(done.name)[3]


def later(done: Done) -> None:
    assert "until 0:20 ago" in text(frame.head(done.before)[3])
    assert "until 0:10 ago" in done.seat.show()[3]
    assert "10 s until now" in done.again(done.name)[3]


def live(done: Done) -> None:
    assert text(frame.head(done.before)[3]).startswith(" window ")
    assert done.after.window == replace(done.after.window, span_s=0, end_ns=None)
    assert not any(line.startswith(" window ") for line in done.seat.show())


def tab_to(step: int) -> Effect:
    def check(done: Done) -> None:
        to = (done.before.tab + step) % len(NAMES)
        assert done.after.tab == to
        done.seat.show()
        assert done.seat.named == NAMES[to]

    return check


def tab_of_that_number(done: Done) -> None:
    assert done.after.tab == int(done.name) - 1
    done.seat.show()
    assert done.seat.named == NAMES[int(done.name) - 1]
    assert done.seat.reversed(2).strip().startswith(f"{done.name} ")


def wishes(*asked: Any) -> Effect:
    def check(done: Done) -> None:
        assert done.seat.wishes == list(asked)

    return check


def starts_and_stops_a_recording(done: Done) -> None:
    assert done.seat.wishes == [Propose("recording")]
    lines = done.seat.show(lambda: done.seat.dispatch(Recording("x.ior")))
    assert "recording (R)" in lines[0]
    done.again(done.name)
    assert done.seat.wishes == [Propose("recording"), StopRecording()]


def on_row(done: Done, row: int) -> None:
    """The cursor is on a row of the table, which is drawn in reversed video."""
    shown, layout = table(done.after)
    row = max(0, min(row, len(layout.grid.rows) - 1))
    assert shown.cursor == row
    done.seat.show()
    at = done.after.head_rows + 1 + row - shown.top
    assert str(layout.grid.rows[row][0])[-6:].strip() in done.seat.reversed(at)


def rows_by(delta: Callable[[TableLayout], int]) -> Effect:
    return lambda done: on_row(done, table(done.before)[0].cursor + delta(table(done.before)[1]))


def drills_into_the_row(done: Done) -> None:
    shown, layout = table(done.before)
    cell = layout.grid.rows[shown.cursor][0]
    if NOT_OF_CALLS(done):
        assert done.after.terms == ()
        assert "a row of this table is no filter" in done.seat.show()[-2]
        return
    assert len(done.after.terms) == 1
    assert str(cell) in done.after.terms[0]
    lines = done.seat.show()
    assert lines[3].startswith(f" filter {done.after.terms[0][:15]}")
    assert " of 8,000 retained rows match" in lines[3] or "not applied here" in lines[3]


def sorts_by_the_next_column(done: Done) -> None:
    _, layout = table(done.after)
    field = layout.grid.table.fields[0]
    assert layout.grid.sort.field == field.name
    assert f"{field.name}{'▲' if field.kind == 'text' else '▼'}" in done.now[0]
    first = [row[0] for row in layout.grid.rows]
    assert first == sorted(first, reverse=field.kind != "text")
    done.again("s")
    assert table(done.after)[1].grid.sort.field == layout.grid.table.fields[1].name


def reverses(done: Done) -> None:
    before, after = table(done.before)[1].grid.rows, table(done.after)[1].grid.rows
    assert after == before[::-1]
    assert str(after[0][0])[-6:] in done.now[1]


def copies_the_row(done: Done) -> None:
    shown, layout = table(done.before)
    (wish,) = done.seat.wishes
    assert isinstance(wish, Copy)
    assert wish.text.startswith(str(layout.grid.rows[shown.cursor][0]))


def to_the_cell(step: int) -> Effect:
    def check(done: Done) -> None:
        at = table(done.before)[0].column + step
        shown, layout = table(done.after)
        assert shown.column == at
        field = layout.grid.table.fields[at]
        heading = done.now[0].split()
        assert field.name.split()[0] in [name.rstrip("▲▼") for name in heading]
        names = " ".join(field.name for field in layout.grid.table.fields).split()
        assert heading[0].rstrip("▲▼") == names[0]

    return check


def widths(count: int) -> Effect:
    """The width goes through all weights, and frames are as wide as they then weigh."""

    def check(done: Done) -> None:
        seen = [done.was[0].partition("width ")[2].split()[0]]
        for _ in range(count - 1):
            seen.append(done.now[0].partition("width ")[2].split()[0])
            done.again(done.name)
        assert len(set(seen)) == count
        assert seen[:2] == ["calls", "latency"]
        assert done.now == done.was

    return check


def searches_rows(done: Done) -> None:
    assert any(line.startswith("search: ") for line in done.seat.show())
    rows = table(done.after)[1].grid.rows
    name = str(rows[-1][0])
    said = done.again(f"^{re.escape(name)}$", "enter")[-2]
    view_, layout = table(done.after)
    assert str(layout.grid.rows[view_.cursor][0]) == name
    assert re.match("match 1 of ", said)


def to_match(step: int) -> Effect:
    """Of a search that finds every row."""

    def check(done: Done) -> None:
        (was, layout), (now, _) = table(done.before), table(done.after)
        assert now.cursor == (was.cursor + step) % len(layout.grid.rows)

    return check
