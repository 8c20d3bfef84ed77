"""What is known of a call's thread beside its command: parent, user and control group.

A batch holds one code a call, in the column `task`; the text behind it is written here, once
for each distinct task, and read when somebody asks for `uid` or `cgroup`. So these columns cost
a call four bytes, and nothing where nobody looks.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ior.names import Names

Array = npt.NDArray[Any]

COLUMNS: Final = frozenset({"ppid", "uid", "cgroup_id", "cgroup", "container"})
"""The columns that `read` gives."""

# docker-ID.scope, cri-containerd-ID.scope, libpod-ID.scope, /docker/ID, /kubepods/.../ID
_CONTAINER: Final = re.compile(
    r"(?<![0-9a-f])([0-9a-f]{64})(?![0-9a-f])|/lxc(?:\.payload\.|/)([^/]+)"
)


class Task(NamedTuple):
    """The facts of one task; `cgroup` is a path in text-column form, from the root of all."""

    ppid: int
    uid: int
    cgroup_id: int
    cgroup: str

    def text(self) -> str:
        """Return the facts as the one text that `task_of` reads."""
        return f"{self.ppid} {self.uid} {self.cgroup_id} {self.cgroup}"

    @property
    def container(self) -> str:
        """The last container id in the cgroup, the innermost; "" without one."""
        found = _CONTAINER.findall(self.cgroup)
        return str(found[-1][0] or found[-1][1]) if found else ""


def task_of(text: str) -> Task | None:
    """Return the facts that `Task.text` wrote; None for any other text, such as none."""
    found = re.fullmatch(r"(\d{1,10}) (\d{1,10}) (\d{1,18}) (.*)", text, re.ASCII | re.DOTALL)
    return Task(int(found[1]), int(found[2]), int(found[3]), found[4]) if found else None


def _cgroup(text: str) -> str:
    task = task_of(text)
    return task.cgroup if task else ""


def _container(text: str) -> str:
    task = task_of(text)
    return task.container if task else ""


_TEXTS: Final = {"cgroup": _cgroup, "container": _container}


class Calls(Protocol):
    """What `read` needs of a batch."""

    names: Names

    def __getitem__(self, name: str, /) -> Array: ...


def read(batch: Calls, column: str, empty: Any) -> Array:
    """Return one of `COLUMNS`; `empty` is a numpy number of its type."""
    codes = batch["task"]
    if column in _TEXTS:
        return batch.names.mapped(codes, _TEXTS[column])
    distinct, inverse = np.unique(codes, return_inverse=True)
    tasks = [task_of(text) for text in batch.names.texts(distinct.tolist())]
    values = [empty if task is None else getattr(task, column) for task in tasks]
    return np.array(values, empty.dtype)[inverse]
