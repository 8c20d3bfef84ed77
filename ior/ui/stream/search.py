"""A regular expression over retained rows, in columns: which rows match, and how many.

It is tried on each cell by itself: on commands, syscalls, errors, files, on each name that an
argument has (`O_CREAT`), and on the numbers of processes, threads, descriptors and results below
2^22; not on times, durations, sizes and offsets. Each distinct name or number is tried once,
whatever number of rows it stands in.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
import numpy as np
import numpy.typing as npt

from ior import decode, kinds, syscalls
from ior.calls import Batch
from ior.names import Names
from ior.ui.flame import matcher
from ior.ui.stream.rows import Ints, Rows

Bools = npt.NDArray[np.bool_]

TEXTS = ("comm", "file", "old_file", "asked", "container", "cgroup")
NUMBERS = ("pid", "tid", "fd", "fd2", "ret")
_ROOM = 1 << 22  # values from 0 to here have their answers in an array: any pid, any descriptor
_UNKNOWN, _NO, _YES = 0, 1, 2
_F_SETFD = 2  # the command of fcntl whose flags are the descriptor's


class Answers:
    """Which values match, asked once for each value from 0 to 2^22; others do not."""

    def __init__(self, search: Callable[[str], object]) -> None:
        self._search = search
        self._known = np.zeros(1024, np.uint8)

    def of(self, values: npt.NDArray[Any], texts: Callable[[list[int]], Iterable[str]]) -> Bools:
        """Return which of `values` match; `texts` gives the texts of those not known yet."""
        small = (values >= 0) & (values < _ROOM)
        if small.all():
            return self._small(values, texts)
        found = np.zeros(len(values), np.bool_)
        found[small] = self._small(values[small], texts)
        return found

    def _small(
        self, values: npt.NDArray[Any], texts: Callable[[list[int]], Iterable[str]]
    ) -> Bools:
        most = int(values.max()) if len(values) else 0
        if most >= len(self._known):
            grown = np.zeros(2 * most + 1, np.uint8)
            grown[: len(self._known)] = self._known
            self._known = grown
        answers = self._known[values]
        new = answers == _UNKNOWN
        if new.any():
            distinct = np.unique(values[new])
            asked = (text != "" and self._search(text) for text in texts(distinct.tolist()))
            self._known[distinct] = [_YES if answer else _NO for answer in asked]
            answers = self._known[values]
        found: Bools = answers == _YES
        return found


class Pattern:
    """A regular expression and what it was asked so far. Raises re.error for a bad one."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.search = matcher(text)
        self._names: WeakKeyDictionary[Names, Answers] = WeakKeyDictionary()
        self._others: dict[str, Answers] = {}
        self._groups: dict[tuple[str, str], frozenset[str]] = {}
        self._first = 0  # the number of the first row of the last picture
        self._mask: Bools = np.zeros(0, np.bool_)  # of all its rows, shown or not

    def find(self, rows: Rows) -> Found:
        """Return which of the rows that are shown match. Only rows that are new are asked.

        Rows are known by their numbers: a pattern is for one stream.
        """
        parts = rows.parts
        first = parts[0].first if parts else 0
        past = max(0, first - self._first)  # of those that were asked and have gone since
        masks = [self._mask[past:] if first >= self._first else self._mask[:0]]
        asked = first + len(masks[0])
        for part in parts:
            inside = max(0, asked - part.first)
            if inside < len(part.batch):
                new = np.arange(inside, len(part.batch))
                masks.append(self.matches(part.batch.select(new) if inside else part.batch))
        self._first, self._mask = first, np.concatenate(masks)
        found: list[Ints] = []
        for part, end in zip(parts, rows.ends.tolist(), strict=True):
            mask = self._mask[part.first - first : part.first - first + len(part.batch)]
            mask = mask if part.rows is None else mask[part.rows]
            found.append(np.flatnonzero(mask) + (end - part.count))
        return Found(self, np.concatenate(found) if found else np.zeros(0, np.intp))

    def matches(self, batch: Batch) -> Bools:
        """Return which rows of a batch have a cell that matches, shape (len(batch),)."""
        found = np.zeros(len(batch), np.bool_)
        names, arch = set(batch.schema.names), batch.origin.arch
        for name in TEXTS:
            if name in names and batch.column(name).kind == "text":
                codes = batch[name]
                if codes.any():
                    found |= self._for(batch.names).of(codes, batch.names.texts)
        if "syscall" in names:
            found |= self._number(arch, batch["syscall"], syscalls.table(arch).name)
            found |= self._arguments(batch)
        if "errno" in names:
            found |= self._number("errno", batch["errno"], syscalls.errno_name)
        if "fd_flags" in names:
            flags = batch["fd_flags"]
            found |= self._has_name(flags, "O", arch) & (flags != 0)
        for name in NUMBERS:
            if name in names:
                found |= self._number("", batch[name], str)
        return found

    def _for(self, names: Names) -> Answers:
        answers = self._names.get(names)
        if answers is None:
            answers = self._names[names] = Answers(self.search)
        return answers

    def _number(self, of: str, values: npt.NDArray[Any], text: Callable[[int], str]) -> Bools:
        answers = self._others.setdefault(of, Answers(self.search))
        return answers.of(values, lambda distinct: map(text, distinct))

    def _arguments(self, batch: Batch) -> Bools:
        """Ask about arguments that have names, syscall by syscall: each has its own names."""
        found = np.zeros(len(batch), np.bool_)
        arch, syscall = batch.origin.arch, batch["syscall"]
        shown = set(batch.schema.names)
        for nr in np.flatnonzero(kinds.occurring(syscall)).tolist():
            for column, group in _named(arch, nr):
                if column not in shown or not (self._may(group, arch) or group == "O"):
                    continue
                rows = np.flatnonzero(syscall == nr)
                if column == "call_flags" and nr == syscalls.table(arch).nr("fcntl"):
                    of_fd = rows[batch["op"][rows] == _F_SETFD]
                    found[of_fd] |= self._has_name(batch[column][of_fd], "FD", arch)
                    rows = rows[batch["op"][rows] != _F_SETFD]
                found[rows] |= self._has_name(batch[column][rows], group, arch)
        return found

    def _may(self, group: str, arch: str) -> frozenset[str]:
        """Return the names of a group that match."""
        key = (group, arch)
        if key not in self._groups:
            names = (constant.name for constant in decode.constants(arch).get(group, ()))
            self._groups[key] = frozenset(name for name in names if self.search(name))
        return self._groups[key]

    def _has_name(self, values: npt.NDArray[Any], group: str, arch: str) -> Bools:
        """Return which values have a name that matches, among those that `decode` gives them."""
        match = self._may(group, arch)
        found = np.zeros(len(values), np.bool_)
        if not match or not len(values):
            return found
        left, back = np.unique(values.astype(np.int64), return_inverse=True)
        hit, done = np.zeros(len(left), np.bool_), left < 0
        for name, mask, number in decode.constants(arch)[group]:
            has = ~done & (left & mask == number)
            if mask == -1:
                done |= has
            else:
                left = np.where(has, left & ~mask, left)
            if name in match:
                hit |= has
        return hit[back]


