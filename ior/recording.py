r"""The format of recordings (`.ior`): batches as bytes, for the `capture` sink and `replay`.

A recording is `MAGIC`, then blocks. A block is a header (kind, length of the payload, CRC-32
of kind, length and payload; little-endian) and a payload: `H` the schema and where it was
recorded, once and first; `N` names that were added to a dictionary; `B` one batch; `E` the
end with the books of the source. A name comes before the first batch that uses it. Every
whole block can be read whatever comes after it, so a crash costs the last block at most.
`ior.recorded` reads them.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any, NamedTuple

import msgspec
import numpy as np

from ior.calls import MAX_CALLS, Batch, Column, Origin, Schema
from ior.names import Names

MAGIC = b"\x89ior\r\n\x1a\n"
VERSION = 1
BLOCK = struct.Struct("<cII")  # kind, length of the payload, CRC-32
MAX_PAYLOAD = 32 << 20  # bytes of a payload, compressed or not
MAX_NAMES = 1 << 30  # bytes of one dictionary
SLOTS = 2  # dictionaries that batches may refer to at one time

_NAMES_CHUNK = 1 << 20


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
                .astype(dtype_of(c))
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


def dtype_of(column: Column) -> np.dtype[Any]:
    """Return the type of a column's values in a recording."""
    return np.dtype(column.dtype).newbyteorder("<")


def _pack(body: msgspec.Struct) -> bytes:
    return zlib.compress(msgspec.msgpack.encode(body), 1)
