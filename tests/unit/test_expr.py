"""What a filter means to the person who writes it."""

from collections.abc import Sequence

import numpy as np
import pytest

from ior.calls import CALLS, Batch, Column, Origin
from ior.expr import compile_filter
from ior.names import FileState, Names
from ior.testing import calls
from ior.text import escape


def kept(where: str, batch: Batch) -> list[int]:
    """Return the numbers of the rows that a filter keeps."""
    mask = compile_filter(where, batch.schema.columns)(batch)
    assert mask.shape == (len(batch),)
    assert mask.dtype == np.bool_
    return [int(i) for i in np.flatnonzero(mask)]


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("latency >= 1ms", [2, 3]),
        ("latency_ns >= 1000000", [2, 3]),
        ("latency > 1 ms", [3]),
        ("latency < 1us", [1]),
        ("latency == 1.5s", [3]),
        ("latency != 1ms", [1, 3]),
        ("latency > -2ns", [1, 2, 3]),
        ("latency in [5ns, 1000us]", [1, 2]),
        ("latency in [-1ns, 5ns]", [1]),
        ("latency not in [5ns, 1000us]", [3]),
        ("not latency >= 1ms", [0, 1]),
    ],
)
def test_durations_take_units_and_empty_ones_compare_false(where: str, rows: list[int]) -> None:
    batch = calls(latency_ns=[-1, 5, 1_000_000, 1_500_000_000])
    assert kept(where, batch) == rows


def test_sizes_and_times_take_units() -> None:
    batch = calls(bytes=[0, 4095, 4096, 3 * 2**20], time_ns=[0, 1, 5_000_000_000, 2**63])
    assert kept("bytes >= 4KiB", batch) == [2, 3]
    assert kept("bytes < 4.096kB", batch) == [0, 1]
    assert kept("bytes == 3MiB", batch) == [3]
    assert kept("time >= 5s", batch) == [2, 3]


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("fd == -1", [0]),
        ("fd in [-1, 3]", [0, 1]),
        ("pid == -1", []),
        ("pid != -1", [0, 1, 2]),
        ("pid > -1", [0, 1, 2]),
        ("pid < -1", []),
        ("pid > 99999999999", []),
        ("pid < 99999999999", [0, 1, 2]),
        ("pid <= 4294967295", [0, 1, 2]),
        ("pid in [-1, 4294967295, 4294967296]", [2]),
        ("pid not in [-1, 4294967295, 99999999999999999999]", [0, 1]),
        ("pid in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]", [0]),
        ("pid in []", []),
        ("seq == 18446744073709551615", [2]),
        ("seq > 18446744073709551614", [2]),
        ("seq >= 18446744073709551616", []),
        ("ret < 0", [0]),
        ("ret >= -9223372036854775809", [0, 1, 2]),
        ("latency >= 99999999999999999999s", []),
        ("fd_flags == 0x800", [1]),
        ("restarts == 1_0", [2]),
    ],
)
def test_numbers_outside_of_a_columns_range_compare_as_numbers(where: str, rows: list[int]) -> None:
    batch = calls(
        fd=[-1, 3, 2**31 - 1],
        pid=[1, 300, 2**32 - 1],
        seq=np.array([0, 1, 2**64 - 1], np.uint64),
        ret=[-2, 0, 5],
        fd_flags=[0, 0x800, 1],
        restarts=[0, 1, 10],
    )
    assert kept(where, batch) == rows


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ('comm == "dd"', [0]),
        ("comm == dd", [0]),
        ('comm != "dd"', [1, 2, 3]),
        ("comm ~ python", [1, 2]),
        ('comm ~ "Python"', [2]),
        ('comm !~ "python"', [0, 3]),
        ("comm ^~ python", [1]),
        ("comm $~ d", [0]),
        ("comm in [dd, python3.11]", [0, 1]),
        ("comm not in [dd, python3.11]", [2, 3]),
        ("comm == true", [3]),
        ("not comm == dd", [1, 2, 3, 4]),
        ('comm == ""', []),
        ('comm != ""', [0, 1, 2, 3]),
        ('comm ~ ""', [0, 1, 2, 3]),
    ],
)
def test_text(where: str, rows: list[int]) -> None:
    batch = calls(comm=["dd", "python3.11", "Python", "true", ""])
    assert kept(where, batch) == rows


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ('path == "/etc/passwd"', [0, 2]),
        ('path != "/etc/passwd"', [1, 3, 4]),
        ('not (path == "/etc/passwd")', [1, 3, 4]),
        ("path ~ etc", [0, 1, 2, 4]),
        ("path !~ etc", [3]),
        ("path under /etc", [0, 1, 2]),
        ('path under "/etc/"', [0, 1, 2]),
        ("path under /", [0, 1, 2, 4]),
        ("path directly under /etc", [0, 2]),
        ("path directly under /etc/ssl", [1]),
        ("path directly under /", [1, 2]),
        ("old_file directly under /", [1]),
        ("path under /etc/passwd", [0, 2]),
        ("file == /etc/passwd", [0]),
        ("file != /etc/passwd", [1, 2, 4]),
        ('path in ["/etc", /new]', [1, 2]),
        ("path not in [/etc, /new]", [0, 3, 4]),
        ('path $~ ".pem"', [1]),
        ("path ^~ /etcetera", [4]),
    ],
)
def test_path_is_any_of_the_files(where: str, rows: list[int]) -> None:
    batch = calls(
        file=["/etc/passwd", "/etc/ssl/a.pem", "/new", "", "/etcetera/x"],
        old_file=["", "/etc", "/etc/passwd", "", "/"],
        asked=["/etc/passwd", "", "", "", "/var/etc"],
    )
    assert kept(where, batch) == rows


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("syscall == read", [0]),
        ('syscall == "fstat"', [1]),
        ("syscall == newfstat", [1]),
        ("syscall != read", [1, 2, 3]),
        ('syscall in [read, "openat"]', [0, 2]),
        ("syscall not in [read, openat]", [1, 3]),
        ("syscall ~ stat", [1]),
        ("syscall ^~ newf", [1]),
        ("syscall !~ stat", [0, 2, 3]),
        ("syscall ~ STAT", []),
        ("syscall == syscall_511", [3]),
        ("family == fs", [0, 1, 2]),
        ("family != FS", [3]),
        ("family ^~ F", [0, 1, 2]),
        ("family in [Network, misc]", [3]),
    ],
)
def test_syscalls_and_families_by_name(where: str, rows: list[int]) -> None:
    assert kept(where, calls(syscall=["read", "fstat", "openat", 511])) == rows


