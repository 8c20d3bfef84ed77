"""Tables as trees and treemaps: sums, percentiles, groupings, areas and the filters they give."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from emulated import SIZES, ledger
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from test_flame import after, lines

from ior.calls import CALLS, Batch
from ior.expr import compile_filter
from ior.histogram import Histogram
from ior.names import Names
from ior.stages.stats import Stats, StatsConfig, StatsSnapshot
from ior.tasks import Task
from ior.testing import calls
from ior.text import width
from ior.ui.columns import detailed
from ior.ui.events import Event, Look, Picture, Resized, Started, Tick
from ior.ui.keys import Action
from ior.ui.parts import GROUPINGS, Detailed, Parts, parts_of
from ior.ui.state import State
from ior.ui.sums import sums_of
from ior.ui.tabs.abc import Clicked
from ior.ui.tabs.stats import FilesTab, ProcessesTab, StatsTab, SyscallsTab
from ior.ui.terms import NoTerm
from ior.ui.tree import ROOT, Tree
from ior.ui.treemap import LEAST_AREA, Rect, place, squarified
from ior.ui.wishes import Copy
from ior.units import format_count

TABS: dict[str, type[StatsTab]] = {
    "syscall": SyscallsTab,
    "file": FilesTab,
    "process": ProcessesTab,
}
FILES = (
    *("/var/log/a", "/var/log/b", "/var/log/deep/c", "/var/log"),
    *("/etc/passwd", "/usr/lib/x/y", "tcp 1.2.3.4:5 → 6.7.8.9:10", "tcp other", "pipe:[7]", ""),
)
SYSCALLS = ("read", "write", "openat", "sendto", "splice")
MOVES = {"read": {"read", "splice"}, "written": {"write", "sendto", "splice"}}
ID = "0123456789abcdef" * 4
TASKS = {  # by pid: parent and control group
    10: Task(1, 0, 1, "/init.scope"),
    20: Task(10, 0, 2, f"/system.slice/docker-{ID}.scope"),
    21: Task(20, 0, 2, f"/system.slice/docker-{ID}.scope"),
    22: Task(20, 0, 3, "/system.slice/ssh.service"),
    30: Task(999, 0, 3, "/system.slice/ssh.service"),
}


def batch(rows: int = 600) -> Batch:
    rng = np.random.default_rng(5)
    names, pids = Names(), list(TASKS)
    codes = [names.intern(TASKS[pid].text()) for pid in pids]
    pid = rng.integers(0, len(pids), rows)
    comms = ["init", "sh", "make", "cc1", "cron"]
    return calls(
        names=names,
        syscall=[
            ["read", "write", "openat", "sendto", "splice"][i] for i in rng.integers(0, 5, rows)
        ],
        ret=rng.integers(-2, 5000, rows),
        latency_ns=(10 ** rng.uniform(2, 7, rows)).astype(np.int64),
        file=[FILES[i] for i in rng.integers(0, len(FILES), rows)],
        pid=[pids[i] for i in pid],
        comm=[comms[i] for i in pid],
        task=[codes[i] for i in pid],
    )


def snapshot(max_keys: int = 4096) -> StatsSnapshot:
    stage = Stats(StatsConfig(max_keys=max_keys))
    stage.connect(CALLS)
    stage.process(batch())
    return stage.snapshot()


def table_of(key: str, max_keys: int = 4096) -> Detailed:
    found = snapshot(max_keys)
    return detailed(found.by[key], found.details[key], {}, found.tasks)


def showing(
    key: str,
    *events: Event | Action,
    size: tuple[int, int] = (100, 30),
    max_keys: int = 4096,
    shape: int = 1,
) -> State:
    state = after(Resized(*size), Started(0, (TABS[key]("stats"),)), state=State(title="x"))
    shown = Tick(Picture(Look(table_of(key, max_keys)), ledger(), 10**9))
    return after(shown, *[Action.VIEW] * shape, *events, state=state)


def beneath(parts: Parts, node: int, rows: Batch) -> np.ndarray[Any, Any]:
    """Return which calls belong to a node."""
    names = [row[0] for row in parts.table.rows]
    under = {names[parts.row[n]] for n in parts.under(node) if 0 <= parts.row[n] < len(names)}
    column = {"syscall": "syscall", "file": "file", "process": "pid"}[parts.key]
    values: Iterable[Any] = rows["pid"].tolist() if column == "pid" else rows.text(column)
    return np.array([value in under for value in values])


def test_a_key_of_another_shape_says_what_it_is_for() -> None:
    for action, shown in ((Action.METRIC, "m"), (Action.OPEN, "+"), (Action.ALL, "*")):
        message = showing("file", action, shape=0).message
        assert message is not None
        assert message.message.startswith(f"not in this view: {shown}: ")
    assert showing("file", Action.OPEN, shape=1).message is None


@pytest.mark.parametrize(("key", "by"), [(key, by) for key in TABS for by in GROUPINGS[key]])
def test_the_numbers_of_a_whole_are_those_of_all_calls_below_it(key: str, by: str) -> None:
    rows, parts = batch(), parts_of(key, by, table_of(key))
    sums = sums_of(parts, 2 if key == "process" else 1)
    names = [field.name for field in sums.fields]
    for node in parts.under(ROOT):
        mine = rows.select(beneath(parts, node, rows))
        cells = dict(zip(names, sums.row(node), strict=True))
        latency = mine["latency_ns"]
        histogram = Histogram()
        histogram.add(latency)
        shown = histogram.snapshot()
        assert cells["calls"] == len(mine)
        assert cells["errors"] == np.count_nonzero(mine["is_error"])
        assert cells["bytes"] == mine["bytes"].sum()
        assert cells["total"] == latency.sum()
        assert cells["mean"] == latency.sum() // len(mine)
        assert (cells["min"], cells["max"]) == (latency.min(), latency.max())
        for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            assert cells[name] == shown.quantile(q)
        for way, some in MOVES.items():
            moved = [call in some for call in mine.text("syscall")]
            assert cells[way] == mine["bytes"][moved].sum()


@pytest.mark.parametrize(("key", "by"), [(key, by) for key in TABS for by in GROUPINGS[key]])
def test_the_filter_of_a_part_means_its_calls(key: str, by: str) -> None:
    rows, parts = batch(), parts_of(key, by, table_of(key))
    for node in parts.under(ROOT):
        if node == ROOT:
            continue
        term = parts.term(node)
        mask = beneath(parts, node, rows)
        if key == "file":  # `path` is also what a call asked for; here there is none
            term = term.replace("path under", "file under")
        assert (compile_filter(term)(rows) == mask).all(), term


def test_what_has_no_row_of_its_own_is_one_part_and_no_filter() -> None:
    table = table_of("file", 3)
    parts = parts_of("file", "directory", table)
    assert table.rest is not None
    assert parts.tree.sums["calls"][ROOT] == sum(row[1] for row in (*table.rows, table.rest))
    for node in (ROOT, int(parts.node[-1])):
        with pytest.raises(NoTerm):
            parts.term(node)
    state = showing("file", max_keys=3)
    at = next(i for i, line in enumerate(lines(state)) if "(other)" in line)
    state = after(*[Action.DOWN] * (at - 1), Action.DRILL, state=state)
    assert state.terms == ()
    assert state.message is not None
    assert "no row of its own" in state.message.message


def test_a_tree_opens_and_what_a_whole_holds_itself_is_a_line_in_it() -> None:
    found = lines(showing("file"))
    assert found[0].split()[:3] == ["directory", "calls", "rate"]
    assert [line.split()[0] for line in found[1:6]].count("▸") == 2
    assert any(line.startswith("▸ /var/log ") for line in found)
    assert any(line.startswith("  /usr/lib/x/y ") for line in found)
    state = showing("file", Action.FIRST)
    assert lines(state)[1].startswith("▸ /var/log")
    found = lines(after(Action.OPEN, state=state))
    assert found[1].startswith("▾ /var/log")
    assert any(line.startswith("    (itself) ") for line in found[2:6])
    assert any(line.startswith("    deep/c ") for line in found[2:6])


def test_a_line_of_a_tree_is_copied_with_its_whole_path() -> None:
    for name, row in (("/var/log/deep/c", "deep/c"), ("/var/log (itself)", "(itself)")):
        opened = showing("file", Action.OPEN)
        at = next(i for i, line in enumerate(lines(opened)) if line.split()[0] == row)
        wish = after(*[Action.DOWN] * (at - 1), Action.COPY, state=opened).wish
        assert isinstance(wish, Copy)
        assert wish.text.split("  ")[0] == name


def test_enter_in_a_tree_filters_by_all_of_a_part_or_by_what_it_holds_itself() -> None:
    assert showing("file", Action.DRILL).terms == ('path under "/var/log"',)
    opened = showing("file", Action.OPEN)
    at = next(i for i, line in enumerate(lines(opened)) if "(itself)" in line)
    state = after(*[Action.DOWN] * (at - 1), Action.DRILL, state=opened)
    assert state.terms == ('file == "/var/log"',)


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("directory", ""),
        ("calls", ""),
        ("p99", " and latency >= {}ns"),
        ("min", " and latency <= {}ns"),
    ],
)
def test_enter_on_a_cell_of_a_tree_asks_for_the_calls_that_it_speaks_of(
    field: str, asked: str
) -> None:
    state = showing("file", Action.FIRST)
    fields = [one.name for one in state.layout.inner.grid.table.fields]
    at = fields.index(field)
    state = after(*[Action.RIGHT] * at, state=state)
    asked = asked.format(state.layout.inner.row[at])
    drilled = after(Action.DRILL, state=state)
    assert drilled.terms == (f'path under "/var/log"{asked}',)
    assert after(Action.POP, state=drilled).terms == ()


def test_a_cell_that_is_empty_is_no_filter() -> None:
    state = showing("file", Action.FIRST)
    at = [one.name for one in state.layout.inner.grid.table.fields].index("errors")
    assert state.layout.inner.row[at] == 0
    state = after(*[Action.RIGHT] * at, Action.DRILL, state=state)
    assert state.terms == ()
    assert state.message is not None
    assert state.message.message == "no filter by 'errors': there is nothing"


def test_a_click_chooses_a_line_then_filters_by_the_cell_and_a_heading_sorts() -> None:
    state = showing("file", Action.OPEN)
    column = lines(state)[0].index("mean") + 3
    chosen = after(Clicked(1, 2), state=state)
    assert chosen.layout.inner.cursor == 1
    assert chosen.terms == ()
    (term,) = after(Clicked(column, 2), state=chosen).terms
    assert " and latency >= " in term
    (term,) = after(Clicked(1, 2), state=chosen).terms
    assert "latency" not in term
    sorted_ = after(Clicked(column, 0), state=state)
    assert "mean▼" in lines(sorted_)[0]
    assert "mean▲" in lines(after(Clicked(column, 0), state=sorted_))[0]


def test_many_processes_are_no_filter_and_those_without_a_container_are_one() -> None:
    table = table_of("process")
    row = table.rows[0]
    many = replace(table, rows=tuple((pid, *row[1:]) for pid in range(1, 200)), tasks={})
    parts = parts_of("process", "container", many)
    (whole,) = parts.kids[ROOT]
    assert parts.term(whole) == 'not container ~ ""'
    tasks = {pid: Task(1, 0, 1, "/") for pid in range(2, 200)}
    parts = parts_of("process", "parent", replace(many, tasks=tasks))
    with pytest.raises(NoTerm, match="199 processes"):
        parts.term(parts.kids[ROOT][0])


def test_children_stand_under_their_parents_open_from_the_start() -> None:
    found = lines(showing("process"))
    names = [line.rstrip()[:14].rstrip() for line in found[1:9] if line.strip()]
    assert names[0].startswith("▾ 10 init")
    assert set(names[1:]) >= {"  ▾ 20 sh", "      22 cc1", "      21 make", "  30 cron"}
    assert names.count("    (itself)") == 1
    assert names.count("      (itself)") == 1
    state = showing("process", Action.DRILL)
    assert state.terms == ("pid in [10, 20, 21, 22]",)


def test_a_parent_without_a_call_of_its_own_holds_its_children_together() -> None:
    table = table_of("process")
    row = table.rows[0]
    parents = {10: 1, 11: 10, 20: 7, 21: 7, 22: 21, 30: 8, 40: 0, 41: 0}
    tasks = {pid: Task(ppid, 0, 1, "/") for pid, ppid in parents.items()}
    rows = tuple((pid, "sh", *row[2:]) for pid in parents)
    parts = parts_of("process", "parent", replace(table, rows=rows, tasks=tasks))
    found = {parts.tree.path(parts.node[i]) for i in range(len(rows))}
    seven = "7 (no calls here)"
    assert found == {
        *(("10 sh",), ("10 sh", "11 sh"), ("30 sh",), ("40 sh",), ("41 sh",)),
        *((seven, "20 sh"), (seven, "21 sh"), (seven, "21 sh", "22 sh")),
    }
    (whole,) = (node for node in parts.kids[ROOT] if parts.tree.name[node] == seven)
    assert parts.term(whole) == "pid in [20, 21, 22]"


def test_processes_by_command_control_group_and_container() -> None:
    found = lines(showing("process", Action.GROUP, Action.GROUP))
    assert found[0].split()[0] == "cgroup"
    assert any(line.startswith("▸ /system.slice") for line in found)
    found = lines(showing("process", Action.GROUP, Action.GROUP, Action.GROUP))
    assert any(line.startswith("▸ 0123456789ab ") for line in found)
    assert any(line.startswith("▸ (no container) ") for line in found)


def test_of_a_long_path_in_a_tree_the_end_is_seen_behind_its_indentation() -> None:
    table = table_of("file")
    rows = tuple((f"/one/of/{'many/' * 12}{i}/name", *row[1:]) for i, row in enumerate(table.rows))
    state = after(Resized(60, 15), Started(0, (FilesTab("stats"),)), state=State(title="x"))
    shown = Tick(Picture(Look(replace(table, rows=rows)), ledger(), 10**9))
    found = lines(after(shown, Action.VIEW, Action.OPEN, state=state))
    assert found[1].startswith("▾ …")
    assert all(line.startswith("    ") and "/name " in line for line in found[2:6])


def test_parents_that_go_round_in_a_circle_end() -> None:
    tasks = {10: Task(20, 0, 0, "/"), 20: Task(10, 0, 0, "/"), 21: Task(21, 0, 0, "/")}
    found = snapshot()
    table = detailed(found.by["process"], found.details["process"], {}, tasks)
    parts = parts_of("process", "parent", table)
    assert parts.tree.sums["calls"][ROOT] == 600
    assert len(parts.node) == len(set(parts.node.tolist())) == len(TASKS)


def numbers(state: State, depth: int) -> list[int]:
    """Return the calls of the lines of a depth, in their order."""
    inner = state.layout.inner
    pairs = zip(inner.lines, inner.grid.rows, strict=True)
    return [row[1] for one, row in pairs if one.depth == depth]


def test_a_tree_is_sorted_at_every_level_and_can_be_reversed() -> None:
    by_calls = [Action.SORT] * 2  # by name, then by calls
    state = showing("file", Action.ALL, *by_calls)
    assert lines(state)[0].split()[1] == "calls▼"
    assert numbers(state, 0) == sorted(numbers(state, 0), reverse=True)
    state = after(Action.REVERSE, state=state)
    assert numbers(state, 0) == sorted(numbers(state, 0))
    assert len(numbers(state, 1)) > 4
    named = showing("file", Action.SORT)
    tops = [line[2:].split()[0] for line in lines(named)[1:] if line[2:].strip()]
    assert tops == ["/etc/passwd", "/usr/lib/x/y", "/var/log", "pipe:[7]", "tcp"]


def test_lines_keep_their_order_while_the_cursor_is_on_one() -> None:
    state = showing("file", Action.DOWN)
    before = [one.path for one in state.layout.inner.lines]
    table = table_of("file")
    rows = tuple((row[0], 10**6 - row[1], *row[2:]) for row in table.rows)
    turned = Tick(Picture(Look(replace(table, rows=rows)), ledger(), 2 * 10**9))
    held = after(turned, state=state)
    assert [one.path for one in held.layout.inner.lines] == before
    assert numbers(held, 0) != sorted(numbers(held, 0), reverse=True)
    free = after(Action.FIRST, turned, state=state)
    assert numbers(free, 0) == sorted(numbers(free, 0), reverse=True)


def test_a_tree_is_exported_whole() -> None:
    state = showing("file")
    assert state.front is not None
    text = "".join(state.front.tab.export(state.front.view, state.layout)).splitlines()
    assert text[0].startswith("directory,calls,rate,errors,read,written,total")
    rows = {row[0]: row[1] for row in table_of("file").rows}
    exported = {line.split(",")[0]: int(line.split(",")[1]) for line in text[1:]}
    under = [count for name, count in rows.items() if name.startswith("/var/log")]
    assert exported["/var/log"] == sum(under)
    assert exported.keys() >= rows.keys()
    assert {name: exported[name] for name in rows if name != "/var/log"} == {
        name: count for name, count in rows.items() if name != "/var/log"
    }


def test_a_treemap_has_wholes_with_their_parts_in_them() -> None:
    found = lines(showing("file", shape=3))
    assert "area calls" in found[0]
    text = "\n".join(found)
    assert "┌/var/log─" in text
    assert "┌deep/c─" in text or "┌deep" in text
    assert text.index("┌/var/log─") < text.index("┌deep")
    assert showing("file", Action.DRILL, shape=3).terms == ('path under "/var/log"',)


@pytest.mark.parametrize("shape", [2, 3])
def test_what_shares_a_place_is_copied_as_what_it_is(shape: int) -> None:
    table = table_of("file")
    many = tuple((f"/many/{i:03}", *row[1:]) for i, row in enumerate([table.rows[0]] * 500))
    state = showing("file", shape=shape)
    shown = Tick(Picture(Look(replace(table, rows=many)), ledger(), 2 * 10**9))
    state = after(
        shown, *[Action.DOWN, Action.OPEN] * 3, Action.LAST, *[Action.RIGHT] * 500, state=state
    )
    inner = state.layout.inner
    folded = [one for row in inner.drawing.boxes for one in row] if shape == 2 else inner.rects
    (count,) = (one.folded for one in folded if one.folded)
    wish = after(Action.COPY, state=state).wish
    assert isinstance(wish, Copy)
    calls = format_count(count * table.rows[0][1])
    assert wish.text.startswith(f"{count} others of /many  calls {calls}  latency ")


def test_one_moves_among_areas_and_into_them() -> None:
    state = showing("file", shape=3)
    inside = after(Action.OPEN, state=state)
    assert inside.layout.inner.at == state.layout.inner.at + 1
    assert after(Action.CLOSE, state=inside).layout.inner.at == state.layout.inner.at
    right = after(Action.RIGHT, state=state)
    here, there = (s.layout.inner.rects[s.layout.inner.at] for s in (state, right))
    assert there.column >= here.column + here.width
    back = after(Action.LEFT, state=right)
    assert back.layout.inner.rects[back.layout.inner.at].column < there.column
    click = Clicked(there.column, there.row + 1)
    clicked = after(click, state=state)
    assert clicked.layout.inner.at == right.layout.inner.at
    assert after(click, state=clicked).terms == after(Action.DRILL, state=right).terms != ()


def flat(weights: list[int]) -> Tree:
    parent = np.array([-1] + [0] * len(weights), np.int32)
    names = ["", *(f"part{i}" for i in range(len(weights)))]
    return Tree(names, parent, {"calls": np.array([0, *weights], np.int64)})


WEIGHTS = st.lists(st.integers(1, 10**6), min_size=1, max_size=60)


def covered(rects: Iterable[Rect], columns: int, rows: int) -> np.ndarray[Any, Any]:
    cells = np.zeros((rows, columns), np.int64)
    for rect in rects:
        assert rect.width > 0
        assert rect.height > 0
        cells[rect.row : rect.row + rect.height, rect.column : rect.column + rect.width] += 1
    return cells


@given(WEIGHTS, st.integers(4, 200), st.integers(1, 60))
def test_areas_fill_all_cells_once_and_nothing_vanishes(
    weights: list[int], columns: int, rows: int
) -> None:
    rects = place(flat(weights), "calls", ROOT, 0, (columns, rows))
    assert (covered(rects, columns, rows) == 1).all()
    assert sum(rect.folded or 1 for rect in rects) == len(weights)


@given(WEIGHTS, st.integers(20, 200), st.integers(8, 60))
def test_areas_are_as_large_as_parts_weigh(weights: list[int], columns: int, rows: int) -> None:
    tree = flat(weights)
    rects = place(tree, "calls", ROOT, 0, (columns, rows))
    for rect in rects:
        if not rect.folded and not any(one.folded for one in rects):
            share = int(tree.sums["calls"][rect.node]) / sum(weights)
            error = abs(rect.width * rect.height - share * columns * rows)
            assert error <= rect.width + rect.height + LEAST_AREA  # edges are at whole cells


@given(
    st.lists(st.floats(0.1, 100), min_size=1, max_size=30), st.integers(1, 99), st.integers(1, 60)
)
def test_any_areas_fill_the_cells(areas: list[float], columns: int, rows: int) -> None:
    scale = columns * rows / sum(areas)
    cells = np.zeros((rows, columns), np.int64)
    for column, row, wide, high in squarified([a * scale for a in areas], columns, rows):
        cells[row : row + high, column : column + wide] += 1
    assert (cells == 1).all()


def test_equal_areas_are_nearly_square() -> None:
    for column, row, wide, high in squarified([200.0] * 12, 80, 30):
        assert (column, row) >= (0, 0)
        assert 0.5 <= wide / (2 * high) <= 2


ACTIONS = st.sampled_from(sorted({key.action for key in StatsTab.keys} - {Action.DRILL}))


@settings(deadline=None, max_examples=80)
@given(
    st.sampled_from(sorted(TABS)),
    st.integers(1, 3),
    st.lists(ACTIONS | st.builds(Clicked, st.integers(0, 90), st.integers(0, 40)), max_size=15),
    st.integers(20, 220),
    st.integers(5, 70),
)
def test_every_line_is_as_wide_as_the_terminal(
    key: str, shape: int, events: list[Event | Action], columns: int, rows: int
) -> None:
    state = showing(key, *events, size=(columns, rows), shape=shape, max_keys=7)
    assert {width(text) for text in lines(state)} == {columns}


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize("shape", [1, 3])
def test_at_every_size(size: tuple[int, int], shape: int) -> None:
    assert any("/var/log" in line for line in lines(showing("file", size=size, shape=shape)))


def test_without_a_call_there_is_nothing_to_draw() -> None:
    stage = Stats(StatsConfig())
    stage.connect(CALLS)
    found = stage.snapshot()
    table = detailed(found.by["file"], found.details["file"], {}, {})
    for shape in (1, 2, 3):
        state = after(Resized(80, 24), Started(0, (FilesTab("stats"),)), state=State(title="x"))
        state = after(
            Tick(Picture(Look(table), ledger(), 10**9)), *[Action.VIEW] * shape, state=state
        )
        assert "no calls" in "".join(lines(after(Action.DOWN, Action.DRILL, state=state)))
