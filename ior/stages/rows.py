"""From whole halves to the columns that make a call.

`seq`, `latency_ns`, `bytes`, `errno`, `is_error` and the choice between the opened file and
the path that was asked for: docs/rows.md says what each means.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ior import syscalls
from ior.calls import CALLS, NONE_NS, RESTART_CODES, Batch, Flag
from ior.names import FileState
from ior.stages.restarts import Whole
from ior.transfers import BUFFER_WORD, RECEIVE_FLAGS_WORD, RULED, SIZE_WORD

Array = npt.NDArray[Any]

_NOTHING, _RETURN, _RULE = 0, 1, 2  # what a positive return says about bytes
_MSG_PEEK: Final = 0x2


class Rows:
    """Makes batches of calls; numbers them."""

    def __init__(self) -> None:
        self._seq = 0
        self._arch = ""

    def _by_number(self, arch: str) -> None:
        if arch == self._arch:
            return
        self._arch = arch
        self._table = table = syscalls.table(arch)
        self._says = np.full(1 << 16, _NOTHING, np.uint8)
        for call in table.by_nr.values():
            if call.byte_class != "-":
                self._says[call.nr] = _RULE if call.tracepoint in RULED else _RETURN

    def make(self, whole: Whole) -> Batch:
        """Return the calls of whole halves, in their order."""
        halves = whole.halves
        self._by_number(halves.origin.arch)
        count = len(halves)
        nr, ret, enter_ns = halves["nr"], halves["ret"], halves["enter_ns"]
        errno, is_error = self._errors(ret)
        file, asked = self._files(halves)
        columns = {
            "seq": np.arange(self._seq, self._seq + count, dtype=np.uint64),
            "time_ns": enter_ns,
            "gap_ns": whole.gap_ns,
            "latency_ns": self._latency(enter_ns, halves["exit_ns"]),
            "comm": halves["comm"],
            "pid": halves["pid"],
            "tid": halves["tid"],
            "syscall": nr,
            "fd": halves["fd"],
            "ret": ret,
            "errno": errno,
            "is_error": is_error,
            "bytes": self._moved(nr, ret, halves),
            "file": file,
            "old_file": halves["old_file"],
            "fd2": halves["fd2"],
            "fd_flags": halves["fd_flags"],
            "asked": asked,
            "file_state": self._states(halves, file),
            "restarts": whole.restarts,
            "filter_epoch": halves["epoch"],
            "args": halves["args"],
            "task": halves["task"],
        }
        self._seq += count
        return Batch(CALLS, columns, halves.names, halves.origin)

    @staticmethod
    def _latency(enter_ns: Array, exit_ns: Array) -> Array:
        """Return exit - enter; NONE_NS for a call that never returns: its exit_ns is 0."""
        return np.maximum((exit_ns - enter_ns).view(np.int64), NONE_NS)

    @staticmethod
    def _errors(ret: Array) -> tuple[Array, Array]:
        failed = (ret < 0) & (ret >= -4095)
        if failed.any():
            failed &= ~np.isin(ret, RESTART_CODES)
            return np.where(failed, -ret, 0).astype(np.uint16), failed
        return np.zeros(len(ret), np.uint16), failed

    @staticmethod
    def _files(halves: Batch) -> tuple[Array, Array]:
        """Return `file`, the asked path where there is no other, and `asked` where it differs."""
        file, asked = halves["file"], halves["asked"]
        if not asked.any():
            return file, asked
        file = np.where(file == 0, asked, file)
        asked = np.where(asked == file, np.uint32(0), asked)
        # The same text has another code in another state: of a file that was deleted since, say.
        names, states = halves.names, halves.names.states
        for i in np.flatnonzero((asked != 0) & (states[asked] != states[file])).tolist():
            if names.text(asked[i]) == names.text(file[i]):
                asked[i] = 0
        return file, asked

    @staticmethod
    def _states(halves: Batch, file: Array) -> Array:
        """Return what is known about `file`; unreadable also stands for an old file's path."""
        state = halves.names.states.take(file)
        unreadable = (halves["flags"] & Flag.UNREADABLE) != 0
        if unreadable.any():  # a descriptor's file is known without the path argument
            nameless = (file == 0) | ((halves["old_file"] == 0) & (halves["fd"] < 0))
            state[unreadable & nameless] = FileState.UNREADABLE
        return state

    def _moved(self, nr: Array, ret: Array, halves: Batch) -> Array:
        says = self._says.take(nr)
        moved = np.where(says != _NOTHING, np.maximum(ret, 0), 0)
        ruled = np.flatnonzero(says == _RULE)
        if len(ruled):
            moved[ruled] = self._by_rule(nr[ruled], moved[ruled], halves["args"][ruled])
        return moved

    def _by_rule(self, nr: Array, moved: Array, args: Array) -> Array:
        """Apply the exceptions: asking for a size and peeking move nothing."""
        for name, word in SIZE_WORD.items():
            moved[(nr == self._table.nr(name)) & (args[:, word] == 0)] = 0
        for name, word in RECEIVE_FLAGS_WORD.items():
            peeks = (args[:, word] & np.uint64(_MSG_PEEK)) != 0
            moved[(nr == self._table.nr(name)) & peeks] = 0
        for name, word in BUFFER_WORD.items():
            length = np.minimum(args[:, word], np.uint64(1 << 62)).astype(np.int64)
            moved = np.where(nr == self._table.nr(name), np.minimum(moved, length), moved)
        return moved
