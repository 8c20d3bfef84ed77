"""A regular expression over retained rows, in columns: which rows match, and how many.

It is tried on each cell by itself: on commands, syscalls, errors, files, on arguments that have
names (`O_CREAT`), and on the numbers of processes, threads, descriptors and results; not on
times, durations, sizes and offsets. Each distinct name or number is tried once, whatever number
of rows it stands in.
"""

from __future__ import annotations

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


class Answers:
    """Which values match, asked once for each; `shown` gives a text for each of some rows."""

    def __init__(self, search: Callable[[str], object]) -> None:
        self._search = search
        self._known = np.zeros(1024, np.uint8)

    def of(self, values: npt.NDArray[Any], shown: Callable[[Ints], Iterable[str]]) -> Bools:
        """Return which of `values` match; `shown` gets the places of those not known yet."""
        small = (values >= 0) & (values < _ROOM)
        if small.all():
            return self._small(values.astype(np.intp, copy=False), shown)
        found = np.zeros(len(values), np.bool_)
        inside, outside = np.flatnonzero(small), np.flatnonzero(~small)
        if len(inside):
            chosen = values[inside].astype(np.intp)
            found[inside] = self._small(chosen, lambda at: shown(inside[at]))
        _, first, back = np.unique(values[outside], return_index=True, return_inverse=True)
        found[outside] = self._asked(shown(outside[first]))[back]
        return found

    def _small(self, values: Ints, shown: Callable[[Ints], Iterable[str]]) -> Bools:
        if not len(values):
            return np.zeros(0, np.bool_)
        most = int(values.max())
        if most >= len(self._known):
            grown = np.zeros(2 * most + 1, np.uint8)
            grown[: len(self._known)] = self._known
            self._known = grown
        answers = self._known[values]
        new = np.flatnonzero(answers == _UNKNOWN)
        if len(new):
            distinct, first = np.unique(values[new], return_index=True)
            self._known[distinct] = np.where(self._asked(shown(new[first])), _YES, _NO)
            answers = self._known[values]
        found: Bools = answers == _YES
        return found

    def _asked(self, texts: Iterable[str]) -> Bools:
        return np.array([text != "" and self._search(text) is not None for text in texts], np.bool_)


class Pattern:
    """A regular expression and what it was asked so far. Raises re.error for a bad one."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.search = matcher(text)
        self._names: WeakKeyDictionary[Names, Answers] = WeakKeyDictionary()
        self._others: dict[tuple[str, str, int], Answers] = {}
        self._masks: dict[int, tuple[Batch, Bools]] = {}  # of the batches of the last picture

    def find(self, rows: Rows) -> Found:
        """Return which of the rows that are shown match. Only batches that are new are asked."""
        known, self._masks = self._masks, {}
        places: list[Ints] = []
        for part, end in zip(rows.parts, rows.ends.tolist(), strict=True):
            key = id(part.batch)
            self._masks[key] = known.get(key) or (part.batch, self.matches(part.batch))
            mask = self._masks[key][1]
            mask = mask if part.rows is None else mask[part.rows]
            places.append(np.flatnonzero(mask) + (end - part.count))
        return Found(self, np.concatenate(places) if places else np.zeros(0, np.intp))

    def matches(self, batch: Batch) -> Bools:
        """Return which rows of a batch have a cell that matches, shape (len(batch),)."""
        found = np.zeros(len(batch), np.bool_)
        names, arch = set(batch.schema.names), batch.origin.arch
        for name in TEXTS:
            if name in names and batch.column(name).kind == "text":
                codes, of = batch[name], batch.names
                filled = np.flatnonzero(codes)
                texts = lambda at, codes=codes[filled], of=of: of.texts(codes[at].tolist())  # noqa: E731 (short)
                found[filled] |= self._for(of).of(codes[filled], texts)
        if "syscall" in names:
            name_of = syscalls.table(arch).name
            found |= self._number(arch, "syscall", batch["syscall"], name_of)
            found |= self._arguments(batch)
        if "errno" in names:
            found |= self._number(arch, "errno", batch["errno"], syscalls.errno_name)
        if "fd_flags" in names:
            found |= self._number(arch, "fd_flags", batch["fd_flags"], _status(arch))
        for name in NUMBERS:
            if name in names:
                found |= self._number("", "number", batch[name], _number)
        return found

    def _for(self, names: Names) -> Answers:
        answers = self._names.get(names)
        if answers is None:
            answers = self._names[names] = Answers(self.search)
        return answers

    def _other(self, arch: str, what: str, nr: int = 0) -> Answers:
        return self._others.setdefault((arch, what, nr), Answers(self.search))

    def _number(
        self, arch: str, what: str, values: npt.NDArray[Any], text: Callable[[int], str]
    ) -> Bools:
        return self._other(arch, what).of(values, lambda at: map(text, values[at].tolist()))

    def _arguments(self, batch: Batch) -> Bools:
        """Ask about arguments that have names, syscall by syscall: each has its own names."""
        found = np.zeros(len(batch), np.bool_)
        arch, syscall = batch.origin.arch, batch["syscall"]
        present = np.flatnonzero(kinds.occurring(syscall)).tolist()
        shown = set(batch.schema.names)
        for nr in present:
            rows = None
            for column in _named(arch, nr):
                if column not in shown:
                    continue
                rows = np.flatnonzero(syscall == nr) if rows is None else rows
                values = batch[column][rows]
                if column == "call_flags" and "op" in shown:  # fcntl's depend on its command
                    op = batch["op"][rows]
                    values = np.where(op > 0, (values & 0xFFFFFFFF) | (op << 32), values)
                texts = lambda at, rows=rows, column=column: decode.texts(  # noqa: E731 (short)
                    batch.select(rows[at]), column
                )
                found[rows] |= self._other(arch, column, nr).of(values, texts)
        return found


def _number(value: int) -> str:
    return "" if value == -1 else str(value)


def _status(arch: str) -> Callable[[int], str]:
    return lambda value: decode.named("O", value, arch) if value else ""


def _named(arch: str, nr: int) -> list[str]:
    """Return the arguments of a syscall whose values have names."""
    columns = sorted(kinds.COLUMNS)
    filled = ((column, kinds.arguments(arch, column).get(nr)) for column in columns)
    return [column for column, how in filled if how is not None and how.names != "-"]


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
