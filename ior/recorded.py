"""Blocks of a recording, as `ior.recording` writes them, back into batches.

Recordings are input from anywhere: nothing is unpickled, every size has a bound, every
code and number is checked before a `Batch` is made of it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np

from ior import syscalls
from ior.calls import CALLS, DERIVED, HALVES, MAX_CALLS, Array, Batch, Column, Origin, Schema
from ior.names import FileState, Names
from ior.recording import (
    MAX_NAMES,
    MAX_PAYLOAD,
    SLOTS,
    VERSION,
    BatchBlock,
    Block,
    BrokenRecording,
    End,
    Head,
    NamesBlock,
    dtype_of,
)

_ARCHES = ("x86_64", "arm64")
_CODED = ("text", "task", "syscall", "family", "errno", "state")
_KINDS = (*_CODED, "int", "bool", "time", "duration", "size", "words")
_DTYPE = re.compile(r"[iu][1248]|f[48]|\?")
_Payload = TypeVar("_Payload", bound=msgspec.Struct)


class Part(NamedTuple):
    """The rows of one block, of the right sizes, whose values were not looked at yet."""

    body: BatchBlock
    names: Names

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.body.rows

    def goes_with(self, other: Part) -> bool:
        """Return whether both can be in one batch."""
        one, two = self.body, other.body
        same = (one.arch, one.wall_offset_ns) == (two.arch, two.wall_offset_ns)
        return same and self.names is other.names


class Decoder:
    """Turns blocks into batches. Every method raises BrokenRecording for what cannot be."""

    def __init__(self, first: Block) -> None:
        """Take the first block."""
        if first.kind != b"H":
            raise BrokenRecording("it does not begin with its schema")
        self.head = _json(first.payload, Head)
        if self.head.version != VERSION:
            raise BrokenRecording(
                f"its format is version {self.head.version}; this ior reads version {VERSION}"
            )
        _check_arch(self.head.arch)
        self._rates = tuple(self.head.rates)
        if not all(0 <= nr < syscalls.NR_LIMIT and 0 <= rate < 1 << 32 for nr, rate in self._rates):
            raise BrokenRecording("it has an impossible rate")
        self.schema = _schema(self.head)
        self._widths = {column.name: _width(column) for column in self.head.columns}
        self._by_name = {column.name: column for column in self.schema.columns}
        self.end: End | None = None
        self._slots: dict[int, Names] = {}

    def block(self, one: Block) -> Batch | None:
        """Take the next block; return a batch if it is one."""
        part = self.part(one)
        return None if part is None else self.batch([part])

    def part(self, one: Block) -> Part | None:
        """Take the next block; return its rows if it has some."""
        if self.end is not None:
            raise BrokenRecording("something stands behind the end")
        if one.kind == b"N":
            self._take_names(_unpack(one.payload, NamesBlock))
        elif one.kind == b"B":
            return self._part(_unpack(one.payload, BatchBlock))
        elif one.kind == b"E":
            self.end = _json(one.payload, End)
        else:
            raise BrokenRecording(f"no block has the kind {one.kind!r}")
        return None

    def _take_names(self, new: NamesBlock) -> None:
        if not 0 <= new.slot < SLOTS or len(new.texts) != len(new.states):
            raise BrokenRecording("a block of names does not hold together")
        if new.first == 1 and not new.texts:
            self._slots[new.slot] = Names()
        names = self._slots.get(new.slot)
        if names is None or len(names) != new.first:
            raise BrokenRecording("a block of names is missing")
        for code, (raw, state) in enumerate(zip(new.texts, new.states, strict=True), new.first):
            try:
                text = raw.decode("utf-8", "surrogatepass")
                known = names.intern(text, FileState(state))
            except ValueError as error:
                raise BrokenRecording("a name is not one") from error
            if known != code or names.size_bytes > MAX_NAMES:
                raise BrokenRecording("a name comes twice, or there are too many")

    def _part(self, body: BatchBlock) -> Part:
        _check_arch(body.arch)
        names = self._slots.get(body.slot)
        if names is None or len(body.columns) != len(self._widths):
            raise BrokenRecording("a batch lacks names or columns")
        if not 0 < body.rows <= MAX_CALLS or abs(body.wall_offset_ns) >= 1 << 62:
            raise BrokenRecording("a batch has an impossible size or clock")
        for raw, (name, width) in zip(body.columns, self._widths.items(), strict=True):
            if len(raw) != body.rows * width:
                raise BrokenRecording(f"column '{name}' has the wrong length")
        return Part(body, names)

    def batch(self, parts: Sequence[Part]) -> Batch:
        """Return a batch of the rows of parts that go together, one after the other."""
        (body, names), columns = parts[0], {}
        for i, name in enumerate(self._widths):
            raw = b"".join(part.body.columns[i] for part in parts)
            columns[name] = _values(self._by_name[name], raw, len(names), body.arch)
        origin = Origin(body.arch, body.wall_offset_ns, self._rates)
        return Batch(self.schema, columns, names, origin)


def _width(column: Column) -> int:
    """Return the bytes of a value."""
    return (5 if column.kind == "words" else 1) * dtype_of(column).itemsize


def _values(column: Column, raw: bytes, codes: int, arch: str) -> Array:
    """Return a column's values, each of which is one that the column may hold."""
    dtype = dtype_of(column)
    if dtype.kind == "b":
        truths: Array = np.frombuffer(raw, np.uint8) != 0
        return truths
    values = np.frombuffer(raw, dtype)
    if column.kind == "words":
        return values.reshape(-1, 5)
    limits = {"text": codes, "task": codes, "syscall": syscalls.NR_LIMIT, "state": len(FileState)}
    limit = limits.get(column.kind)
    if column.kind == "family":
        limit = len(syscalls.table(arch).families)
    if limit is not None and int(values.max()) >= limit:
        raise BrokenRecording(f"column '{column.name}' holds an unknown {column.kind}")
    return values


