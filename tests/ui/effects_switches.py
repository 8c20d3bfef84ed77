"""What the keys do that switch families and syscalls, by their help."""

from __future__ import annotations

from collections.abc import Callable

from effects import Done, Effect, view

from ior.ui.switches import families


def another_family(at: int) -> Effect:
    """Only the calls of one family are shown: the first by one key, the last by the other."""

    def check(done: Done) -> None:
        names = list(families())
        assert done.after.family == names[at]
        line = done.seat.show()[3]
        assert names[at] in line
        assert done.after.where is not None
        if names[at] == "FS" and "not applied here" not in line:
            assert "8,000 of 8,000 retained rows match" in line
        done.again(done.name)
        assert done.after.family == names[at + 1 if at == 0 else at - 1]

    return check


def row(done: Done) -> str:
    """Return the line that the cursor is on."""
    return done.now[1 + view(done.after).cursor - view(done.after).top]


def toggles(done: Done) -> None:
    name = next(iter(families()))
    assert row(done).startswith(f" [ ] {name} ")
    assert f"off {name}" in done.seat.show()[3]
    done.again(done.name)
    assert row(done).startswith(f" [x] {name} ")
    assert done.now == done.was
    assert done.after.switches == done.before.switches


def searches(done: Done) -> None:
    assert any(line.startswith("syscalls: ") for line in done.seat.show())
    done.again("^pread", "enter")
    names = [line.split()[1] for line in done.now if line.startswith(" [x] ")]
    assert set(names) == {"pread64", "preadv", "preadv2"}


def opens(done: Done) -> None:
    family, members = next(iter(families().items()))
    assert done.was[2].split()[-1] != min(members)
    assert min(members) in done.now[2]
    assert done.now[1] == done.was[1]
    assert family in done.now[1]


def hides(done: Done) -> None:
    first, second = list(families())[:2]
    assert first in done.now[1]
    assert second in done.now[2]
    assert second not in done.was[2]


def moves(to: Callable[[int, int, int], int]) -> Effect:
    """`to` gives the row from that before, the page and the last."""

    def check(done: Done) -> None:
        layout = done.before.layout
        last = len(layout.rows) - 1
        want = max(0, min(to(view(done.before).cursor, layout.page, last), last))
        assert view(done.after).cursor == want != view(done.before).cursor
        line = done.after.head_rows + 1 + want - view(done.after).top
        assert layout.rows[want].name in done.seat.reversed(line)

    return check
