"""Interrupted calls and their restarts, case by case; the laws are in test_pair_properties."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import numpy as np
import pytest

from ior.calls import Batch, Flag
from ior.names import Names
from ior.stages.pair import Pair, PairConfig
from ior.testing import context, halves

WHOLE = Flag.ENTER | Flag.EXIT
STOPPED, AGAIN = WHOLE | Flag.INTERRUPTED, WHOLE | Flag.RESTARTED
BOTH = STOPPED | Flag.RESTARTED


class Told:
    """A stage `pair` with all that it has given."""

    def __init__(self, **config: Any) -> None:
        self.stage, self.ctx, self.names = Pair(PairConfig(**config)), context(), Names()
        self.rows: list[dict[str, Any]] = []
        self.causes: list[str] = []
        anyio.run(self.stage.start, self.ctx)

    def records(self, flags: Sequence[int], begin_ns: int = 1000, **columns: Any) -> Batch:
        """Return whole records of one thread, 10 ns each and 10 ns apart."""
        enter = [begin_ns + 20 * i for i in range(len(flags))]
        times = {"enter_ns": enter, "exit_ns": [ns + 10 for ns in enter]}
        numbers = [int(flag) for flag in flags]
        return halves(names=self.names, **{"flags": numbers, "tid": 1, **times, **columns})

    def take(self, *batches: Batch) -> Told:
        for batch in batches:
            self._keep(self.stage.process(batch))
        return self

    def end(self) -> Told:
        self._keep(self.stage.drain())
        return self

    def _keep(self, output: Any) -> None:
        for port, batch in (output or {}).items():
            if port == "out":
                self.rows += batch.rows()
            else:
                self.causes += batch.text("cause")

    def column(self, name: str) -> list[Any]:
        return [row[name] for row in self.rows]


@pytest.mark.parametrize("cut", [False, True])
def test_a_restarted_call_is_one_row_with_its_whole_latency(cut: bool) -> None:
    told = Told()
    flags = [WHOLE, STOPPED, BOTH, AGAIN, WHOLE]
    given = {"ret": [1, -512, -516, 7, 2], "nr": ["write", "read", "read", "read", "write"]}
    batch = told.records(flags, **given)
    parts = [batch.select(np.array([i])) for i in range(len(batch))] if cut else [batch]
    told.take(*parts).end()
    assert told.column("syscall") == ["write", "read", "write"]
    assert told.column("ret") == [1, 7, 2]
    assert told.column("restarts") == [0, 2, 0]
    assert told.column("latency_ns") == [10, 50, 10]
    assert told.column("gap_ns") == [None, 10, 10]
    assert told.ctx.books.joined == 2
    assert not told.causes


@pytest.mark.parametrize("cut", [False, True])
def test_every_part_of_a_call_tells_what_it_knows(cut: bool) -> None:
    told = Told()
    columns = {
        "ret": [-512, -512, 7],
        "nr": "read",
        "file": ["", "/read", ""],
        "args": [[0, 0, 0, 0, 0], [0, 0, 0, 0, 1], [0, 2, 0, 0, 0]],
    }
    batch = told.records([STOPPED, BOTH, AGAIN], **columns)
    parts = [batch.select(np.array([i])) for i in range(len(batch))] if cut else [batch]
    told.take(*parts).end()
    assert told.column("file") == ["/read"]
    assert told.column("args") == [[0, 2, 0, 0, 1]]


def test_the_first_part_tells_what_restart_syscall_does_not() -> None:
    told = Told()
    columns = {
        "nr": ["nanosleep", "restart_syscall"],
        "ret": [-516, 0],
        "file": ["/asked", ""],
        "fd": [4, -1],
        "args": [[1, 2, 3, 4, 5], [9, 9, 9, 9, 9]],
    }
    told.take(told.records([STOPPED, AGAIN], **columns)).end()
    assert told.column("syscall") == ["nanosleep"]
    assert told.column("file") == ["/asked"]
    assert told.column("fd") == [4]
    assert told.column("args") == [[1, 2, 3, 4, 5]]


def test_without_proof_the_parts_stay_two_rows() -> None:
    told = Told()
    lost = told.records([WHOLE | Flag.BREAK], 2000)
    told.take(told.records([STOPPED], ret=-512), lost).end()
    assert told.column("ret") == [-512, 0]
    assert told.column("restarts") == [0, 0]
    assert told.column("is_error") == [False, False]


def test_another_interrupted_call_gives_the_first_up() -> None:
    told = Told()
    told.take(told.records([STOPPED, STOPPED, AGAIN], ret=[-512, -513, 3])).end()
    assert told.column("ret") == [-512, 3]
    assert told.column("restarts") == [0, 1]


def test_a_restart_whose_begin_was_not_seen_is_a_row_of_its_own() -> None:
    told = Told()
    told.take(told.records([AGAIN], ret=[3])).end()
    assert told.column("ret") == [3]
    assert told.column("restarts") == [0]
    assert told.ctx.books.joined == 0


def test_threads_do_not_share_their_restarts() -> None:
    told = Told()
    given = {"ret": [-512, -512, 5, 6], "tid": [1, 2, 2, 1]}
    told.take(told.records([STOPPED, STOPPED, AGAIN, AGAIN], **given)).end()
    assert told.column("tid") == [2, 1]
    assert told.column("ret") == [5, 6]
    assert told.column("latency_ns") == [30, 70]


def test_a_recycled_thread_id_inherits_no_interrupted_call() -> None:
    told = Told()
    told.take(told.records([STOPPED], ret=-512))
    told.take(told.records([AGAIN | Flag.FRESH], 2000, ret=4)).end()
    assert told.column("ret") == [4]
    assert told.column("restarts") == [0]
    assert told.causes == ["thread ended"]


def test_what_is_interrupted_at_the_end_is_unmatched() -> None:
    told = Told()
    told.take(told.records([STOPPED], ret=-512))
    assert told.ctx.books.held == 1
    assert told.stage.snapshot().pending == 1
    told.end()
    assert told.causes == ["interrupted at end"]


@pytest.mark.parametrize("tid", [1, 2, 3, 4])
def test_what_the_source_does_not_record_any_more_is_not_awaited(tid: int) -> None:
    """All but one thread's calls are left out meanwhile: two that wait, two for a restart."""
    told = Told()
    told.stage.heed(lambda halves: halves.select(halves["tid"] == tid))
    told.take(told.records([STOPPED, STOPPED], ret=-512, tid=[1, 2]))
    told.take(told.records([Flag.ENTER, Flag.ENTER], 2000, tid=[3, 4], exit_ns=0)).end()
    found = ["selection changed"] * 4
    found[{3: 0, 4: 1, 1: 2, 2: 3}[tid]] = "in flight at end" if tid > 2 else "interrupted at end"
    assert told.causes == found
    assert told.ctx.books.held == 0
    assert not told.rows


