from __future__ import annotations

from typing import Any

import anyio
import numpy as np
import pytest

from ior import decode
from ior.calls import Batch, Flag
from ior.pipeline.ledger import KERNEL
from ior.sources.synthetic import Synthetic, SyntheticConfig
from ior.stages.pair import Pair, PairConfig
from ior.testing.clock import VirtualClock
from ior.testing.graphs import context


async def read(clock: VirtualClock, limit: int = 10_000, **config: Any) -> list[Batch]:
    source = Synthetic(SyntheticConfig(**config))
    await source.start(context(clock=clock))
    batches: list[Batch] = []
    while len(batches) < limit and (batch := await source.read()) is not None:
        batches.append(batch)
    return batches


def records(**config: Any) -> dict[str, np.ndarray[Any, Any]]:
    batches = anyio.run(lambda: read(VirtualClock(1000), **config))
    return {name: np.concatenate([b[name] for b in batches]) for name in batches[0].schema.names}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)


def joined(columns: dict[str, Any]) -> list[tuple[int, ...]]:
    """Pair halves by thread; return (tid, nr, enter, exit, ret, file) of every call, by return."""
    waiting: dict[int, tuple[int, ...]] = {}
    found: list[tuple[int, ...]] = []
    names = ("tid", "nr", "flags", "enter_ns", "exit_ns", "ret", "file")
    for tid, nr, flags, enter, leave, ret, file in zip(
        *(columns[name].tolist() for name in names), strict=True
    ):
        if flags & Flag.ENTER:
            assert tid not in waiting
            waiting[tid] = (nr, enter, file)
        if flags & Flag.EXIT:
            assert waiting[tid][0] == nr
            _, began, asked = waiting.pop(tid)
            found.append((tid, nr, began, leave, ret, asked))
    assert not waiting
    return found


def test_the_same_seed_gives_the_same_records_in_any_batch_size() -> None:
    one = records(calls=20_000, batch=4096)
    assert same(one, records(calls=20_000, batch=777))
    assert not same(one, records(calls=20_000, seed=2))


def test_the_number_of_calls_is_exact_and_a_longer_run_begins_the_same() -> None:
    short, long = joined(records(calls=5001)), joined(records(calls=30_000))
    assert len(short) == 5001
    assert len(long) == 30_000
    assert short == long[:5001]


def test_split_calls_are_the_same_calls() -> None:
    whole, halves = records(calls=20_000, split=0), records(calls=20_000, split=0.3)
    assert len(whole["nr"]) == 20_000
    assert 5500 < len(halves["nr"]) - 20_000 < 6500
    assert joined(whole) == joined(halves)


def test_each_side_has_its_times_only() -> None:
    made = records(calls=5000, split=0.5)
    assert ((made["enter_ns"] > 0) == (made["flags"] & Flag.ENTER > 0)).all()
    assert ((made["exit_ns"] > 0) == (made["flags"] & Flag.EXIT > 0)).all()


def test_threads_do_one_call_at_a_time_and_begin_fresh_once() -> None:
    made = records(calls=40_000)
    last: dict[int, int] = {}
    for tid, _, enter, leave, _, _ in sorted(joined(made), key=lambda call: call[2]):
        assert last.get(tid, 0) < enter < leave
        last[tid] = leave
    fresh = made["tid"][made["flags"] & Flag.FRESH > 0]
    assert sorted(fresh.tolist()) == np.unique(made["tid"]).tolist()
    firsts = np.unique(made["tid"], return_index=True)[1]
    assert (made["flags"][firsts] & Flag.FRESH > 0).all()


def test_records_come_in_the_order_in_which_a_kernel_writes_them() -> None:
    made = records(calls=40_000)
    written = np.where(made["exit_ns"] > 0, made["exit_ns"], made["enter_ns"]).astype(np.int64)
    assert (np.diff(written) >= 0).all()


def share(columns: dict[str, Any], part: slice) -> dict[int, float]:
    pids, counts = np.unique(columns["pid"][part], return_counts=True)
    return dict(zip(pids.tolist(), (counts / counts.sum()).tolist(), strict=True))


def change(columns: dict[str, Any]) -> float:
    """Return how much the processes' shares differ between the first and the last block."""
    before, after = share(columns, slice(0, 16_384)), share(columns, slice(-16_384, None))
    return max(abs(before.get(pid, 0) - after.get(pid, 0)) for pid in before | after)


def test_static_stays_and_moving_moves() -> None:
    assert change(records(calls=16_384 * 3)) < 0.02
    assert change(records(calls=16_384 * 3, profile="moving")) > 0.2


def test_the_mix_has_errors_several_threads_and_real_names() -> None:
    batches = anyio.run(lambda: read(VirtualClock(), calls=16_384))
    files = {text for batch in batches for text in batch.text("file")}
    assert {"/dev/zero", "/dev/null", "/var/log/syslog"} <= files
    made = records(calls=16_384)
    assert len(np.unique(made["tid"])) > len(np.unique(made["pid"])) >= 5
    assert 0.005 < (made["ret"] < 0).mean() < 0.2
    assert len(np.unique(made["nr"])) >= 9


