"""The table of what arguments mean, and the columns that are read by it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ior import kinds, syscalls, tasks
from ior.calls import CALLS, Batch, Column, concat
from ior.kinds import INFINITE_NS, NO_NUMBER
from ior.names import Names
from ior.testing import calls
from ior.testing.batches import ORIGIN

ARCHES = ("x86_64", "arm64")
ALL_ONES = 2**64 - 1
WORDS = st.one_of(
    st.integers(0, ALL_ONES), st.sampled_from([0, 1, 4096, ALL_ONES, 2**63, 2**31, 2**32 - 1])
)
FILLED = sorted(kinds.COLUMNS)


def made(nr: list[str], args: list[tuple[int, ...]], **given_: object) -> Batch:
    words = np.zeros((len(nr), 5), np.uint64)
    for row, some in enumerate(args):
        words[row, : len(some)] = some
    return calls(syscall=nr, args=words, **given_)


def test_the_table_names_what_there_is() -> None:
    by_name = {call.tracepoint: call for call in syscalls.table().by_nr.values()}
    for row in kinds.table():
        assert row.syscall in syscalls.table().by_name, row
        assert row.kind == by_name[row.syscall].kind, row
        assert row.column in CALLS.names, row
        assert row.reads in kinds.READERS, row
        assert -1 <= row.argument < 6, row
        assert 0 <= row.word < 5, row
    keys = [(row.syscall, row.column) for row in kinds.table()]
    assert len(set(keys)) == len(keys)
    assert {row.reads for row in kinds.table()} == kinds.READERS.keys()
    order = [(row.kind, row.syscall) for row in kinds.table()]
    assert order == sorted(order)


def test_columns_that_are_filled_stand_at_the_end_of_a_row() -> None:
    first = min(CALLS.names.index(name) for name in kinds.COLUMNS)
    assert set(CALLS.names[first : CALLS.names.index("task")]) == kinds.COLUMNS
    ppid, rate = (CALLS.names.index(name) for name in ("ppid", "sample_rate"))
    assert set(CALLS.names[ppid:rate]) == tasks.COLUMNS


@pytest.mark.parametrize("arch", ARCHES)
def test_numbers_are_those_of_the_architecture(arch: str) -> None:
    nr = syscalls.table(arch).nr("openat")
    assert kinds.arguments(arch, "mode")[nr].word == 1
    assert kinds.fills(arch, "mode").sum() == len(kinds.arguments(arch, "mode"))


def test_what_does_not_occur_takes_no_memory() -> None:
    batch = made(["read"] * 3, [(0, 7)] * 3)
    assert batch["requested_bytes"].tolist() == [7, 7, 7]
    for column in CALLS.columns:
        if column.name in kinds.COLUMNS - {"requested_bytes"}:
            values = batch[column.name]
            assert values.strides == (0,), column.name
            assert values.dtype == column.dtype
            assert set(values.tolist()) == {0 if column.empty is None else column.empty}


def test_a_column_that_is_filled_cannot_be_written_to() -> None:
    batch = made(["poll", "read"], [(0, 1, 5), ()])
    for name in ("timeout_ns", "op"):
        with pytest.raises(ValueError, match="read-only"):
            batch[name][0] = 1


@pytest.mark.parametrize("column", FILLED)
@settings(max_examples=30)
@given(data=st.data())
def test_any_words_give_values_and_choosing_rows_before_or_after_is_the_same(
    column: str, data: st.DataObject
) -> None:
    named = sorted({row.syscall for row in kinds.table() if row.column == column} | {"getpid"})
    rows = data.draw(
        st.lists(
            st.tuples(
                st.sampled_from(named),
                st.tuples(WORDS, WORDS, WORDS, WORDS, WORDS),
                st.sampled_from([0, -22, 2**40]),
            ),
            min_size=1,
            max_size=6,
        )
    )
    nr, args, ret = ([row[i] for row in rows] for i in range(3))
    chosen = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=6)), np.intp)
    whole = made(nr, args, ret=ret)
    later = made(nr, args, ret=ret).select(chosen)[column].tolist()
    assert later == [whole[column].tolist()[i] for i in chosen.tolist()]
    assert whole[column].dtype == np.dtype(whole.column(column).dtype)
    if whole.column(column).kind in ("duration", "size"):
        assert int(whole[column].min()) >= -1


def test_a_column_that_a_stage_put_in_its_place_stays() -> None:
    column = Column("timeout_ns", "i8", "duration", "mine", -1)
    batch = made(["poll", "poll"], [(0, 1, 5), (0, 1, 6)]).with_columns({column: np.array([1, 2])})
    assert batch.select(np.array([1]))["timeout_ns"].tolist() == [2]
    assert concat([batch, batch])["timeout_ns"].tolist() == [1, 2, 1, 2]


def test_joined_batches_read_their_own_words() -> None:
    names = Names()
    first = made(["poll"], [(0, 1, 5)], names=names)
    second = made(["read"], [(0, 9)], names=names)
    both = concat([first, second])
    assert both["timeout_ns"].tolist() == [5_000_000, -1]
    assert both["requested_bytes"].tolist() == [-1, 9]


S = 1_000_000_000


@pytest.mark.parametrize(
    ("nr", "args", "column", "value"),
    [
        ("poll", (0, 1, 2**32 - 1), "timeout_ns", INFINITE_NS),
        ("poll", (0, 1, 2**31 - 1), "timeout_ns", (2**31 - 1) * 1_000_000),
        ("ppoll", (0, 1, 1, 5), "timeout_ns", S + 5),
        ("ppoll", (0, 1, 0, ALL_ONES), "timeout_ns", INFINITE_NS),  # NULL
        ("ppoll", (0, 1, ALL_ONES, ALL_ONES), "timeout_ns", -1),  # could not be read
        ("select", (1, 0, 0, 2, 7), "timeout_ns", 2 * S + 7000),
        ("nanosleep", (0, ALL_ONES), "requested_sleep_ns", -1),
        ("nanosleep", (2**63 - 1, 0), "requested_sleep_ns", 9223372035 * S),
        ("clock_nanosleep", (1, 0, 3, 4, 50), "requested_sleep_ns", 3 * S + 4),
        ("clock_nanosleep", (1, 1, 3, 4, 50), "requested_sleep_ns", 2 * S + 4 + 50),
        ("clock_nanosleep", (7, 1, 3, 4, 50), "requested_sleep_ns", 2 * S + 4),
        ("clock_nanosleep", (7, 1, 0, 4, 50), "requested_sleep_ns", 0),  # was over at entry
        ("clock_nanosleep", (0, 1, 1_700_000_003, 4), "requested_sleep_ns", 2 * S + 4),
        ("clock_nanosleep", (2, 1, 3, 4), "requested_sleep_ns", -1),  # a clock of its own
        ("futex", (0, 128, 0, 3, 4), "timeout_ns", 3 * S + 4),
        ("futex", (0, 137, 0, 3, 4), "timeout_ns", -1),
        ("futex", (0, 137, 0, 0, ALL_ONES), "timeout_ns", INFINITE_NS),
        ("futex", (0, 129, 0, 0, ALL_ONES), "timeout_ns", -1),
        ("mmap", (0, 1), "address_space_bytes", 4096),
        ("mmap", (0, ALL_ONES), "address_space_bytes", 2**63 - 4096),
        ("read", (0, ALL_ONES), "requested_bytes", 2**63 - 1),
        ("lseek", (ALL_ONES, 1), "offset", -1),
        ("kill", (2**32 - 9, 15), "target_pid", -9),
        ("clone3", (ALL_ONES, ALL_ONES), "call_flags", -1),
        ("openat2", (0o100, 0o640), "mode", 0o640),
        ("openat2", (ALL_ONES, ALL_ONES), "mode", -1),
        ("openat", (0o20000000 | 0o200000, 0o600), "mode", 0o600),  # O_TMPFILE
        ("openat", (0o200000, 0o600), "mode", -1),  # O_DIRECTORY alone
        ("perf_event_open", (0, ALL_ONES), "config", NO_NUMBER),
    ],
)
def test_values(nr: str, args: tuple[int, ...], column: str, value: int) -> None:
    assert ORIGIN.wall_offset_ns == 1_700_000_000 * S
    batch = made([nr, "getpid"], [args, ()], time_ns=[S, S])
    empty = batch.column(column).empty
    assert batch[column].tolist() == [value, 0 if empty is None else empty]


def test_brk_moves_by_what_it_returned() -> None:
    args = [(0, 4096), (9000, 4096), (4097, 4096), (4096, 12288), (8, 4096), (9000, 0)]
    ret = [4096, 9000, 4097, 4096, 4096, 9000]
    batch = made(["brk"] * 6, args, ret=ret)
    assert batch["address_space_bytes"].tolist() == [0, 8192, 4096, 8192, 0, 0]


def test_a_failed_call_moves_no_address_space() -> None:
    batch = made(["mmap", "munmap"], [(0, 1), (0, 1)], ret=[-12, -22])
    assert batch["address_space_bytes"].tolist() == [0, 0]


def test_every_column_is_read_on_both_architectures() -> None:
    for arch in ARCHES:
        filled = {row.column for row in kinds.table() if syscalls.table(arch).nr(row.syscall) >= 0}
        assert filled == kinds.COLUMNS
