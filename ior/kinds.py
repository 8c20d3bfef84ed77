"""What the argument words of a call mean: from `args` to columns such as `timeout_ns`.

The table is `ior/data/kinds.tsv`: for each syscall the columns that its arguments fill, the
number of the argument, the word of `args` where the programs put it, how it is read, and
what strace calls it. A column is read when somebody asks for it, and only from the rows of
syscalls that fill it: what does not occur in a batch costs nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import resources
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ior import syscalls

Array = npt.NDArray[Any]

INFINITE_NS: Final = 2**63 - 1  # the timeout of a call that waits for ever
NONE: Final = -1  # empty, in columns whose values are not negative
NO_NUMBER: Final = -(2**63)  # empty, in columns whose values may be negative

_PAGE: Final = 4096
_SECOND: Final = 1_000_000_000
_UNKNOWN: Final = np.uint64(2**64 - 1)  # see fill_memory in bpf/ior.bpf.c
_CREATES: Final = 0o100 | 0o20000000  # O_CREAT, and the bit of O_TMPFILE that is its own
_SET_FLAGS: Final = (2, 4)  # F_SETFD, F_SETFL
_REALTIME, _MONOTONIC, _BOOTTIME = 0, 1, 7
_ABSTIME: Final = 1
_FUTEX_WAIT, _FUTEX_COMMAND = 0, 0x7F
_FUTEX_UNTIL: Final = (6, 9, 11, 13)  # operations whose timeout is a point in time


class Argument(NamedTuple):
    """How one syscall fills one column: a row of the table."""

    kind: str
    syscall: str  # the tracepoint's name
    column: str
    argument: int  # its number, from 0; -1 where the programs make it up
    word: int  # of `args`
    reads: str  # a key of `READERS`
    strace: str  # what strace calls it; "-" where it does not show it
    names: str  # the constants that its values are; "-" for plain numbers


class Words(NamedTuple):
    """What readers see: some rows of one syscall."""

    args: Array  # (rows, 5)
    word: int
    empty: int
    ret: Array
    failed: Array  # is_error
    time_ns: Array
    wall_offset_ns: int

    @property
    def own(self) -> Array:
        """The argument's own word, uint64."""
        return self.args[:, self.word]

    @property
    def signed(self) -> Array:
        """The argument's own word, int64."""
        return self.own.astype(np.int64)

    def structure(self) -> tuple[Array, Array, Array, Array]:
        """Return a structure's two words, where there is none, and where it could not be read."""
        first, second = self.own, self.args[:, self.word + 1]
        filled = second != _UNKNOWN
        return first, second, ~filled & (first == 0), ~filled & (first == _UNKNOWN)


Reader = Callable[[Words], Array]


def _u32(words: Words) -> Array:
    return words.own.astype(np.uint32).astype(np.int64)


def _s32(words: Words) -> Array:
    return words.own.astype(np.uint32).view(np.int32).astype(np.int64)


def _size(words: Words) -> Array:
    return np.minimum(words.own, np.uint64(2**63 - 1)).astype(np.int64)


def _bits(mask: int) -> Reader:
    return lambda words: (words.own & np.uint64(mask)).astype(np.int64)


def _creating(words: Words) -> Array:
    """Read the mode of a file to be made; calls that make none ignore it."""
    mode = (words.own & np.uint64(0xFFFF)).astype(np.int64)
    return np.where(words.args[:, words.word - 1] & np.uint64(_CREATES) != 0, mode, words.empty)


def _memory(offset: int, mask: int) -> Reader:
    """Read one word of a structure; empty where there is none, or it could not be read."""

    def read(words: Words) -> Array:
        first, second, absent, unknown = words._replace(word=words.word - offset).structure()
        value = ((first, second)[offset] & np.uint64(mask)).astype(np.int64)
        return np.where(absent | unknown, words.empty, value)

    return read


def _creating_memory(words: Words) -> Array:
    unknown = words._replace(word=words.word - 1).structure()[3]
    return np.where(unknown, words.empty, _creating(words))


def _status_flags(words: Words) -> Array:
    """Read fcntl's argument where it is flags."""
    sets = np.isin(words.args[:, words.word - 1].astype(np.uint32), _SET_FLAGS)
    return np.where(sets, _u32(words), words.empty)


def _milliseconds(words: Words) -> Array:
    wait = _s32(words)
    return np.where(wait < 0, INFINITE_NS, wait * 1_000_000)


