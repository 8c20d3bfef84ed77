from __future__ import annotations

import gc
import sys
import tracemalloc
import weakref
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ior.calls import DERIVED, Batch, Column
from ior.names import FileState, Names
from ior.stages.stream import Stream, StreamConfig, StreamSnapshot
from ior.tasks import Task
from ior.testing.batches import calls

SIZES = st.lists(st.sampled_from([1, 2, 3, 7, 20, 150, 4096, 5000]), max_size=40)


def numbered(sizes: list[int], names: list[Names]) -> list[Batch]:
    starts = np.cumsum([0, *sizes])[:-1]
    return [
        calls(
            names=names[i % len(names)],
            seq=np.arange(start, start + size),
            time_ns=np.arange(start, start + size),
        )
        for i, (start, size) in enumerate(zip(starts.tolist(), sizes, strict=True))
    ]


def numbers(snapshot: StreamSnapshot) -> list[int]:
    return [seq for batch in snapshot.batches for seq in batch["seq"].tolist()]


def stream(rows: int) -> Stream:
    return Stream(StreamConfig(rows=rows))


@given(SIZES, st.integers(1, 6000), st.booleans())
def test_the_last_rows_are_kept_in_order_however_they_come(
    sizes: list[int], rows: int, two_names: bool
) -> None:
    stage = stream(rows)
    total = sum(sizes)
    for batch in numbered(sizes, [Names(), Names()] if two_names else [Names()]):
        stage.process(batch)
    snapshot = stage.snapshot()
    assert numbers(snapshot) == list(range(max(total - rows, 0), total))
    assert snapshot.total == total


def test_a_snapshot_given_is_never_changed_by_later_batches() -> None:
    stage = stream(100)
    batches = numbered([3] * 200, [Names()])
    for batch in batches[:50]:
        stage.process(batch)
    kept = stage.snapshot()
    for batch in batches[50:]:
        stage.process(batch)
    assert numbers(kept) == list(range(50, 150))


def held(snapshot: StreamSnapshot) -> int:
    """Return the bytes that the snapshot keeps alive: each array once, and its names' texts."""
    arrays: dict[int, int] = {}
    texts: dict[int, int] = {}
    for batch in snapshot.batches:
        for name in batch.schema.names:
            if name in DERIVED and not batch.holds(name):
                continue
            column: Any = batch[name]
            while column.base is not None:
                column = column.base
            arrays[id(column)] = column.nbytes
        texts[id(batch.names)] = sum(map(sys.getsizeof, batch.names.since(0)))
    return sum(arrays.values()) + sum(texts.values())


def distinct(names: Names, number: int, rows: int, length: int) -> Batch:
    """Make rows each of which has a file of its own, by names of so many characters."""
    files = [f"/{number * rows + i}".ljust(length, "x") for i in range(rows)]
    return calls(names=names, file=files, seq=np.arange(number * rows, (number + 1) * rows))


