"""What the keys of the tabs do that draw: flamegraph, overview, latencies; and of texts."""

from __future__ import annotations

from collections.abc import Callable

from effects import Done, Effect, view
from scenes import text

from ior.ui import frame
from ior.ui.frames import Drawing
from ior.ui.icicle import Box
from ior.ui.state import State
from ior.ui.wishes import Copy
from ior.units import format_count


def drawing(state: State) -> Drawing:
    assert isinstance(state.layout, Drawing)
    return state.layout


def box_at(state: State) -> Box:
    row, k = drawing(state).at
    return drawing(state).boxes[row][k]


def zooms(done: Done) -> None:
    path = view(done.before).at
    assert path
    assert view(done.after).zooms[-1].path == path
    row = next(row for row in drawing(done.after).boxes if len(row) == 1 and row[0].node)
    assert row[0].width == done.after.columns
    done.seat.show()
    assert f" {path[-1]} " in done.now[-2] or path[-1] in done.now[-2]


def undoes_the_zoom(done: Done) -> None:
    assert view(done.before).zooms
    assert view(done.after).zooms == ()
    assert done.after.terms == done.before.terms == ("is_error",)
    assert done.again(done.name)[3].startswith("  1 Flame") or done.after.terms == ()


def recolours(done: Done) -> None:
    names = [text(frame.body(done.before, 0)), text(frame.body(done.after, 0))]
    assert "family" in names[0]
    assert "family" not in names[1]
    assert "<10us  <100us" in names[1]
    styles = [{style for style, _ in frame.body(state, 3)} for state in (done.before, done.after)]
    assert any("flame.f" in style for style in styles[0])
    assert any("heat." in style for style in styles[1])
    assert not any("flame.f" in style for style in styles[1])


def heightens(done: Done) -> None:
    assert "height" not in done.was[0]
    for name in ("latency", "gap", "bytes", "errors"):
        assert f"height mean {name}" in done.now[0]
        layout = drawing(done.after)
        by_mean = sorted((layout.mean(box), layout.filled(box)) for box in layout.boxes[1])
        assert [high for _, high in by_mean] == sorted(high for _, high in by_mean)
        done.again(done.name)
    assert done.now == done.was


def another_order(done: Done) -> None:
    assert done.was[0].startswith(" comm›path›syscall ")
    assert done.now[0].startswith(" path›comm›syscall ")
    assert "│var" in done.now[4] or "│/var" in done.now[3]
    assert "of the retained rows" in done.seat.show()[-2]


def types_an_order(done: Done) -> None:
    assert any(line.startswith("stack: comm path syscall") for line in done.seat.show())
    done.again("\x15errno syscall", "enter")
    assert done.now[0].startswith(" errno›syscall ")
    assert "│ENOENT" in done.now[3]


def copies_the_frame(done: Done) -> None:
    (wish,) = done.seat.wishes
    assert isinstance(wish, Copy)
    said, calls, *_ = wish.text.split("  ")
    assert said == " › ".join(view(done.before).at)
    assert (
        calls == f"calls {format_count(drawing(done.before).value(box_at(done.before), 'calls'))}"
    )
    assert [part.split()[0] for part in wish.text.split("  ")[2:]] == [
        *("latency", "gap", "bytes", "errors")
    ]


def searches(done: Done) -> None:
    assert any(line.startswith("search: ") for line in done.seat.show())
    done.again("nginx", "enter")
    assert "/nginx 28.7%" in done.now[0]
    assert view(done.after).at[-1] == "nginx"


def next_match(step: int) -> Effect:
    def check(done: Done) -> None:
        layout = drawing(done.before)
        assert layout.found is not None
        matches = [
            (i, k)
            for i, row in enumerate(layout.boxes)
            for k, box in enumerate(row)
            if not box.folded and layout.found[box.node]
        ]
        at = matches.index(layout.at)
        assert drawing(done.after).at == matches[(at + step) % len(matches)]
        assert len(matches) > 1

    return check


def counts_from_now(done: Done) -> None:
    assert "since r" in done.now[0]
    assert done.now[2].startswith("│0.0% 0")
    assert "counting from now on" in done.seat.show()[-2]
    done.again(done.name)
    assert done.now == done.was


def to_the_frame(check_box: Callable[[Done, Box, Box], bool]) -> Effect:
    def check(done: Done) -> None:
        before, after = box_at(done.before), box_at(done.after)
        assert check_box(done, before, after)
        assert done.seat.body[-2] != done.was[-2]

    return check


def is_parent(done: Done, before: Box, after: Box) -> bool:
    return bool(drawing(done.after).tree.parent[before.node] == after.node)


def is_heaviest_child(done: Done, before: Box, after: Box) -> bool:
    kids, _ = drawing(done.after).tree.children(before.node, "calls")
    return bool(after.node == kids[0])