def _duration(unit_ns: int, absent: int) -> Reader:
    """Read seconds and a fraction in units of `unit_ns`; `absent` where there is no structure."""

    def read(words: Words) -> Array:
        seconds, fraction, no_structure, unknown = words.structure()
        valid = (seconds < np.uint64(2**63)) & (fraction < np.uint64(2**63))
        most = np.uint64(INFINITE_NS // _SECOND - 1)  # centuries, for whoever asks for more
        whole = np.minimum(seconds, most).astype(np.int64) * _SECOND
        part = np.minimum(fraction, np.uint64(_SECOND // unit_ns)).astype(np.int64) * unit_ns
        found = np.where(valid & ~unknown, whole + part, words.empty)
        return np.where(no_structure, absent, found)

    return read


_timespec = _duration(1, INFINITE_NS)
_sleep = _duration(1, NONE)


def _futex(words: Words) -> Array:
    """Read a futex's timeout, which only waiting has; empty where it is a point in time."""
    command = words.args[:, 1] & np.uint64(_FUTEX_COMMAND)
    until = np.isin(command, _FUTEX_UNTIL)
    found = _timespec(words)
    return np.where((command == _FUTEX_WAIT) | (until & (found == INFINITE_NS)), found, words.empty)


def _clock_sleep(words: Words) -> Array:
    """Read clock_nanosleep's time; of a point in time what is left of it at entry."""
    asked = _sleep(words)
    clock = words.args[:, 0].astype(np.uint32)
    absolute = (words.args[:, 1] & np.uint64(_ABSTIME)) != 0
    now = words.time_ns.astype(np.int64)
    clocks: dict[int, Array] = {
        _REALTIME: now + words.wall_offset_ns,
        _MONOTONIC: now - words.args[:, 4].astype(np.int64),
        _BOOTTIME: now,
    }
    known = [clock == which for which in clocks]
    left = np.maximum(asked - np.select(known, list(clocks.values()), 0), 0)
    left = np.where(np.any(known, axis=0) & (asked >= 0), left, words.empty)
    return np.where(absolute, left, asked)


def _rounded(size: Array) -> Array:
    """Return sizes rounded up to pages."""
    pages = np.minimum(size, np.uint64(2**63 - _PAGE)) + np.uint64(_PAGE - 1)
    return (pages & ~np.uint64(_PAGE - 1)).astype(np.int64)


def _pages(words: Words) -> Array:
    return np.where(words.failed, 0, _rounded(words.own))


def _break(words: Words) -> Array:
    """Read how far brk moved the program break: from word 1 to what it returned."""
    old, new = _rounded(words.args[:, 1]), _rounded(words.ret.astype(np.uint64))
    return np.where(old == 0, 0, np.abs(new - old))


READERS: Final[dict[str, Reader]] = {
    "u32": _u32,
    "s32": _s32,
    "s64": lambda words: words.signed,
    "size": _size,
    "size32": _u32,
    "mode": _bits(0xFFFF),
    "creating": _creating,
    "creating-memory": _creating_memory,
    "memory": _memory(0, 2**64 - 1),
    "memory-low": _memory(0, 2**32 - 1),
    "memory-high": _memory(1, 2**64 - 1),
    "epoll-events": _memory(0, 2**32 - 1),
    "status-flags": _status_flags,
    "socket-type": _bits(0xF),
    "socket-flags": _bits(0xFFFFFFF0),
    "clone-flags": _bits(2**64 - 1 - 0xFF),
    "low-byte": _bits(0xFF),
    "milliseconds": _milliseconds,
    "timespec": _timespec,
    "timeval": _duration(1000, INFINITE_NS),
    "sleep": _sleep,
    "clock-sleep": _clock_sleep,
    "futex": _futex,
    "pages": _pages,
    "break": _break,
}


@functools.cache
def table() -> tuple[Argument, ...]:
    """Return every row of `ior/data/kinds.tsv`."""
    text = resources.files("ior").joinpath("data/kinds.tsv").read_text("ascii")
    rows = (line.split("\t") for line in text.splitlines()[1:])
    return tuple(
        Argument(kind, call, column, -1 if number == "-" else int(number), int(word), *rest)
        for kind, call, column, number, word, *rest in rows
    )


@functools.cache
def arguments(arch: str, column: str) -> dict[int, Argument]:
    """Return what fills a column, by syscall number."""
    calls = syscalls.table(arch)
    rows = {calls.nr(row.syscall): row for row in table() if row.column == column}
    return {nr: row for nr, row in rows.items() if nr >= 0}


@functools.cache
def fills(arch: str, column: str) -> Array:
    """Return whether a syscall fills a column, by number, shape (NR_LIMIT,)."""
    found = np.zeros(syscalls.NR_LIMIT, np.bool_)
    found[list(arguments(arch, column))] = True
    return found


@functools.cache
def family_of(arch: str) -> Array:
    """Return the family's index in `syscalls.table(arch).families` by syscall number, uint8."""
    table = syscalls.table(arch)
    index = {family: i for i, family in enumerate(table.families)}
    return np.array([index[table.family(nr)] for nr in range(syscalls.NR_LIMIT)], np.uint8)


COLUMNS: Final = frozenset(row.column for row in table())


def occurring(syscall: Array) -> Array:
    """Return whether a syscall is among a batch's, by number, shape (NR_LIMIT,)."""
    found: Array = np.bincount(syscall, minlength=syscalls.NR_LIMIT) != 0
    return found


class _Origin(Protocol):
    @property
    def arch(self) -> str: ...
    @property
    def wall_offset_ns(self) -> int: ...


class Calls(Protocol):
    """What `read` needs of a batch of calls."""

    @property
    def origin(self) -> _Origin:
        """The host that the calls come from."""

    def __getitem__(self, name: str, /) -> Array: ...
    def __len__(self) -> int: ...


def read(batch: Calls, column: str, empty: Any, present: Array) -> Array:
    """Return a column that arguments fill; one constant where no call of the batch has any.

    `empty` is a numpy number of the column's type, `present` what `occurring` gives of the
    batch. The column is read-only or the caller's own.
    """
    arch, syscall = batch.origin.arch, batch["syscall"]
    numbers = np.flatnonzero(present & fills(arch, column)).tolist()
    if not numbers:
        return np.broadcast_to(empty, len(batch))
    values = np.full(len(batch), empty)
    sources = [batch[name] for name in ("args", "ret", "is_error", "time_ns")]
    for nr in numbers:
        how = arguments(arch, column)[nr]
        rows = np.flatnonzero(syscall == nr)
        args, ret, failed, time_ns = (source[rows] for source in sources)
        offset_ns = batch.origin.wall_offset_ns
        words = Words(args, how.word, int(empty), ret, failed, time_ns, offset_ns)
        values[rows] = READERS[how.reads](words)
    return values