def test_unfolded_every_part_is_a_row() -> None:
    told = Told(fold_restarts=False)
    told.take(told.records([STOPPED, AGAIN], ret=[-512, 3])).end()
    assert told.column("ret") == [-512, 3]
    assert told.column("restarts") == [0, 0]


def test_of_too_many_interrupted_calls_the_longest_waiting_is_given_up() -> None:
    told = Told(max_pending=2)
    told.take(told.records([STOPPED] * 3, ret=-512, tid=[1, 2, 3]))
    assert told.column("tid") == [1]
    assert told.ctx.books.held == 2
    told.take(told.records([AGAIN] * 3, 2000, ret=5, tid=[1, 2, 3])).end()
    assert told.column("tid") == [1, 1, 2, 3]
    assert told.column("restarts") == [0, 0, 1, 1]
    assert not told.causes


def test_of_too_many_calls_in_flight_the_longest_waiting_is_given_up() -> None:
    told = Told(max_pending=2)
    enters = told.records([Flag.ENTER] * 3, tid=[1, 2, 3], exit_ns=0)
    told.take(enters)
    assert told.causes == ["overflow"]
    assert told.stage.snapshot().pending == told.ctx.books.held == 2
    exits = told.records([Flag.EXIT] * 3, tid=[1, 2, 3], enter_ns=0, exit_ns=2000)
    told.take(exits).end()
    assert told.column("tid") == [2, 3]
    assert told.causes == ["overflow", "overflow"]  # the return says why it has no begin


def test_the_snapshot_counts_causes_and_what_waits() -> None:
    told = Told()
    parts = [Flag.EXIT | Flag.FRESH, Flag.EXIT, Flag.EXIT, Flag.ENTER, Flag.ENTER]
    told.take(told.records(parts, tid=[1, 2, 3, 4, 5]))
    shown = told.stage.snapshot()
    assert shown.unmatched == {"in flight at start": 1, "denied": 2}
    assert shown.pending == 2
    (table,) = shown.tables()
    assert table.rows == (("denied", 2), ("in flight at start", 1))
    assert told.end().stage.snapshot().unmatched["in flight at end"] == 2
    assert shown.pending == 2  # a snapshot never changes


def test_names_of_held_parts_are_those_of_their_own_batch() -> None:
    told = Told()
    first = told.records([STOPPED], ret=-512, file="/a", comm="one")
    told.names = Names()
    told.names.intern("something else")
    told.take(first, told.records([AGAIN], 2000, ret=3, comm="one")).end()
    assert told.column("file") == ["/a"]
    assert told.column("comm") == ["one"]


def test_what_was_interrupted_for_good_does_not_wait() -> None:
    told = Told()
    killed = Flag.INTERRUPTED | Flag.ENDED
    told.take(told.records([STOPPED, AGAIN | killed, WHOLE | Flag.FRESH], ret=[-512, -512, 0]))
    assert told.causes == ["thread ended"]
    assert told.column("ret") == [0]
    assert told.stage.snapshot().pending == told.ctx.books.held == 0
    assert told.ctx.books.joined == 1
