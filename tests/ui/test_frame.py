"""The views: lines of exactly the terminal's width, and what stands in them."""

from __future__ import annotations

from pathlib import Path

import pytest
from emulated import FIELDS, SIZES, ledger, picture, table, tabs, tick
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from test_state import EVENTS, after, running

from ior.pipeline.ledger import EdgeBooks, StageBooks
from ior.snapshots import Field, Table
from ior.stages.stats import Totals
from ior.text import width
from ior.ui import frame
from ior.ui.events import Ended, Event, Look, Picture, PromptEdited, Resized, Started, Tick
from ior.ui.filtering import FILTER
from ior.ui.keys import KEYS, Action
from ior.ui.notes import Noted
from ior.ui.sight import Matched
from ior.ui.state import State
from ior.ui.tabs.catalogue import documentation
from ior.ui.tabs.table import TableTab
from ior.ui.terms import joined
from ior.ui.widgets import Line, exactly, spread


def text(line: Line) -> str:
    return "".join(part for _, part in line)


def lines(state: State) -> list[str]:
    """All lines of the screen but the prompt's own."""
    body = [frame.body(state, i) for i in range(state.body_rows)]
    return [text(line) for line in (*frame.head(state), *body, *frame.foot(state))]


def styled(state: State, words: str) -> set[str]:
    """The styles of the fragments of the head that hold `words`."""
    return {style for line in frame.head(state) for style, part in line if words in part}


@given(st.lists(EVENTS, max_size=30), st.integers(20, 220), st.integers(5, 70))
def test_every_line_is_as_wide_as_the_terminal(
    events: list[Event], columns: int, rows: int
) -> None:
    state = after(*events, Resized(columns, rows))
    found = lines(state)
    assert {width(line) for line in found} == {columns}
    assert len(found) + (state.prompt is not None) == rows
    assert all(line.isprintable() for line in found)


@pytest.mark.parametrize("size", SIZES)
def test_hostile_text_keeps_the_columns_straight(size: tuple[int, int]) -> None:
    names = ("\x1b]0;x\x07", "a\nb\tc", "\u202egnp.exe", "日本語" * 9, "e\u0301" * 40, "\u200b", "")
    rows = tuple((name, 1_000_000 + i, *(0,) * 9) for i, name in enumerate(names))
    hostile = Table("Files", (Field("file", "text"), *FIELDS[1:]), rows)
    state = after(Resized(*size), tick(hostile), Noted("\x1b[31m\u202e", 0))
    found = lines(state)
    assert {width(line) for line in found} == {size[0]}
    assert all(line.isprintable() for line in found)
    if not state.small:
        ends = {width(line[: line.index("1,000,00") + 9]) for line in found if "1,000,00" in line}
        assert len(ends) == 1


def test_counts_are_written_in_full() -> None:
    found = lines(running())
    assert any(line.split()[:2] == ["read", "200,000"] for line in found)
    assert " calls 400,011 " in found[1]


def test_lost_is_zero_or_red_with_the_place() -> None:
    state = running()
    assert "lost 0 " in lines(state)[1]
    assert styled(state, "0") >= {"class:good"}
    lossy = after(Tick(Picture(Look(table(3)), ledger(lost=1200, dropped=34), 0)), state=state)
    assert "lost 1,234: kernel ring 1,200, pair.out->live 34" in lines(lossy)[1]
    assert styled(lossy, "1,200") == {"class:bad"}
    one = after(Tick(Picture(Look(table(3)), ledger(lost=7), 0)), state=state)
    assert "lost 7 kernel ring" in lines(one)[1]


def test_the_head_says_rates_and_what_ior_itself_costs() -> None:
    seen = Totals(calls=3, errors=12, bytes=4 << 20)
    shown = Picture(Look(table(3)), ledger(), 2_000_000_000, seen, 200_000_000)
    found = lines(after(Tick(shown), state=running(rows=3)))
    assert "bytes 2.0 MiB/s  errors 6.0 /s" in found[1]
    assert " ior 10% cpu " in found[0]
    assert "bytes" not in lines(running())[1]  # no stats stage: not known


@pytest.mark.parametrize(
    ("ns", "said"),
    [
        (350_000_000, "350 ms"),
        (9_990_000_000, "9.99 s"),
        (9_996_000_000, "0:09"),
        (61 * 10**9, "1:01"),
    ],
)
def test_the_head_says_what_time_the_retained_rows_cover(ns: int, said: str) -> None:
    seen = Picture(Look(table(3)), ledger(), 2_000_000_000, retained_ns=ns)
    assert f" rows {said} " in lines(after(Tick(seen), state=running()))[0]


