"""The rows of a table as parts of wholes: files in directories, processes under their parents."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ior import syscalls
from ior.snapshots import Table
from ior.stages.by import OTHER
from ior.stages.flamegraph import FlameSnapshot, path_frames
from ior.stages.tables import Detail
from ior.tasks import Task
from ior.ui.terms import NoTerm, equal, literal
from ior.ui.tree import Path, Tree

WEIGHTS = {"calls": "calls", "latency": "total", "bytes": "bytes", "errors": "errors"}
"""The weights of parts, each with the field that it comes from."""

GROUPINGS: Mapping[str, tuple[str, ...]] = {
    "syscall": ("family",),
    "file": ("directory",),
    "process": ("parent", "command", "cgroup", "container"),
}
"""What the rows of a table can be grouped by, the first unless told otherwise."""

_ID = re.compile("[0-9a-f]{64}")
_MOST = 100  # pids of a term
_KIND = re.compile("[a-z_0-9]+[ :]")  # of a file that has no path: what its text begins with
_NONE = {"cgroup": "(no cgroup known)", "container": "(no container)"}


class Detailed(Table, frozen=True, kw_only=True):
    """A table with what is behind its rows and, by pid, the tasks of processes.

    `detail` is None where it is not known.
    """

    detail: Detail | None = None
    tasks: Mapping[int, Task] = {}


class Parts(msgspec.Struct, frozen=True, eq=False):
    """A table that goes by `key`, its rows grouped by `by`.

    `node` is the node of the tree of each row, that of what has no row of its own last;
    `row` is the row of each node, -1 where it is only a whole; `kids` are the nodes in each.
    """

    key: str
    by: str
    table: Table
    snapshot: FlameSnapshot
    tree: Tree
    node: npt.NDArray[np.int64]
    row: list[int]
    kids: list[list[int]]

    def rows(self) -> Sequence[tuple[Any, ...]]:
        """Return the table's rows, that of what has no row of its own last."""
        rest = () if self.table.rest is None else (self.table.rest,)
        return (*self.table.rows, *rest)

    def label(self, node: int, above: int = 0) -> str:
        """Return what a node is called, with the names of so many of the wholes that it is in.

        Of a container's id it is the first part.
        """
        names = [self.tree.name[node]]
        pathless = self.key == "file" and not self.tree.path(node)[0].startswith("/")
        for _ in range(0 if pathless else above):
            node = int(self.tree.parent[node])
            names.append(self.tree.name[node])
        if self.by == "container":
            names = [name[:12] if _ID.fullmatch(name) else name for name in names]
        return "/".join(reversed(names))

    def text(self, node: int) -> str:
        """Return the whole way to a node; what has no path is called what its row is."""
        path = self.tree.path(node)
        if self.key == "file" and path and not path[0].startswith("/"):
            return path[-1]
        return "/".join(path)

    def own(self, node: int) -> tuple[Any, ...] | None:
        """Return the row of a node, None where it is only a whole."""
        at = self.row[node]
        return None if at < 0 else self.rows()[at]

    def under(self, node: int) -> Iterable[int]:
        """Yield a node and all nodes under it."""
        rest = [node]
        while rest:
            yield rest[-1]
            rest += self.kids[rest.pop()]

    def term(self, node: int) -> str:
        """Return the filter for all of a part. Raises NoTerm where no filter says it."""
        path = self.tree.path(node)
        if not path:
            raise NoTerm("this is everything: it is no filter")
        if path[-1] == OTHER:
            raise NoTerm(f"{OTHER} is what has no row of its own: no filter says it")
        inner = bool(self.kids[node])
        if self.key == "syscall":
            return f"{'family' if inner else 'syscall'} == {literal(path[-1])}"
        if self.key == "file":
            return _files_term(path, inner=inner)
        if self.row[node] < 0 and self.by != "parent":
            return self._group(path)
        rows = self.rows()
        pids = sorted({rows[self.row[n]][0] for n in self.under(node) if self.row[n] >= 0})
        if len(pids) > _MOST:
            raise NoTerm(f"{len(pids)} processes: a filter names at most {_MOST}")
        return f"pid == {pids[0]}" if len(pids) == 1 else f"pid in [{', '.join(map(str, pids))}]"

    def _group(self, path: Path) -> str:
        none = path[0] == _NONE.get(self.by)
        if self.by == "cgroup" and not none:
            return f"cgroup under {literal('/'.join(path))}"
        field = "comm" if self.by == "command" else self.by
        return equal(field, "" if none else path[0])