def test_a_syscall_is_found_by_the_number_of_the_rows_machine() -> None:
    here = calls(syscall=["read", "openat"])
    there = calls(syscall=["read", "openat"], origin=Origin("arm64", 0))
    only_here = compile_filter("syscall == open or syscall == openat")
    assert here["syscall"].tolist() != there["syscall"].tolist()
    assert only_here(here).tolist() == only_here(there).tolist() == [False, True]


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("errno == ENOENT", [1]),
        ("errno == 2", [1]),
        ("errno == enoent", [1]),
        ("errno in [EWOULDBLOCK, 'ENOENT']", [1, 2]),
        ("errno == EAGAIN", [2]),
        ("errno != ENOENT", [2, 3]),
        ("errno > 11", [3]),
        ("errno ~ again", [2]),
        ("errno ^~ EWOULD", [2]),
        ('errno $~ "99"', [3]),
        ("errno == 0", []),
        ("errno in [0, 2]", [1]),
        ("is_error", [1, 2, 3]),
        ("not is_error", [0]),
        ("is_error == false", [0]),
        ("is_error != false", [1, 2, 3]),
        ("is_error and not errno == ENOENT", [2, 3]),
    ],
)
def test_errors(where: str, rows: list[int]) -> None:
    assert kept(where, calls(ret=[0, -2, -11, -3999])) == rows


def test_file_states_by_name() -> None:
    batch = calls(file_state=[int(s) for s in FileState])
    assert kept("file_state == deleted", batch) == [FileState.DELETED]
    assert kept("file_state in [cut, unknown]", batch) == [FileState.CUT, FileState.UNKNOWN]
    assert kept("file_state != deleted", batch) == [1, 3, 4]  # an ok one is an empty cell


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("true", [0, 1, 2, 3]),
        ("false", []),
        ("not true", []),
        ("pid == 1 or pid == 2 and fd == 4", [0, 2]),
        ("(pid == 1 or pid == 2) and fd == 4", [2]),
        ("not pid == 1 and fd == 3", [1, 3]),
        ("not (pid == 1 and fd == 3)", [1, 2, 3]),
        ("not not not pid == 1", [1, 2, 3]),
        ("pid==1 or(pid==3)", [0, 3]),
        ("pid == 1\n\tor  pid == 3", [0, 3]),
        ("((((pid == 1))))", [0]),
        ("false and pid == 1 or true", [0, 1, 2, 3]),
    ],
)
def test_and_or_not(where: str, rows: list[int]) -> None:
    assert kept(where, calls(pid=[1, 2, 2, 3], fd=[3, 3, 4, 3])) == rows


BYTES = [
    b"a\\b",
    b"\xff",
    b"xff",
    b"tab\there",
    b'say "hi"',
    "日本".encode(),
    b"\xe6\x97",
    b"\\xff",
]


