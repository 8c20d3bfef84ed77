"""A recording as a source: the rows that `capture` wrote, batch by batch.

Recordings serve where tracing is not possible: the sample that comes with ior, tests, a
trace taken on another machine. A recording that is cut or damaged gives everything before
the damage, and says where that is.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import BinaryIO

import anyio
from anyio import to_thread

from ior.calls import HALVES, Batch, Schema
from ior.errors import InputNotFound, UsageError
from ior.pipeline.abc import Config, Context, Source
from ior.pipeline.ledger import KERNEL
from ior.recording import BLOCK, MAGIC, Block, BrokenRecording, Decoder, check, payload_length


class ReplayConfig(Config, frozen=True, kw_only=True):
    """Keys of `replay`.

    `path` is the recording; `speed` is 1 for as fast as it was recorded, 2 for twice that,
    0 for as fast as the graph takes it.
    """

    path: str
    speed: float = 0.0


class Replay(Source):
    """Gives the batches of a recording; `gives` is the schema that was recorded.

    Making one reads the recording's first block and raises UsageError if it has none; that
    there is no such file is said by `start`, to which a relative path is one from the
    pipeline's directory.
    """

    Config = ReplayConfig
    config: ReplayConfig
    reads = ("path",)
    gives: Schema = HALVES  # type: ignore[misc]  # each recording has its own

    def __init__(self, config: ReplayConfig) -> None:
        super().__init__(config)
        if not 0 <= config.speed < float("inf"):
            raise UsageError(f"replay: 'speed' is a number from 0 on, not {config.speed}")
        with suppress(InputNotFound), _open(config.path) as file:
            self.gives = _first(file, config.path).schema
        self._file: BinaryIO | None = None
        self._decoder: Decoder | None = None
        self._scope: anyio.CancelScope | None = None
        self._stopped = False
        self._began: tuple[int, int] | None = None  # the clock's time, the recording's
        self._rows = 0

    async def start(self, ctx: Context) -> None:
        """Open the recording. Raises InputNotFound, UsageError."""
        await super().start(ctx)
        path = str(ctx.directory / self.config.path)
        self._file = await to_thread.run_sync(_open, path)
        self._decoder = await to_thread.run_sync(_first, self._file, path)
        if self._decoder.schema != self.gives:
            raise UsageError(
                f"'{path}' holds {self._decoder.schema.name}, and the pipeline was checked for "
                f"{self.gives.name}; give the absolute path"
            )

    async def read(self) -> Batch | None:
        """Return the next batch, at its time; None at the end, at damage, or when stopped."""
        while not self._stopped and self._file is not None:
            batch, more = await to_thread.run_sync(self._next)
            if batch is not None:
                await self._wait_for(batch)
                if self._stopped:
                    break
                self._rows += len(batch)
                return batch
            if not more:
                break
        return None

    def stop(self) -> None:
        """End now: what was not read yet is still in the recording."""
        self._stopped = True
        if self._scope is not None:
            self._scope.cancel()

    async def close(self) -> None:
        """Close the recording."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def books(self) -> Mapping[str, int]:
        """Return the rows replayed as records attempted and read."""
        return dict.fromkeys(KERNEL, 0) | {"attempted": self._rows, "read": self._rows}

    def snapshot(self) -> None:
        """Return nothing: a recording has no calls in flight, but may be asked as `bpf` is."""

    def _next(self) -> tuple[Batch | None, bool]:
        """Read one block; return its batch, if it is one, and whether more may follow."""
        file, decoder = self._file, self._decoder
        assert file is not None
        assert decoder is not None
        at = file.tell()
        try:
            one = _read_block(file)
            if one is not None:
                return decoder.block(one), True
            if decoder.end is None:
                raise BrokenRecording("it has no end, as after a crash of the recording ior")
        except BrokenRecording as error:
            self.ctx.warn(
                f"'{self.config.path}' is damaged at byte {at}: {error}; "
                f"the {decoder.rows} rows before that are replayed"
            )
            return None, False
        lost = decoder.end.kernel.get("lost", 0)
        if lost > 0:
            self.ctx.warn(f"'{self.config.path}' lacks {lost} records, lost when it was recorded")
        return None, False

    async def _wait_for(self, batch: Batch) -> None:
        """Wait until the recording's clock has reached the latest time in `batch`."""
        times = [batch[c.name] for c in batch.schema.columns if c.kind == "time"]
        latest = max((int(t.max()) for t in times if t.dtype.kind in "iu"), default=None)
        if not self.config.speed or latest is None:
            return
        now = self.ctx.clock.now_ns()
        if self._began is None:
            self._began = now, latest
        began, first = self._began
        delay_s = ((latest - first) / self.config.speed - (now - began)) / 1e9
        if delay_s > 0:
            with anyio.CancelScope() as self._scope:
                await self.ctx.clock.sleep(delay_s)
            self._scope = None


def batches(path: str) -> Iterator[Batch]:
    """Yield the batches of a recording, at once.

    Raises InputNotFound, and UsageError for what is no recording or a damaged one.
    """
    with _open(path) as file:
        decoder = _first(file, path)
        try:
            while (one := _read_block(file)) is not None:
                batch = decoder.block(one)
                if batch is not None:
                    yield batch
        except BrokenRecording as error:
            raise UsageError(f"'{path}' is damaged: {error}") from error


def _open(path: str) -> BinaryIO:
    """Open a recording. Raises InputNotFound, UsageError for what is no regular file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise InputNotFound(f"there is no recording '{path}'") from error
    except OSError as error:
        raise InputNotFound(f"cannot read '{path}': {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise UsageError(f"'{path}' is not a recording of ior: it is not a regular file")
    return open(fd, "rb")


def _first(file: BinaryIO, path: str) -> Decoder:
    """Read the magic bytes and the first block. Raises UsageError."""
    try:
        if file.read(len(MAGIC)) != MAGIC:
            raise BrokenRecording("it does not begin like one")
        one = _read_block(file)
        if one is None:
            raise BrokenRecording("it is empty")
        return Decoder(one)
    except BrokenRecording as error:
        raise UsageError(f"'{path}' is not a recording that ior can replay: {error}") from error


def _read_block(file: BinaryIO) -> Block | None:
    """Read the next block, None at the end of the file. Raises BrokenRecording."""
    header = file.read(BLOCK.size)
    if not header:
        return None
    if len(header) < BLOCK.size:
        raise BrokenRecording("it ends in the middle of a block")
    length = payload_length(header)
    payload = file.read(length)
    if len(payload) < length:
        raise BrokenRecording("it ends in the middle of a block")
    return check(header, payload)