def is_beside(step: int) -> Callable[[Done, Box, Box], bool]:
    def check(done: Done, before: Box, after: Box) -> bool:
        row, k = drawing(done.before).at
        return drawing(done.before).boxes[row][k + step] == after and before != after

    return check


def frame_rows(step: int) -> Effect:
    def check(done: Done) -> None:
        layout = drawing(done.before)
        last = len(layout.boxes) - 1
        row = drawing(done.after).at[0]
        assert row == max(0, min(layout.at[0] + step * layout.page, last))
        assert row != layout.at[0]

    return check


def root(done: Done) -> None:
    assert drawing(done.before).at != (0, 0)
    assert drawing(done.after).at == (0, 0)


def last_row(done: Done) -> None:
    assert drawing(done.after).at[0] > drawing(done.before).at[0]
    row, k = drawing(done.after).at
    box, below = drawing(done.after).boxes[row][k], drawing(done.after).boxes[row + 1 :]
    assert not any(b.column == box.column for line in below[:1] for b in line)


def in_list(column: int | None, row: int | None) -> Effect:
    """The cursor moves so far among the lists; None for the first, 10**6 for the last."""

    def check(done: Done) -> None:
        before, after = view(done.before), view(done.after)
        rows = len(done.before.layout.tops[before.column].rows)
        want = 0 if row is None else min(before.row + row, rows - 1)
        assert (after.column, after.row) == (before.column + (column or 0), want)
        assert before != after
        done.seat.show()
        line = done.after.head_rows + done.after.layout.lists + 1 + after.row
        names = [str(cell) for cell in done.after.layout.tops[after.column].rows[after.row]]
        marked = done.seat.reversed(line)
        assert marked.strip()
        assert any(name[-5:] in marked for name in names if len(name) > 1)

    return check


def lists_by(done: Done) -> None:
    assert "Syscalls by calls" in "\n".join(done.was)
    seen = []
    for _ in range(4):
        heading = next(line for line in done.now if "Syscalls by" in line)
        seen.append(heading.split()[2])
        done.again(done.name)
    assert seen == ["time", "bytes", "errors", "calls"]


def drills_into_the_list(done: Done) -> None:
    assert done.after.terms == ('syscall == "pread64"',)
    assert "1,800 of 8,000 retained rows match" in done.seat.show()[3]


def step_at(state: State) -> int:
    return int(view(state).cursor)


def on_step(to: Callable[[Done], int]) -> Effect:
    def check(done: Done) -> None:
        assert step_at(done.after) == to(done) != step_at(done.before)
        done.seat.show()
        row = done.after.head_rows + 1 + step_at(done.after) - done.after.layout.first
        assert done.seat.reversed(row - view(done.after).top).strip()

    return check


def last_step(done: Done) -> int:
    return int(done.before.layout.first + done.before.layout.count - 1)


def a_page_down(done: Done) -> int:
    return min(last_step(done), step_at(done.before) + int(done.before.layout.page))


def filters_by_the_step(done: Done) -> None:
    (term,) = done.after.terms
    assert term.startswith("latency >= ")
    label = term.split()[2]
    row = next(line for line in done.was if line.split()[:1] == [label])
    count = row.split()[2]
    assert f" {count} of 8,000 retained rows match" in done.seat.show()[3]


def begins_a_range(done: Done) -> None:
    assert view(done.after).mark == step_at(done.after)
    done.again("down", "enter")
    (term,) = done.after.terms
    low, high = step_at(done.before), step_at(done.before) + 1
    assert term.startswith(f"latency >= {('200ns', '500ns', '1us', '2us')[low - 5]} and") or low
    assert view(done.after).mark is None
    assert high > low
    counted = [
        int(done.was[1 + i - done.before.layout.first].split()[2].replace(",", ""))
        for i in (low, high)
    ]
    assert f" {sum(counted):,} of 8,000 retained rows match" in done.seat.show()[3]


def other_metric(done: Done) -> None:
    assert view(done.after).metric == "gap"
    styles = {said.strip(): style for style, said in frame.body(done.after, 0)}
    assert styles["gap"] == "class:heading.sorted" != styles["latency"]
    done.again("enter")
    assert done.after.terms[0].startswith("gap >= ")


def first_line(done: Done) -> int:
    shown, layout = view(done.after), done.after.layout
    return int(layout.top(shown))


def scrolls(to: Callable[[int, int, int], int]) -> Effect:
    """`to` gives the line at the top from that before, the page and the last."""

    def check(done: Done) -> None:
        layout = done.before.layout
        last = max(0, len(layout.lines) - layout.size.rows)
        before = layout.top(view(done.before))
        assert first_line(done) == max(0, min(to(before, layout.size.rows, last), last))
        assert first_line(done) != before
        assert done.now != done.was

    return check


def closes(done: Done) -> None:
    assert done.before.over is not None
    assert done.after.over is None
