r"""The format of recordings (`.ior`): batches as bytes, for the `capture` sink and `replay`.

A recording is `MAGIC`, then blocks. A block is a header (kind, length of the payload, CRC-32
of kind, length and payload; little-endian) and a payload: `H` the schema and where it was
recorded, once and first; `N` names that were added to a dictionary; `B` one batch; `E` the
end with the books of the source. A name comes before the first batch that uses it. Every
whole block can be read whatever comes after it, so a crash costs the last block at most.

Recordings are input from anywhere: nothing is unpickled, every size has a bound, every
code and number is checked before a `Batch` is made of it.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np

from ior import syscalls
from ior.calls import CALLS, DERIVED, HALVES, MAX_CALLS, Array, Batch, Column, Origin, Schema
from ior.names import FileState, Names

MAGIC = b"\x89ior\r\n\x1a\n"
VERSION = 1
BLOCK = struct.Struct("<cII")  # kind, length of the payload, CRC-32
MAX_PAYLOAD = 32 << 20  # bytes of a payload, compressed or not
MAX_NAMES = 1 << 30  # bytes of one dictionary
SLOTS = 2  # dictionaries that batches may refer to at one time

_NAMES_CHUNK = 1 << 20
_ARCHES = ("x86_64", "arm64")
_CODED = ("text", "task", "syscall", "family", "errno", "state")
_KINDS = (*_CODED, "int", "bool", "time", "duration", "size", "words")
_DTYPE = re.compile(r"[iu][1248]|f[48]|\?")
_Payload = TypeVar("_Payload", bound=msgspec.Struct)


class BrokenRecording(ValueError):
    """Bytes that are not a recording, or no longer one; the message says what is wrong."""


class Head(msgspec.Struct, frozen=True):
    """The first block: what the rows are and where they come from."""

    version: int
    schema: str
    columns: list[Column]
    arch: str
    wall_offset_ns: int
    rates: list[tuple[int, int]] = []


class NamesBlock(msgspec.Struct, frozen=True, array_like=True):
    """Names for the dictionary in `slot`, codes from `first` on; with none it begins anew."""

    slot: int
    first: int
    texts: list[bytes]
    states: bytes


class BatchBlock(msgspec.Struct, frozen=True, array_like=True):
    """One batch: the dictionary's slot, the origin, and each column's bytes in order."""

    slot: int
    arch: str
    wall_offset_ns: int
    rows: int
    columns: list[bytes]


class End(msgspec.Struct, frozen=True):
    """The last block: how many rows there are, and the counters of their source."""

    rows: int
    kernel: dict[str, int]


class Block(NamedTuple):
    """One block as it stands in a file."""

    kind: bytes
    payload: bytes


def block(kind: bytes, payload: bytes) -> bytes:
    """Return a block's bytes."""
    return BLOCK.pack(kind, len(payload), _crc(kind, payload)) + payload


def check(header: bytes, payload: bytes) -> Block:
    """Return the block that `header` announces. Raises BrokenRecording if the CRC differs."""
    kind, length, crc = BLOCK.unpack(header)
    if length != len(payload) or crc != _crc(kind, payload):
        raise BrokenRecording("the checksum of a block is wrong")
    return Block(kind, payload)


def payload_length(header: bytes) -> int:
    """Return how long the payload after `header` is. Raises BrokenRecording beyond the bound."""
    length = int(BLOCK.unpack(header)[1])
    if length > MAX_PAYLOAD:
        raise BrokenRecording("a block is longer than blocks are")
    return length


def _crc(kind: bytes, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(kind + len(payload).to_bytes(4, "little")))