@pytest.mark.parametrize(("rows", "length"), [(16_384, 12), (3000, 300), (200, 4000), (1, 30)])
def test_memory_stays_under_the_bound(rows: int, length: int) -> None:
    bound, row = 1 << 20, 340 + length  # a row's bytes with a name of its own
    stage = Stream(StreamConfig(rows=0, mib=1))
    names = Names()

    def look(number: int) -> int:
        snapshot = stage.snapshot()
        assert held(snapshot) <= bound
        kept = numbers(snapshot)
        assert kept == list(range(kept[0], (number + 1) * rows))
        assert not kept[0] or len(kept) * row > bound // 2  # it is used, too
        return kept[0]

    for number in range(6 + 3 * bound // (rows * row)):
        names = Names() if number % 7 == 0 else names
        stage.process(distinct(names, number, rows, length))
        if rows > 1 or number % 97 == 0:
            first = look(number)
    assert first
    for batch in stage.snapshot().batches:
        assert [text.rstrip("x") for text in batch.text("file")] == [f"/{n}" for n in batch["seq"]]


@pytest.mark.parametrize("length", [12, 300])
def test_what_a_paused_view_holds_takes_of_the_room(length: int) -> None:
    bound, names = 1 << 20, Names()
    stage = Stream(StreamConfig(rows=0, mib=1))
    for number in range(40):
        stage.process(distinct(names, number, 400, length))
    paused = stage.snapshot()
    shown = numbers(paused)
    for number in range(40, 120):
        stage.process(distinct(names, number, 400, length))
        now = stage.snapshot()
        assert held(StreamSnapshot((*paused.batches, *now.batches), 0)) <= 1.5 * bound
        kept = numbers(now)
        assert kept[-1] == 400 * number + 399
        assert held(now) > 0.25 * bound
        del now
    assert numbers(paused) == shown
    assert len(kept) < 0.6 * len(shown)
    del paused
    for number in range(120, 160):
        stage.process(distinct(names, number, 400, length))
    assert len(numbers(stage.snapshot())) > 0.75 * len(shown)


def test_what_python_says_of_the_memory_agrees() -> None:
    stage = Stream(StreamConfig(rows=0, mib=4))
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(20):
            stage.process(distinct(Names(), number, 2000, 100))
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 1 << 20 < grown < 4.2 * (1 << 20)


def test_whichever_bound_comes_first_holds() -> None:
    stage = Stream(StreamConfig(rows=1000, mib=256))
    for batch in numbered([700] * 9, [Names()]):
        stage.process(batch)
    assert numbers(stage.snapshot()) == list(range(5300, 6300))
    stage = Stream(StreamConfig(rows=1_000_000, mib=1))
    for batch in numbered([5000] * 9, [Names()]):
        stage.process(batch)
    assert 1 << 19 < held(stage.snapshot()) <= 1 << 20


def test_rows_hold_neither_the_slabs_nor_the_dictionaries_that_they_came_with() -> None:
    stage = stream(1000)
    slabs, dictionaries = [], []
    for _ in range(100):
        batch = calls(names=Names(), rows=500)
        slabs.append(weakref.ref(batch["args"]))
        dictionaries.append(weakref.ref(batch.names))
        stage.process(batch.select(np.arange(2)))
    del batch
    gc.collect()
    assert not any(slab() for slab in slabs)
    assert not any(names() for names in dictionaries)
    assert sum(map(len, stage.snapshot().batches)) == 200


def test_names_keep_their_states_and_tasks_their_facts() -> None:
    stage, names = Stream(StreamConfig(rows=0, mib=1)), Names()
    gone = names.intern("/tmp/x", FileState.DELETED)
    task = names.intern(Task(7, 1000, 99, "/system.slice/ssh.service").text())
    for number in range(40):
        batch = distinct(names, number, 500, 200)
        stage.process(
            calls(
                names=names,
                file=[*batch["file"][1:].tolist(), gone],
                task=[task] * 500,
            )
        )
    (*_, last) = stage.snapshot().batches
    assert last.names is not names
    assert last.text("file")[-1] == "/tmp/x"
    assert last.names.states[last["file"][-1]] == FileState.DELETED
    assert set(last["ppid"].tolist()) == {7}
    assert set(last.text("cgroup")) == {"/system.slice/ssh.service"}


def test_what_a_view_derives_is_not_kept() -> None:
    stage = stream(1000)
    stage.process(calls(rows=10))
    (batch,) = stage.snapshot().batches
    batch["nfds"]
    stage.process(calls(rows=10))
    assert not stage.snapshot().batches[0].holds("nfds")


def test_rows_of_different_columns_are_kept_apart() -> None:
    stage, names = stream(1000), Names()
    plain = calls(names=names, rows=3)
    more = plain.with_columns({Column("word", "u4", "text", "a word", 0): ["a", "b", "a"]})
    for batch in (plain, more, plain, more):
        stage.process(batch)
    found = stage.snapshot().batches
    assert [len(batch.schema.columns) - len(plain.schema.columns) for batch in found] == [
        0,
        1,
        0,
        1,
    ]
    assert found[1].text("word") == found[3].text("word") == ["a", "b", "a"]


def test_many_tiny_batches_become_few() -> None:
    stage = stream(10_000)
    for batch in numbered([1] * 5000, [Names()]):
        stage.process(batch)
    snapshot = stage.snapshot()
    assert sum(map(len, snapshot.batches)) == 5000
    assert len(snapshot.batches) < 40


@pytest.mark.parametrize("sizes", [[30], [7] * 6])
def test_the_table_shows_the_last_twenty_rows_latest_first(sizes: list[int]) -> None:
    stage = stream(1000)
    for batch in numbered(sizes, [Names()]):
        stage.process(batch)
    (table,) = stage.snapshot().tables()
    names = [field.name for field in table.fields]
    assert names[:5] == ["time", "latency", "comm", "pid", "tid"]
    assert names[5:] == ["syscall", "fd", "ret", "bytes", "file", "asked for"]
    assert len(table.rows) == 20
    assert all(row[names.index("comm")] == "test" for row in table.rows)
    assert all(row[names.index("syscall")] == "read" for row in table.rows)
    times = [row[0] for row in table.rows]
    assert times == list(range(sum(sizes) - 1, sum(sizes) - 21, -1))


def test_the_table_says_by_name_what_a_call_asked_for() -> None:
    stage = stream(10)
    words = np.array([[0o102, 0o640, 0, 0, 0], [0, 1, 2**32 - 1, 0, 0]], np.uint64)
    stage.process(calls(syscall=["openat", "poll"], args=words))
    (table,) = stage.snapshot().tables()
    asked = [row[-1] for row in table.rows]
    assert asked == ["nfds=1 timeout=infinite", "call_flags=O_RDWR|O_CREAT mode=0640"]


def test_nothing_yet_is_an_empty_snapshot() -> None:
    snapshot = stream(5).snapshot()
    assert (snapshot.batches, snapshot.total) == ((), 0)
    assert snapshot.tables()[0].rows == ()
