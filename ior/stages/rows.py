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

Array = npt.NDArray[Any]

_NO_BYTES, _RETURN, _RULE = 0, 1, 2
_MSG_PEEK: Final = 0x2

# Calls whose positive return is not always bytes moved: the argument word that tells, and how.
_SIZE_PROBES: Final = {
    "getxattr": 2,
    "lgetxattr": 2,
    "fgetxattr": 2,
    "listxattr": 1,
    "llistxattr": 1,
    "flistxattr": 1,
}
_RECEIVES: Final = {"recvfrom": (2, 1), "recvmsg": (1, None)}  # words: flags, buffer's length


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
        self._bytes = np.zeros(1 << 16, np.uint8)
        for call in table.by_nr.values():
            if call.byte_class != "-":
                ruled = call.tracepoint in _SIZE_PROBES or call.tracepoint in _RECEIVES
                self._bytes[call.nr] = _RULE if ruled else _RETURN

    def make(self, whole: Whole) -> Batch:
        """Return the calls of whole halves, in their order."""
        halves = whole.halves
        self._by_number(halves.origin.arch)
        count = len(halves)
        nr, ret = np.ascontiguousarray(halves["nr"]), np.ascontiguousarray(halves["ret"])
        enter_ns, exit_ns = np.ascontiguousarray(halves["enter_ns"]), halves["exit_ns"]
        latency = (exit_ns - enter_ns).astype(np.int64)
        latency[(exit_ns == 0) | (latency < 0)] = NONE_NS
        errno, is_error = self._errors(ret)
        file, asked = self._files(halves)
        columns = {
            "seq": np.arange(self._seq, self._seq + count, dtype=np.uint64),
            "time_ns": enter_ns,
            "gap_ns": whole.gap_ns,
            "latency_ns": latency,
            "comm": halves["comm"],
            "pid": np.ascontiguousarray(halves["pid"]),
            "tid": np.ascontiguousarray(halves["tid"]),
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
        }
        self._seq += count
        return Batch(CALLS, columns, halves.names, halves.origin)

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
        return file, np.where(asked == file, np.uint32(0), asked)

    @staticmethod
    def _states(halves: Batch, file: Array) -> Array:
        state = halves.names.states[file]
        unreadable = (halves["flags"] & Flag.UNREADABLE) != 0
        if unreadable.any():
            state = np.where(unreadable & (file == 0), np.uint8(FileState.UNREADABLE), state)
        return state

    def _moved(self, nr: Array, ret: Array, halves: Batch) -> Array:
        rule = self._bytes[nr]
        moved = np.where((rule != _NO_BYTES) & (ret > 0), ret, 0)
        ruled = np.flatnonzero(rule == _RULE)
        if len(ruled):
            moved[ruled] = self._by_rule(nr[ruled], moved[ruled], halves["args"][ruled])
        return moved

    def _by_rule(self, nr: Array, moved: Array, args: Array) -> Array:
        """Apply the exceptions: a probe for a size and a peek move nothing."""
        for name, word in _SIZE_PROBES.items():
            moved[(nr == self._table.nr(name)) & (args[:, word] == 0)] = 0
        for name, (flags, length) in _RECEIVES.items():
            these = nr == self._table.nr(name)
            moved[these & ((args[:, flags] & np.uint64(_MSG_PEEK)) != 0)] = 0
            if length is not None:
                bound = np.minimum(args[:, length], np.uint64(1 << 62)).astype(np.int64)
                moved = np.where(these, np.minimum(moved, bound), moved)
        return moved
