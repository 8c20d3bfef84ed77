"""A stage or sink in a process of its own, without privileges: what crashes there is one batch.

The process is forked when the node starts, before any source has opened what must not leak,
and gives up every right before a method of the node runs. Batches travel as bytes over a
socket, in the format of recordings, whose reader trusts nothing. A process that ends is an
error of the node; `kill` ends one that hangs.
"""

from __future__ import annotations

import inspect
import io
import os
import signal
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.abc
import msgspec

from ior import kinds
from ior.calls import Batch, Schema
from ior.errors import Retold, raised
from ior.host import own
from ior.host.privileges import give_up
from ior.pipeline.abc import Context, Node, Output, Sink, Stage
from ior.pipeline.ledger import balance
from ior.pipeline.running.context import NodeContext
from ior.recorded import Decoder
from ior.recording import BLOCK, MAGIC, Block, Encoder, check, payload_length
from ior.snapshots import Snapshot, Table
from ior.text import sanitise

T = TypeVar("T", bound=msgspec.Struct)

_LENGTH = struct.Struct("<Q")
_MAX_MESSAGE = 1 << 30
_BOOKED = ("filtered", "joined", "made", "failed")


class _Request(msgspec.Struct, array_like=True):
    method: str
    number: int = 0
    stream: int = 0
    batch: bytes = b""
    look: bool = False


class _Reply(msgspec.Struct, array_like=True):
    error: str | None
    given: list[tuple[str, int, bytes]]
    booked: list[int]
    held: int
    warnings: list[str]
    stop: bool
    tables: list[Table] | None


class _Shown:
    def __init__(self, tables: list[Table]) -> None:
        self._tables = tables

    def tables(self) -> list[Table]:
        return self._tables


