"""What the rows of `stats` go by: a syscall, a file, a process, or any column."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ior import syscalls
from ior.calls import RAW, Batch, Column, Origin, Schema, decoder
from ior.errors import SpecError
from ior.findings import Code, choice
from ior.names import Names
from ior.snapshots import Field
from ior.stages.keys import KeyIndex, Numbers
from ior.tasks import Task, task_of

Array = npt.NDArray[Any]

REST, KEYLESS, FIRST = 0, 1, 2  # row numbers: all keys beyond `max_keys`; no key; the keys
OTHER = "(other)"


class Keys(ABC):
    """Turns one column's values into row numbers; the first `max_keys` keys get a row.

    A key met when the table is full counts in `REST`, then and later. Subclasses say what
    the key is.
    """

    columns: ClassVar[tuple[str, ...]]  # that make the key
    fields: ClassVar[tuple[Field, ...]]
    other: ClassVar[tuple[Any, ...]] = (OTHER,)
    none: ClassVar[tuple[Any, ...]] = ("-",)

    def __init__(self, max_keys: int) -> None:
        self._max = max_keys
        self._index = KeyIndex()
        self._row_of: dict[Any, int] = {}

    @property
    def used(self) -> int:
        """One past the greatest row number given."""
        return len(self._row_of) + FIRST

    def _row(self, key: Any) -> int:
        row = self._row_of.get(key)
        if row is None:
            if len(self._row_of) >= self._max:
                return REST
            row = self._row_of[key] = len(self._row_of) + FIRST
        return row

    @abstractmethod
    def rows(self, batch: Batch) -> Numbers:
        """Return the row number of each call of `batch`."""

    def note(self, batch: Batch, rows: Numbers, order: Array | None) -> None:  # noqa: B027 - a hook
        """Remember of the calls of `batch`, which are in these rows, what is not in the key.

        `order` is that of time, None where the batch is in it.
        """

    def labels(self) -> Callable[[], list[tuple[Any, ...]]]:
        """Return what makes the key columns of rows FIRST to `used`, as they are now."""
        keys, count = self._row_of, len(self._row_of)
        return lambda: [(key,) for key in islice(keys, count)]


class BySyscall(Keys):
    """One row a syscall, by its user-visible name."""

    columns = ("syscall",)
    fields = (Field("syscall", "text"),)
    _arch = ""

    def rows(self, batch: Batch) -> Numbers:
        """Return the row number of each call of `batch`."""
        if batch.origin.arch != self._arch:
            self._arch = batch.origin.arch
            self._index.clear()
        column, name = batch["syscall"], syscalls.table(self._arch).name
        return self._index.resolve(
            column.astype(np.uint64),
            lambda new: [self._row(name(nr)) for nr in column[new].tolist()],
        )


class ByFile(Keys):
    """One row a text of `file`, whatever the file's state; calls without a file are keyless."""

    columns = ("file",)
    fields = (Field("file", "text"),)
    _names: Names | None = None

    def rows(self, batch: Batch) -> Numbers:
        """Return the row number of each call of `batch`."""
        names, column = batch.names, batch["file"]
        if names is not self._names:
            self._names = names
            self._index.clear()

        def make(new: Array) -> list[int]:
            texts = names.texts(column[new].tolist())
            return [self._row(text) if text else KEYLESS for text in texts]

        return self._index.resolve(column.astype(np.uint64), make)