def test_warnings_have_a_badge_and_a_view() -> None:
    assert "warnings" not in lines(running())[0]
    state = running(Noted("kernel: ring full", 0), Noted("csv: disk full", 61 * 10**9, bad=True))
    assert "2 warnings (w)" in lines(state)[0]
    assert styled(state, "2 warnings") == {"class:badge"}
    found = lines(after(Action.WARNINGS, state=state))
    assert found[3].split() == ["1:01", "csv:", "disk", "full"]
    assert found[4].split() == ["0:00", "kernel:", "ring", "full"]
    assert "no warnings" in lines(running(Action.WARNINGS))[3]


def test_the_documentation_has_the_table_of_keys() -> None:
    documented = (Path(__file__).parents[2] / "docs" / "tui.md").read_text(encoding="utf-8")
    assert documentation() in documented


def test_rows_that_failed_in_a_stage_count_as_lost() -> None:
    books = ledger()
    books.stages["mine"] = StageBooks(in_=5, failed=5)
    assert frame.losses(books) == [("failed in mine", 5)]


def test_calls_that_the_probes_did_not_see_are_lost() -> None:
    books = ledger(calls=1)
    books.kernel["skipped"] = 4
    assert frame.losses(books) == [("skipped probes", 4)]


def test_the_head_says_target_phase_and_elapsed() -> None:
    state = after(
        Started(0, tabs("Syscalls")), Tick(picture(75)), state=State(title="dd if=/dev/zero")
    )
    assert lines(state)[0].startswith(" ior  dd if=/dev/zero ")
    assert lines(state)[0].endswith(" running 1:15 ")
    ended = after(
        Ended(Picture(Look(table(3)), ledger(closed=False), 3_700_000_000_000)), state=state
    )
    assert lines(ended)[0].endswith(" ended, books open 1:01:40 ")


def test_a_filter_says_how_many_retained_rows_match() -> None:
    seen = tick(table(3), matched=Matched(1234, 10_000))
    state = running(Action.FILTER, PromptEdited("is_error"), Action.ACCEPT, seen)
    assert "filter is_error" in lines(state)[3]
    assert "1,234 of 10,000 retained rows match" in lines(state)[3]
    other = after(tick(table(3)), state=state)
    assert "not applied here" in lines(other)[3]


def test_carets_stand_under_the_wrong_place() -> None:
    typed = "日 == 1"
    state = running(Action.FILTER, PromptEdited(typed), Action.ACCEPT)
    assert state.prompt is not None
    carets, *message, _ = (text(line) for line in frame.foot(state))
    start = len(FILTER.label) + width(typed[: state.prompt.start])
    assert carets.rstrip() == " " * start + "^" * width(
        typed[state.prompt.start : state.prompt.end]
    )
    said = " ".join(line.strip() for line in message)
    assert state.prompt.error.startswith(said.removesuffix("…"))
    assert said.startswith("unknown field")


def test_a_wrong_filter_wider_than_the_terminal_says_the_character() -> None:
    typed = "is_error and " * 9 + "nonsense == 1"
    state = running(Action.FILTER, PromptEdited(typed), Action.ACCEPT)
    assert state.prompt is not None
    assert text(frame.foot(state)[0]).strip() == f"at character {state.prompt.start + 1}:"


def test_the_error_of_a_failed_run_is_folded() -> None:
    error = "cannot load the programs: " + "permission denied " * 12 + "\nrun: sudo ior tui"
    found = lines(running(Resized(60, 24), Ended(picture(1), error)))
    assert found[-7].startswith("cannot load the programs: permission denied")
    assert found[-2].strip() == "run: sudo ior tui"


def test_the_rest_stands_under_the_last_visible_row() -> None:
    seen = tick(table(30, rest=True))
    assert lines(running(seen))[-3].split()[:2] == ["(other)", "77"]
    few = lines(running(tick(table(2, rest=True))))
    assert few[6].split()[:2] == ["(other)", "77"]


def test_help_names_every_key() -> None:
    found = "\n".join(lines(running(Resized(80, 60), Action.HELP)))
    lines_of_keys = (*TableTab.keys, *KEYS)
    assert all(key.shown in found and key.help in found for key in lines_of_keys)


