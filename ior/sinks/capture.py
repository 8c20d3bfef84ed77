"""Rows as they are, in a file that `replay` gives back batch by batch.

The format is `ior.recording`. Every batch is written when it arrives; what a crash leaves
behind can be replayed up to its last whole block.
"""

from __future__ import annotations

from ior import syscalls
from ior.calls import HALVES, Batch, Origin
from ior.errors import SpecError
from ior.pipeline.abc import Config
from ior.recording import Encoder
from ior.sinks.writer import WriterSink


class CaptureConfig(Config, frozen=True, kw_only=True):
    """Keys of `capture`: `path` is the file to write, `-` for stdout."""

    path: str


class Capture(WriterSink):
    """Records rows of any one schema. A recording without rows is one of halves."""

    Config = CaptureConfig

    def __init__(self, config: CaptureConfig) -> None:
        super().__init__(config)
        self._encoder = Encoder()

    async def process(self, batch: Batch) -> None:
        """Write one batch. Raises SpecError for rows of another schema than the first."""
        schema = self._encoder.schema
        if schema is not None and schema != batch.schema:
            raise SpecError(
                f"a recording holds rows of one schema; this one has {schema.name} "
                f"and gets {batch.schema.name}: use one capture for each"
            )
        await self.put(lambda: self._encoder.batch(batch))
        if self.closed:
            self.ctx.book(filtered=len(batch))

    async def drain(self) -> None:
        """Write the end with the source's counters, and complete the file."""
        kernel = dict(self.ctx.ledger().kernel)
        await self.put(lambda: self._last(kernel))
        await self.finish()

    def _last(self, kernel: dict[str, int]) -> bytes:
        head = b""
        if self._encoder.schema is None:
            head = self._encoder.head(HALVES, Origin(syscalls.architecture(), 0))
        return head + self._encoder.end(kernel)