def quoted(cell: str) -> str:
    """Write the text of a cell as a literal, only its quotes changed."""
    return '"' + cell.replace('"', r"\"") + '"'


@pytest.mark.parametrize("name", BYTES)
def test_the_text_of_a_cell_matches_exactly_that_cell(name: bytes) -> None:
    batch = calls(file=[escape(raw) for raw in BYTES])
    row = BYTES.index(name)
    assert kept(f"file == {quoted(escape(name))}", batch) == [row]
    assert row in kept(f"file ~ {quoted(escape(name))}", batch)


def test_patterns_match_the_bytes_of_a_name_and_not_their_spelling() -> None:
    batch = calls(file=[escape(raw) for raw in BYTES])
    assert kept("file ~ xff", batch) == [2, 7]
    assert kept(r'file ~ "\xff"', batch) == [1]
    assert kept(r"file ~ '\\'", batch) == [0, 7]
    assert kept(r'file ^~ "tab\t"', batch) == [3]
    assert kept("file ~ 'say \"'", batch) == [4]
    assert kept("file ~ 日", batch) == [5]
    assert kept("file ~ '\udcff'", batch) == [1]  # a byte of the command line


def test_columns_of_ones_own_are_filtered_by_their_kind() -> None:
    added: dict[Column, object] = {
        Column("wait_ns", "u4", "duration", ""): np.array([0, 2_000_000], np.uint32),
        Column("share", "f8", "int", ""): np.array([0.25, np.nan]),
        Column("done", "?", "bool", ""): np.array([True, False]),
        Column("peer", "u4", "text", "", 0): np.array([0, 1], np.uint32),
        Column("label", "u4", "text", ""): np.array([0, 1], np.uint32),
    }
    batch = calls(comm=["x", "x"]).with_columns(added)  # type: ignore[arg-type]
    assert kept("wait >= 2ms", batch) == [1]
    assert kept("share > 0.2", batch) == [0]
    assert kept("share != 7", batch) == [0]
    assert kept("done", batch) == [0]
    assert kept("peer == x", batch) == [1]
    assert kept('label == ""', batch) == [0]
    assert kept("label != x", batch) == [0]


def test_names_that_come_later_are_tested_too() -> None:
    names, other = Names(), Names()
    keep = compile_filter("comm ~ python")
    for i in range(200):
        for dictionary in (names, other):
            batch = calls(comm=["bash", f"python{i}"], names=dictionary)
            assert keep(batch).tolist() == [False, True]
    assert keep(calls(comm=["python", "sh"], names=Names())).tolist() == [True, False]


def test_each_name_is_tested_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tested: list[str] = []

    def test(op: str, values: Sequence[str], *, empty: bool) -> object:
        return lambda text: tested.append(text) is None and text == "dd"

    monkeypatch.setattr("ior.expr.masks.text_test", test)
    keep = compile_filter('path == "dd"')
    names = Names()
    for _ in range(3):
        keep(calls(file=["dd", "ls"], names=names, rows=2))
    assert sorted(tested) == sorted(names.since(0))


def test_the_left_side_decides_alone_where_it_can() -> None:
    class Watched(Batch):
        __slots__ = ()

        def __getitem__(self, name: str) -> np.ndarray:
            asked.append(name)
            return super().__getitem__(name)

    asked: list[str] = []
    plain = calls(pid=[1, 1])
    batch = Watched(CALLS, {n: plain[n] for n in CALLS.names}, plain.names, plain.origin)
    asked.clear()
    compile_filter("pid == 2 and fd == 3 and comm == dd")(batch)
    compile_filter("pid == 1 or fd == 3")(batch)
    assert asked == ["pid", "pid"]


def test_a_predicate_says_what_it_reads_and_means() -> None:
    keep = compile_filter("latency >= 1ms and not path under /etc")
    assert keep.source == "latency >= 1ms and not path under /etc"
    assert keep.columns == {"latency_ns", "file", "old_file", "asked"}
    assert "latency >= 1ms" in repr(keep)


def test_an_empty_batch_has_an_empty_mask() -> None:
    batch = calls(rows=2).select(np.array([False, False]))
    for where in ("true", "fd == 3 and comm == x", "path != /x", "errno == ENOENT", "is_error"):
        assert kept(where, batch) == []


def test_a_column_with_fractions_is_compared_with_fractions() -> None:
    ratio = Column("ratio", "f8", "int", "a ratio of one's own")
    batch = calls(rows=3).with_columns({ratio: np.array([0.25, 0.5, 0.75])})
    assert kept("ratio > 0.5", batch) == [2]
    assert kept("ratio in [0.25, 0.75]", batch) == [0, 2]
