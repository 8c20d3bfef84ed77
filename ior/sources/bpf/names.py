"""From the ids of the kernel side to codes of `Names`.

The programs announce a name once and then send 64-bit ids. `NameIds` keeps what was
announced, makes text of it, and turns whole columns of ids into codes with a vectorised
open-addressing lookup: no Python per call, a microsecond or two per new name.

Memory is bounded by two generations. When the young one is over its budget it becomes the
old one, the programs are told to announce again what is still in use, and what arrives
meanwhile with an id from before is taken over from the old generation. Calls that wait long
carry ids from long ago: these are taken over at every turn.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ior.names import FileState, Names
from ior.sources.bpf import addresses, records
from ior.tasks import Task
from ior.text import escape

_HEADER = struct.Struct(records.NAME_STRUCT)
_LOST: Final = "unknown"
_ID_BYTES: Final = 120  # what one id takes in the tables here, whatever its text, measured

# include/uapi/linux/magic.h; what the kernel calls a file that has no place in a directory
_PSEUDO: Final = {
    0x50495045: "pipe",
    0x534F434B: "socket",
    0x444D4142: "dmabuf",
}
_ANON_INODE: Final = 0x09041934
_NAMESPACE: Final = 0x6E736673
_PIDFD: Final = 0x50494446  # a file system of its own since 6.9; /proc/PID/fd shows what it was


class _Generation:
    """One `Names` with the ids that lead into it."""

    def __init__(self) -> None:
        self.names = Names()
        self.codes: dict[int, int] = {}
        self.cut: set[int] = set()  # codes of names that are not whole
        self.facts: dict[int, int] = {}  # of tasks, by id: the code of `Task.text`
        self._unplaced: list[int] = []  # ids of `codes` that are not in the tables yet
        self._allot(1 << 12)

    def _allot(self, size: int) -> None:
        self._ids = np.zeros(size, np.uint64)
        self._slots = np.zeros(size, np.uint32)
        self._facts = np.zeros(size, np.uint32)

    def intern(self, text: str, state: int = FileState.OK) -> int:
        """Return the code of a text in a state."""
        code = self.names.intern(text, state)
        if state == FileState.CUT:
            self.cut.add(code)
        return code

    def add(self, id_: int, code: int, facts: int = 0) -> None:
        """Remember the code of an id, of a task also that of its facts; the first one stays."""
        if id_ in self.codes:
            return
        self.codes[id_] = code
        self._unplaced.append(id_)
        if facts:
            self.facts[id_] = facts

    def _place(self) -> None:
        """Put the ids that came since the last time into the tables, all at once."""
        new = self._unplaced
        if len(self.codes) * 2 > len(self._ids):
            self._allot(1 << (len(self.codes) * 4).bit_length())
            new = list(self.codes)
        ids = np.array(new, np.uint64)
        codes = np.array([self.codes[id_] for id_ in new], np.uint32)
        known = self.facts.get
        facts = np.array([known(id_, 0) for id_ in new], np.uint32)
        self._unplaced = []
        mask = len(self._ids) - 1
        at = ((ids >> np.uint64(8)) & np.uint64(mask)).view(np.intp)
        while len(ids):
            free = self._ids.take(at) == 0
            self._ids[at[free]] = ids[free]  # of two that claim one place the last gets it
            placed = free & (self._ids.take(at) == ids)
            self._slots[at[placed]] = codes[placed]
            self._facts[at[placed]] = facts[placed]
            left = ~placed
            ids, codes, facts, at = ids[left], codes[left], facts[left], (at[left] + 1) & mask

    def lookup(
        self, ids: npt.NDArray[np.uint64]
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.intp], Any]:
        """Return the codes of `ids`, places for `facts_at`, and where there was none (0)."""
        if self._unplaced:
            self._place()
        rows = len(ids)
        if rows > 1 and not (ids != ids[0]).any():  # of one task, say
            code, slot, unknown = self.lookup(ids[:1])
            everywhere = np.arange(rows) if len(unknown) else unknown
            return np.repeat(code, rows), np.repeat(slot, rows), everywhere
        mask = len(self._ids) - 1
        slots = ((ids >> np.uint64(8)) & np.uint64(mask)).view(np.intp)
        wrong = np.flatnonzero(self._ids.take(slots) != ids)
        missing = []
        while len(wrong):
            present = self._ids[slots[wrong]]
            hit = present == ids[wrong]
            end = (present == 0) & ~hit
            missing.append(wrong[end])
            wrong = wrong[~hit & ~end]
            slots[wrong] = (slots[wrong] + 1) & mask
        unknown = np.concatenate(missing) if missing else wrong
        return self._slots.take(slots), slots, unknown[ids[unknown] != 0]

    def facts_at(self, slots: npt.NDArray[np.intp]) -> npt.NDArray[np.uint32]:
        """Return the codes of tasks' facts, 0 for what is no task."""
        return self._facts.take(slots)


