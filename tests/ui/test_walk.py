"""The walk that the README shows: from the demonstration to the slowest file and who touches it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from ptys import Pty
from scenes import Seat, demonstration, sequence

from ior.stages.stream import StreamSnapshot

README = Path(__file__).parents[2] / "README.md"
KEYS = ("2", "m", "right", "enter")


def model() -> tuple[str, list[str]]:
    """Return the file that calls took longest on, and who called, longest first."""
    run, _ = demonstration()
    rows = run.snapshot("stream")
    assert isinstance(rows, StreamSnapshot)
    spent: Counter[str] = Counter()
    of: Counter[tuple[str, int]] = Counter()
    for batch in rows.batches:
        for file, pid, ns in zip(
            batch.text("file"), batch["pid"].tolist(), batch["latency_ns"].tolist(), strict=True
        ):
            spent[file] += max(ns, 0)
            of[file, pid] += max(ns, 0)
    del spent[""]  # calls on no file
    (slowest, _), *_ = spent.most_common(1)
    pids = [str(pid) for (file, pid), _ in of.most_common() if file == slowest]
    return slowest, pids


def test_the_slowest_file_and_who_touches_it_in_at_most_five_keys(
    seat: Callable[..., Seat],
) -> None:
    slowest, pids = model()
    assert len(KEYS) <= 5
    sitting = seat("Flame", (160, 40), "demo")
    sitting.show(*map(sequence, KEYS[:3]))
    row = sitting.state.head_rows + sitting.state.layout.lists + 1
    marked = sitting.reversed(row).strip().lstrip("…")
    assert slowest.endswith(marked)
    lines = sitting.show(sequence(KEYS[3]))
    assert lines[3].startswith(f' filter file == "{slowest}"')
    heading = next(line for line in lines if "Processes by time" in line)
    first = sitting.state.head_rows + sitting.state.layout.lists + 1
    column = heading.index("Processes by time")
    shown = [line[column:].split()[:1] for line in lines[first : first + len(pids)]]
    assert shown == [[pid] for pid in pids[: len(shown)]]
    files = [line[heading.index("Files by time") : column].strip() for line in lines[first:]]
    assert files[0]
    assert not files[1]  # nothing but this file is looked at


@pytest.mark.timeout(60)
def test_the_walk_in_a_terminal() -> None:
    with Pty("--demo") as pty:
        pty.wait(lambda lines: re.match(r" calls [1-9]\d,", lines[1]) is not None)
        for key in KEYS[:3]:
            pty.child.send(sequence(key))
        pty.wait(lambda lines: any("Files by time" in line for line in lines))
        pty.child.send(sequence(KEYS[3]))
        pty.see(' filter file == "/')
        pty.wait(touching)
        pty.child.send("q")
        assert pty.leave() == (0, "")


def touching(lines: list[str]) -> bool:
    """Return whether one file is left, and the processes that touch it stand beside it."""
    heading = next((i for i, line in enumerate(lines) if "Processes by time" in line), None)
    if heading is None:
        return False
    files, processes = (lines[heading].index(f"{name} by time") for name in ("Files", "Processes"))
    first, second = lines[heading + 1], lines[heading + 2]
    one = bool(first[files:processes].strip()) and not second[files:processes].strip()
    return one and re.match(r"\d+ \w", first[processes:]) is not None


def test_the_readme_shows_these_keys() -> None:
    text = README.read_text(encoding="utf-8")
    walk = text[text.index("## The slowest file") :].partition("\n## ")[0]
    shown = re.findall(r"^\d\. `(\S+)`", walk, re.MULTILINE)
    names = {"Right": "right", "Enter": "enter"}
    assert tuple(names.get(key, key) for key in shown) == KEYS
