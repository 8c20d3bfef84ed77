"""The ring reader on crafted memory: every order of complete, busy and discarded records."""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ior.errors import UnsupportedHost
from ior.sources.bpf.ring import (
    BUSY,
    DISCARD,
    RingCorruptError,
    RingReader,
    fence_for,
    padded,
    scan,
)

PAGE = mmap.PAGESIZE


def numbers(taken: np.ndarray) -> list[int]:
    return taken[:, 8:16].copy().view(np.uint64).reshape(-1).tolist()


class Crafted:
    """A ring's memory in a file: the kernel's layout, with headers of our choice."""

    def __init__(self, size: int, start: int) -> None:
        self.size, self.position = size, start
        self.fd = os.memfd_create("ring")
        os.ftruncate(self.fd, 2 * PAGE + 2 * size)
        os.pwrite(self.fd, struct.pack("Q", start), 0)
        os.pwrite(self.fd, struct.pack("Q", start), PAGE)

    def write(self, payload: bytes, flags: int = 0) -> int:
        """Append a record as the kernel does, and return its position."""
        space = padded(len(payload))
        record = struct.pack("II", len(payload) | flags, 0) + payload
        for index, byte in enumerate(record.ljust(space, b"\xee")):
            at = (self.position + index) % self.size
            for copy in (0, self.size):
                os.pwrite(self.fd, bytes([byte]), 2 * PAGE + copy + at)
        began, self.position = self.position, self.position + space
        os.pwrite(self.fd, struct.pack("Q", self.position), PAGE)
        return began

    def complete(self, position: int, length: int) -> None:
        for copy in (0, self.size):
            at = 2 * PAGE + copy + position % self.size
            os.pwrite(self.fd, struct.pack("I", length), at)

    def consumed(self) -> int:
        return int(struct.unpack("Q", os.pread(self.fd, 8, 0))[0])


@contextmanager
def crafted(start: int) -> Iterator[tuple[Crafted, RingReader]]:
    ring = Crafted(PAGE, start * 8)
    try:
        with RingReader(ring.fd, PAGE) as reader:
            yield ring, reader
    finally:
        os.close(ring.fd)


state = st.sampled_from([0, 0, 0, DISCARD, BUSY])


@given(
    st.lists(st.tuples(st.binary(max_size=100), state), max_size=30),
    st.integers(0, 3 * PAGE // 8),
)
def test_variable_drain_equals_a_walk(records: list[tuple[bytes, int]], start: int) -> None:
    with crafted(start) as (ring, reader):
        expected, end, busy = [], ring.position, False
        for payload, flags in records:
            began = ring.write(payload, flags)
            busy = busy or flags == BUSY
            if not busy:
                end = began + padded(len(payload))
                if flags != DISCARD:
                    expected.append(payload)
        assert reader.drain_variable() == (expected, busy)
        assert ring.consumed() == reader.consumer_position() == end


@given(
    st.lists(state, max_size=40),
    st.sampled_from([8, 16, 40, 64]),
    st.integers(0, 3 * PAGE // 8),
)
def test_fixed_drain_equals_a_walk(states: list[int], payload: int, start: int) -> None:
    with crafted(start) as (ring, reader):
        expected, busy = [], None
        for number, flags in enumerate(states):
            began = ring.write(struct.pack("Q", number).ljust(payload, b"."), flags)
            if flags == BUSY and busy is None:
                busy = began
            if not flags and busy is None:
                expected.append(number)
        taken = reader.drain_fixed(payload + 8)
        assert numbers(taken) == expected
        assert (taken[:, 16:] == ord(".")).all()
        if busy is None:
            assert ring.consumed() == ring.position
        else:
            assert ring.consumed() == busy
            ring.complete(busy, payload)
            assert numbers(reader.drain_fixed(payload + 8))[:1] == [states.index(BUSY)]


@given(
    st.lists(state, max_size=700),
    st.sampled_from([8, 16, 40]),
    st.integers(0, 3 * PAGE // 8),
    st.integers(0, 700),
)
def test_words_are_the_columns_of_the_records(
    states: list[int], payload: int, start: int, most: int
) -> None:
    with crafted(start) as (ring, rows), RingReader(ring.fd, PAGE) as columns:
        for number, flags in enumerate(states[: PAGE // (payload + 8)]):
            ring.write(struct.pack("Q", number).ljust(payload, b"."), flags)
        taken = columns.drain_words(payload + 8, most)
        expected = rows.drain_fixed(payload + 8, most)
        assert taken.shape == (payload // 8 + 1, len(expected))
        assert (expected.view(np.uint64) == taken.T).all()
        assert taken.flags.c_contiguous  # parts of a word are views of it
        assert columns.consumer_position() == rows.consumer_position()


@given(st.lists(state, max_size=60))
def test_the_header_scan_equals_a_loop(states: list[int]) -> None:
    headers = np.array([120 | flags for flags in states], dtype=np.uint32)
    ready, kept = scan(headers, 120)
    assert ready == (states.index(BUSY) if BUSY in states else len(states))
    keep = [not flags for flags in states[:ready]]
    assert (kept.tolist() if kept is not None else [True] * ready) == keep


def test_a_wrong_length_behind_a_busy_record_is_not_looked_at_yet() -> None:
    headers = np.array([120, 120 | BUSY, 7], dtype=np.uint32)
    assert scan(headers, 120) == (1, None)
    with pytest.raises(RingCorruptError, match="record of 7 bytes"):
        scan(headers[2:], 120)


def test_a_length_that_the_ring_cannot_have_is_told() -> None:
    with crafted(0) as (ring, reader):
        began = ring.write(b"12345678")
        ring.complete(began, 5 * PAGE)
        with pytest.raises(RingCorruptError, match="in a ring of"):
            reader.drain_variable()


@pytest.mark.parametrize("size", [0, 100, PAGE // 2, 3 * PAGE])
def test_a_size_that_no_ring_has_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        RingReader(0, size)


def test_only_x86_goes_without_a_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fence_for("x86_64") is None
    real = ctypes.CDLL

    def without_libatomic(name: str | None, *args: object, **kwargs: object) -> ctypes.CDLL:
        if name == "libatomic.so.1":
            raise OSError(name)
        return real(name)

    monkeypatch.setattr(ctypes, "CDLL", without_libatomic)
    with pytest.raises(UnsupportedHost, match="apt install libatomic1"):
        fence_for("aarch64")
