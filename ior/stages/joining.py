"""Match halves of calls, thread by thread, without a Python object per half.

Everything here is a pure function of columns. Halves are put in order of their threads
(stable, so each thread's own order stays); an enter and an exit that stand next to each
other there, with the same number and nothing missing between, are one call.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ior import syscalls
from ior.calls import HALVES, Batch, Flag

Array = npt.NDArray[Any]

CLONES: Final = ("clone", "clone3", "fork", "vfork")
NEVER_RETURNS: Final = ("exit", "exit_group", "rt_sigreturn")

_BOTH: Final = int(Flag.ENTER | Flag.EXIT)
_APART: Final = int(Flag.BREAK | Flag.FRESH)
_SIGNALLED: Final = int(Flag.INTERRUPTED | Flag.RESTARTED)
_OFTEN_READ: Final = ("enter_ns", "exit_ns", "ret", "pid", "tid", "nr", "flags")
_TOLD_AT_EXIT: Final = int(Flag.EXIT | Flag.INTERRUPTED | Flag.UNREADABLE | Flag.ENDED)


class Cause(Enum):
    """Why a half has no partner."""

    CHILD = "child"  # a new task's first return from its parent's fork or clone
    STARTED = "in flight at start"  # it was entered before the trace began
    LOST = "lost"  # the ring was full: a record of the thread is missing between
    SKIPPED = "skipped"  # the kernel skipped a run of a program
    DENIED = "denied"  # a return without an enter: seccomp refused the call
    NO_EXIT = "no exit"  # the thread entered another call without returning
    GONE = "thread ended"  # it ended in this call, or its id has come back as another thread
    ENDED = "in flight at end"  # it had not returned when the trace ended
    INTERRUPTED = "interrupted at end"  # a signal stopped it; no restart was seen to the end
    DESELECTED = "selection changed"  # its return was not wanted any more
    OVERFLOW = "overflow"  # more than max_pending calls were waiting


CAUSES: Final = tuple(Cause)
_CODE: Final = {cause: np.uint8(code) for code, cause in enumerate(CAUSES)}


class Joined(NamedTuple):
    """What became of a batch of halves.

    All indexes are into the batch and ascending; the calls are in the order of `exits`.
    """

    enters: Array  # the enter side of each call...
    exits: Array  # ...and its exit side: the same index for a whole one and one that never returns
    pending: Array  # enters that may still return
    unmatched: Array  # halves without a partner...
    causes: Array  # ...and why: indexes into CAUSES, uint8
    missing: Array  # halves at which it shows that something of their thread is missing
    by_thread: Array | None  # the calls, stable in order of threads; None: they are so already
    apart: Array | None  # calls, in that order, before which something is missing; None: none
    broken: Array  # threads of which something is missing after their last call, tids
    signalled: bool  # some half is the end or the begin of an interrupted call


def numbers(names: tuple[str, ...], arch: str) -> Array:
    """Return a truth by syscall number, True for the named ones, shape (65536,)."""
    table, chosen = syscalls.table(arch), np.zeros(1 << 16, np.bool_)
    chosen[[table.nr(name) for name in names if table.nr(name) >= 0]] = True
    return chosen


def thread_order(tid: Array) -> Array | None:
    """Return the stable order by thread, None where the rows are of one thread."""
    if not len(tid) or bool((tid == tid[0]).all()):
        return None
    low = tid.astype(np.uint16)  # numpy sorts 16 bits by radix, six times faster than 32
    order = np.argsort(low, kind="stable")
    ordered, short = tid[order], low[order]
    if bool(((ordered[1:] != ordered[:-1]) & (short[1:] == short[:-1])).any()):
        order = np.argsort(tid, kind="stable")
    return order


def join(batch: Batch, never_returns: Array, clones: Array) -> Joined:
    """Match the halves of one batch; the carried enters of earlier ones stand in front.

    `never_returns` and `clones` are truths by syscall number.
    """
    flags = batch["flags"]
    order = thread_order(batch["tid"])
    some = int(np.bitwise_or.reduce(flags))
    if int(np.bitwise_and.reduce(flags)) & _BOTH == _BOTH:
        return _all_whole(flags, order, some)
    return _Threads(batch, order, never_returns, clones).join(signalled=bool(some & _SIGNALLED))


def _all_whole(flags: Array, order: Array | None, some: int) -> Joined:
    everything = np.arange(len(flags))
    none, apart, missing = everything[:0], None, everything[:0]
    if some & _APART:
        broken = (flags & _APART) != 0
        missing = np.flatnonzero(broken)
        apart = broken if order is None else broken[order]
    return Joined(
        enters=everything,
        exits=everything,
        pending=none,
        unmatched=none,
        causes=none.astype(np.uint8),
        missing=missing,
        by_thread=order,
        apart=apart,
        broken=none,
        signalled=bool(some & _SIGNALLED),
    )


class _Threads:
    """Halves in order of their threads; every array here is in that order."""

    def __init__(
        self, batch: Batch, order: Array | None, never_returns: Array, clones: Array
    ) -> None:
        self._batch, self._clones = batch, clones
        self._order = np.arange(len(batch)) if order is None else order
        self._sorted = order is None  # the batch is in this order itself
        self.tid, self.nr, self.flags = (
            batch[name] if order is None else batch[name][order] for name in ("tid", "nr", "flags")
        )
        sides = (self.flags & _BOTH).astype(np.uint8)
        self._apart = (self.flags & _APART) != 0
        self._follows = np.zeros(len(batch), np.bool_)  # the half before is of the same thread
        self._follows[1:] = self.tid[1:] == self.tid[:-1]
        enter, exit_ = sides == Flag.ENTER, sides == Flag.EXIT
        alone = enter & never_returns[self.nr]
        enter &= ~alone
        second = exit_ & self._follows & ~self._apart
        second[1:] &= enter[:-1] & (self.nr[1:] == self.nr[:-1])
        last = np.ones(len(batch), np.bool_)  # of its thread
        last[:-1] = ~self._follows[1:]
        self._pending = enter & last
        self._stray_enter = enter & ~last
        self._stray_enter[:-1] &= ~second[1:]
        self._stray_exit = exit_ & ~second
        self._ends = np.flatnonzero(second | alone | (sides == _BOTH))  # the calls
        self._begins = self._ends - second[self._ends]

    def join(self, *, signalled: bool) -> Joined:
        order, ends, begins = self._order, self._ends, self._begins
        by_thread, enters, exits = None, begins, ends
        if not self._sorted:
            partner = np.full(len(order), -1, np.int64)
            partner[order[ends]] = order[begins]
            exits = np.flatnonzero(partner >= 0)
            enters = partner[exits]
            row = np.empty(len(order), np.int64)
            row[exits] = np.arange(len(exits))
            by_thread = row[order[ends]]
        missing = self._missing()
        apart, broken = self._breaks(missing)
        stray = np.flatnonzero(self._stray_enter | self._stray_exit)
        unmatched, causes = order[stray], self._causes(stray)
        by_time = np.argsort(unmatched)
        return Joined(
            enters=enters,
            exits=exits,
            pending=np.sort(order[self._pending]),
            unmatched=unmatched[by_time],
            causes=causes[by_time],
            missing=np.sort(order[missing]),
            by_thread=by_thread,
            apart=apart,
            broken=broken,
            signalled=signalled,
        )

    def _missing(self) -> Array:
        """Say at which halves it shows that another record of their thread is missing.

        A denied call has no enter that could be missing. An enter without a return shows
        itself at the thread's next half.
        """
        told = self._stray_exit & ((self.flags & (Flag.SKIPPED | Flag.INTERRUPTED)) != 0)
        missing: Array = self._apart | told
        missing[1:] |= self._stray_enter[:-1]
        return missing

    def _breaks(self, missing: Array) -> tuple[Array | None, Array]:
        """Return before which calls, and after the last call of which tids, something is missing.

        Misses are counted along the halves: between two equal counts there is none.
        """
        if not missing.any():
            return None, self.tid[:0]
        count = np.cumsum(missing)
        starts = np.flatnonzero(~self._follows)
        thread = np.cumsum(~self._follows) - 1
        known = count[starts] - missing[starts]  # the count up to each thread's last call
        of_row = thread[self._ends]
        before = np.empty(len(of_row), np.int64)
        before[1:] = count[self._ends[:-1]]
        first = np.ones(len(of_row), np.bool_)
        first[1:] = of_row[1:] != of_row[:-1]
        before[first] = known[of_row[first]]
        final = np.append(first[1:], np.True_) if len(first) else first
        known[of_row[final]] = count[self._ends[final]]
        total = count[np.append(starts[1:], len(count)) - 1]
        return count[self._begins] != before, self.tid[starts[total != known]]

    def _causes(self, stray: Array) -> Array:
        if not len(stray):
            return np.zeros(0, np.uint8)
        flags, entered = self.flags[stray], self._stray_enter[stray]
        after = self.flags[np.minimum(stray + 1, len(self.flags) - 1)]  # a stray enter has one
        order, epoch = self._order, self._batch["epoch"]
        following = order[np.minimum(stray + 1, len(order) - 1)]
        changed = epoch[order[stray]] != epoch[following]
        child = self._clones[self.nr[stray]] & (self._batch["ret"][self._order[stray]] == 0)
        fresh, lost = (flags & Flag.FRESH) != 0, (flags & Flag.BREAK) != 0
        return np.select(
            [
                entered & ((after & Flag.FRESH) != 0),
                entered & changed,
                entered & ((after & Flag.BREAK) != 0),
                entered & ((after & Flag.CHANGED) != 0),
                entered,
                fresh & child,
                fresh,
                lost,
                (flags & Flag.SKIPPED) != 0,
            ],
            [
                _CODE[Cause.GONE],
                _CODE[Cause.DESELECTED],
                _CODE[Cause.LOST],
                _CODE[Cause.DESELECTED],
                _CODE[Cause.NO_EXIT],
                _CODE[Cause.CHILD],
                _CODE[Cause.STARTED],
                _CODE[Cause.LOST],
                _CODE[Cause.SKIPPED],
            ],
            _CODE[Cause.DENIED],
        )


def codes(cause: Cause, count: int) -> Array:
    """Return one cause `count` times, as indexes into CAUSES."""
    return np.full(count, _CODE[cause], np.uint8)


def merge(batch: Batch, joined: Joined) -> Batch:
    """Return the calls as whole halves: what each side knows, in one row."""
    enters, exits = joined.enters, joined.exits
    if enters is exits:
        return batch
    if bool((enters == exits).all()):
        return _rows(batch, enters)
    return overlay(_rows(batch, enters), _rows(batch, exits))


def overlay(one: Batch, two: Batch) -> Batch:
    """Return `one` with what `two`, row by row a later part of the same call, adds to it."""
    columns = {name: one[name] for name in HALVES.names}
    for name in ("exit_ns", "ret", "cpu"):
        columns[name] = two[name]
    for name in ("file", "old_file", "asked"):
        columns[name] = _later(one[name], two[name], two[name] != 0)
    new = two["fd"] >= 0
    columns["fd"] = _later(one["fd"], two["fd"], new)
    columns["fd_flags"] = _later(one["fd_flags"], two["fd_flags"], new)
    columns["fd2"] = _later(one["fd2"], two["fd2"], two["fd2"] >= 0)
    told = two["args"] != 0
    if told.any():  # restart_syscall's words are not those of the call that it restarts
        told &= (one["nr"] == two["nr"])[:, None]
        columns["args"] = np.where(told, two["args"], one["args"])
    kept, added = np.uint32(~_TOLD_AT_EXIT & 0xFFFFFFFF | Flag.EXIT), np.uint32(_TOLD_AT_EXIT)
    columns["flags"] = (one["flags"] & kept) | (two["flags"] & added)
    return Batch(HALVES, columns, one.names, one.origin)


def _later(one: Array, two: Array, told: Array) -> Array:
    return np.where(told, two, one) if told.any() else one


def _rows(batch: Batch, index: Array) -> Batch:
    """Select rows, their words by `take`: several times faster than by an index."""
    args, rows = batch["args"], batch.select(index)
    columns = {name: rows[name] for name in HALVES.names if name != "args"}
    if args.strides[0] < args.strides[1]:  # word by word, as the bpf source has them
        columns["args"] = args.T.take(index, axis=1).T
    else:
        columns["args"] = args.take(index, axis=0)
    return Batch(HALVES, columns, batch.names, batch.origin)


def renamed(batch: Batch, like: Batch) -> Batch:
    """Return a batch of halves with its texts as codes of another batch's names."""
    if batch.names is like.names:
        return batch
    columns = {name: batch[name] for name in HALVES.names}
    old, new = batch.names, like.names
    for name in ("comm", "file", "old_file", "asked", "task"):
        distinct, inverse = np.unique(batch[name], return_inverse=True)
        names = [new.intern(old.text(c), int(old.states[c])) for c in distinct.tolist()]
        columns[name] = np.array(names, np.uint32)[inverse]
    return Batch(HALVES, columns, new, like.origin)


def prepend(carried: Batch | None, batch: Batch) -> Batch:
    """Put what earlier batches left in front of a batch; columns that are often read are compact.

    Halves of the bpf source have narrow fields side by side in words of 64 bits.
    """
    columns = {name: batch[name] for name in HALVES.names}
    if carried is not None:
        carried = renamed(carried, batch)
        columns = {name: np.concatenate([carried[name], columns[name]]) for name in columns}
    for name in _OFTEN_READ:
        columns[name] = np.ascontiguousarray(columns[name])
    return Batch(HALVES, columns, batch.names, batch.origin)


def detached(batch: Batch, index: Array) -> Batch:
    """Copy some rows, so that they do not keep the batch that they came from alive."""
    columns = {name: batch[name][index] for name in HALVES.names}
    return Batch(HALVES, columns, batch.names, batch.origin)
