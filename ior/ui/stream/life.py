"""The life of a descriptor, in the retained rows: opened by which call, used, closed by which.

A descriptor is a number of one process. Its life begins with the call that returned the number
and ends with the call that closed it, or that put another file behind it; what the kernel gave
or took in other ways (execve, a fork, a passed descriptor) shows no row, and so no end.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ior import syscalls
from ior.calls import Batch
from ior.sources.bpf import selection
from ior.ui.stream.rows import Ints, Part, Place

_DUPS = (0, 1030)  # F_DUPFD, F_DUPFD_CLOEXEC
_CLOEXEC = 4  # CLOSE_RANGE_CLOEXEC: closes nothing now
_EBADF = 9
NEEDED = frozenset({"time_ns", "pid", "fd", "fd2", "ret", "errno", "syscall", "op"})
"""The columns that rows must have."""


class Uses(msgspec.Struct, frozen=True):
    """The rows of one syscall in a life."""

    syscall: str
    calls: int
    errors: int
    bytes: int
    latency_ns: int


class Life(msgspec.Struct, frozen=True, eq=False):
    """One descriptor's life: its rows in order, the first and the last call included.

    Row `i` is row `index[i]` of part `part[i]`. `opened` says whether the first opened the
    descriptor, `closed` whether the last closed it; else no retained row did. `replaced` is the
    row that put another file behind the number, where that is how the life ended.
    """

    pid: int
    fd: int
    parts: Sequence[Part]
    part: Ints
    index: Ints
    at: int  # which of them it was asked for
    opened: bool
    closed: bool
    replaced: Place | None

    def __len__(self) -> int:
        return len(self.part)

    def place(self, i: int) -> Place:
        """Return where a row of the life lies."""
        part, index = self.parts[int(self.part[i])], int(self.index[i])
        return Place(part.batch, index, part.first + index)

    def times(self) -> tuple[int, int]:
        """Return when the first of its calls was entered, and the last."""
        low: list[int] = []
        high: list[int] = []
        for k in np.unique(self.part).tolist():
            entered = self.parts[k].batch["time_ns"][self.index[self.part == k]]
            low.append(int(entered.min()))
            high.append(int(entered.max()))
        return min(low), max(high)

    def uses(self) -> tuple[Uses, ...]:
        """Add the rows up by syscall, the most calls first."""
        sums: dict[str, list[int]] = {}
        for k in np.unique(self.part).tolist():
            some = self.parts[k].batch.select(self.index[self.part == k])
            name_of = syscalls.table(some.origin.arch).name
            numbers, back = np.unique(some["syscall"], return_inverse=True)
            columns = [np.bincount(back), np.bincount(back, some["errno"] != 0)]
            for name in ("bytes", "latency_ns"):
                have = name in some.schema.names
                values = np.maximum(some[name], 0) if have else np.zeros(len(some))
                columns.append(np.bincount(back, values))
            for i, nr in enumerate(numbers.tolist()):
                known = sums.setdefault(name_of(nr), [0] * len(columns))
                sums[name_of(nr)] = [n + int(c[i]) for n, c in zip(known, columns, strict=True)]
        return tuple(
            Uses(name, *values) for name, values in sorted(sums.items(), key=lambda one: -one[1][0])
        )


def life_of(parts: Sequence[Part], place: Place, fd: int) -> Life:
    """Return the life of descriptor `fd` of the process of a row, around that row."""
    pid = int(place.batch["pid"][place.index])
    of_part, index, opens, closes = [], [], [], []
    for k, part in enumerate(parts):
        found = np.flatnonzero(_touches(part.batch, pid, fd))
        if len(found):
            some = part.batch.select(found)
            of_part.append(np.full(len(found), k, np.intp))
            index.append(found)
            opens.append(_opens(some, fd))
            closes.append(_closes(some, fd))
    part_of, places = np.concatenate(of_part), np.concatenate(index)
    opened, closed = np.concatenate(opens), np.concatenate(closes)
    numbers = np.array([part.first for part in parts], np.intp)[part_of] + places
    at = int(np.searchsorted(numbers, place.number))
    # A dup2 onto an open number both ends one life and begins another: it is of the new one.
    begins = opened | np.concatenate([[True], closed[:-1]])
    ends = closed | np.concatenate([opened[1:], [True]])
    first = int(np.flatnonzero(begins[: at + 1])[-1])
    last = at + int(np.flatnonzero(ends[at:])[0])
    lived = slice(first, last + 1)
    replaced = None
    if last + 1 < len(places) and not closed[last]:
        part = parts[int(part_of[last + 1])]
        replaced = Place(part.batch, int(places[last + 1]), int(numbers[last + 1]))
    return Life(
        *(pid, fd, parts, part_of[lived], places[lived], at - first),
        opened=bool(opened[first]),
        closed=bool(closed[last]),
        replaced=replaced,
    )


def _touches(batch: Batch, pid: int, fd: int) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = (batch["fd"] == fd) | (batch["fd2"] == fd)
    ranges = _numbers(batch.origin.arch, "close_range")
    if "first_fd" in batch.schema.names and np.isin(batch["syscall"], ranges).any():
        found |= (
            np.isin(batch["syscall"], ranges)
            & (batch["first_fd"] <= fd)
            & (batch["last_fd"] >= fd)
            & (batch["errno"] == 0)
            & (np.maximum(batch["call_flags"], 0) & _CLOEXEC == 0)
        )
    found &= batch["pid"] == pid
    return found


def _opens(batch: Batch, fd: int) -> npt.NDArray[np.bool_]:
    """Return which calls made the descriptor."""
    arch, syscall = batch.origin.arch, batch["syscall"]
    how = _how(arch)[syscall]
    returned = how & selection.RETURNS_FD != 0
    returned |= (how & selection.DUPS != 0) & np.isin(batch["op"], _DUPS)
    both = _pairs(arch)[syscall] & (batch["ret"] == 0)
    found: npt.NDArray[np.bool_] = (returned & (batch["ret"] == fd)) | both
    return found


def _closes(batch: Batch, fd: int) -> npt.NDArray[np.bool_]:
    """Return which calls closed the descriptor: also one that failed, unless it was not open."""
    arch, syscall = batch.origin.arch, batch["syscall"]
    closed = np.isin(syscall, _numbers(arch, "close")) & (batch["fd"] == fd)
    closed &= batch["errno"] != _EBADF
    found: npt.NDArray[np.bool_] = closed | np.isin(syscall, _numbers(arch, "close_range"))
    return found


def descriptors(place: Place) -> list[int]:
    """Return the descriptors that a row is about; none for one that failed to make any."""
    names = place.batch.schema.names
    if not NEEDED.issubset(names):
        return []
    found = (int(place.batch[name][place.index]) for name in ("fd", "fd2"))
    return list(dict.fromkeys(fd for fd in found if fd >= 0))


@functools.cache
def _how(arch: str) -> npt.NDArray[Any]:
    return np.ascontiguousarray(selection.descriptions(arch)["how"])


@functools.cache
def _pairs(arch: str) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = selection.descriptions(arch)["address_how"] & selection.PAIR != 0
    return found


@functools.cache
def _numbers(arch: str, *names: str) -> Ints:
    table = syscalls.table(arch)
    numbers = (table.nr(name) for name in names)
    return np.array([nr for nr in numbers if nr >= 0], np.intp)