@functools.lru_cache(2048)
def _named(arch: str, nr: int) -> list[tuple[str, str]]:
    """Return the arguments of a syscall whose values have names, with the group of these."""
    filled = ((column, kinds.arguments(arch, column).get(nr)) for column in sorted(kinds.COLUMNS))
    return [(column, how.names) for column, how in filled if how is not None and how.names != "-"]


class Found(msgspec.Struct, frozen=True, eq=False):
    """The rows that match, by their places among those that are shown, in order."""

    pattern: Pattern
    at: Ints

    def before(self, row: int) -> int:
        """Return how many matches come before a row."""
        return int(np.searchsorted(self.at, row))

    def has(self, row: int) -> bool:
        """Return whether a row matches."""
        k = self.before(row)
        return k < len(self.at) and int(self.at[k]) == row

    def nearest(self, row: int) -> int | None:
        """Return the first match from a row on, or else the last before it; None without."""
        k = min(self.before(row), len(self.at) - 1)
        return int(self.at[k]) if k >= 0 else None

    def after(self, row: int, step: int) -> int | None:
        """Return the next match after (1) or before (-1) a row, round the ends; None without."""
        if not len(self.at):
            return None
        k = self.before(row)
        if step > 0:
            k += self.has(row)
            return int(self.at[k % len(self.at)])
        return int(self.at[k - 1])


def compiled(text: str) -> Pattern | None:
    """Return the pattern of a text, None for an empty one. Raises re.error."""
    re.compile(text)
    return Pattern(text) if text else None
