"""Read a BPF ring buffer in bulk: no callback, no Python object per record.

libbpf's `ring_buffer__poll` calls back once per record, which costs Python more than the
whole budget of a call. Here the ring is mapped into memory, the headers are looked at as a
strided numpy view, and the payload is copied as bytes in one go.

The layout is the kernel's (Documentation/bpf/ringbuf.rst, kernel/bpf/ringbuf.c): the
consumer's page (ours to write), the producer's page, then the data twice in a row, so that
a record that wraps around is contiguous. A record is a u32 length with the busy bit (31)
and the discard bit (30), a u32 page offset, and the payload padded to 8 bytes.

Memory order: the producer publishes with release stores, so each of our loads of a position
or a header must be an acquire. x86-64 does not reorder loads with loads nor stores with
older loads (Intel SDM vol. 3, 9.2.2), so plain loads are enough there; elsewhere a fence
stands between them (arm64: Documentation/memory-barriers.txt, "dmb ish").
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import platform
import time
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ior.errors import UnsupportedHost

HEADER: Final = 8
BUSY: Final = 1 << 31
DISCARD: Final = 1 << 30
_LENGTH: Final = DISCARD - 1
_BLOCK: Final = 256  # records that are turned into columns at once, out of the cache
_SEQ_CST: Final = 5  # memory_order_seq_cst of <stdatomic.h>, the same in gcc and clang

Bytes = npt.NDArray[np.uint8]


class RingCorruptError(ValueError):
    """A record has a length that its ring cannot have."""


class Records(NamedTuple):
    """What `drain_variable` took: payloads in order, and whether a busy record stopped it."""

    payloads: list[bytes]
    busy: bool


def padded(payload: int) -> int:
    """Return the bytes that a payload of this length takes in the ring, header included."""
    return (payload + HEADER + 7) & ~7


def fence_for(machine: str) -> Callable[[], None] | None:
    """Return a function that orders the loads around it, None where the machine does it.

    C's `atomic_thread_fence` comes from libatomic: Python itself has no fence, and the C
    library exports none.

    Raises:
        UnsupportedHost: the machine needs one and libatomic is missing.
    """
    if machine in ("x86_64", "AMD64"):
        return None
    try:
        function = ctypes.CDLL("libatomic.so.1").atomic_thread_fence
    except (OSError, AttributeError) as error:
        raise UnsupportedHost(
            f"reading a ring buffer on {machine} needs a memory barrier from libatomic: "
            "install the Debian package libatomic1 (apt install libatomic1)"
        ) from error
    function.argtypes, function.restype = (ctypes.c_int,), None
    return lambda: function(_SEQ_CST)


def scan(headers: npt.NDArray[np.uint32], payload: int) -> tuple[int, npt.NDArray[np.bool_] | None]:
    """Return how many records from the front are complete, and which of them to keep.

    `headers` are header words of records that all take the same space, in order; every
    record that is not busy must have `payload` bytes. The mask is None when none is discarded.

    Raises:
        RingCorruptError: a complete record has another length.
    """
    if bool((headers == payload).all()):
        return len(headers), None
    busy = headers >= BUSY
    ready = int(busy.argmax()) if bool(busy.any()) else len(headers)
    complete = headers[:ready]
    wrong = (complete & _LENGTH) != payload
    if bool(wrong.any()):
        length = int(complete[int(wrong.argmax())]) & _LENGTH
        raise RingCorruptError(f"a record of {length} bytes in a ring of records of {payload}")
    kept = complete < DISCARD
    return ready, None if bool(kept.all()) else kept


class RingReader:
    """The one consumer of a ring buffer map.

    `fd` is the map's descriptor, also what to poll for readability; it stays the caller's.
    `size` is the ring's capacity in bytes (the map's `max_entries`). Positions are byte
    counts since the ring was made; they never wrap. Whatever a drain has returned is
    consumed: the kernel may reuse the space. Not safe for use by two threads at once.

    To pair two rings so that what the second announces is known first: note
    `p = calls.producer_position()`, then `n = names.producer_position()`, take
    `names.drain_variable(until=n, patience_s=...)`, then `calls.drain_fixed(..., until=p)`.
    """

    def __init__(self, fd: int, size: int) -> None:
        page = mmap.PAGESIZE
        if size < page or size & (size - 1):
            raise ValueError(f"a ring of {size} bytes: not a power of two of at least {page}")
        self.fd, self.size = fd, size
        self._fence = fence_for(platform.machine())
        self._control = mmap.mmap(fd, page, flags=mmap.MAP_SHARED)
        try:
            self._shared = mmap.mmap(
                fd, page + 2 * size, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ, offset=page
            )
        except BaseException:
            self._control.close()
            raise
        for memory in (self._control, self._shared):
            memory.madvise(mmap.MADV_DONTFORK)  # not for a stage in a process of its own
        # One aligned 8-byte load or store each, which the kernel's side needs.
        self._consumed = np.frombuffer(self._control, dtype=np.uint64, count=1)
        self._produced = np.frombuffer(self._shared, dtype=np.uint64, count=1)
        self._data: Bytes = np.frombuffer(self._shared, dtype=np.uint8, offset=page)
        self._words = self._data.data.cast("I")
        self._position = int(self._consumed[0])
        self._closed = False

    def producer_position(self) -> int:
        """Return where the next record will begin; what lies before may still be busy."""
        position = int(self._produced[0])
        if self._fence is not None:
            self._fence()
        return position

    def consumer_position(self) -> int:
        """Return up to where records are consumed."""
        return self._position

    @property
    def pending_bytes(self) -> int:
        """Bytes between the consumer and the producer, busy records included."""
        return self.producer_position() - self._position

    def _consume(self, position: int) -> None:
        if self._fence is not None:
            self._fence()  # the copies are done before the space is given back
        self._position = position
        self._consumed[0] = position

    def _bound(self, until: int | None) -> int:
        produced = self.producer_position()
        return produced if until is None else min(until, produced)

    def drain_fixed(
        self, stride: int, max_records: int | None = None, *, until: int | None = None
    ) -> Bytes:
        """Take the records up to the first busy one, from a ring where all have one size.

        `stride` is what each takes, header included, a multiple of 8: the payload has
        `stride - 8` bytes exactly. Takes no more than `max_records`, and none that begins at
        or behind the position `until`. Discarded records are consumed and left out.

        Returns a fresh array (records, stride), each row a record with its header.

        Raises:
            RingCorruptError: a record has another size. Nothing is consumed.
        """
        region, kept = self._complete(stride, max_records, until)
        taken = region.copy() if kept is None else region[kept]
        self._consume(self._position + region.nbytes)
        return taken

    def drain_words(
        self, stride: int, max_records: int | None = None, *, until: int | None = None
    ) -> npt.NDArray[np.uint64]:
        """Take records as `drain_fixed` does, and return them as columns.

        That is a fresh array (stride / 8, records): row i holds word i of every record, the
        header being word 0; each row is contiguous. A column of fields is read from memory once
        so, and not once for every field of a record.
        """
        region, kept = self._complete(stride, max_records, until)
        words = region.view(np.uint64)
        taken = np.empty(words.shape[::-1], np.uint64)
        for begin in range(0, len(words), _BLOCK):
            part = slice(begin, begin + _BLOCK)
            taken[:, part] = words[part].T
        self._consume(self._position + region.nbytes)
        return taken if kept is None else np.compress(kept, taken, axis=1)

    def _complete(
        self, stride: int, max_records: int | None, until: int | None
    ) -> tuple[Bytes, npt.NDArray[np.bool_] | None]:
        """Return the records up to the first busy one (records, stride), and which to keep."""
        start = self._position
        count = max(self._bound(until) - start, 0) // stride
        if max_records is not None:
            count = min(count, max_records)
        offset = start & (self.size - 1)
        region = self._data[offset : offset + count * stride].reshape(count, stride)
        headers = region.view(np.uint32)[:, 0].copy()
        if self._fence is not None:
            self._fence()  # headers are read before payloads
        ready, kept = scan(headers, stride - HEADER)
        return region[:ready], kept

    def drain_variable(self, *, until: int | None = None, patience_s: float = 0.0) -> Records:
        """Take the records up to the first that stays busy, whatever their sizes.

        Takes none that begins at or behind the position `until`. A busy record is given
        `patience_s` altogether to become complete: a producer normally needs microseconds,
        unless its CPU is taken away. Costs about half a microsecond a record.
        """
        start, bound = self._position, self._bound(until)
        mask, words = self.size - 1, self._words
        position, busy, deadline = start, False, 0.0
        starts: list[int] = []
        ends: list[int] = []
        while position < bound:
            header = words[(position & mask) >> 2]
            if header >= BUSY:
                now = time.monotonic()
                deadline = deadline or now + patience_s
                if now >= deadline:
                    busy = True
                    break
                os.sched_yield()
                continue
            length = header & _LENGTH
            if header < DISCARD:
                at = position - start + HEADER
                starts.append(at)
                ends.append(at + length)
            position += (length + HEADER + 7) & ~7
        if position > start + self.size:
            raise RingCorruptError(f"records of {position - start} bytes in a ring of {self.size}")
        if self._fence is not None:
            self._fence()  # headers are read before payloads
        offset = start & mask
        copy = self._data[offset : offset + position - start].tobytes()
        if position > start:
            self._consume(position)
        return Records([copy[at:end] for at, end in zip(starts, ends, strict=True)], busy)

    def close(self) -> None:
        """Unmap the ring; may be called again. The map itself stays."""
        if self._closed:
            return
        self._closed = True
        self._words.release()
        del self._words, self._data, self._produced, self._consumed
        for mapped in (self._shared, self._control):
            with contextlib.suppress(BufferError):  # somebody still looks: unmapped with them
                mapped.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            warnings.warn(f"unclosed {self!r}", ResourceWarning, 2, source=self)
            self.close()
