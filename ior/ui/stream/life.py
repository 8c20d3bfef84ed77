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
from msgspec.structs import replace

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

    `pieces` are parts with the places of the life's rows in them. `opened` says whether the first
    row opened the descriptor, `closed` whether the last closed it; else no retained row did.
    `replaced` is the row that put another file behind the number, where the life ended so.
    """

    pid: int
    fd: int
    pieces: tuple[tuple[Part, Ints], ...]
    at: int  # which of them it was asked for
    opened: bool
    closed: bool
    replaced: Place | None

    def __len__(self) -> int:
        return sum(len(rows) for _, rows in self.pieces)

    def place(self, i: int) -> Place:
        """Return where a row of the life lies."""
        for part, rows in self.pieces:
            if i < len(rows):
                return Place(part.batch, int(rows[i]), part.first + int(rows[i]))
            i -= len(rows)
        raise IndexError(i)

    def times(self) -> tuple[int, int]:
        """Return when the first of its calls was entered, and the last."""
        entered = [part.batch["time_ns"][rows] for part, rows in self.pieces]
        return min(int(some.min()) for some in entered), max(int(some.max()) for some in entered)

    def uses(self) -> tuple[Uses, ...]:
        """Add the rows up by syscall, the most calls first."""
        sums: dict[str, list[int]] = {}
        for part, rows in self.pieces:
            some = part.batch.select(rows)
            by = some["syscall"]
            columns = [np.bincount(by), np.bincount(by, some["errno"] != 0)]
            for name in ("bytes", "latency_ns"):
                have = name in some.schema.names
                values = np.maximum(some[name], 0) if have else np.zeros(len(some))
                columns.append(np.bincount(by, values))
            name_of = syscalls.table(some.origin.arch).name
            for nr in np.flatnonzero(columns[0]).tolist():
                known = sums.setdefault(name_of(nr), [0] * len(columns))
                sums[name_of(nr)] = [n + int(c[nr]) for n, c in zip(known, columns, strict=True)]
        return tuple(
            Uses(name, *values) for name, values in sorted(sums.items(), key=lambda one: -one[1][0])
        )


def life_of(parts: Sequence[Part], place: Place, fd: int) -> Life:
    """Return the life of descriptor `fd` of the process of a row, around that row."""
    pid, here = int(place.batch["pid"][place.index]), place.number
    touching = [(part, np.flatnonzero(_touches(part.batch, pid, fd))) for part in parts]
    opens, closes = _ends(touching, fd)
    # A dup2 onto an open number both ends one life and begins another: it is of the new one.
    open_by, close_by = np.searchsorted(opens, here, "right"), np.searchsorted(closes, here)
    first = max([*opens[:open_by][-1:].tolist(), *(closes[:close_by][-1:] + 1).tolist(), 0])
    last = min([*closes[close_by:][:1].tolist(), *(opens[open_by:][:1] - 1).tolist()], default=None)
    pieces: list[tuple[Part, Ints]] = []
    before = 0
    for part, rows in touching:
        end = len(part.batch) if last is None else last - part.first + 1
        low, at, high = np.searchsorted(rows, [first - part.first, here - part.first, end])
        if low < high:
            pieces.append((part, rows[low:high]))
            before += max(0, int(at) - int(low))
    life = Life(pid, fd, tuple(pieces), before, opened=False, closed=False, replaced=None)
    opened, closed = (life.place(i).number for i in (0, len(life) - 1))
    replacing = opens[open_by:][:1].tolist()
    return replace(
        life,
        opened=opened in opens,
        closed=closed in closes,
        replaced=_at(parts, replacing[0]) if replacing and closed not in closes else None,
    )


def _ends(touching: Sequence[tuple[Part, Ints]], fd: int) -> tuple[Ints, Ints]:
    """Return the numbers of the rows that opened and that closed a descriptor."""
    opens, closes = [np.zeros(0, np.intp)], [np.zeros(0, np.intp)]
    for part, rows in touching:
        some = rows[_may_end(part.batch.origin.arch)[part.batch["syscall"][rows]]]
        if len(some):
            batch = part.batch.select(some)
            opens.append(part.first + some[_opens(batch, fd)])
            closes.append(part.first + some[_closes(batch, fd)])
    return np.concatenate(opens), np.concatenate(closes)


def _at(parts: Sequence[Part], number: int) -> Place:
    part = next(part for part in reversed(parts) if part.first <= number)
    return Place(part.batch, number - part.first, number)


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
def _may_end(arch: str) -> npt.NDArray[np.bool_]:
    """Return whether a syscall can open or close a descriptor, by number."""
    found: npt.NDArray[np.bool_] = _how(arch) & (selection.RETURNS_FD | selection.DUPS) != 0
    found |= _pairs(arch)
    found[_numbers(arch, "close", "close_range")] = True
    return found


@functools.cache
def _numbers(arch: str, *names: str) -> Ints:
    table = syscalls.table(arch)
    numbers = (table.nr(name) for name in names)
    return np.array([nr for nr in numbers if nr >= 0], np.intp)
