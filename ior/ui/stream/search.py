"""A regular expression over retained rows, in columns: which rows match, and how many.

It is tried on each cell by itself: on commands, syscalls, errors, files, on each name that an
argument has (`O_CREAT`), and on the numbers of processes, threads, descriptors and results below
2^22; not on times, durations, sizes and offsets. Each distinct name or number is tried once,
whatever number of rows it stands in.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
import numpy as np
import numpy.typing as npt

from ior import decode, kinds, syscalls
from ior.calls import Batch
from ior.names import Names
from ior.tasks import task_of
from ior.ui.patterns import matcher
from ior.ui.stream.rows import Ints, Rows

Bools = npt.NDArray[np.bool_]

TEXTS = ("comm", "file", "old_file", "asked")
OF_TASKS = ("container", "cgroup")
NUMBERS = ("pid", "tid", "fd", "fd2", "ret")
_ROOM = 1 << 22  # numbers from 0 to here have their answers in an array: any pid, any descriptor
_NARROW = 1024  # values, from the least to the greatest
_UNKNOWN, _NO, _YES = 0, 1, 2
_F_SETFD = 2  # the command of fcntl whose flags are the descriptor's

Asking = Callable[[list[int]], Iterable[object]]
"""Says of values, in their order, which match."""


class Answers:
    """Which values match, asked once for each value below `room`; others do not."""

    def __init__(self, room: int) -> None:
        self._known = np.zeros(room + 1, np.uint8)  # no memory until it is written to
        self._known[room] = _NO

    def of(self, values: npt.NDArray[Any], ask: Asking) -> Bools | None:
        """Return which of `values` match, None where none does. New ones are asked for."""
        if not len(values):
            return None
        least, most = max(int(values.min()), 0), int(values.max())
        if most - least < _NARROW and most < self.room:
            # Then all values between are asked as well, so that one look is enough.
            span = self._known[least : most + 1]
            if span.min(initial=_NO) == _UNKNOWN:
                self._ask(least + np.flatnonzero(span == _UNKNOWN), ask)
            if span.max(initial=_NO) != _YES:
                return None
        room, places = self.room, values.view(f"u{values.dtype.itemsize}")  # -1 becomes large
        if np.iinfo(places.dtype).max > room:
            places = np.minimum(places, places.dtype.type(room))
        places = places.astype(np.intp)
        answers = self._known.take(places)
        if answers.min() == _UNKNOWN:
            self._ask(np.unique(places[answers == _UNKNOWN]), ask)
            answers = self._known.take(places)
        return answers == _YES if answers.max() == _YES else None

    def _ask(self, values: Ints, ask: Asking) -> None:
        if len(values):
            answers = ask(values.tolist())
            self._known[values] = [_YES if answer else _NO for answer in answers]

    @property
    def room(self) -> int:
        """The least value that has no answer."""
        return len(self._known) - 1

    def take_over(self, other: Answers) -> None:
        """Know what another one knows, which has less room."""
        self._known[: other.room] = other._known[:-1]


class Pattern:
    """A regular expression and what it was asked so far. Raises re.error for a bad one."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.search = matcher(text)
        self._names: WeakKeyDictionary[Names, Answers] = WeakKeyDictionary()
        self._tasks: WeakKeyDictionary[Names, Answers] = WeakKeyDictionary()
        self._others: dict[str, Answers] = {}
        self._groups: dict[tuple[str, str], frozenset[str]] = {}
        self._arguments: dict[str, dict[int, tuple[tuple[str, str], ...]]] = {}
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
        if all(part.rows is None for part in parts):
            return Found(self, np.flatnonzero(self._mask[: rows.count]))
        found: list[Ints] = []
        for part, end in zip(parts, rows.ends.tolist(), strict=True):
            mask = self._mask[part.first - first : part.first - first + len(part.batch)]
            mask = mask if part.rows is None else mask[part.rows]
            found.append(np.flatnonzero(mask) + (end - part.count))
        return Found(self, np.concatenate(found))

    def matches(self, batch: Batch) -> Bools:
        """Return which rows of a batch have a cell that matches, shape (len(batch),)."""
        found = np.zeros(len(batch), np.bool_)
        for some in self._columns(batch):
            if some is not None:
                found |= some
        return found

    def _columns(self, batch: Batch) -> Iterator[Bools | None]:
        """Yield of each column which rows match in it, None where none does."""
        names, arch = set(batch.schema.names), batch.origin.arch
        for name in (*TEXTS, *(own for own in OF_TASKS if batch.holds(own))):
            if name in names and batch.column(name).kind == "text":
                yield self._text(batch.names, batch[name])
        if "task" in names and batch.holds("task"):
            yield self._task(batch.names, batch["task"])
        if "syscall" in names:
            syscall = batch["syscall"]
            yield self._number(arch, syscall, syscalls.table(arch).name, syscalls.NR_LIMIT)
            if named := self._named(arch):
                present = kinds.occurring(syscall)
                for nr in named:
                    if present[nr]:
                        yield self._argument(batch, nr)
        if "errno" in names:
            yield self._number("errno", batch["errno"], syscalls.errno_name, 1 << 16)
        if "fd_flags" in names and self._may("O", arch):
            flags = batch["fd_flags"]
            yield self._has_name(flags, "O", arch) & (flags != 0)
        for name in NUMBERS:
            if name in names:
                yield self._number("", batch[name], str, _ROOM)

    def _text(self, names: Names, codes: npt.NDArray[Any]) -> Bools | None:
        def ask(codes: list[int]) -> Iterable[object]:
            return (text and self.search(text) for text in names.texts(codes))

        return _answers(self._names, names).of(codes, ask)

    def _task(self, names: Names, codes: npt.NDArray[Any]) -> Bools | None:
        def ask(codes: list[int]) -> Iterable[object]:
            for task in map(task_of, names.texts(codes)):
                texts = (getattr(task, name) for name in OF_TASKS) if task else ()
                yield any(text and self.search(text) for text in texts)

        return _answers(self._tasks, names).of(codes, ask)

    def _number(
        self, of: str, values: npt.NDArray[Any], text: Callable[[int], str], room: int
    ) -> Bools | None:
        if of not in self._others:
            self._others[of] = Answers(room)
        texts = functools.partial(map, text)
        return self._others[of].of(values, lambda some: (t and self.search(t) for t in texts(some)))

    def _named(self, arch: str) -> dict[int, tuple[tuple[str, str], ...]]:
        """Return the arguments of which some names match, with their groups, by syscall."""
        known = self._arguments.get(arch)
        if known is None:
            groups: dict[int, list[tuple[str, str]]] = {}
            for column in sorted(kinds.COLUMNS):
                for nr, how in kinds.arguments(arch, column).items():
                    if how.names != "-":
                        groups.setdefault(nr, []).append((column, how.names))
            groups.setdefault(syscalls.table(arch).nr("fcntl"), []).append(("call_flags", "FD"))
            match = {
                nr: tuple(pair for pair in pairs if self._may(pair[1], arch))
                for nr, pairs in groups.items()
            }
            known = self._arguments[arch] = {nr: pairs for nr, pairs in match.items() if pairs}
        return known

    def _argument(self, batch: Batch, nr: int) -> Bools:
        """Ask about the arguments of one syscall."""
        found = np.zeros(len(batch), np.bool_)
        arch, shown = batch.origin.arch, set(batch.schema.names)
        calls = np.flatnonzero(batch["syscall"] == nr)
        for column, group in self._named(arch)[nr]:
            if column not in shown:
                continue
            rows = calls
            if column == "call_flags" and nr == syscalls.table(arch).nr("fcntl"):
                of_fd = batch["op"][rows] == _F_SETFD
                rows = rows[of_fd if group == "FD" else ~of_fd]
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


def _answers(known: WeakKeyDictionary[Names, Answers], names: Names) -> Answers:
    """Return the answers for the codes of a dictionary, with room for all that it has."""
    answers = known.get(names)
    if answers is None or answers.room < len(names):
        more = Answers(2 * len(names))
        if answers is not None:
            more.take_over(answers)
        answers = known[names] = more
    return answers


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
    return Pattern(text) if matcher(text) and text else None
