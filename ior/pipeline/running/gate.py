"""Where sources wait between two batches while a running graph is changed."""

from __future__ import annotations

import anyio


class Gate:
    """Open at first. What comes to a shut gate waits until it is opened."""

    def __init__(self) -> None:
        self._opened: anyio.Event | None = None  # None: it is open

    def shut(self) -> None:
        """Let nobody pass."""
        self._opened = self._opened or anyio.Event()

    def open(self) -> None:
        """Let everybody pass who waits, and whoever comes."""
        if self._opened is not None:
            self._opened.set()
            self._opened = None

    async def passing(self) -> None:
        """Wait until the gate is open."""
        while self._opened is not None:
            await self._opened.wait()
