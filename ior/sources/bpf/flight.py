"""Calls that have not returned: what is every traced thread waiting for, and since when?

The programs keep the enter of each call in the storage of its task; an iterator over all tasks
gives them at any moment, whatever became of the ring. Of calls from before the trace another one
tells what the registers and descriptors of the sleeping task say.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ior import syscalls
from ior.calls import Flag
from ior.sources.bpf import records
from ior.sources.bpf.names import NameIds
from ior.text import escape
from ior.waiting import Earlier, Waiting

RECORD: Final = np.dtype(list(records.FIELDS))
"""One call in flight: a record without the ring's header."""


def in_flight(found: npt.NDArray[Any], ids: NameIds, arch: str, now_ns: int) -> tuple[Waiting, ...]:
    """Return what is known of records of `RECORD`, whose names `ids` has learned."""
    found = found[np.argsort(found["enter_ns"], kind="stable")]
    lost = (found["flags"] & (Flag.FILE_LOST | Flag.FILE2_LOST)) != 0
    texts = {
        name: ids.names.texts(ids.codes(np.where(lost, np.uint64(0), found[name])).tolist())
        for name in ("file", "file2")
    }
    comms = ids.names.texts(ids.tasks(np.ascontiguousarray(found["task"]))[0].tolist())
    name = syscalls.table(arch).name
    return tuple(
        Waiting(max(now_ns - enter_ns, 0), pid, tid, comm, name(nr), fd, file or second)
        for enter_ns, pid, tid, comm, nr, fd, file, second in zip(
            *(found[key].tolist() for key in ("enter_ns", "pid", "tid")),
            comms,
            *(found[key].tolist() for key in ("nr", "fd")),
            *texts.values(),
            strict=True,
        )
    )


class Sleepers:
    """Tells the calls from before the trace; what is told of one holds as long as it lasts."""

    def __init__(self, arch: str) -> None:
        self._arch = arch
        self._raw = b""
        self._known: dict[bytes, Earlier] = {}
        self._told: tuple[Earlier, ...] = ()

    def calls(self, found: npt.NDArray[Any]) -> tuple[Earlier, ...]:
        """Return the calls, those first that no signal wakes.

        `found` are records of `RECORD` whose words hold what `list_entered_before` says.
        """
        raw, size = found.tobytes(), RECORD.itemsize
        if raw != self._raw:
            keys = [raw[at : at + size] for at in range(0, len(raw), size)]
            fresh = [i for i, key in enumerate(keys) if key not in self._known]
            made = {keys[i]: call for i, call in zip(fresh, self._make(found[fresh]), strict=True)}
            self._raw, self._known = raw, {key: made.get(key) or self._known[key] for key in keys}
            self._told = tuple(sorted(self._known.values(), key=lambda call: not call.deaf))
        return self._told

    def _make(self, found: npt.NDArray[Any]) -> Iterator[Earlier]:
        name = syscalls.table(self._arch).name
        columns = (found[key].tolist() for key in ("pid", "tid", "nr", "fd", "args"))
        for pid, tid, nr, fd, words in zip(*columns, strict=True):
            file, deaf = _file(words[2], fd), bool(words[3])
            yield Earlier(pid, tid, _comm(words), name(nr), fd, file, deaf)


def _comm(words: list[int]) -> str:
    raw = b"".join(word.to_bytes(8, "little") for word in words[:2])
    return escape(raw.partition(b"\0")[0])


def _file(number: int, fd: int) -> str:
    """Return what the kernel calls the file behind a descriptor; nothing where it does not say."""
    if fd < 0 or not number:
        return ""
    try:
        return escape(os.readlink(f"/proc/{number}/fd/{fd}".encode()))
    except OSError:
        return ""