def test_the_present_tab_is_in_sight() -> None:
    names = [f"a table of some name {i}" for i in range(9)]
    state = running(Started(0, tabs(*names)), *[Action.NEXT_TAB] * 7)
    assert " 8 a tab 9 a tab " in lines(state)[2]
    many = [*names, *names]
    state = running(Started(0, tabs(*many)), *[Action.PREVIOUS_TAB] * 2)
    assert names[7] in lines(state)[2]


def test_of_a_long_filter_both_ends_are_seen_and_what_stands_beside_it() -> None:
    terms = (f'path under "/{"directory/" * 9}"', "is_error and latency >= 1ms")
    state = replace(running(), terms=terms, family="FS", where=joined(terms))
    state = after(tick(table(3), matched=Matched(7, 1000)), state=state)
    line = lines(state)[3]
    assert line.startswith(' filter path under "')
    assert "latency >= 1ms  family FS" in line
    assert line.endswith(" 7 of 1,000 retained rows match ")


def test_nothing_yet_is_said() -> None:
    assert "waiting for the first calls" in "".join(lines(State(title="x")))
    empty = running(tick(table(0)))
    assert any("no calls" in line for line in lines(empty))
    none = running(tick(None))
    assert any("nothing to see here yet" in line for line in lines(none))


@given(st.lists(st.text(max_size=30), max_size=5), st.text(max_size=40), st.integers(1, 60))
def test_lines_are_cut_and_padded_exactly(left: list[str], right: str, cells: int) -> None:
    line: Line = [("", part) for part in left]
    assert width(text(exactly(line, cells))) == cells
    assert width(text(spread(line, [("", right)], cells))) == cells


def test_a_row_that_fits_is_not_marked_as_cut() -> None:
    found = lines(running(Resized(120, 24)))
    assert not any("…" in line for line in found)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (80, " calls 2,500,000 (250.0 k/s)  lost 0  bytes 97.7 KiB/s  errors 1.2 k/s"),
        (64, " calls 2,500,000 (250.0 k/s)  lost 0  97.7 KiB/s  err 1.2 k/s"),
        (60, " calls 250.0 k/s  lost 0  97.7 KiB/s  err 1.2 k/s"),
        (40, " 250.0 k/s lost 0 97.7 KiB/s err 1.2 k/s"),
    ],
)
def test_no_number_is_cut_off_where_there_is_room_for_shorter_words(
    columns: int, said: str
) -> None:
    def seen(seconds: int) -> Tick:
        totals = Totals(errors=1234 * seconds, bytes=100_000 * seconds)
        return Tick(Picture(None, ledger(250_000 * seconds), seconds * 10**9, totals))

    state = after(Resized(columns, 15), seen(9), seen(10))
    assert text(frame.head(state)[1]).rstrip() == said


def test_where_there_is_no_room_for_all_places_of_a_loss_the_worst_is_named() -> None:
    edges = {f"view.out->{name}": 10 for name in ("stats", "stream", "flame")}
    books = replace(
        ledger(2_500_000, lost=1200),
        edges={edge: EdgeBooks(offered=rows, dropped=rows) for edge, rows in edges.items()},
    )
    shown = Tick(Picture(None, books, 10**9, Totals(errors=5, bytes=10)))
    whole, brief = (after(Resized(n, 15), shown) for n in (200, 80))
    assert "lost 1,230: kernel ring 1,200, view.out->stats 10, view.out->" in lines(whole)[1]
    assert "lost 1,230: kernel ring 1,200, 3 more  0 B/s  err 0.0 /s" in lines(brief)[1]


@pytest.mark.parametrize(
    ("status", "how"),
    [
        (None, ""),
        (0, ""),
        (3, "the command ended with 3; "),
        (137, "the command was killed by SIGKILL; "),
        (255, "the command ended with 255; "),
    ],
)
def test_the_end_says_how_the_command_ended(status: int | None, how: str) -> None:
    state = running(Ended(picture(1), status=status))
    assert lines(state)[-2].rstrip() == f"the run has ended; {how}q leaves"


def test_a_small_terminal_says_how_to_leave_a_prompt_too() -> None:
    small = running(Resized(20, 5))
    assert "q quits" in lines(small)[1]
    assert "Ctrl-C quits" in lines(after(Action.FILTER, state=small))[1]