async def paced(rate: float) -> tuple[int, int, int]:
    clock = VirtualClock(5_000_000_000)
    source = Synthetic(SyntheticConfig(rate=rate, split=0))
    await source.start(context(clock=clock))
    given = []

    async def reader() -> None:
        while (batch := await source.read()) is not None:
            given.append(batch)

    async with anyio.create_task_group() as group:
        group.start_soon(reader)
        await clock.advance(10)
        calls = sum(map(len, given))
        last = max(int(batch["exit_ns"].max()) for batch in given)
        source.stop()
    return calls, last, len(given)


def test_a_rate_is_kept_and_times_follow_the_clock() -> None:
    calls, last, batches = anyio.run(paced, 1000.0)
    assert calls == 10_000
    assert 14.8e9 < last < 15.2e9
    assert batches >= 200


def test_stop_ends_a_wait_and_the_books_balance() -> None:
    async def run() -> tuple[dict[str, int], list[int], Batch | None]:
        source = Synthetic(SyntheticConfig(split=1, batch=3))
        await source.start(context(clock=VirtualClock()))
        batches = [await source.read() for _ in range(3)]
        source.stop()
        source.stop()
        made = [flags for batch in batches if batch for flags in batch["flags"].tolist()]
        return dict(source.books()), made, await source.read()

    books, made, after = anyio.run(run)
    assert after is None
    assert set(books) == set(KERNEL)
    assert books["attempted"] == books["read"] == len(made) == 9
    assert books["lost"] == 0
    entered = sum(bool(flags & Flag.ENTER) for flags in made)
    assert books["in_flight"] == entered - (9 - entered) > 0


@pytest.mark.parametrize("config", [{"calls": 0}, {"calls": 1}])
def test_tiny_numbers_of_calls(config: dict[str, int]) -> None:
    batches = anyio.run(lambda: read(VirtualClock(), **config))
    returned = sum(int(np.count_nonzero(b["flags"] & Flag.EXIT)) for b in batches)
    assert returned == config["calls"]


async def waiting(seconds: float, **config: Any) -> tuple[Any, int, list[Batch]]:
    """Read for so many seconds; return the calls in flight, those of the books, the batches."""
    clock = VirtualClock()
    source = Synthetic(SyntheticConfig(**config))
    await source.start(context(clock=clock))
    batches: list[Batch] = []

    async def take() -> None:
        while (batch := await source.read()) is not None:
            batches.append(batch)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take)
        await clock.advance(seconds)
        found = source.snapshot(), source.books()["in_flight"], batches
        tasks.cancel_scope.cancel()
    return found


def test_calls_in_flight_are_those_entered_last_and_some_that_never_return() -> None:
    snapshot, booked, batches = anyio.run(lambda: waiting(1, rate=300_000.0, split=0.9))
    last = {}
    for batch in batches:
        columns = (batch[name].tolist() for name in ("tid", "flags", "enter_ns"))
        last |= {tid: (flags, enter) for tid, flags, enter in zip(*columns, strict=True)}
    entered = {tid: enter for tid, (flags, enter) in last.items() if not flags & Flag.EXIT}
    found = {call.tid: call for call in snapshot.calls}
    assert entered
    assert {tid: 10**9 - found[tid].age_ns for tid in entered} == entered
    assert {tid: found[tid].syscall for tid in found.keys() - entered} == {
        1047: "fdatasync",
        816: "read",
    }
    assert booked == len(found) == len(snapshot.calls)
    ages = [call.age_ns for call in snapshot.calls]
    assert ages == sorted(ages, reverse=True)
    assert ages[0] == 10**9


def test_without_a_rate_nothing_is_known_of_calls_in_flight() -> None:
    assert anyio.run(lambda: waiting(1, calls=100))[0] is None


def test_what_is_asked_for_fits_what_is_done() -> None:
    halves = anyio.run(lambda: read(VirtualClock(1000), calls=20_000, split=0.2))
    pair = Pair(PairConfig())
    anyio.run(pair.start, context())
    checked = sought = 0
    for batch in (found["out"] for found in map(pair.process, halves) if "out" in found):
        asked, moved = batch["requested_bytes"], batch["bytes"]
        assert (moved <= np.where(asked < 0, moved, asked)).all()
        assert (asked[moved > 0] > 0).all()
        flags = zip(batch.text("syscall"), decode.texts(batch, "call_flags"), strict=True)
        assert {flag for call, flag in flags if call == "openat"} == {"O_RDONLY|O_CLOEXEC"}
        seeks = batch.select(np.flatnonzero(np.array(batch.text("syscall")) == "lseek"))
        assert (seeks["ret"] == seeks["offset"]).all()
        sought += len(seeks)
        checked += len(batch)
    assert checked == 20_000
    assert sought > 100
