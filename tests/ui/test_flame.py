"""The Flame tab: frames, their places, and what keys make of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from emulated import SIZES, ledger
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ior.calls import CALLS, Batch
from ior.names import Names
from ior.stages.flamegraph import Flamegraph, FlamegraphConfig, FlameSnapshot
from ior.testing import calls
from ior.text import width
from ior.ui import frame
from ior.ui.events import Event, Look, Picture, PromptEdited, Resized, Started, Tick
from ior.ui.frames import Drawing
from ior.ui.icicle import NARROW, place
from ior.ui.keys import Action, Pressed
from ior.ui.reducer import reduce
from ior.ui.state import State
from ior.ui.tabs.abc import Clicked
from ior.ui.tabs.flame import STACKS, FlameTab
from ior.ui.tabs.flamemoves import FlameView
from ior.ui.tree import ROOT, of_snapshot
from ior.ui.widgets import Line

SECOND = 1_000_000_000


def batch(scale: int = 1, more: int = 0) -> Batch:
    """Calls of three commands on many files, a few of them slow."""
    rows = [("cat", "read", "/etc/passwd", 60), ("cat", "openat", "/etc/hosts", 20)]
    rows += [("dd", "write", "/dev/null", 100), ("find", "getdents64", "/usr/share", 10 + more)]
    rows += [("sh", "statx", f"/bin/tool{i}", 1) for i in range(30)]
    comm, syscall, file = [], [], []
    for name, call, path, count in rows:
        comm += [name] * count * scale
        syscall += [call] * count * scale
        file += [path] * count * scale
    slow = [1000 if name != "find" else 50_000_000 for name in comm]
    ret = [-2 if name == "sh" else 0 for name in comm]
    return calls(names=Names(), comm=comm, syscall=syscall, file=file, latency_ns=slow, ret=ret)


def snapshot(
    *batches: Batch, stack: tuple[str, ...] = ("comm", "path", "syscall")
) -> FlameSnapshot:
    stage = Flamegraph(FlamegraphConfig(stack=list(stack)))
    stage.connect(CALLS)
    for one in batches:
        stage.process(one)
    return stage.snapshot()


def tick(shown: FlameSnapshot | None, seconds: float = 1) -> Tick:
    return Tick(Picture(Look(shown), ledger(), int(seconds * SECOND)))


def after(*events: Event | Action, state: State) -> State:
    for event in events:
        state = reduce(state, Pressed(event) if isinstance(event, Action) else event)
    return state


def showing(*events: Event | Action, size: tuple[int, int] = (80, 24), rows: bool = True) -> State:
    tab = FlameTab("flame", FlamegraphConfig(), rows=rows)
    state = after(Resized(*size), Started(0, (tab,)), state=State(title="x"))
    return after(tick(snapshot(batch())), *events, state=state)


def view(state: State) -> FlameView:
    assert state.front is not None
    assert isinstance(state.front.view, FlameView)
    return state.front.view


def drawing(state: State) -> Drawing:
    assert isinstance(state.layout, Drawing)
    return state.layout


def lines(state: State) -> list[str]:
    body = [frame.body(state, i) for i in range(state.body_rows)]
    return ["".join(text for _, text in line) for line in body]


def test_frames_hang_from_the_root_heaviest_first() -> None:
    found = lines(showing())
    assert found[0].startswith(" comm›path›syscall  width calls  family")
    assert found[1].startswith("│all")
    assert found[2].startswith("│100.0% 220")
    assert found[3].startswith("│dd")
    order = [found[3].index(name) for name in ("│dd", "│cat", "│sh", "│f")]
    assert order == sorted(order)
    assert "│/dev" in found[5]


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_nothing_vanishes(columns: int) -> None:
    """The boxes under a frame, and those folded, are all its children."""
    tree = of_snapshot(snapshot(batch()))
    for row, under in itertools.pairwise(place(tree, "calls", ROOT, 0, columns)):
        for box in row:
            if box.folded:
                continue
            kids, _ = tree.children(box.node, "calls")
            inside = [b for b in under if box.column <= b.column < box.column + box.width]
            shown = [b.node for b in inside if not b.folded]
            folded = sum(b.folded for b in inside)
            assert len(shown) + folded == len(kids)
            assert set(shown) <= set(kids)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 10**12)), min_size=1, max_size=60),
    st.integers(1, 220),
)
def test_boxes_stay_inside_their_parents_side_by_side(
    nodes: list[tuple[int, int]], columns: int
) -> None:
    parent = [-1, *(at % (i + 1) for i, (at, _) in enumerate(nodes))]
    own = np.array([0, *(weight for _, weight in nodes)])
    count = len(parent)
    snap = FlameSnapshot(
        stack=("comm",),
        weight="calls",
        total=int(own.sum()),
        parent=np.array(parent, np.int32),
        depth=np.zeros(count, np.int32),
        name=tuple(str(i) for i in range(count)),
        self_weight={"calls": own},
    )
    for row in place(of_snapshot(snap), "calls", ROOT, 0, columns):
        end = 0
        for box in row:
            assert box.column >= end
            assert box.width >= 1
            end = box.column + box.width
        assert end <= columns


def test_arrows_go_between_frames() -> None:
    state = showing(Action.DOWN)
    assert view(state).at == ("dd",)
    state = after(Action.RIGHT, state=state)
    assert view(state).at == ("cat",)
    state = after(Action.DOWN, Action.DOWN, state=state)
    assert view(state).at == ("cat", "/etc", "passwd")
    assert after(Action.UP, Action.UP, Action.UP, state=state).layout.at == (0, 0)
    assert view(after(Action.LEFT, Action.LEFT, Action.LEFT, state=state)).at[0] == "dd"
    assert view(after(Action.FIRST, state=state)).at == ()
    assert len(view(after(Action.LAST, state=state)).at) == 4


def test_the_cursor_stays_on_its_frame_while_others_grow() -> None:
    state = showing(Action.DOWN, Action.RIGHT)
    state = after(tick(snapshot(batch(), batch(more=5000)), 2), state=state)
    assert view(state).at == ("cat",)
    row, k = drawing(state).at
    box = drawing(state).boxes[row][k]
    assert not box.folded or box.node == ROOT  # narrow now: at the box that holds it


def test_the_details_say_the_whole_frame_and_its_numbers() -> None:
    found = lines(showing(Action.DOWN, Action.RIGHT, Action.DOWN, Action.DOWN, Action.DOWN))
    assert found[-2].strip() == "cat › /etc › passwd › read"
    assert found[-1].startswith(" 60 27.3% of all  latency 60.0 us  mean 1.00 us")


def test_what_colours_mean_gives_way_to_what_is_shown() -> None:
    keys = (Action.HEIGHT, Action.VIEW, Action.METRIC)
    said = {n: lines(showing(*keys, size=(n, 24)))[0] for n in (60, 75, 100, 120)}
    assert all("height mean latency" in line for line in said.values())
    assert all("…" not in line for line in said.values())
    assert ["<10us" in line for line in said.values()] == [False, False, True, True]
    assert [line.count("mean latency") for line in said.values()] == [1, 2, 1, 2]


def test_no_number_of_the_details_is_cut_off() -> None:
    keys = (Action.METRIC, Action.HEIGHT, Action.HEIGHT, Action.BASELINE)
    whole = lines(showing(*keys, size=(200, 24)))[-1].split()
    errors, of_all = [], []
    for columns in range(40, 200):
        said = lines(showing(*keys, size=(columns, 24)))[-1].split()
        rest = [word for word in whole if word not in ("of", "all") or "of" in said]
        assert said == rest[: len(said)]
        errors.append("errors" in said)
        of_all.append("of" in said)
    assert errors == sorted(errors)
    assert of_all == sorted(of_all)
    assert errors.count(False) < of_all.count(False)


def test_zoom_and_back_before_a_term_of_the_filter() -> None:
    state = after(Action.FILTER, PromptEdited("pid > 0"), Action.ACCEPT, state=showing())
    state = after(tick(snapshot(batch())), Action.DOWN, Action.RIGHT, Action.DRILL, state=state)
    assert drawing(state).boxes[0][0].node == drawing(state).tree.find(("cat",))
    assert lines(state)[1].startswith("│cat")
    state = after(Action.POP, state=state)
    assert (view(state).zooms, view(state).at, state.terms) == ((), ("cat",), ("pid > 0",))
    assert after(Action.POP, state=state).terms == ()


def test_the_folded_frames_are_zoomed_into() -> None:
    state = showing(Action.DOWN, Action.RIGHT, Action.RIGHT, Action.DOWN, Action.DOWN)
    assert view(state).at == ("sh", "/bin")
    row, k = drawing(state).at
    box = drawing(state).boxes[row][k]
    assert box.folded == 30
    assert f"{box.folded} other frames" in lines(state)[-2]
    folded = box.folded
    state = after(Action.DRILL, state=state)
    boxes = drawing(state).boxes[1]
    assert sum(b.folded or 1 for b in boxes) == folded
    assert view(after(Action.POP, state=state)).zooms == ()


def test_width_by_another_metric() -> None:
    state = showing(Action.METRIC)
    assert drawing(state).weight == "latency"
    assert "width latency" in lines(state)[0]
    assert lines(state)[3].startswith("│find")
    seen = [drawing(state).weight]
    for _ in range(len(drawing(state).shown.snapshot.self_weight)):
        state = after(Action.METRIC, state=state)
        seen.append(drawing(state).weight)
    assert set(seen) == set(drawing(state).shown.snapshot.self_weight)


def test_colours_by_family_errors_and_mean_latency() -> None:
    def styles(state: State) -> dict[str, str]:
        body = [frame.body(state, i) for i in range(state.body_rows)]
        return {text.strip("…+ "): style for line in body for style, text in line}

    assert styles(showing())["dd"] == styles(showing())["cat"]
    assert "flame.f" in styles(showing())["dd"]
    errors = styles(showing(Action.VIEW, Action.VIEW))
    assert (errors["dd"], errors["/bin"]) == ("class:heat.0", "class:heat.4")
    heat = styles(showing(Action.VIEW))
    assert (heat["dd"], heat["fi"]) == ("class:heat.0", "class:heat.4")


def test_frames_are_as_high_as_the_mean_of_their_calls() -> None:
    state = showing(Action.HEIGHT)
    assert "height mean latency" in lines(state)[0]
    layout, body = drawing(state), [frame.body(state, i) for i in range(state.body_rows)]
    assert layout.tall == 4
    most = max(layout.mean(box) for row in layout.boxes[1:] for box in row)
    for box in layout.boxes[1]:
        rows = range(layout.above + layout.tall, layout.above + 2 * layout.tall)
        styles = [_style_at(body[row], box.column + 1) for row in rows]
        filled = 4 - styles.count("class:rest")
        assert filled == max(1, round(4 * layout.mean(box) / most))
        assert styles == sorted(styles, key=lambda style: style == "class:rest")
    assert len({layout.filled(box) for row in layout.boxes for box in row}) > 1
    errors = showing(*[Action.HEIGHT] * 4)
    assert "mean errors" in lines(errors)[-1]
    assert lines(showing(*[Action.HEIGHT] * 5)) == lines(showing())


def _style_at(line: Line, column: int) -> str:
    """Return the style of a cell."""
    for style, text in line:
        column -= width(text)
        if column < 0:
            return style
    raise AssertionError("no such column")


def test_a_search_marks_its_matches_and_says_what_they_cover() -> None:
    state = showing(Action.SEARCH)
    assert state.prompt is not None
    assert state.prompt.question.label == "search: "
    state = after(PromptEdited("^/etc$"), Action.ACCEPT, state=state)
    assert state.prompt is None
    assert "/^/etc$ 36.4%" in lines(state)[0]
    assert view(state).at == ("cat", "/etc")
    state = after(Action.SEARCH, PromptEdited("read|write"), Action.ACCEPT, state=state)
    first = view(state).at
    state = after(Action.NEXT_MATCH, state=state)
    assert view(state).at != first
    assert view(after(Action.PREVIOUS_MATCH, state=state)).at == first
    assert view(after(Action.NEXT_MATCH, state=state)).at == first  # and around
    state = after(Action.SEARCH, PromptEdited(""), Action.ACCEPT, state=state)
    assert drawing(state).found is None


def test_a_wrong_regular_expression_stays_in_the_prompt() -> None:
    state = showing(Action.SEARCH, PromptEdited("a(b"), Action.ACCEPT)
    assert state.prompt is not None
    assert (state.prompt.start, state.prompt.text) == (1, "a(b")
    assert "regular expression" in state.prompt.error


def test_a_search_without_a_match_says_so() -> None:
    state = showing(Action.SEARCH, PromptEdited("zzz"), Action.ACCEPT)
    assert state.message is not None
    assert "no frame matches zzz" in state.message.message


def test_a_baseline_counts_from_now_on_and_colours_by_change() -> None:
    first = batch()
    state = showing(Action.BASELINE)
    state = after(tick(snapshot(first, batch(more=90)), 2), Action.DOWN, state=state)
    assert "since r" in lines(state)[0]
    assert drawing(state).tree.sums["calls"][ROOT] == 310
    state = after(*[Action.VIEW] * 3, state=state)
    assert view(state).colour == "change"
    found = {box.node: k for k, box in enumerate(drawing(state).boxes[1])}
    names = [drawing(state).tree.name[node] for node in found]
    assert names.index("find") < names.index("cat")
    assert "points)" in lines(state)[-1]
    state = after(Action.BASELINE, state=state)
    assert drawing(state).tree.sums["calls"][ROOT] == 530


def test_it_is_said_where_calls_from_before_the_baseline_have_left() -> None:
    state = showing(Action.BASELINE)
    more = after(tick(snapshot(batch(), batch(more=90)), 2), state=state)
    assert "since r  " in lines(more)[0]
    first = snapshot(batch())
    weights = {name: np.maximum(values - 1, 0) for name, values in first.self_weight.items()}
    fewer = replace(first, self_weight=weights)
    assert "since r, less what has left" in lines(after(tick(fewer, 2), state=state))[0]


@pytest.mark.parametrize("change", [Action.WINDOW, Action.NEXT_FAMILY])
def test_a_baseline_is_let_go_where_other_rows_are_shown(change: Action) -> None:
    state = showing(Action.BASELINE)
    assert view(state).base is not None
    assert view(after(change, state=state)).base is None


def test_another_order_of_frames_wants_another_picture_also_while_paused() -> None:
    state = showing(Action.PAUSE)
    before = state.looks_at
    state = after(Action.SORT, state=state)
    assert view(state).stack == STACKS[1]
    assert state.looks_at != before
    assert state.looks[0] is None
    assert state.message is not None
    assert "of the retained rows" in state.message.message
    state = after(tick(snapshot(batch(), stack=STACKS[1]), 2), state=state)
    assert lines(state)[0].startswith(" path›comm›syscall")
    for _ in range(len(STACKS) - 1):
        state = after(Action.SORT, tick(snapshot(batch()), 2), state=state)
    assert view(state).stack == ()


def test_an_order_of_frames_is_typed_and_checked() -> None:
    state = showing(Action.REVERSE)
    assert state.prompt is not None
    assert state.prompt.text == "comm path syscall"
    state = after(PromptEdited("comm, bogus"), Action.ACCEPT, state=state)
    assert state.prompt is not None
    assert "bogus" in state.prompt.error
    state = after(PromptEdited("errno > syscall"), Action.ACCEPT, state=state)
    assert view(state).stack == ("errno", "syscall")


def test_without_retained_rows_there_is_no_other_order() -> None:
    state = showing(Action.SORT, rows=False)
    assert view(state).stack == ()
    assert state.message is not None
    assert "needs the rows" in state.message.message


def test_paused_one_goes_on_in_the_frozen_picture() -> None:
    state = showing(Action.PAUSE, tick(snapshot(batch(), batch()), 3), Action.DOWN, Action.METRIC)
    assert drawing(state).tree.sums["calls"][ROOT] == 220
    assert drawing(state).weight == "latency"


def test_a_click_points_and_another_zooms() -> None:
    state = showing(Clicked(40, 3))
    at = view(state).at
    assert len(at) == 1
    assert view(after(Clicked(40, 3), state=state)).zooms[-1].path == at
    assert after(Clicked(3, 0), state=state) == state  # the title is no frame


def test_hostile_names_and_no_calls() -> None:
    odd = calls(
        names=Names(), comm=["\x1b[2J", "\u202e"], syscall=["read"] * 2, file=["a\nb", "日本"]
    )
    state = after(tick(snapshot(odd)), *[Action.DOWN] * 3, state=showing())
    found = lines(state)
    assert {width(line) for line in found} == {80}
    assert all(line.isprintable() for line in found)
    assert "no calls" in "".join(lines(after(tick(snapshot()), state=showing())))


ACTIONS = st.sampled_from(sorted({key.action for key in FlameTab.keys}))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(ACTIONS | st.builds(Clicked, st.integers(0, 90), st.integers(0, 40)), max_size=25),
    st.integers(20, 220),
    st.integers(5, 70),
)
def test_every_line_is_as_wide_as_the_terminal(
    events: list[Event | Action], columns: int, rows: int
) -> None:
    state = showing(*events, size=(columns, rows))
    found = lines(state)
    assert {width(line) for line in found} == {columns}
    assert len(found) == state.body_rows


@pytest.mark.parametrize("size", SIZES[1:])
def test_frames_at_every_size(size: tuple[int, int]) -> None:
    state = showing(size=size)
    assert any("│dd" in line for line in lines(state))
    assert drawing(state).page >= NARROW
