"""One edge of the graph: a bounded channel that counts what it drops.

Books are rows, the bound is batches. The policy is the consumer's: `block` makes the
producer wait, `drop_newest` drops what does not fit, `drop_oldest` what waited longest.
An edge whose consumer has failed swallows everything, so that nobody waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio

from ior.calls import Batch
from ior.pipeline.abc import WhenFull
from ior.pipeline.ledger import EdgeBooks


class Edge:
    """From a port of one node to another node. One task gives, one takes.

    `on_drop` is called after each drop by a policy.
    """

    def __init__(
        self,
        name: str,
        batches: int,
        when_full: WhenFull,
        on_drop: Callable[[Edge], None],
    ) -> None:
        self.name, self.when_full = name, when_full
        self.books = EdgeBooks(batches=batches)
        self._blocked_ns = 0
        self._blocked_since_ns: int | None = None
        self._on_drop = on_drop
        self._send, self._receive = anyio.create_memory_object_stream[Batch](batches)

    @property
    def producer(self) -> str:
        """The name of the node that gives."""
        return self.name.partition("->")[0].rpartition(".")[0]

    @property
    def consumer(self) -> str:
        """The name of the node that takes."""
        return self.name.partition("->")[2]

    @property
    def port(self) -> str:
        """The producer's port."""
        return self.name.partition("->")[0].rpartition(".")[2]

    @property
    def empty(self) -> bool:
        """Whether all that was given was taken."""
        return self.books.offered == self.books.delivered + self.books.dropped

    @property
    def blocked_ns(self) -> int:
        """How long the producer has waited for room, the present wait included."""
        since = self._blocked_since_ns
        return self._blocked_ns + (0 if since is None else time.perf_counter_ns() - since)

    async def put(self, batch: Batch) -> None:
        """Give one batch, waiting for room only under `block`."""
        self.books.offered += len(batch)
        try:
            self._send.send_nowait(batch)
        except anyio.BrokenResourceError:
            self.books.dropped += len(batch)
            return
        except anyio.WouldBlock:
            if not await self._when_full(batch):
                return
        self.books.waiting += 1
        self.books.high_water = max(
            self.books.high_water, min(self.books.waiting, self.books.batches)
        )

    async def _when_full(self, batch: Batch) -> bool:
        """Deal with a full buffer; return whether `batch` is on its way."""
        if self.when_full == "drop_newest":
            self._drop(batch)
            return False
        if self.when_full == "drop_oldest":
            oldest = self._receive.receive_nowait()
            self._send.send_nowait(batch)
            self.books.waiting -= 1
            self._drop(oldest)
            return True
        self._blocked_since_ns = time.perf_counter_ns()
        try:
            await self._send.send(batch)
        except anyio.BrokenResourceError:
            self.books.dropped += len(batch)
            return False
        finally:
            self._blocked_ns, self._blocked_since_ns = self.blocked_ns, None
        return True

    def _drop(self, batch: Batch) -> None:
        self.books.dropped += len(batch)
        self._on_drop(self)

    async def get(self) -> Batch | None:
        """Take the next batch, waiting for it; None when there will be no more."""
        try:
            batch = self._receive.receive_nowait()
        except anyio.WouldBlock:
            try:
                batch = await self._receive.receive()
            except (anyio.EndOfStream, anyio.ClosedResourceError):
                return None
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            return None
        self.books.waiting -= 1
        self.books.delivered += len(batch)
        return batch

    def end(self) -> None:
        """Say that no more is given; what waits can still be taken."""
        self._send.close()

    def abandon(self) -> None:
        """Say that no more is taken: what waits, and all that comes, is dropped."""
        while True:
            try:
                self.books.dropped += len(self._receive.receive_nowait())
            except (anyio.WouldBlock, anyio.EndOfStream, anyio.ClosedResourceError):
                break
        self.books.waiting = 0
        self._receive.close()

    def close(self) -> None:
        """Release both ends without counting."""
        self._send.close()
        self._receive.close()