class NameIds:
    """What the programs have announced, bounded to about `budget` bytes.

    Ids count too: every process has one of its own, and most have no text of their own.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._young, self._old = _Generation(), _Generation()
        self._waiting: set[int] = set()
        self.unresolved = 0  # ids in records that nobody announced

    @property
    def names(self) -> Names:
        """The dictionary that codes of `codes` belong to."""
        return self._young.names

    @property
    def over_budget(self) -> bool:
        """Tell whether `turn` is due."""
        young = self._young
        return young.names.size_bytes + len(young.codes) * _ID_BYTES > self._budget

    @property
    def unknown(self) -> int:
        """The code of a name that was lost."""
        return self.names.intern(_LOST, FileState.UNKNOWN)

    def turn(self, waiting: npt.NDArray[np.uint64]) -> None:
        """Begin a new generation; tell the programs to announce again after this.

        `waiting` are the ids of calls that have not returned. They stay known for the next
        generation, and for one more: the record may be on its way at the next turn.
        """
        now = set(waiting.tolist()) - {0}
        for id_ in now | self._waiting:
            self._code(id_)
        self._waiting = now
        self._old, self._young = self._young, _Generation()

    def learn(self, announcements: Iterable[bytes]) -> None:
        """Take announcements, in the order in which they were made."""
        young = self._young
        known, intern, add, header = young.codes, young.intern, young.add, _HEADER.unpack_from
        for payload in announcements:
            id_, kind, state, length, magic, *words = header(payload)
            if id_ in known:
                continue
            raw = payload[_HEADER.size : _HEADER.size + length]
            if kind == records.NAME_FILE:
                text = _path_of(raw, whole=state != FileState.CUT)
            elif kind == records.NAME_PATH:
                text, state = self._joined(raw, words[0], state)
            elif kind == records.NAME_PSEUDO:
                text = _pseudo(raw, magic, words[1])
            elif kind == records.NAME_SOCKET:
                text = addresses.socket_text(words[0], words[1], raw, words[2])
            elif kind == records.NAME_ADDRESS:
                text = addresses.address_text(words[0], raw)
            else:
                comm, _, cgroup = raw.partition(b"\0")
                facts = _facts(words, cgroup, whole=state != FileState.CUT)
                add(id_, intern(escape(comm)), intern(facts))
                continue
            add(id_, intern(text, state))

    def _joined(self, raw: bytes, directory: int, state: int) -> tuple[str, int]:
        if raw.startswith(b"/"):
            return "/" + _clean(raw), state
        if not directory:
            return escape(raw), state
        code = self._code(directory)
        if code is None:
            return escape(raw), FileState.UNKNOWN
        if code in self._young.cut:
            state = FileState.CUT
        return f"{self.names.text(code).rstrip('/')}/{_clean(raw)}".rstrip("/") or "/", state

    def _code(self, id_: int) -> int | None:
        """Return the code of one id, taking it over from the old generation if need be."""
        code = self._young.codes.get(id_)
        if code is None and (old := self._old.codes.get(id_)) is not None:
            names = self._old.names
            code = self._young.intern(names.text(old), int(names.states[old]))
            facts = names.text(self._old.facts.get(id_, 0))
            self._young.add(id_, code, self._young.intern(facts))
        return code

    def codes(self, ids: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint32]:
        """Return the codes of a column of ids; 0 for id 0.

        An id that nobody announced gets the text "unknown" in state UNKNOWN, and is counted.
        """
        return self._looked_up(ids)[0]

    def tasks(
        self, ids: npt.NDArray[np.uint64]
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
        """Return the codes of a column of tasks: commands, and texts of `ior.tasks`."""
        codes, slots, missing = self._looked_up(ids)
        facts = self._young.facts_at(slots)
        if len(missing):  # taken over from the old generation by now, or unknown
            facts[missing] = self._young.facts_at(self._young.lookup(ids[missing])[1])
        return codes, facts

    def _looked_up(self, ids: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.uint32], Any, Any]:
        codes, slots, missing = self._young.lookup(ids)
        for id_ in np.unique(ids[missing]).tolist() if len(missing) else ():
            rows = missing[ids[missing] == id_]
            code = self._code(id_)
            if code is None:
                self.unresolved += len(rows)
                code = self.unknown
            codes[rows] = code
        return codes, slots, missing

    def nameless(self, values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint32]:
        """Return codes for files whose announcement was lost: `dev << 32 | inode` each."""
        distinct, inverse = np.unique(values, return_inverse=True)
        codes = [self.names.intern(_nameless(v), FileState.UNKNOWN) for v in distinct.tolist()]
        return np.array(codes, np.uint32)[inverse]


def _facts(words: list[int], cgroup: bytes, *, whole: bool) -> str:
    """Return what is known of a task as `ior.tasks` reads it."""
    path = _path_of(cgroup, whole=whole)
    return Task(words[0] & 0xFFFFFFFF, words[1], words[2], path).text()


def _path_of(raw: bytes, *, whole: bool) -> str:
    """Turn components, leaf first and NUL-terminated, into a path."""
    path = b"/".join(raw.split(b"\0")[-2::-1])
    return escape(b"/" + path if whole else path)


def _clean(raw: bytes) -> str:
    """Drop empty and `.` components, as opening the path would; `..` stays: it may cross a link."""
    if b"//" in raw or b"/." in raw or raw[:1] == b"." or raw[-1:] == b"/":
        raw = b"/".join([part for part in raw.split(b"/") if part not in (b"", b".")])
    return escape(raw.removeprefix(b"/"))


def _pseudo(raw: bytes, magic: int, inode: int) -> str:
    name = raw.split(b"\0")[0]
    if magic == _ANON_INODE:
        return "anon_inode:" + escape(name)
    if magic == _PIDFD:
        return "anon_inode:[pidfd]"
    if magic == _NAMESPACE:
        return f"{escape(name)}:[{inode}]"
    if magic in _PSEUDO:
        return f"{_PSEUDO[magic]}:[{inode}]"
    return escape(name.removeprefix(b"/")) or f"file:[{inode}]"


def _nameless(value: int) -> str:
    if not value:
        return ""
    device = value >> 32
    return f"{_LOST}:[{device >> 20}:{device & 0xFFFFF} {value & 0xFFFFFFFF}]"
