"""Match halves of calls, thread by thread, without a Python object per half.

Everything here is a pure function of columns. Halves are put in order of their threads
(stable, so each thread's own order stays); an enter and an exit that stand next to each
other there, with the same number and nothing missing between, are one call.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ior import syscalls
from ior.calls import HALVES, Batch, Flag, concat

Array = npt.NDArray[Any]

CLONES = ("clone", "clone3", "fork", "vfork")
NEVER_RETURNS = ("exit", "exit_group", "rt_sigreturn")


class Cause(Enum):
    """Why a half has no partner."""

    CHILD = "child"  # a new task's first return from its parent's fork or clone
    STARTED = "in flight at start"  # it was entered before the trace began
    LOST = "lost"  # the ring was full, or a record between is missing
    SKIPPED = "skipped"  # the kernel skipped a run of a program
    DENIED = "denied"  # a return without an enter: seccomp refused the call
    NO_EXIT = "no exit"  # the thread entered another call without returning
    ENDED = "in flight at end"  # it had not returned when the trace ended
    OVERFLOW = "overflow"  # more than max_pending calls were waiting


class Joined(NamedTuple):
    """What became of a batch of halves; all are indexes into it, ascending."""

    enters: Array  # the enter side of each call...
    exits: Array  # ...and its exit side: the same index for a whole one and one that never returns
    pending: Array  # enters that may still return
    unmatched: Array  # halves without a partner...
    causes: list[Cause]  # ...and why


def numbers(names: tuple[str, ...], arch: str) -> Array:
    """Return a truth by syscall number, True for the named ones, shape (NR_LIMIT,)."""
    table, chosen = syscalls.table(arch), np.zeros(1 << 16, np.bool_)
    chosen[[table.nr(name) for name in names if table.nr(name) >= 0]] = True
    return chosen


def thread_order(tid: Array) -> Array | None:
    """Return the stable order by thread, None where one thread has all rows."""
    if not len(tid) or bool((tid == tid[0]).all()):
        return None
    low = tid.astype(np.uint16)  # numpy sorts 16 bits by radix, six times faster than 32
    order = np.argsort(low, kind="stable")
    ordered, short = tid[order], low[order]
    if bool(((ordered[1:] != ordered[:-1]) & (short[1:] == short[:-1])).any()):
        order = np.argsort(tid, kind="stable")
    return order


def join(batch: Batch, never_returns: Array, clones: Array) -> Joined:
    """Match the halves of one batch; the carried enters of earlier ones stand in front."""
    count = len(batch)
    everything = np.arange(count)
    flags, nr = batch["flags"], batch["nr"]
    sides = flags & (Flag.ENTER | Flag.EXIT)
    if bool((sides == (Flag.ENTER | Flag.EXIT)).all()):
        none = everything[:0]
        return Joined(everything, everything, none, none, [])
    order = thread_order(batch["tid"])
    order = everything if order is None else order
    tid, nr_, flags_, sides = batch["tid"][order], nr[order], flags[order], sides[order]

    alone = (sides == Flag.ENTER) & never_returns[nr_]
    enter = (sides == Flag.ENTER) & ~alone
    exit_ = sides == Flag.EXIT
    whole = sides == (Flag.ENTER | Flag.EXIT)
    adjacent = np.zeros(count, np.bool_)  # the next row is of the same thread
    adjacent[:-1] = tid[1:] == tid[:-1]
    fits = np.zeros(count, np.bool_)
    fits[:-1] = exit_[1:] & ((flags_[1:] & Flag.BREAK) == 0) & (nr_[1:] == nr_[:-1])
    first = enter & adjacent & fits
    second = np.zeros(count, np.bool_)
    second[1:] = first[:-1]

    enters = np.concatenate([order[whole | alone], order[first]])
    exits = np.concatenate([order[whole | alone], order[second]])
    by_end = np.argsort(exits, kind="stable")
    pending = enter & ~adjacent
    stray_enter, stray_exit = enter & adjacent & ~first, exit_ & ~second
    stray = np.flatnonzero(stray_enter | stray_exit)
    causes = []
    for i in stray.tolist():
        if stray_enter[i]:
            causes.append(Cause.LOST if flags_[i + 1] & Flag.BREAK else Cause.NO_EXIT)
        else:
            child = bool(clones[nr_[i]]) and batch["ret"][order[i]] == 0
            causes.append(_cause_of_exit(int(flags_[i]), child=child))
    return Joined(enters[by_end], exits[by_end], np.sort(order[pending]), order[stray], causes)


def _cause_of_exit(flags: int, *, child: bool) -> Cause:
    if flags & Flag.FRESH:
        return Cause.CHILD if child else Cause.STARTED
    if flags & Flag.BREAK:
        return Cause.LOST
    return Cause.SKIPPED if flags & Flag.SKIPPED else Cause.DENIED


def merge(batch: Batch, joined: Joined) -> Batch:
    """Return the calls as whole halves: what each side knows, in one row."""
    enters, exits = joined.enters, joined.exits
    if enters is exits:
        return batch
    if bool((enters == exits).all()):
        return batch.select(enters)
    one, two = batch.select(enters), batch.select(exits)
    columns = {name: one[name] for name in HALVES.names}
    for name in ("exit_ns", "ret", "cpu"):
        columns[name] = two[name]
    for name in ("file", "old_file", "asked"):
        columns[name] = np.where(two[name] != 0, two[name], one[name])
    new = two["fd"] >= 0
    columns["fd"] = np.where(new, two["fd"], one["fd"])
    columns["fd_flags"] = np.where(new, two["fd_flags"], one["fd_flags"])
    columns["fd2"] = np.where(two["fd2"] >= 0, two["fd2"], one["fd2"])
    columns["args"] = one["args"] | np.where((enters != exits)[:, None], two["args"], 0)
    told = Flag.EXIT | Flag.INTERRUPTED
    columns["flags"] = one["flags"] | (two["flags"] & told)
    return Batch(HALVES, columns, batch.names, batch.origin)


def renamed(batch: Batch, like: Batch) -> Batch:
    """Return a (small) batch of halves with its texts as codes of another batch's names."""
    if batch.names is like.names:
        return batch
    columns = {name: batch[name] for name in HALVES.names}
    old, new = batch.names, like.names
    for name in ("comm", "file", "old_file", "asked"):
        codes = [new.intern(old.text(c), int(old.states[c])) for c in batch[name].tolist()]
        columns[name] = np.array(codes, np.uint32)
    return Batch(HALVES, columns, new, like.origin)


def prepend(carried: Batch | None, batch: Batch) -> Batch:
    """Put what earlier batches left in front of a batch."""
    if carried is None or not len(carried):
        return batch
    return concat([renamed(carried, batch), batch])


def detached(batch: Batch) -> Batch:
    """Copy a small selection, so that it does not keep the batch it came from alive."""
    columns = {name: batch[name].copy() for name in HALVES.names}
    return Batch(HALVES, columns, batch.names, batch.origin)
