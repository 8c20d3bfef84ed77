"""What the keys do that turn tables into trees, icicles and treemaps, by their help."""

from __future__ import annotations

from effects import Done
from scenes import Seat

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