def _schema(head: Head) -> Schema:
    """Return the schema of a recording: ours where the columns are, else one that is safe.

    A column that an older ior did not have yet, and that follows from others, is empty.
    """
    known = {"halves": HALVES, "calls": CALLS}.get(head.schema)
    ours = {column.name: column for column in known.columns} if known else {}
    columns = []
    for column in head.columns:
        match = ours.pop(column.name, None)
        if match is not None and match._replace(doc="") == column._replace(doc=""):
            columns.append(match)
        elif match is None and _is_sound(column):
            columns.append(column)
        else:
            raise BrokenRecording(f"its column {column.name[:40]!r} is not what it is in this ior")
    later = [column for column in ours.values() if column.name in DERIVED]
    if known is not None and later and len(later) == len(ours):
        ours, columns = {}, [*columns, *later]
    if ours or not columns or len({column.name for column in columns}) != len(columns):
        lacks = f"; it lacks '{next(iter(ours))}'" if ours else ""
        raise BrokenRecording(f"its columns are not those of {head.schema[:40]!r}{lacks}")
    schema = Schema(head.schema, tuple(columns))
    return known if known is not None and schema == known else schema


def _is_sound(column: Column) -> bool:
    """Return whether a column that is not ours has a type that its kind can have."""
    if column.kind not in _KINDS or not _DTYPE.fullmatch(column.dtype):
        return False
    if column.kind in _CODED:
        return column.dtype.startswith("u")
    return True


def _check_arch(arch: str) -> None:
    if arch not in _ARCHES:
        raise BrokenRecording(f"it was recorded on an unknown architecture {arch[:20]!r}")


def _unpack(payload: bytes, kind: type[_Payload]) -> _Payload:
    """Inflate a payload up to the bound and decode it."""
    inflate = zlib.decompressobj()
    try:
        body = inflate.decompress(payload, MAX_PAYLOAD)
        if not inflate.eof:
            raise BrokenRecording("a block is larger than blocks are, or cut")
        return msgspec.msgpack.decode(body, type=kind)
    except (zlib.error, msgspec.DecodeError, RecursionError) as error:
        raise BrokenRecording("a block cannot be decoded") from error


def _json(payload: bytes, kind: type[_Payload]) -> _Payload:
    try:
        return msgspec.json.decode(payload, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BrokenRecording("a block cannot be decoded") from error
