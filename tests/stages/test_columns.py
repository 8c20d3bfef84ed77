"""The columns that `pair` computes, and the page that says what they mean."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from ior.calls import CALLS, Batch, Flag
from ior.names import FileState, Names
from ior.stages.pair import Pair, PairConfig
from ior.testing import context, halves

PAGE = (Path(__file__).parents[2] / "docs/rows.md").read_text(encoding="utf-8")
UNITS = {
    "time": "ns",
    "duration": "ns",
    "size": "bytes",
    **dict.fromkeys(("text", "syscall", "family", "errno", "state"), "name"),
}


def cells(heading: str) -> list[list[str]]:
    """Return the rows of the page's table that begins with `heading`, as cells."""
    table = re.search(rf"^\| {heading} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert table is not None
    return [[c.strip(" `") for c in line[1:-1].split("|")] for line in table[1].splitlines()]


def paired(batch: Batch) -> Batch:
    stage = Pair(PairConfig())
    anyio.run(stage.start, context())
    output = stage.process(batch)
    assert isinstance(output, dict)
    return output["out"]


def values(name: str, **given: Any) -> list[Any]:
    found: list[Any] = paired(halves(**given))[name].tolist()
    return found


def test_the_page_names_every_column_in_order_with_its_type_unit_and_empty_value() -> None:
    rows = cells("column")
    assert [row[:4] for row in rows] == [
        [
            made.name,
            np.dtype(made.dtype).name,
            UNITS.get(made.kind, ""),
            "" if made.empty is None else str(made.empty),
        ]
        for made in CALLS.columns
    ]
    assert all(len(row) == 5 and row[4] for row in rows)


def test_the_page_names_every_state_of_a_file() -> None:
    named = [row[0] for row in cells("state")]
    assert named == [state.name.lower() for state in FileState if state != FileState.OK]


def test_columns_have_the_types_of_the_schema() -> None:
    calls = paired(halves(rows=3))
    assert [calls[c.name].dtype for c in CALLS.columns] == [
        np.dtype(c.dtype) for c in CALLS.columns
    ]
    assert calls["args"].shape == (3, 5)


def test_calls_are_numbered_from_0_over_all_batches() -> None:
    stage = Pair(PairConfig())
    anyio.run(stage.start, context())
    numbers: list[int] = []
    for size in (3, 1, 2):
        output = stage.process(halves(rows=size))
        assert isinstance(output, dict)
        numbers += output["out"]["seq"].tolist()
    assert numbers == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("ret", "errno"),
    [(0, 0), (7, 0), (-1, 1), (-2, 2), (-4095, 4095), (-4096, 0), (-(2**63), 0), (2**63 - 1, 0)]
    + [(code, 0) for code in (-512, -513, -514, -516)]
    + [(-515, 515)],
)
def test_errors_are_minus_1_to_minus_4095_without_the_restart_codes(ret: int, errno: int) -> None:
    assert values("errno", ret=[ret, 1]) == [errno, 0]
    assert values("is_error", ret=[ret, 1]) == [errno != 0, False]


def test_a_call_that_never_returns_has_no_latency() -> None:
    flags = [int(Flag.ENTER), int(Flag.ENTER | Flag.EXIT)]
    given = {"flags": flags, "nr": ["exit_group", "read"], "tid": [1, 2]}
    assert values("latency_ns", **given) == [-1, 1000]


def test_a_latency_is_never_negative() -> None:
    times = {"enter_ns": [1000, 1000], "exit_ns": [999, 1000]}
    assert values("latency_ns", **times) == [-1, 0]


@pytest.mark.parametrize(
    ("nr", "ret", "args", "moved"),
    [
        ("read", 5, (), 5),
        ("read", -11, (), 0),
        ("write", 5, (), 5),
        ("sendfile", 5, (), 5),
        ("lseek", 5, (), 0),
        ("openat", 5, (), 0),
        ("sendmmsg", 5, (), 0),
        ("recvmmsg", 5, (), 0),
        ("recvfrom", 5, (0, 100, 0), 5),
        ("recvfrom", 5, (0, 100, 2), 0),  # MSG_PEEK
        ("recvfrom", 500, (0, 100, 0x20), 100),  # MSG_TRUNC: more than the buffer has
        ("recvfrom", 5, (0, 2**64 - 1, 0), 5),
        ("recvmsg", 5, (0, 0), 5),
        ("recvmsg", 5, (0, 2), 0),
        ("getxattr", 5, (0, 0, 0), 0),  # how large a buffer would it need?
        ("getxattr", 5, (0, 0, 64), 5),
        ("listxattr", 5, (0, 0), 0),
        ("listxattr", 5, (0, 64), 5),
    ],
)
def test_bytes_are_what_moved(nr: str, ret: int, args: tuple[int, ...], moved: int) -> None:
    words = np.zeros((2, 5), np.uint64)
    words[0, : len(args)] = args
    given = {"nr": [nr, "write"], "ret": [ret, 3], "args": words}
    assert values("bytes", **given) == [moved, 3]


def named(name: str, **given: Any) -> list[str]:
    return paired(halves(**given)).text(name)


def test_asked_is_told_only_where_the_file_has_another_name() -> None:
    given = {"file": ["/a", "/b", "", ""], "asked": ["/link", "/b", "/gone", ""]}
    assert named("file", **given) == ["/a", "/b", "/gone", ""]
    assert named("asked", **given) == ["/link", "", "", ""]


def test_asked_is_not_told_for_the_same_text_in_another_state() -> None:
    names = Names()
    deleted, whole = names.intern("/a", FileState.DELETED), names.intern("/a")
    given = {"names": names, "file": [deleted], "asked": [whole]}
    assert named("asked", **given) == [""]
    assert named("file_state", **given) == ["deleted"]


@pytest.mark.parametrize("state", list(FileState))
def test_the_state_is_that_of_the_file_s_name(state: FileState) -> None:
    names = Names()
    given = {"names": names, "file": [names.intern("/a", state), names.intern("/b")]}
    expected = "" if state == FileState.OK else state.name.lower()
    assert named("file_state", **given) == [expected, ""]


@pytest.mark.parametrize(
    ("fd", "file", "old_file", "state"),
    [
        (-1, "", "", "unreadable"),
        (3, "", "", "unreadable"),
        (-1, "/new", "", "unreadable"),  # the old path of a rename
        (-1, "/new", "/old", ""),
        (3, "/known", "", ""),
    ],
)
def test_unreadable_is_said_where_a_name_is_missing(
    fd: int, file: str, old_file: str, state: str
) -> None:
    flags = int(Flag.ENTER | Flag.EXIT | Flag.UNREADABLE)
    given: dict[str, Any] = {"fd": fd, "file": file, "old_file": old_file, "flags": [flags]}
    assert named("file_state", **given) == [state]
