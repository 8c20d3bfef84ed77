"""Which calls the programs record now, and how that changes while they run.

What is asked for is kept here before and after the load; a change is a few stores to the
programs' own memory, never an attach. What was recorded before a change and is not wanted
after it is left out when it is read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ior import syscalls
from ior.calls import CALLS, HALVES, NONE_NS, RESTART_CODES, Batch, Flag, Schema
from ior.errors import SpecError
from ior.expr.groups import GroupPaths
from ior.expr.masks import compile_tree
from ior.expr.sieve import MOST, SUBJECTS, Ranges, Sieve, Split, conjuncts, joined, split
from ior.expr.tree import Const, Tree, leaves
from ior.expr.wording import wording
from ior.sources.bpf import records, selection
from ior.sources.bpf.loader import Object

_AT_RETURN: Final = ("ret", "latency_ns")
_ASKED_AT_RETURN: Final = {"ret", "errno", "is_error", "latency_ns"}
_COLUMNS: Final = {column.name: column for column in CALLS.columns}
_FLAGS: Final = next(column for column in HALVES.columns if column.name == "flags")
_NEVER: Final = 0xFFFFFFFF  # in place of an epoch
_KEPT: Final = 32  # selections; what was entered before all of them is not given
_UNUSED: Final = b"\xff" * 16  # in place of a command name: none has 16 bytes


class Selected(NamedTuple):
    """What `Choice.select` has asked for, from an epoch on."""

    epoch: int
    numbers: frozenset[int]
    where: Tree | None

    def wants(self, batch: Batch) -> npt.NDArray[np.bool_]:
        """Return which halves of a batch these are, or may be, shape (len(batch),)."""
        wanted = np.zeros(1 << 16, np.bool_)
        wanted[list(self.numbers)] = True
        mask = wanted[batch["nr"]]
        restarts = batch["nr"] == syscalls.table(batch.origin.arch).nr("restart_syscall")
        if restarts.any():  # the number of the call that goes on is its first word
            mask |= restarts & wanted[batch["args"][:, 0].astype(np.uint16)]
        for term in conjuncts(self.where or Const(True)):
            mask &= _holds(term, batch)
        return mask


class Choice:
    """Syscalls and conditions; `whole` says that the programs see both sides of a call at once."""

    def __init__(self, numbers: Collection[int], *, whole: bool, push_down: bool) -> None:
        self.numbers = frozenset(numbers)
        self._subjects = [s for s in SUBJECTS if whole or s not in _AT_RETURN]
        self._push_down = push_down
        self._sifted: Tree | None = None
        self._where: Tree | None = None
        self._loaded: Object | None = None
        self.epoch = 1
        self._writes = 0
        self._selected: deque[Selected] = deque(maxlen=_KEPT)  # by `select`, the latest last
        self._since = np.zeros(syscalls.NR_LIMIT, np.uint32)  # as the programs' `wanted_since`
        self.complete = True  # nothing is left out behind the programs

    def split(self, where: Tree) -> Split:
        """Return what of a filter the programs can apply."""
        return split(where, self._subjects if self._push_down else ())

    def begin(self, loaded: Object) -> None:
        """Let the programs of a loaded object record what is chosen."""
        self._loaded = loaded
        self._write()

    def end(self) -> None:
        """Let them record nothing more."""
        if self._loaded is not None:
            self._loaded.globals.array("wanted")[:] = 0
            self._loaded = None

    def sift(self, where: Tree | None, *, complete: bool) -> None:
        """Leave out calls that begin from now on and do not pass a filter behind the source."""
        self.complete = complete
        if where != self._sifted:
            self._sifted = where
            self._change()

    def select(self, numbers: Collection[int] | None, where: Tree | None) -> None:
        """Record and give only these. Raises SpecError for what cannot be applied."""
        if where is not None and (rest := split(where, self._subjects).rest) is not None:
            raise SpecError(
                f"the source cannot choose by '{wording(rest)}'",
                hint="a filter behind `pair` can",
            )
        self.numbers = self.numbers if numbers is None else frozenset(numbers)
        self._where = self._where if where is None else where
        self._change()
        self._selected.append(Selected(self.epoch, self.numbers, self._where))

    def _change(self) -> None:
        """Write what has changed, with an epoch of its own for the time that it takes.

        So a return can be told whose call began under another selection.
        """
        if self._loaded is not None:
            self._loaded.globals["selection_epoch"] = self.epoch + 1
            self._write()
            self.epoch += 2
            self._loaded.globals["selection_epoch"] = self.epoch

    def _write(self) -> None:
        """Write the sieve that is not in use, then let the programs use it."""
        assert self._loaded is not None
        pushed = self.split(self._sifted or Const(True)).pushed
        both = joined([pushed, self._where])
        # Of two filters that fit one by one their conjunction may not: then it is the second.
        asked = split(both or Const(True), self._subjects)
        variables = self._loaded.globals
        sieves = variables.array("sieves", records.SIEVE)
        other = 1 - int(variables["sieve_in_use"])
        sieves[other : other + 1] = encoded(asked.sieve)
        self._writes += 1
        groups = variables.array("group_sieves", records.GROUPS)
        groups[other : other + 1] = encoded_groups(asked.sieve.cgroup, self._writes)
        variables["sieve_in_use"] = other
        wanted = selection.wanted(self.numbers, asked.sieve)
        recorded, since = selection.recorded(wanted), self._since
        since[recorded & (since == _NEVER)] = self.epoch + 1
        since[~recorded] = _NEVER
        variables.array("wanted_since", np.uint32)[:] = since
        variables.array("wanted")[:] = wanted

    def chosen(self, batch: Batch) -> Batch:
        """Return the halves that every `select` since their calls were entered has wanted.

        So a return is given only if its enter is. Gaps behind a half that is left out are not
        known.
        """
        if not self._selected or not len(batch):
            return batch
        mask = self._selected[-1].wants(batch)
        epoch = batch["epoch"]
        oldest = int(epoch.min())
        for before in [s for s in self._selected if oldest < s.epoch < self.epoch]:
            mask &= (epoch >= before.epoch) | before.wants(batch)
        if len(self._selected) == _KEPT:
            mask &= epoch >= self._selected[0].epoch
        if oldest >= self.epoch and mask.all():
            return batch
        kept = batch.select(mask)
        flags, late = kept["flags"], kept["epoch"] < self.epoch
        flags = flags | np.where(late, np.uint32(Flag.CHANGED), np.uint32(0))
        entered = late & ((flags & Flag.ENTER) != 0)
        flags = flags | np.where(entered, np.uint32(Flag.LEFT_OUT), np.uint32(0))
        return kept.with_columns({_FLAGS: flags})

    def awaited(self, halves: Batch) -> Batch:
        """Return the halves whose calls have been wanted and recorded ever since they began."""
        halves = self.chosen(halves)
        return halves.select(halves["epoch"] >= self._since[halves["nr"]])


def _holds(term: Tree, batch: Batch) -> npt.NDArray[np.bool_]:
    """Return for which halves a term holds; where they cannot tell, it may."""
    flags, ret = batch["flags"], batch["ret"]
    failed = (ret < 0) & (ret >= -4095) & ~np.isin(ret, RESTART_CODES)
    latency = (batch["exit_ns"] - batch["enter_ns"]).view(np.int64)
    columns = {
        "syscall": batch["nr"],
        "pid": batch["pid"],
        "tid": batch["tid"],
        "comm": batch["comm"],
        "task": batch["task"],
        "ret": ret,
        "errno": np.where(failed, -ret, 0).astype(np.uint16),
        "is_error": failed,
        "latency_ns": np.where(batch["exit_ns"] == 0, NONE_NS, latency),
    }
    schema = Schema(
        CALLS.name,
        tuple(_COLUMNS[name] for name in (*columns, "family", "uid", "cgroup_id", "cgroup")),
    )
    held = compile_tree(term, _COLUMNS)(Batch(schema, columns, batch.names, batch.origin))
    if any(leaf.column in _ASKED_AT_RETURN for leaf in leaves(term)):
        sides = flags & (Flag.ENTER | Flag.EXIT | Flag.INTERRUPTED | Flag.RESTARTED)
        held = held | (sides != (Flag.ENTER | Flag.EXIT))
    return np.asarray(held)  # of a task both halves say the same, whatever it becomes in between


def encoded(sieve: Sieve) -> npt.NDArray[Any]:
    """Return a sieve as the programs read it: `records.SIEVE`, shape (1,)."""
    rows = np.zeros(1, records.SIEVE)
    row = rows[0]
    for name, ranges in (
        ("pid", sieve.pid),
        ("tid", sieve.tid),
        ("uid", sieve.uid),
        ("cgroup", sieve.cgroup_id),
        ("ret", sieve.ret),
        ("latency", sieve.latency_ns),
    ):
        row[f"asks_{name}"] = ranges is not None
        _put(row[name], ranges or ())
    row["comm"] = np.frombuffer(_UNUSED * MOST, np.uint64).reshape(MOST, 2)
    if sieve.comm is not None:
        row["asks_comm"], row["others"] = True, sieve.comm.others
        for place, comm in enumerate(sieve.comm.names):
            row["comm"][place] = np.frombuffer(comm.ljust(16, b"\0"), np.uint64)
    return rows


def encoded_groups(paths: GroupPaths | None, generation: int) -> npt.NDArray[Any]:
    """Return what a sieve says of control groups' paths: `records.GROUPS`, shape (1,).

    `generation` has to be another one than of all written before, and not 0.
    """
    rows = np.zeros(1, records.GROUPS)
    row, room = rows[0], records.GROUP["path"].shape[0]
    row["generation"], row["some"]["len"] = generation, room
    if paths is None:
        return rows
    row["asks"], row["others"] = True, paths.others
    for place, path in zip(row["some"], paths.paths, strict=False):
        raw = b"".join(part + b"\0" for part in reversed(path.parts))
        place["len"], place["here"], place["below"] = len(raw), path.here, path.below
        place["path"][: len(raw)] = np.frombuffer(raw, np.uint8)
    return rows


def _put(place: Any, ranges: Ranges) -> None:
    place["low"], place["high"] = 1, 0  # nothing is in it
    for i, (low, high) in enumerate(ranges):
        place["low"][i], place["high"][i] = low, high
