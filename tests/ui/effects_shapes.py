"""What the keys do that turn tables into trees, icicles and treemaps, by their help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from effects import Done, Effect, view
from scenes import Seat

from ior.ui.keys import Action
from ior.ui.state import State
from ior.ui.tabs.area import Areas
from ior.ui.tabs.branches import Branches
from ior.ui.treemap import Rect
from ior.ui.wishes import Copy
from ior.units import format_count

WHOLES = {"Syscalls": "family", "Files": "directory", "Processes": "parent"}


def close_all(seat: Seat) -> None:
    """Close whatever is open in a tree, and stand on its first line that can be opened."""
    seat.show("*")
    if any("▾" in line for line in seat.body):
        seat.show("*")
    assert not any("▾" in line for line in seat.body)
    seat.show("g", *"j" * (first(seat.body, "▸") - 1))


all_closed = (close_all,)


def first(lines: list[str], mark: str) -> int:
    """Return the number of the first line that begins with a mark, 1 without any."""
    return next((i for i, line in enumerate(lines) if line.startswith(mark)), 1)


def has_wholes(done: Done) -> bool:
    """Return whether the tree has anything to open: processes here have no parents."""
    return any("▸" in line for line in done.was)


def goes_through_the_shapes(done: Done) -> None:
    name = done.after.front.tab.name  # type: ignore[union-attr]  # there are tabs
    assert done.now[0].split()[0] == WHOLES[name]
    done.again(done.name)
    assert "width calls" in done.now[0]
    assert done.now[1].startswith("│all")
    done.again(done.name)
    assert "area calls" in done.now[0]
    assert done.now[1].startswith("┌")
    done.again(done.name)
    assert done.now == done.was


def opens(done: Done) -> None:
    if not has_wholes(done):
        assert done.now == done.was
        return
    at = first(done.was, "▸")
    assert done.now[at].split() == done.was[at].replace("▸", "▾").split()
    assert done.now[at + 1].startswith("  ")
    done.again("-")
    assert done.now == done.was


def closes(done: Done) -> None:
    if not any("▾" in line for line in done.was):
        assert done.now == done.was
        return
    at = first(done.was, "▾")
    assert done.now[at].startswith("▸ ")
    done.again("+", "j", "-")  # from a part it closes the whole
    assert done.now[at].startswith("▸ ")


def opens_everything(done: Done) -> None:
    assert not any("▸" in line for line in done.now)
    if has_wholes(done):
        assert done.now != done.was
    done.again(done.name)
    assert done.now == done.was


def groups(done: Done) -> None:
    name = done.after.front.tab.name  # type: ignore[union-attr]  # there are tabs
    assert done.now[0].split()[0] == WHOLES[name]
    if name == "Processes":
        found = []
        for _ in range(4):
            done.again(done.name)
            found.append(done.now[0].split()[0])
        assert found == ["command", "cgroup", "container", "parent"]


# --- in a tree ------------------------------------------------------------------------------


def tree(state: State) -> Branches:
    inner = state.layout.inner
    assert isinstance(inner, Branches)
    return inner


def to_cell(title: str) -> Callable[[Seat], None]:
    """Go to the cell of a column."""

    def go(seat: Seat) -> None:
        names = [field.name for field in tree(seat.state).grid.table.fields]
        seat.show(*["l"] * names.index(title))

    return go


def filters_by_the_cell(done: Done) -> None:
    layout = tree(done.before)
    part = layout.parts.term(layout.lines[layout.cursor].node)
    assert done.after.terms == (f"{part} and is_error",)
    assert done.seat.show()[3].startswith(f" filter {part[:15]}")
    done.again("backspace")
    assert done.after.terms == ()
    done.again("g", *["left"] * 20, "enter")
    assert done.after.terms == (layout.parts.term(layout.lines[0].node),)


def tree_rows(delta: Callable[[Branches], int]) -> Effect:
    def check(done: Done) -> None:
        before, after = tree(done.before), tree(done.after)
        at = max(0, min(before.cursor + delta(before), len(before.lines) - 1))
        assert after.cursor == at
        done.seat.show()
        row = done.after.head_rows + 1 + at - view(done.after).tree.top
        assert after.row[0].strip()[:8] in done.seat.reversed(row)

    return check


def tree_cells(step: int) -> Effect:
    def check(done: Done) -> None:
        column, layout = view(done.after).tree.column, tree(done.after)
        assert column == view(done.before).tree.column + step
        done.seat.show()
        row = done.after.head_rows + 1 + layout.cursor - view(done.after).tree.top
        drawn = done.seat.reversed(row).split()
        assert len(drawn) == 1 or column == 0
        assert drawn[0].startswith(("▸", "▾")) or column > 0 or not has_wholes(done)

    return check


def tree_sorts(done: Done) -> None:
    fields = tree(done.after).grid.table.fields
    assert done.now[0].startswith(f"{fields[0].name}▲")
    tops = [one.path for one in tree(done.after).lines if one.depth == 0]
    assert tops == sorted(tops)
    done.again("s")
    assert f"{fields[1].name}▼" in done.now[0]


def tree_reverses(done: Done) -> None:
    before, after = (
        [one.path for one in tree(state).lines if one.depth == 0]
        for state in (done.before, done.after)
    )
    calls = [row[1] for row in tree(done.after).grid.rows]
    assert sorted(before) == sorted(after)
    assert calls == sorted(calls)


def tree_copies(done: Done) -> None:
    (wish,) = done.seat.wishes
    assert isinstance(wish, Copy)
    layout = tree(done.before)
    name, calls, *_ = wish.text.split("  ")
    assert name == layout.parts.text(layout.lines[layout.cursor].node)
    assert calls == format_count(layout.row[1])


# --- in an icicle and in a treemap ----------------------------------------------------------


def nothing(done: Done) -> None:
    """The key has no meaning in this shape."""
    assert done.now == done.was
    assert done.seat.wishes == []
    assert view(done.after) == view(done.before)


def under_cursor(state: State) -> Any:
    """Return the box or area under the cursor."""
    inner = state.layout.inner
    if isinstance(inner, Areas):
        return inner.rects[inner.at]
    row, k = inner.drawing.at
    return inner.drawing.boxes[row][k]


def filters_by_the_part(done: Done) -> None:
    node = under_cursor(done.before).node
    term = done.before.layout.inner.parts.term(node)
    assert done.after.terms == (term,)
    done.again("backspace")
    assert done.after.terms == ()


def areas_by(holds: Callable[[Rect, Rect], bool]) -> Effect:
    """Another area is under the cursor, that lies as it says, unless there is none."""

    def check(done: Done) -> None:
        was, now = under_cursor(done.before), under_cursor(done.after)
        if now == was:
            assert not any(holds(was, other) for other in done.before.layout.inner.rects)
        else:
            assert holds(was, now)
            done.seat.show()
            row = done.after.head_rows + 1 + now.row
            assert "┌" in done.seat.reversed(row)

    return check


def weighs_by(*weights: str) -> Effect:
    """The sizes go through the weights, and end with those of the beginning."""

    def check(done: Done) -> None:
        drawn = {}
        for weight in weights:
            assert f" {weight} " in done.now[0]
            drawn[weight] = done.now[1:]
            done.again(done.name)
        assert len({tuple(lines) for lines in drawn.values()}) >= 3
        assert drawn["calls"] == done.was[1:]

    return check


_ONWARD = weighs_by("latency", "bytes", "errors", "calls")


def copies_the_part(done: Done) -> None:
    (wish,) = done.seat.wishes
    assert isinstance(wish, Copy)
    inner, here = done.before.layout.inner, under_cursor(done.before)
    name, *cells = wish.text.split("  ")
    assert name == (inner.parts.text(here.node) or "all")
    calls = inner.parts.tree.sums["calls"][here.node]
    assert cells[0] == f"calls {format_count(int(calls))}"
    assert [text.split()[0] for text in cells[1:]] == ["latency", "bytes", "errors"]
    assert cells[-1].endswith(str(inner.parts.tree.sums["errors"][here.node]))


def boxes_by(rows: int, beside: int) -> Effect:
    def check(done: Done) -> None:
        before, after = (state.layout.inner.drawing for state in (done.before, done.after))
        assert after.at[0] == max(0, min(before.at[0] + rows, len(before.boxes) - 1))
        if beside:
            last = len(before.boxes[before.at[0]]) - 1
            assert after.at[1] == max(0, min(before.at[1] + beside, last))

    return check


def to_row(row: int) -> Effect:
    def check(done: Done) -> None:
        drawing = done.after.layout.inner.drawing
        assert drawing.at[0] == range(len(drawing.boxes))[row]

    return check


def is_outer(was: Rect, now: Rect) -> bool:
    return now != was and now.holds(was.column, was.row)


def is_inner(was: Rect, now: Rect) -> bool:
    return now != was and was.holds(now.column, now.row)


_MOVES = (
    *(Action.UP, Action.DOWN, Action.PAGE_UP, Action.PAGE_DOWN, Action.FIRST, Action.LAST),
    *(Action.LEFT, Action.RIGHT),
)


def searches(done: Done) -> None:
    assert any(line.startswith("search: ") for line in done.seat.show())
    before = view(done.after)
    lines = done.again("[a-z]", "enter")
    inner = done.after.layout.inner
    assert isinstance(inner, Branches) or "/[a-z]" in done.now[0]
    assert lines[-2].startswith("match 1 of ") or not isinstance(inner, Branches | Areas)
    assert view(done.after) != before


def says(words: str) -> Effect:
    def check(done: Done) -> None:
        assert words in done.seat.show()[-2]

    return check


def another_box(done: Done) -> None:
    assert done.after.layout.inner.drawing.at != done.before.layout.inner.drawing.at


_FOUND = ("/", "[a-z]", "enter")

IN_SHAPES: dict[tuple[str, Action], Effect] = {
    **{(shape, Action.SEARCH): searches for shape in ("tree", "icicle", "treemap")},
    **{(shape, Action.NEXT_MATCH): says("match 2 of ") for shape in ("tree", "treemap")},
    **{(shape, Action.PREVIOUS_MATCH): says("match 1 of ") for shape in ("tree", "treemap")},
    ("icicle", Action.NEXT_MATCH): another_box,
    ("icicle", Action.PREVIOUS_MATCH): another_box,
    ("tree", Action.DRILL): filters_by_the_cell,
    ("tree", Action.SORT): tree_sorts,
    ("tree", Action.REVERSE): tree_reverses,
    ("tree", Action.COPY): tree_copies,
    ("tree", Action.UP): tree_rows(lambda _: -1),
    ("tree", Action.DOWN): tree_rows(lambda _: 1),
    ("tree", Action.PAGE_UP): tree_rows(lambda layout: -layout.page),
    ("tree", Action.PAGE_DOWN): tree_rows(lambda layout: layout.page),
    ("tree", Action.FIRST): tree_rows(lambda layout: -len(layout.lines)),
    ("tree", Action.LAST): tree_rows(lambda layout: len(layout.lines)),
    ("tree", Action.LEFT): tree_cells(-1),
    ("tree", Action.RIGHT): tree_cells(1),
    ("tree", Action.METRIC): nothing,
    **{(shape, Action.ALL): nothing for shape in ("icicle", "treemap")},
    **{
        (shape, action): effect
        for shape in ("icicle", "treemap")
        for action, effect in (
            (Action.METRIC, _ONWARD),
            (Action.SORT, _ONWARD),
            (Action.REVERSE, weighs_by("errors", "bytes", "latency", "calls")),
            (Action.COPY, copies_the_part),
        )
    },
    ("icicle", Action.OPEN): boxes_by(1, 0),
    ("icicle", Action.CLOSE): boxes_by(-1, 0),
    ("icicle", Action.DRILL): filters_by_the_part,
    ("icicle", Action.UP): boxes_by(-1, 0),
    ("icicle", Action.DOWN): boxes_by(1, 0),
    ("icicle", Action.LEFT): boxes_by(0, -1),
    ("icicle", Action.RIGHT): boxes_by(0, 1),
    ("icicle", Action.PAGE_UP): to_row(0),
    ("icicle", Action.PAGE_DOWN): to_row(-1),
    ("icicle", Action.FIRST): to_row(0),
    ("icicle", Action.LAST): to_row(-1),
    ("treemap", Action.DRILL): filters_by_the_part,
    ("treemap", Action.UP): areas_by(lambda was, now: now.row + now.height <= was.row + 1),
    ("treemap", Action.DOWN): areas_by(lambda was, now: now.row >= was.row + was.height - 1),
    ("treemap", Action.LEFT): areas_by(lambda was, now: now.column + now.width <= was.column + 1),
    ("treemap", Action.RIGHT): areas_by(lambda was, now: now.column >= was.column + was.width - 1),
    ("treemap", Action.OPEN): areas_by(is_inner),
    ("treemap", Action.CLOSE): areas_by(is_outer),
    ("treemap", Action.PAGE_DOWN): areas_by(is_inner),
    ("treemap", Action.PAGE_UP): areas_by(is_outer),
    ("treemap", Action.FIRST): lambda done: first_area(done, 0),
    ("treemap", Action.LAST): lambda done: first_area(done, -1),
}
"""What a key does in a shape of a table by its help, where that is not what it does in all."""


def first_area(done: Done, at: int) -> None:
    assert under_cursor(done.after) == done.after.layout.inner.rects[at]


SHAPES = ("table", "tree", "icicle", "treemap")
BEFORE: dict[tuple[str, Action], tuple[str | Callable[[Seat], None], ...]] = {
    ("tree", Action.DRILL): (to_cell("errors"),),
    **{(shape, Action.NEXT_MATCH): _FOUND for shape in ("tree", "icicle", "treemap")},
    ("treemap", Action.PREVIOUS_MATCH): (*_FOUND, "n"),
    ("tree", Action.PREVIOUS_MATCH): (*_FOUND, "n"),
    ("icicle", Action.PREVIOUS_MATCH): (*_FOUND, "n"),
    ("tree", Action.LEFT): ("l", "l"),
    ("tree", Action.UP): ("G",),
    ("tree", Action.PAGE_UP): ("G",),
    ("tree", Action.FIRST): ("G",),
    **{("icicle", action): ("j",) for action in (*_MOVES, Action.CLOSE, Action.COPY)},
    ("icicle", Action.DRILL): ("j",),
    ("icicle", Action.LEFT): ("j", "l"),
    **{("treemap", action): ("G",) for action in (Action.UP, Action.LEFT, Action.FIRST)},
    **{("treemap", action): ("+",) for action in (Action.CLOSE, Action.PAGE_UP)},
}
