"""A recording as a source: the rows that `capture` wrote, batch by batch.

Recordings serve where tracing is not possible: the sample that comes with ior, tests, a
trace taken on another machine. A recording that is cut or damaged gives everything before
the damage, and says where that is.

A recording of few calls a second has a block for every few of them. Where they need not come at
their times these are joined: a batch of twenty calls costs as much as one of thousands.
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
from ior.recorded import Decoder, Part
from ior.recording import BLOCK, MAGIC, Block, BrokenRecording, check, payload_length


class ReplayConfig(Config, frozen=True, kw_only=True):
    """Keys of `replay`.

    `path` is the recording; `speed` is 1 for as fast as it was recorded, 2 for twice that,
    0 for as fast as the graph takes it.
    """

    path: str
    speed: float = 0.0


class _Reader:
    """Reads batches of at most `most` rows, or of one block, from behind the first block.

    `rows` is how many there were. Where the recording is damaged it ends: `damage` says at which
    byte, and how.
    """

    def __init__(self, file: BinaryIO, decoder: Decoder, most: int) -> None:
        self._file, self._decoder, self._most = file, decoder, most
        self._ahead: tuple[int, Part] | None = None  # read already, with its place
        self._over = False
        self.rows = 0
        self.damage: tuple[int, BrokenRecording] | None = None

    @property
    def lost(self) -> int:
        """The records that were lost when it was recorded, as far as that was read."""
        end = self._decoder.end
        return 0 if end is None else end.kernel.get("lost", 0)

    def read(self) -> Batch | None:
        """Return the next batch, None at the end."""
        some: list[tuple[int, Part]] = []
        rows = 0
        while (found := self._part()) is not None:
            part = found[1]
            if some and (rows + part.rows > self._most or not part.goes_with(some[0][1])):
                self._ahead = found
                break
            some.append(found)
            rows += part.rows
        batch = self._batch(some) if some else None
        self.rows += 0 if batch is None else len(batch)
        return batch

    def _part(self) -> tuple[int, Part] | None:
        """Return the next rows and the byte where their block begins."""
        found, self._ahead = self._ahead, None
        while found is None and not self._over:
            at = self._file.tell()
            try:
                one = _read_block(self._file)
                if one is None and self._decoder.end is None:
                    raise BrokenRecording("it has no end, as after a crash of the recording ior")
                part = None if one is None else self._decoder.part(one)
            except BrokenRecording as error:
                self._break(at, error)
                break
            self._over = one is None
            found = None if part is None else (at, part)
        return found

    def _batch(self, some: list[tuple[int, Part]]) -> Batch | None:
        """Return rows as one batch, those before one that is wrong if there is one."""
        with suppress(BrokenRecording):
            return self._decoder.batch([part for _, part in some])
        good: list[Part] = []
        for at, part in some:
            try:
                self._decoder.batch([part])
            except BrokenRecording as error:
                self._break(at, error)
                break
            good.append(part)
        return self._decoder.batch(good) if good else None

    def _break(self, at: int, error: BrokenRecording) -> None:
        self._ahead, self._over, self.damage = None, True, (at, error)


class Replay(Source):
    """Gives the rows of a recording; `gives` is the schema that was recorded.

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
        self._reader: _Reader | None = None
        self._scope: anyio.CancelScope | None = None
        self._stopped = False
        self._began: tuple[int, int] | None = None  # the clock's time, the recording's
        self._rows = 0

    async def start(self, ctx: Context) -> None:
        """Open the recording. Raises InputNotFound, UsageError."""
        await super().start(ctx)
        path = str(ctx.directory / self.config.path)
        self._file = await to_thread.run_sync(_open, path)
        decoder = await to_thread.run_sync(_first, self._file, path)
        if decoder.schema != self.gives:
            raise UsageError(
                f"'{path}' holds {decoder.schema.name}, and the pipeline was checked for "
                f"{self.gives.name}; give the absolute path"
            )
        most = 1 if self.config.speed else ctx.batching.max_calls
        self._reader = _Reader(self._file, decoder, most)

    async def read(self) -> Batch | None:
        """Return the next batch, at its time; None at the end, at damage, or when stopped."""
        while not self._stopped and self._file is not None:
            batch = await to_thread.run_sync(self._next)
            if batch is None:
                break
            await self._wait_for(batch)
            if not self._stopped:
                self._rows += len(batch)
                return batch
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

    def _next(self) -> Batch | None:
        """Return the next batch; None at the end or at damage, having said what is wrong."""
        reader = self._reader
        assert reader is not None
        batch = reader.read()
        if batch is None and reader.damage is not None:
            at, error = reader.damage
            self.ctx.warn(
                f"'{self.config.path}' is damaged at byte {at}: {error}; "
                f"the {reader.rows} rows before that are replayed"
            )
        elif batch is None and (lost := reader.lost) > 0:
            self.ctx.warn(f"'{self.config.path}' lacks {lost} records, lost when it was recorded")
        return batch

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
