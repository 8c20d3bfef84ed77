from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ior.calls import Batch
from ior.names import Names
from ior.stages.stream import Stream, StreamConfig, StreamSnapshot
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
    """Return the bytes that the snapshot's columns keep alive, each slab once."""
    slabs: dict[int, int] = {}
    for batch in snapshot.batches:
        for name in batch.schema.names:
            column: Any = batch[name]
            while column.base is not None:
                column = column.base
            slabs[id(column)] = column.nbytes
    return sum(slabs.values())


def test_few_rows_of_many_batches_do_not_hold_the_batches() -> None:
    stage = stream(1000)
    names = Names()
    for i in range(300):
        batch = calls(names=names, seq=np.arange(16_384 * i, 16_384 * (i + 1)))
        size = batch.nbytes()
        cut = {name: batch[name][:2] for name in batch.schema.names}
        stage.process(Batch(batch.schema, cut, names, batch.origin))
    snapshot = stage.snapshot()
    assert sum(map(len, snapshot.batches)) == 600
    assert held(snapshot) < 10 * size


def test_rows_selected_from_many_batches_do_not_hold_the_batches() -> None:
    stage = stream(1000)
    names, slabs = Names(), []
    for _ in range(100):
        batch = calls(names=names, rows=500)
        slabs.append(weakref.ref(batch["args"]))
        stage.process(batch.select(np.arange(2)))
    del batch
    gc.collect()
    assert sum(slab() is not None for slab in slabs) < 10
    assert sum(map(len, stage.snapshot().batches)) == 200


def test_many_tiny_batches_become_few() -> None:
    stage = stream(10_000)
    for batch in numbered([1] * 5000, [Names()]):
        stage.process(batch)
    snapshot = stage.snapshot()
    assert sum(map(len, snapshot.batches)) == 5000
    assert len(snapshot.batches) < 40


def test_a_large_batch_is_kept_as_it_is() -> None:
    stage = stream(10_000)
    (batch,) = numbered([9000], [Names()])
    stage.process(batch)
    assert stage.snapshot().batches[0] is batch


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