class Encoder:
    """Turns batches of one schema and one recording into blocks."""

    def __init__(self) -> None:
        self.schema: Schema | None = None
        self.rows = 0
        self._slots: list[tuple[Names, int]] = []  # dictionaries and how much is written
        self._oldest = 0  # the slot to give up next

    def head(self, schema: Schema, origin: Origin) -> bytes:
        """Return the magic bytes and the first block."""
        self.schema = schema
        arch, offset_ns, rates = origin
        columns = list(schema.columns)
        head = Head(VERSION, schema.name, columns, arch, offset_ns, list(rates))
        return MAGIC + block(b"H", msgspec.json.encode(head))

    def batch(self, batch: Batch) -> bytes:
        """Return the blocks of `batch`: what its names have gained, and the rows.

        Raises ValueError for a batch of another schema than the first.
        """
        prefix = self.head(batch.schema, batch.origin) if self.schema is None else b""
        if batch.schema != self.schema:
            raise ValueError(f"a recording holds rows of one schema, not {batch.schema.name} too")
        for column in batch.schema.names:
            batch[column]  # what is computed now may add names
        slot, names = self._names(batch.names)
        parts = [prefix, *names]
        for start in range(0, len(batch), MAX_CALLS):
            rows = min(MAX_CALLS, len(batch) - start)
            columns = [
                np.ascontiguousarray(batch[c.name][start : start + rows])
                .astype(_dtype(c))
                .tobytes()
                for c in batch.schema.columns
            ]
            body = BatchBlock(slot, *batch.origin[:2], rows, columns)
            parts.append(block(b"B", _pack(body)))
        self.rows += len(batch)
        return b"".join(parts)

    def end(self, kernel: dict[str, int]) -> bytes:
        """Return the last block."""
        return block(b"E", msgspec.json.encode(End(self.rows, kernel)))

    def _names(self, names: Names) -> tuple[int, list[bytes]]:
        """Return the slot of a dictionary and the blocks with what is new in it."""
        slot = next((i for i, (known, _) in enumerate(self._slots) if known is names), None)
        blocks: list[bytes] = []
        if slot is None:
            slot = len(self._slots) if len(self._slots) < SLOTS else self._oldest
            self._oldest = (slot + 1) % SLOTS
            self._slots[slot : slot + 1] = [(names, 1)]
            blocks.append(block(b"N", _pack(NamesBlock(slot, 1, [], b""))))
        first = self._slots[slot][1]
        texts = [text.encode("utf-8", "surrogatepass") for text in names.since(first)]
        states = names.states[first:].tobytes()
        count = min(len(texts), len(states))  # another thread may be adding one just now
        self._slots[slot] = (names, first + count)
        start = size = 0
        for i in range(count):
            size += len(texts[i])
            if size >= _NAMES_CHUNK or i == count - 1:
                some = NamesBlock(slot, first + start, texts[start : i + 1], states[start : i + 1])
                blocks.append(block(b"N", _pack(some)))
                start, size = i + 1, 0
        return slot, blocks


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
        self._recorded = tuple(column.name for column in self.head.columns)
        self._by_name = {column.name: column for column in self.schema.columns}
        self.end: End | None = None
        self.rows = 0
        self._slots: dict[int, Names] = {}

    def block(self, one: Block) -> Batch | None:
        """Take the next block; return a batch if it is one."""
        if self.end is not None:
            raise BrokenRecording("something stands behind the end")
        if one.kind == b"N":
            self._take_names(_unpack(one.payload, NamesBlock))
        elif one.kind == b"B":
            return self._batch(_unpack(one.payload, BatchBlock))
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

    def _batch(self, body: BatchBlock) -> Batch:
        _check_arch(body.arch)
        names = self._slots.get(body.slot)
        if names is None or len(body.columns) != len(self._recorded):
            raise BrokenRecording("a batch lacks names or columns")
        if not 0 < body.rows <= MAX_CALLS or abs(body.wall_offset_ns) >= 1 << 62:
            raise BrokenRecording("a batch has an impossible size or clock")
        columns = {
            name: _values(self._by_name[name], raw, body.rows, len(names), body.arch)
            for name, raw in zip(self._recorded, body.columns, strict=True)
        }
        self.rows += body.rows
        origin = Origin(body.arch, body.wall_offset_ns, self._rates)
        return Batch(self.schema, columns, names, origin)


def _dtype(column: Column) -> np.dtype[Any]:
    return np.dtype(column.dtype).newbyteorder("<")


def _values(column: Column, raw: bytes, rows: int, codes: int, arch: str) -> Array:
    """Return a column's values, each of which is one that the column may hold."""
    dtype = _dtype(column)
    width = 5 if column.kind == "words" else 1
    if len(raw) != rows * width * dtype.itemsize:
        raise BrokenRecording(f"column '{column.name}' has the wrong length")
    if dtype.kind == "b":
        truths: Array = np.frombuffer(raw, np.uint8) != 0
        return truths
    values = np.frombuffer(raw, dtype)
    if width > 1:
        return values.reshape(rows, width)
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


def _pack(body: msgspec.Struct) -> bytes:
    return zlib.compress(msgspec.msgpack.encode(body), 1)


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
