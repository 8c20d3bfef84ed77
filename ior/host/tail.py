"""The last of what a command writes, kept for whoever wants to read it."""

from __future__ import annotations

import os
from collections import deque

import anyio

from ior import text

LIMIT_BYTES = 1 << 20
_CHUNK = 65536


class Tail:
    """Keeps the last lines of a stream of bytes, at most `limit_bytes` of them.

    `version` changes whenever the lines do.
    """

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self.version = 0
        self._limit_bytes = limit_bytes
        self._lines: deque[bytes] = deque()  # complete ones, without their ends
        self._open = b""  # the line that has no end yet
        self._size_bytes = 0
        self._left_out_bytes = 0

    @property
    def left_out_bytes(self) -> int:
        """How many bytes of the beginning are not kept any more."""
        return self._left_out_bytes

    def feed(self, data: bytes) -> None:
        """Take what was written next."""
        if not data:
            return
        *complete, self._open = (self._open + data).split(b"\n")
        self._lines += complete
        self._size_bytes += len(data)
        while self._size_bytes > self._limit_bytes:
            self._leave_out(self._size_bytes - self._limit_bytes)
        self.version += 1

    def _leave_out(self, too_many: int) -> None:
        """Forget the oldest line; of a line that is alone, as many bytes as there must be."""
        if self._lines:
            size = len(self._lines.popleft()) + 1
        else:
            size, self._open = too_many, self._open[too_many:]
        self._size_bytes -= size
        self._left_out_bytes += size

    def lines(self) -> tuple[str, ...]:
        """Return the lines in text-column form; tabs are blanks up to the next column of 8."""
        raw = [*self._lines, self._open] if self._open else list(self._lines)
        return tuple(text.escape(line.rstrip(b"\r").expandtabs(8)) for line in raw)


async def follow(fd: int, tail: Tail) -> None:
    """Feed `tail` with what comes out of the pipe `fd`, until nobody can write to it any more."""
    os.set_blocking(fd, False)
    while True:
        await anyio.wait_readable(fd)
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            continue
        if not data:
            return
        tail.feed(data)