class ByProcess(Keys):
    """One row a pid, with the command name of its latest call."""

    columns = ("pid", "comm")
    fields = (Field("pid", "int"), Field("comm", "text"))
    other = (None, OTHER)
    none = (None, "-")

    def __init__(self, max_keys: int) -> None:
        super().__init__(max_keys)
        self._names: Names | None = None
        self._comms: list[str] = []  # by row, as it was when `_names` began
        self._codes = np.zeros(0, np.int64)  # by row: the latest code of `_names`, -1 for none
        self._tasks: dict[int, str] = {}  # by row, as `_comms`
        self._task_codes = np.zeros(0, np.int64)

    def rows(self, batch: Batch) -> Numbers:
        """Return the row number of each call of `batch`."""
        column = batch["pid"]
        return self._index.resolve(
            column.astype(np.uint64), lambda new: [self._row(pid) for pid in column[new].tolist()]
        )

    def note(self, batch: Batch, rows: Numbers, order: Array | None) -> None:
        """Remember the command and the task of each row's latest call."""
        if batch.names is not self._names:
            self._comms, self._tasks = self._latest()(), self._latest_tasks()()
            self._names = batch.names
            self._codes.fill(-1)
            self._task_codes.fill(-1)
        if self.used > len(self._codes):
            added = max(self.used, 64)
            self._codes = np.concatenate([self._codes, np.full(added, -1, np.int64)])
            self._task_codes = np.concatenate([self._task_codes, np.full(added, -1, np.int64)])
        for name, codes in (("comm", self._codes), ("task", self._task_codes)):
            if name in batch.schema.names:  # of a row that occurs often the last is kept
                at = rows if order is None else rows[order]
                codes[at] = batch[name] if order is None else batch[name][order]

    def tasks(self) -> Callable[[], Mapping[int, Task]]:
        """Return what makes the facts of the task of each pid's latest call, as they are now.

        They are by pid, of those that are known.
        """
        keys, made = self._row_of, self._latest_tasks()

        def tasks() -> Mapping[int, Task]:
            texts, pids = made(), list(keys)
            found = ((pids[row - FIRST], _task_of(text)) for row, text in texts.items())
            return {pid: task for pid, task in found if task is not None}

        return tasks

    def _latest_tasks(self) -> Callable[[], dict[int, str]]:
        before, names, codes = self._tasks, self._names, self._task_codes.copy()
        rows = np.flatnonzero(codes > 0)
        rows = rows[rows >= FIRST]
        return lambda: before | _texts(names, rows, codes[rows])

    def _latest(self) -> Callable[[], list[str]]:
        before, names, codes = self._comms, self._names, self._codes.copy()

        def latest() -> list[str]:
            comms = before + [""] * (len(codes) - len(before))
            rows = np.flatnonzero(codes >= 0)
            for row, text in _texts(names, rows, codes[rows]).items():
                comms[row] = text
            return comms

        return latest

    def labels(self) -> Callable[[], list[tuple[Any, ...]]]:
        """Return what makes the key columns of rows FIRST to `used`, as they are now."""
        keys, used, latest = self._row_of, self.used, self._latest()
        return lambda: list(zip(islice(keys, used - FIRST), latest()[FIRST:used], strict=True))


def _texts(names: Names | None, rows: Array, codes: Array) -> dict[int, str]:
    """Return the texts of codes by row; without names there are no codes."""
    if names is None:
        return {}
    return dict(zip(rows.tolist(), names.texts(codes.tolist()), strict=True))


_task_of = functools.lru_cache(8192)(task_of)


class ByColumn(Keys):
    """One row a value of any column: its text where it has one; empty ones are keyless."""

    def __init__(self, max_keys: int, name: str) -> None:
        super().__init__(max_keys)
        self._name = name
        self.columns = (name,)  # type: ignore[misc]  # each has its own
        self.fields = (Field(name, "text"),)  # type: ignore[misc]  # each has its own
        self._scope: tuple[Names, Origin] | None = None

    def rows(self, batch: Batch) -> Numbers:
        """Return the row number of each call of `batch`."""
        column, values = batch.column(self._name), batch[self._name]
        scope = self._scope
        if scope is None or batch.names is not scope[0] or batch.origin != scope[1]:
            self._scope = batch.names, batch.origin
            self._index.clear()
        decode = decoder(column.kind, batch)
        assert decode is not None

        def make(new: Array) -> list[int]:
            found = values[new].tolist()
            return [KEYLESS if v == column.empty else self._row(decode(v)) for v in found]

        return self._index.resolve(values.astype(np.uint64), make)


_TABLES: dict[str, tuple[str, type[Keys]]] = {
    "syscall": ("Syscalls", BySyscall),
    "file": ("Files", ByFile),
    "process": ("Processes", ByProcess),
}


def keyed(name: str, max_keys: int) -> tuple[str, Keys]:
    """Return the title and the keys of a table: by process, or by any column."""
    if name in _TABLES:
        title, keys = _TABLES[name]
        return title, keys(max_keys)
    return f"By {name}", ByColumn(max_keys, name)


def check_key(name: str, arriving: Schema) -> None:
    """Raise SpecError if rows of `arriving` cannot be counted by `name`."""
    needed = {"process": ("pid", "comm")}.get(name, (name,))
    by_name = {column.name: column for column in arriving.columns}
    if lacking := [column for column in needed if column not in by_name]:
        keys = sorted({*_KEYS, *(c.name for c in arriving.columns if countable(c))})
        message, hint = f"no column '{lacking[0]}' arrives", choice(lacking[0], keys)
        raise SpecError(message, code=Code.COLUMN, hint=hint, keys=("by",))
    if not all(countable(by_name[column]) for column in needed):
        message = f"nothing can be counted by '{name}', which is neither text nor a whole number"
        raise SpecError(message, keys=("by",))


_KEYS = ("process",)


def countable(column: Column) -> bool:
    """Return whether rows can be grouped by a column: one whole number or text a row."""
    return column.kind not in RAW and column.dtype[0] in "iu?"
