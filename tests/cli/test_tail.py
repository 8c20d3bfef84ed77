"""What is kept of a command's output."""

from __future__ import annotations

import os

import anyio
from hypothesis import given
from hypothesis import strategies as st

from ior.host.tail import Tail, follow


@given(st.lists(st.text("ab\n", max_size=40)), st.integers(1, 60))
def test_the_last_lines_are_kept_however_they_come(parts: list[str], limit: int) -> None:
    tail, whole = Tail(limit), "".join(parts)
    for part in parts:
        tail.feed(part.encode())
    every = whole.removesuffix("\n").split("\n") if whole else []
    kept = tail.lines()
    assert len(whole) - tail.left_out_bytes <= limit
    assert list(kept[1:]) == every[len(every) - len(kept) + 1 :]
    if kept:
        assert every[-len(kept)].endswith(kept[0])
    if len(whole) <= limit:
        assert list(kept) == every
        assert tail.left_out_bytes == 0


def test_one_line_without_an_end_is_bounded() -> None:
    tail = Tail(10)
    tail.feed(b"x" * 100 + b"0123456789")
    assert tail.lines() == ("0123456789",)
    assert tail.left_out_bytes == 100
    tail.feed(b"\nnext")
    assert tail.lines() == ("next",)


def test_lines_are_in_text_column_form() -> None:
    tail = Tail()
    tail.feed(b"a\tb\r\n\xff\\\x1b[2J\nopen")
    assert tail.lines() == ("a       b", "\\xff\\\\\x1b[2J", "open")


def test_a_pipe_is_followed_to_its_end() -> None:
    tail, (read, write) = Tail(), os.pipe()
    os.write(write, b"one\n")
    os.close(write)
    try:
        anyio.run(follow, read, tail)
    finally:
        os.close(read)
    assert tail.lines() == ("one",)