class _Apart:
    """The side of the run; its methods block, and run in the node's lane."""

    node: Stage | Sink

    def _wrap(self, node: Stage | Sink) -> None:
        self.node = node
        for name in ("takes", "needs", "gives", "tick_s", "when_full"):
            if hasattr(node, name):
                setattr(self, name, getattr(node, name))
        self._socket: socket.socket | None = None
        self._pid = 0
        self._out, self._in = _Writer(), _Reader()
        self._booked = [0] * len(_BOOKED)
        self._look = isinstance(node, Stage) and type(node).snapshot is not Stage.snapshot
        self._picture: _Shown | None = None

    def start(self, ctx: Context) -> None:
        """Fork, and start the node there. Raises RuntimeError with what it raised."""
        self.ctx = ctx
        self._socket, theirs = socket.socketpair()
        self._pid = os.fork()
        if not self._pid:
            _child(self.node, ctx, theirs)
        own.add(self._pid)
        theirs.close()
        self._ask(_Request("start"))

    def process(self, batch: Batch) -> Output:
        """Have the other side take a batch."""
        stream, raw = self._out.write(batch)
        return self._ask(_Request("process", stream=stream, batch=raw, look=self._look))

    def tick(self, now_ns: int) -> Output:
        """Have the other side do what is due."""
        return self._ask(_Request("tick", now_ns, look=self._look))

    def drain(self) -> Output:
        """Have the other side give what it holds."""
        return self._ask(_Request("drain", look=self._look))

    def snapshot(self) -> Snapshot | None:
        """Return the tables as they were after the last batch."""
        return self._picture

    def close(self) -> None:
        """Close the node, then end its process."""
        if self._socket is None:
            return
        try:
            if self._pid:
                self._ask(_Request("close"))
        except ChildProcessError:
            pass  # it ended before; that was said when it mattered
        finally:
            self.kill()
            self._socket.close()
            self._socket = None
            self._reap()

    def kill(self) -> None:
        """End the process, whatever it does; may be called from another thread."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)

    def _reap(self) -> int:
        pid, self._pid = self._pid, 0
        own.discard(pid)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if pid else 0

    def _ask(self, request: _Request) -> Output:
        if self._socket is None or not self._pid:
            raise ChildProcessError("its process has ended")
        try:
            _send(self._socket, request)
            reply = _receive(self._socket, _Reply)
        except (OSError, EOFError):
            status = self._reap()
            how = f"by signal {-status}" if status < 0 else f"with {status}"
            raise ChildProcessError(f"its process ended {how}") from None
        except msgspec.DecodeError as error:
            self.kill()
            raise ChildProcessError(f"its process gave what cannot be read: {error}") from None
        added = [new - old for new, old in zip(reply.booked, self._booked, strict=True)]
        self._booked = reply.booked
        self.ctx.book(**dict(zip(_BOOKED, added, strict=True)))
        self.ctx.hold(reply.held)
        for warning in reply.warnings:
            self.ctx.warn(warning)
        if reply.stop:
            self.ctx.request_stop()
        if reply.tables is not None:
            self._picture = _Shown(reply.tables)
        if reply.error is not None:
            raise Retold(reply.error)
        return [
            {port: batch}
            for port, stream, raw in reply.given
            for batch in self._in.read(stream, raw)
        ]


class ApartStage(_Apart, Stage):
    """A stage whose methods run in another process."""

    def __init__(self, node: Stage) -> None:
        Stage.__init__(self, node.config)
        self._wrap(node)


class ApartSink(_Apart, Sink):  # type: ignore[misc]  # its methods give nothing: there is no port
    """A sink whose methods run in another process."""

    def __init__(self, node: Sink) -> None:
        Sink.__init__(self, node.config)
        self._wrap(node)


def apart(node: Node) -> Node:
    """Return what stands for a stage or sink while it works in another process."""
    if isinstance(node, Stage):
        return ApartStage(node)
    return ApartSink(node) if isinstance(node, Sink) and not node.looks else node


class _Writer:
    """Batches as bytes, each schema as a recording of its own."""

    def __init__(self) -> None:
        self._encoders: dict[Schema, tuple[int, Encoder]] = {}

    def write(self, batch: Batch) -> tuple[int, bytes]:
        """Return the number of a stream and what to add to it."""
        found = self._encoders.setdefault(batch.schema, (len(self._encoders), Encoder()))
        return found[0], found[1].batch(batch)


class _Reader:
    """The other end of a `_Writer`. Raises ValueError for what is no batch."""

    def __init__(self) -> None:
        self._decoders: dict[int, Decoder] = {}

    def read(self, stream: int, raw: bytes) -> list[Batch]:
        """Return the batches in what was added to a stream."""
        file = io.BytesIO(raw)
        batches = []
        if stream not in self._decoders:
            file.seek(len(MAGIC))
            self._decoders[stream] = Decoder(_block(file))
        while file.tell() < len(raw):
            batch = self._decoders[stream].block(_block(file))
            if batch is not None:
                batches.append(batch)
        return batches


def _block(file: io.BytesIO) -> Block:
    header = file.read(BLOCK.size)
    return check(header, file.read(payload_length(header)))


def _send(connection: socket.socket, message: msgspec.Struct) -> None:
    body = msgspec.msgpack.encode(message)
    connection.sendall(_LENGTH.pack(len(body)) + body)


def _receive(connection: socket.socket, kind: type[T]) -> T:
    length = _LENGTH.unpack(_exactly(connection, _LENGTH.size))[0]
    if length > _MAX_MESSAGE:
        raise msgspec.DecodeError("a message is longer than messages are")
    return msgspec.msgpack.decode(_exactly(connection, length), type=kind)


def _exactly(connection: socket.socket, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        part = connection.recv(min(length - len(parts), 1 << 20))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


def _child(node: Stage | Sink, ctx: Context, connection: socket.socket) -> None:
    """Serve the node until the other side goes; never return."""
    code = 1
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # the run ends this process
        fd = connection.fileno()
        os.dup2(2, 1)
        os.closerange(3, fd)
        os.closerange(fd + 1, 1 << 16)
        for arch in ("x86_64", "arm64"):
            kinds.family_of(arch)  # read from a file that the user without rights may not reach
        give_up()
        anyio.run(_serve, node, ctx, connection)
        code = 0
    except EOFError:
        code = 0
    except BaseException as error:
        os.write(2, f"ior: stage '{ctx.name}': {sanitise(raised(error))}\n".encode())
    finally:
        os._exit(code)


async def _serve(node: Stage | Sink, ctx: Context, connection: socket.socket) -> None:
    warnings: list[str] = []
    stops: list[bool] = []
    own = NodeContext(
        ctx.name,
        directory=ctx.directory,
        clock=ctx.clock,
        takes=ctx.takes,
        gives=ctx.gives,
        on_warning=lambda _, message: warnings.append(message),
        snapshot=_nothing_to_see,
        ledger=lambda: balance(kernel={}, calls=0, stages={}, edges={}),
        on_stop=lambda: stops.append(True),
    )
    node.ctx = own
    first = next(iter(ctx.gives), "out")
    out, into = _Writer(), _Reader()
    async with anyio.create_task_group() as group:
        own.on_spawn = partial(_spawn, group)
        while True:
            request = await anyio.to_thread.run_sync(_receive, connection, _Request)
            error, given = None, list[tuple[str, int, bytes]]()
            try:
                for output in await _called(node, own, request, into):
                    given += [(p, *out.write(b)) for p, b in _by_port(output, first) if len(b)]
            except (Exception, SystemExit, KeyboardInterrupt) as stopped:
                error, given = raised(stopped), []
            books = own.books
            booked = [getattr(books, name) for name in _BOOKED]
            tables = _tables(node) if request.look and error is None else None
            reply = _Reply(error, given, booked, books.held, warnings[:], bool(stops), tables)
            warnings.clear()
            stops.clear()
            _send(connection, reply)


def _nothing_to_see(name: str) -> Snapshot:
    raise KeyError(name)


def _spawn(group: anyio.abc.TaskGroup, function: Callable[[], Awaitable[object]]) -> None:
    async def beside() -> None:
        await function()

    group.start_soon(beside)


async def _called(node: Any, ctx: Context, request: _Request, into: _Reader) -> list[Any]:
    """Call the method that is asked for; return what it gives."""
    arguments: list[list[Any]] = [[]]
    if request.method == "process":
        arguments = [[batch] for batch in into.read(request.stream, request.batch)]
    elif request.method not in ("drain", "close"):
        arguments = [[ctx if request.method == "start" else request.number]]
    given = []
    for some in arguments:
        answer = getattr(node, request.method)(*some)
        while inspect.isawaitable(answer):
            answer = await answer
        given.append(answer)
    return given


def _by_port(output: Any, first: str) -> Iterator[tuple[str, Batch]]:
    if output is None:
        return
    if isinstance(output, Batch):
        yield first, output
    elif isinstance(output, Mapping):
        yield from output.items()
    elif isinstance(output, list):
        for one in output:
            yield from _by_port(one, first)
    else:
        raise TypeError(f"gave {type(output).__name__}, not a Batch")


def _tables(node: Stage | Sink) -> list[Table] | None:
    snapshot = node.snapshot() if isinstance(node, Stage) else None
    return None if snapshot is None else list(snapshot.tables())
