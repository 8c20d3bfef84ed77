"""Where sources wait between two batches while a running graph is changed."""

from __future__ import annotations

import anyio


class Gate:
    """Open at first. What comes to a shut gate waits until it is opened."""

    def __init__(self) -> None:
        self._opened: anyio.Event | None = None  # None: it is open
        self._watched: anyio.Event | None = None  # None: nobody looks who passes

    def shut(self) -> None:
        """Let nobody pass."""
        self._opened = self._opened or anyio.Event()

    def open(self) -> None:
        """Let everybody pass who waits, and whoever comes."""
        if self._opened is not None:
            self._opened.set()
            self._opened = None

    async def passing(self) -> None:
        """Wait until the gate is open, and pass."""
        while self._opened is not None:
            await self._opened.wait()
        if self._watched is not None:
            self._watched.set()
            self._watched = None

    async def next(self) -> None:
        """Wait until somebody passes."""
        self._watched = self._watched or anyio.Event()
        await self._watched.wait()
