"""Calls as columns: the batch that travels through a graph, and what its columns mean.

The unit of work is a `Batch` of up to 16384 calls held as numpy columns; there is no Python
object per call on the way. Two schemas exist: a source gives *halves* (records with an
enter side, an exit side, or both), `pair` makes *calls* of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import IntFlag
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ior import kinds, sampling, syscalls, tasks
from ior.kinds import NO_NUMBER, NONE
from ior.names import FileState, Names

if TYPE_CHECKING:
    import pyarrow

Array = npt.NDArray[Any]

MAX_CALLS = 16384  # calls in one batch, at the most
NONE_NS = -1  # an empty duration: no gap known, or a call that never returns
_CODED = ("text", "syscall", "family", "errno", "state")  # kinds whose numbers stand for text
RAW = ("words", "task")  # kinds that other columns are made of: not shown, not compared
RESTART_CODES = (-512, -513, -514, -516)  # the kernel's own, never seen by a program


class Flag(IntFlag):
    """Bits of the column `flags`; the same bits as `IOR_F_*` in bpf/ior.h."""

    ENTER = 1 << 0  # the record has an enter side
    EXIT = 1 << 1  # the record has an exit side
    BREAK = 1 << 2  # something of this thread between the last record and this one is missing
    FRESH = 1 << 3  # the first record of this thread
    INTERRUPTED = 1 << 4  # the return is a restart code
    RESTARTED = 1 << 5  # proven: the restart of this thread's last interrupted call
    UNREADABLE = 1 << 6  # a path argument could not be read
    FILE_LOST = 1 << 7  # `file`'s name was lost on its way
    FILE2_LOST = 1 << 8
    TASK_LOST = 1 << 9
    ASKED = 1 << 10  # the second name is what was asked for, not the old file
    SKIPPED = 1 << 11  # set by the source: the kernel skipped runs about when this was recorded
    ENDED = 1 << 12  # the thread ended in this call: it neither returned nor restarted
    LEFT_OUT = 1 << 13  # calls of this thread before it were left out on purpose
    CHANGED = 1 << 14  # set by the source: since then the selection has changed


class Column(NamedTuple):
    """What one column holds.

    `kind` says how it is read: `int`, `bool`, `time` (ns since boot), `duration` (ns),
    `size` (bytes), `text` (codes of `Names`), `syscall` (numbers), `family` (indexes into
    the table's families), `errno`, `state` (`FileState`), `words` (n, 5), `task` (codes of
    `Names`, see `ior.tasks`).
    `empty` is the value that means "none", where there is one: files leave the cell empty
    and every comparison with it is false.
    """

    name: str
    dtype: str
    kind: str
    doc: str
    empty: int | None = None


class Schema(NamedTuple):
    """A named set of columns, in the order in which rows show them."""

    name: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    def adding(self, columns: Iterable[Column]) -> Schema:
        """Return the schema with columns added, or replaced where the name exists."""
        new = {column.name: column for column in columns}
        if not new:
            return self
        kept = tuple(new.pop(column.name, column) for column in self.columns)
        return Schema(self.name, kept + tuple(new.values()))


HALVES = Schema(
    "halves",
    (
        Column("enter_ns", "u8", "time", "entry, CLOCK_BOOTTIME", 0),
        Column("exit_ns", "u8", "time", "return, CLOCK_BOOTTIME", 0),
        Column("ret", "i8", "int", "return value; -errno for an error"),
        Column("comm", "u4", "text", "command name at the time of the call", 0),
        Column("pid", "u4", "int", "process (thread group) id"),
        Column("tid", "u4", "int", "thread id"),
        Column("nr", "u2", "syscall", "syscall number"),
        Column("fd", "i4", "int", "descriptor where bytes go, or that is new; -1 without"),
        Column("fd2", "i4", "int", "descriptor where bytes come from; -1 without"),
        Column("file", "u4", "text", "file behind fd, or path argument", 0),
        Column("old_file", "u4", "text", "file where bytes or names come from", 0),
        Column("asked", "u4", "text", "path that was asked for", 0),
        Column("flags", "u4", "int", "bits of Flag"),
        Column("fd_flags", "u4", "int", "status flags of the open file"),
        Column("cpu", "u2", "int", "processor that wrote the record"),
        Column("epoch", "u4", "int", "generation of the run-time selection"),
        Column("args", "u8", "words", "five argument words; their meaning is the kind's"),
        Column("task", "u4", "task", "parent, user and cgroup of the thread, as one", 0),
    ),
)

CALLS = Schema(
    "calls",
    (
        Column("seq", "u8", "int", "number of the call in this run, from 0"),
        Column("time_ns", "u8", "time", "entry, CLOCK_BOOTTIME"),
        Column("gap_ns", "i8", "duration", "since the thread's previous call returned", NONE_NS),
        Column("latency_ns", "i8", "duration", "from entry to return", NONE_NS),
        Column("comm", "u4", "text", "command name at the time of the call", 0),
        Column("pid", "u4", "int", "process (thread group) id"),
        Column("tid", "u4", "int", "thread id"),
        Column("syscall", "u2", "syscall", "the syscall"),
        Column("family", "u1", "family", "the syscall's family"),
        Column("fd", "i4", "int", "descriptor where bytes go, or that is new; -1 without"),
        Column("ret", "i8", "int", "return value; -errno for an error"),
        Column("errno", "u2", "errno", "error number, 0 without", 0),
        Column("is_error", "?", "bool", "whether the call failed"),
        Column("bytes", "i8", "size", "bytes read, written or transferred"),
        Column("file", "u4", "text", "file behind fd, or path argument", 0),
        Column("old_file", "u4", "text", "file where bytes or names come from", 0),
        Column("fd2", "i4", "int", "descriptor where bytes come from; -1 without"),
        Column("fd_flags", "u4", "int", "status flags of the open file"),
        Column("asked", "u4", "text", "requested path where the opened file's differs", 0),
        Column("file_state", "u1", "state", "cut, deleted, unreadable or unknown", 0),
        Column("restarts", "u2", "int", "times that the kernel restarted the call"),
        Column("filter_epoch", "u4", "int", "generation of the run-time selection"),
        Column("args", "u8", "words", "five argument words; their meaning is the kind's"),
        Column("requested_sleep_ns", "i8", "duration", "how long the call is to sleep", NONE_NS),
        Column("nfds", "i8", "int", "descriptors or events that are waited for, at most", NONE),
        Column("timeout_ns", "i8", "duration", "how long the call waits; INFINITE_NS", NONE_NS),
        Column("address_space_bytes", "i8", "size", "address space mapped, unmapped or moved"),
        Column("epoll_op", "u1", "int", "EPOLL_CTL_*", 0),
        Column("epoll_target_fd", "i4", "int", "descriptor that epoll_ctl is about", NONE),
        Column("epoll_events", "i8", "int", "EPOLL* that epoll_ctl asks for", NONE),
        Column("op", "i8", "int", "operation, command or request", NONE),
        Column("call_flags", "i8", "int", "the call's flags", NONE),
        Column("mode", "i8", "int", "permissions, and the type of a new file", NONE),
        Column("prot", "i8", "int", "PROT_*", NONE),
        Column("requested_bytes", "i8", "size", "size that was asked for", NONE),
        Column("offset", "i8", "int", "place in the file", NO_NUMBER),
        Column("signal", "i8", "int", "signal number", NONE),
        Column("target_pid", "i8", "int", "process or thread that the call is about", NO_NUMBER),
        Column("target_cpu", "i8", "int", "processor that the call is about", NO_NUMBER),
        Column("socket_family", "i8", "int", "AF_*", NONE),
        Column("socket_type", "i8", "int", "SOCK_*", NONE),
        Column("socket_protocol", "i8", "int", "protocol of a new socket", NONE),
        Column("object", "i8", "int", "id or key of what the call is about", NO_NUMBER),
        Column("config", "i8", "int", "a perf event's config", NO_NUMBER),
        Column("first_fd", "i8", "int", "first descriptor of a range", NONE),
        Column("last_fd", "i8", "int", "last descriptor of a range", NONE),
        Column("task", "u4", "task", "parent, user and cgroup of the thread, as one", 0),
        Column("ppid", "i8", "int", "process id of the parent", NONE),
        Column("uid", "i8", "int", "user id", NONE),
        Column("cgroup_id", "i8", "int", "id of the control group", NONE),
        Column("cgroup", "u4", "text", "path of the control group", 0),
        Column("container", "u4", "text", "container id, where the cgroup has one", 0),
        Column("sample_rate", "u4", "int", "one in so many of the syscall's calls is a row"),
    ),
)
_MADE = {  # of `args` or `task`, with the value that is empty
    c.name: np.dtype(c.dtype).type(c.empty or 0)
    for c in CALLS.columns
    if c.name in kinds.COLUMNS | tasks.COLUMNS
}
DERIVED = frozenset({"family", "task", "sample_rate", *_MADE})
"""Columns that a batch may be made without: computed when asked for, `task` empty."""


class Origin(NamedTuple):
    """Facts about the host and run that a batch comes from."""

    arch: str  # as `ior.syscalls.table` takes it
    wall_offset_ns: int  # add to a CLOCK_BOOTTIME time to get nanoseconds since 1970
    rates: sampling.Rates = ()


class Batch:
    """Rows as read-only numpy columns, with the dictionary behind the text columns.

    `batch["ret"]` is a column of shape (len(batch),) (`args`: (len(batch), 5)). Columns are
    shared with every other consumer and cannot be written to. Of a batch of calls `family`
    and the columns that say what `args` and `task` mean, and rows chosen by `select`, are
    computed when they are first asked for.
    """

    __slots__ = (
        *("_base", "_columns", "_index", "_length", "_present", "_shared"),
        *("names", "origin", "schema"),
    )

    def __init__(
        self, schema: Schema, columns: Mapping[str, Array], names: Names, origin: Origin
    ) -> None:
        """Take `columns` (all of the same length) for a batch; they become read-only.

        Raises ValueError if a column of the schema is missing (but those that follow from
        `syscall` and `args`) or lengths differ.
        """
        self.schema, self.names, self.origin = schema, names, origin
        self._columns: dict[str, Array] = dict(columns)
        self._base: Batch | None = None
        self._index: Array | None = None
        self._present: Array | None = None
        self._shared: dict[Any, Any] = {}
        lengths = {len(column) for column in self._columns.values()}
        missing = set(schema.names) - self._columns.keys() - DERIVED
        if len(lengths) != 1 or missing:
            raise ValueError(
                f"a batch of {schema.name}: lengths {lengths}, missing {sorted(missing)}"
            )
        self._length = lengths.pop()
        for column in self._columns.values():
            column.flags.writeable = False

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, name: str) -> Array:
        column = self._columns.get(name)
        if column is None:
            column = self._make(name)
            column.flags.writeable = False
            self._columns[name] = column
        return column

    def _make(self, name: str) -> Array:
        if name in DERIVED and name in self.schema.names and not self.holds(name):
            if name in tasks.COLUMNS:
                return tasks.read(self, name, _MADE[name])
            if name == "task":
                return np.zeros(self._length, np.uint32)
            if name == "sample_rate":
                return sampling.of_calls(self.origin.rates, self["syscall"])
            if name in _MADE:
                if self._present is None:
                    self._present = kinds.occurring(self["syscall"])
                return kinds.read(self, name, _MADE[name], self._present)
        if self._base is not None:
            column = self._base[name]
            return column.view() if self._index is None else column[self._index]
        if name == "family" and "syscall" in self._columns:
            return kinds.family_of(self.origin.arch)[self["syscall"]]
        raise KeyError(f"no column '{name}' in a batch of {self.schema.name}")

    def once(self, make: Callable[[Batch], Any]) -> Any:
        """Return what `make` makes of this batch: once for all who ask for it."""
        if make not in self._shared:
            self._shared[make] = make(self)
        return self._shared[make]

    def holds(self, name: str) -> bool:
        """Return whether a column is at hand, here or in what this was chosen from."""
        part: Batch | None = self
        while part is not None and name not in part._columns:
            part = part._base
        return part is not None

    def column(self, name: str) -> Column:
        """Return what a column holds. Raises KeyError if the schema has none of that name."""
        for column in self.schema.columns:
            if column.name == name:
                return column
        raise KeyError(f"no column '{name}' in a batch of {self.schema.name}")

    def select(self, chosen: Array) -> Batch:
        """Return the rows chosen by a boolean mask, an index array or a slice's `arange`.

        Columns are gathered when they are first read. A mask that keeps all returns self.
        """
        if chosen.dtype == np.bool_:
            chosen = np.flatnonzero(chosen)
            if len(chosen) == self._length:
                return self
        part = Batch.__new__(Batch)
        part.schema, part.names, part.origin = self.schema, self.names, self.origin
        part._columns, part._length, part._present, part._shared = {}, len(chosen), None, {}
        if self._base is not None and not self._columns and self._index is not None:
            part._base, part._index = self._base, self._index[chosen]
        else:
            part._base, part._index = self, chosen
        return part

    def with_columns(self, added: Mapping[Column, Array | Sequence[Any]]) -> Batch:
        """Return a batch with columns added, or replaced where the name exists.

        A column is an array or list, one value a row; a text column is an array of codes or
        a list of str. Raises ValueError for another length, or values that do not fit.
        """
        part = Batch.__new__(Batch)
        part.schema, part.names, part.origin = self.schema.adding(added), self.names, self.origin
        part._columns = {column.name: self._fitting(column, v) for column, v in added.items()}
        part._base, part._index, part._length = self, None, self._length
        part._present, part._shared = None, {}
        return part

    def _fitting(self, column: Column, values: Array | Sequence[Any]) -> Array:
        if column.kind == "text" and not isinstance(values, np.ndarray):
            values = [v if isinstance(v, int) else self.names.intern(v) for v in values]
        given = np.asarray(values)
        shape = (self._length, 5) if column.kind == "words" else (self._length,)
        if given.shape != shape:
            raise ValueError(f"column '{column.name}' has the shape {given.shape}, not {shape}")
        array = given.astype(column.dtype, copy=False)
        if array.dtype != given.dtype and array.dtype.kind != "f" and not (array == given).all():
            raise ValueError(f"column '{column.name}' has values that are no {column.dtype}")
        if array is values:  # leave the caller's own as it is
            array = array.view()
        array.flags.writeable = False
        return array

    def text(self, name: str) -> list[str]:
        """Return a column as text, one string a row; "" where it is empty."""
        column, values = self.column(name), self[name]
        decode = decoder(column.kind, self)
        if decode is None:
            raise TypeError(f"column '{name}' has no text form")
        distinct, inverse = np.unique(values, return_inverse=True)
        texts = [
            "" if column.empty is not None and value == column.empty else decode(value)
            for value in distinct.tolist()
        ]
        return [texts[i] for i in inverse.tolist()]

    def map_text(self, name: str, function: Callable[[str], str]) -> Array:
        """Apply `function` to a text column; return the codes of what it makes.

        `function` is called once for each distinct name, over all batches of one dictionary
        as long as it is the same function object: define it once, at the top of a file.
        """
        if self.column(name).kind != "text":
            raise TypeError(f"column '{name}' is no text column")
        return self.names.mapped(self[name], function)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield each row as a dict, text decoded, empty cells None. For people, not for speed."""
        cells: dict[str, Sequence[Any]] = {}
        for column in (column for column in self.schema.columns if column.kind != "task"):
            if column.kind in _CODED:
                cells[column.name] = self.text(column.name)
            else:
                values = self[column.name].tolist()
                cells[column.name] = [None if v == column.empty else v for v in values]
        for i in range(self._length):
            yield {name: values[i] for name, values in cells.items()}

    def arrow(self) -> pyarrow.RecordBatch:
        """Return the rows as an Arrow record batch; text is dictionary-encoded, empty is null.

        Raises MissingExtra without pyarrow.
        """
        from ior.arrow import record_batch  # noqa: PLC0415 - pyarrow is an extra

        fields = []
        for column in (column for column in self.schema.columns if column.kind != "task"):
            decode = decoder(column.kind, self) if column.kind in _CODED else None
            fields.append((column, self[column.name], decode))
        return record_batch(self.schema.name, fields)

    def nbytes(self) -> int:
        """Return the bytes that the columns of this batch itself hold."""
        return sum(column.nbytes for column in self._columns.values())


def concat(batches: Sequence[Batch]) -> Batch:
    """Join batches of one schema and one `Names` into one. Raises ValueError otherwise."""
    first = batches[0]
    if any(b.schema != first.schema or b.names is not first.names for b in batches):
        raise ValueError("batches of different schemas or names cannot be joined")
    held = [n for n in first.schema.names if n not in DERIVED or any(b.holds(n) for b in batches)]
    columns = {name: np.concatenate([b[name] for b in batches]) for name in held}
    return Batch(first.schema, columns, first.names, first.origin)


def decoder(kind: str, batch: Batch) -> Callable[[int], str] | None:
    """Return the function from one value of a column of `kind` to its text."""
    if kind == "text":
        return batch.names.text
    if kind == "syscall":
        return syscalls.table(batch.origin.arch).name
    if kind == "family":
        return syscalls.table(batch.origin.arch).families.__getitem__
    if kind == "errno":
        return syscalls.errno_name
    if kind == "state":
        return lambda value: FileState(value).name.lower()
    return None if kind in RAW else str