def parts_of(key: str, by: str, table: Table) -> Parts:
    """Group the rows of a table that goes by `key`."""
    names, parents = [""], [-1]
    kids: list[list[int]] = [[]]
    known: dict[tuple[int, str], int] = {}
    paths = list(_PATHS[key](table, by))
    if table.rest is not None:
        paths.append((OTHER,))
    nodes = []
    for path in paths:
        node = 0
        for name in path:
            child = known.get((node, name))
            if child is None:
                child = known[node, name] = len(names)
                names.append(name)
                parents.append(node)
                kids[node].append(child)
                kids.append([])
            node = child
        nodes.append(node)
    node_of = np.array(nodes, np.int64)
    row = [-1] * len(names)
    for i, node in enumerate(nodes):
        row[node] = i
    snapshot = _snapshot(table, by, names, parents, node_of)
    tree = Tree(snapshot.name, snapshot.parent, snapshot.self_weight)
    return Parts(key, by, table, snapshot, tree, node_of, row, kids)


def _snapshot(
    table: Table, by: str, names: list[str], parents: list[int], nodes: npt.NDArray[np.int64]
) -> FlameSnapshot:
    at = [field.name for field in table.fields]
    rows = table.rows if table.rest is None else (*table.rows, table.rest)
    weights = {}
    for weight, name in WEIGHTS.items():
        column = at.index(name)
        weights[weight] = np.zeros(len(names), np.int64)
        np.add.at(weights[weight], nodes, [int(row[column] or 0) for row in rows])
    return FlameSnapshot(
        stack=_STACKS[by],
        weight="calls",
        total=int(weights["calls"].sum()),
        parent=np.array(parents, np.int32),
        depth=np.zeros(len(parents), np.int32),  # drawing takes its own from `parent`
        name=tuple(names),
        self_weight=weights,
    )


def _syscalls(table: Table, by: str) -> Iterable[Path]:  # noqa: ARG001 (one of several)
    known = syscalls.table()
    return ((known.family(known.nr(row[0])), row[0]) for row in table.rows)


def _files(table: Table, by: str) -> Iterable[Path]:  # noqa: ARG001 (one of several)
    return (_file(row[0]) for row in table.rows)


def _file(text: str) -> Path:
    """Return the components of a path; what is none of a kind stands under that: sockets, pipes."""
    kind = None if text.startswith("/") else _KIND.match(text)
    return path_frames(text) if kind is None else (kind[0], text)


def _processes(table: Table, by: str) -> Iterable[Path]:
    tasks = table.tasks if isinstance(table, Detailed) else {}
    named = {row[0]: f"{row[0]} {row[1]}" for row in table.rows}
    if by == "parent":
        return _descents(named, tasks)
    return (
        (*_GROUPS[by](row[1], tasks.get(row[0])), named[row[0]]) if row[0] in named else ()
        for row in table.rows
    )


def _descents(named: Mapping[int, str], tasks: Mapping[int, Task]) -> Iterable[Path]:
    """Yield the way to each process from the first of its parents that is in the table.

    A parent that is not, as it made no call, is a whole if it is that of several processes.
    """
    found: dict[int, Path] = {}
    unseen = Counter(
        tasks[pid].ppid for pid in named if pid in tasks and tasks[pid].ppid not in named
    )
    for pid in named:
        way = [pid]
        while way[-1] not in found:
            task = tasks.get(way[-1])
            if task is None or task.ppid not in named or task.ppid in way:
                break
            way.append(task.ppid)
        first = tasks.get(way[-1])
        above: Path = ()
        if first is not None and first.ppid and unseen[first.ppid] > 1:
            above = (f"{first.ppid} (no calls here)",)
        for one in reversed(way):
            if one not in found:
                found[one] = (*above, named[one])
            above = found[one]
        yield found[pid]


def _cgroup(comm: str, task: Task | None) -> Path:  # noqa: ARG001 (one of several)
    return (path_frames(task.cgroup) if task else ()) or (_NONE["cgroup"],)


def _container(comm: str, task: Task | None) -> Path:  # noqa: ARG001 (one of several)
    return ((task.container if task else "") or _NONE["container"],)


def _command(comm: str, task: Task | None) -> Path:  # noqa: ARG001 (one of several)
    return (comm or "[unknown]",)


def _files_term(path: Path, *, inner: bool) -> str:
    if not path[0].startswith("/"):
        return f"file ^~ {literal(path[0])}" if inner else f"file == {literal(path[-1])}"
    text = literal("/".join(path))
    return f"path under {text}" if inner else f"file == {text}"


_PATHS: dict[str, Callable[[Table, str], Iterable[Path]]] = {
    "syscall": _syscalls,
    "file": _files,
    "process": _processes,
}
_GROUPS: dict[str, Callable[[str, Task | None], Path]] = {
    "command": _command,
    "cgroup": _cgroup,
    "container": _container,
}
_STACKS = {
    "family": ("family", "syscall"),
    "directory": ("path",),
    "parent": ("parent", "process"),
    "command": ("comm", "process"),
    "cgroup": ("cgroup", "process"),
    "container": ("container", "process"),
}
