"""What every stage, source and sink promises, as checks that an author runs in a test.

    def test_my_stage():
        check_stage(MyStage, {"threshold": 3})

Each raises AssertionError with a sentence that says which promise is broken. They run an
event loop of their own: call them from plain tests, not from `async` ones. ior's built-in
nodes pass them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import msgspec
import numpy as np

from ior.calls import HALVES, Array, Batch, Schema
from ior.pipeline.abc import Config, Node, Sink, Source, Stage
from ior.pipeline.forms import stage_of
from ior.pipeline.ledger import Ledger
from ior.pipeline.reading.convert import convert
from ior.pipeline.run import Run
from ior.pipeline.running.context import NodeContext
from ior.snapshots import Snapshot
from ior.testing.batches import calls, halves
from ior.testing.graphs import ListSource, context, graph

Keys = msgspec.Struct | Mapping[str, Any] | None
Rows = dict[str, list[dict[str, Any]]]

_PATIENCE = 200  # times 10 ms
_MANY = 100_000  # batches after `stop`: a source that gives more does not end


def check_stage(
    made_of: type[Stage] | Callable[..., Any],
    config: Keys = None,
    *,
    batches: Sequence[Batch] | None = None,
    split: bool = True,
) -> None:
    """Check a stage, class or function, with `config` (or its keys as in the TOML).

    An empty batch gives no rows; what arrives is not modified; every row is accounted for
    and none held after `drain`; what `gives` declares comes out; cutting the same rows into
    other batches gives the same rows and the same snapshot (not with `split=False`, for a
    stage to which a batch means something); `close` may be called twice, and without
    `start`; a cancelled stage leaves no thread and no descriptor behind. `batches` are what
    it is fed, by default made-up ones of what it takes.
    """
    cls: type[Stage] = made_of if isinstance(made_of, type) else stage_of(made_of)
    keys = _round_trip(cls, config)
    fed = list(batches) if batches is not None else _made_up(cls.takes)
    anyio.run(_stage, cls, keys, fed, split)


async def _stage(cls: type[Stage], keys: Any, fed: list[Batch], split: bool) -> None:
    await _empty(cls(keys), fed[0])
    before = [_copies(batch) for batch in fed]
    schema = fed[0].schema
    rows, node = await _ran(cls(keys), fed, schema)
    for batch, copies in zip(fed, before, strict=True):
        _unmodified(batch, copies)
    await _ran(cls(keys), [], schema)
    if split:
        pieces = [piece for batch in fed for piece in _cut(batch)]
        again, other = await _ran(cls(keys), pieces, schema)
        assert again == rows, "the same rows in other batches gave other rows"
        shown, same = _shown(node.snapshot()), _shown(other.snapshot())
        assert shown == same, "the same rows in other batches gave another snapshot"
    await _lifecycle(lambda: cls(keys), fed[0])


async def _empty(node: Stage, like: Batch) -> None:
    node.connect(like.schema)
    async with _started(node, context(takes=like.schema)):
        output = await _settled(node.process(like.select(np.zeros(0, np.intp))))
        assert not _count(output), "an empty batch gave rows"


async def _ran(node: Stage, fed: Sequence[Batch], schema: Schema) -> tuple[Rows, Stage]:
    """Run a stage in a graph; return what came out by port, and the stage."""
    source = ListSource(fed)
    source.gives = schema  # type: ignore[misc]  # also where there is no batch to tell
    nodes: dict[str, Node] = {"rows": source, "stage": node}
    inputs = {"stage": "rows"}
    keeps = {}
    for port in node.gives:
        nodes[f"of_{port}"] = keeps[port] = _Keep(Config())
        inputs[f"of_{port}"] = f"stage.{port}"
    made = graph(nodes, inputs)
    ledger = await Run(made).run()
    _balanced(ledger)
    for port, keep in keeps.items():
        promised = made.members["stage"].gives[port]
        for batch in keep.kept:
            _as_promised(batch, promised, port)
    return {p: [r for b in k.kept for r in _rows(b)] for p, k in keeps.items()}, node


def check_sink(
    cls: type[Sink],
    config: Keys = None,
    *,
    batches: Sequence[Batch] | None = None,
    snapshots: Mapping[str, Snapshot] | None = None,
    directory: Path | None = None,
) -> None:
    """Check a sink with `config` (or its keys as in the TOML); what it writes is yours to check.

    It takes all rows, also an empty batch, and modifies none; it ends well without rows;
    `close` may be called twice, and without `start`; a cancelled sink leaves no thread and no
    descriptor behind. `snapshots` is what a sink with `looks` looks at.
    """
    keys = _round_trip(cls, config)
    anyio.run(_sink, cls, keys, batches, snapshots or {}, directory or Path())


async def _sink(
    cls: type[Sink],
    keys: Any,
    batches: Sequence[Batch] | None,
    snapshots: Mapping[str, Snapshot],
    directory: Path,
) -> None:
    fed = list(batches) if batches is not None else _made_up(cls.takes)
    given = [] if cls.looks else [*fed, fed[0].select(np.zeros(0, np.intp))]
    before = [_copies(batch) for batch in given]
    for some in (given, []):
        node, ctx = cls(keys), context(directory=directory, snapshots=snapshots)
        node.connect(fed[0].schema)
        async with _started(node, ctx):
            for batch in some:
                answer: Any = await _settled(node.process(batch))
                assert answer is None, "a sink gives nothing"
            await _settled(node.tick(ctx.clock.now_ns()))
            await _settled(node.drain())
        assert not ctx.books.out, "a sink gives nothing"
    for batch, copies in zip(given, before, strict=True):
        _unmodified(batch, copies)
    await _lifecycle(lambda: cls(keys), None if cls.looks else fed[0], directory, snapshots)


def check_source(
    cls: type[Source], config: Keys = None, *, reads: int = 3, directory: Path | None = None
) -> None:
    """Check a source with `config` (or its keys as in the TOML), by `reads` batches of it.

    Batches are not empty, cannot be written to, and are of the schema that it `gives`; after
    `stop`, which may be called twice, it comes to its end; its books add up, and name as many
    records as it gave; `close` may be called twice, and without `start`; one whose `read` is
    cancelled leaves no thread and no descriptor behind.
    """
    keys = _round_trip(cls, config)
    anyio.run(_source, cls, keys, reads, directory or Path())


async def _source(cls: type[Source], keys: Any, reads: int, directory: Path) -> None:
    node, rows = cls(keys), 0
    async with _started(node, context(directory=directory)):
        for number in range(reads + _MANY):
            if number == reads:
                node.stop()
                node.stop()
            batch = await _settled(node.read())
            if batch is None:
                break
            rows += len(batch)
            assert len(batch), "an empty batch was given"
            assert batch.schema == node.gives, "a batch is not of the schema that it gives"
            writeable = [n for n in batch.schema.names if batch[n].flags.writeable]
            assert not writeable, f"column '{writeable[0]}' of a batch can be written to"
        else:
            raise AssertionError("it did not end after 'stop'")
        node.stop()
        books = node.books()
        if books:
            attempted, read, lost = (books.get(k, 0) for k in ("attempted", "read", "lost"))
            assert attempted == read + lost, f"books: attempted {attempted} != {read} + {lost}"
            assert read == rows, f"books: {read} read, {rows} given"
    await _lifecycle(lambda: cls(keys), None, directory)


class _Keep(Sink):
    """Keeps what it is given."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.kept: list[Batch] = []

    def process(self, batch: Batch) -> None:
        self.kept.append(batch)


def _round_trip(cls: type[Node], config: Keys) -> Any:
    """Return the config as a Struct, after a way to TOML's values and back."""
    if not isinstance(config, msgspec.Struct):
        config = convert(dict(config or {}), cls.Config)
    plain = {k: v for k, v in msgspec.to_builtins(config).items() if v is not None}
    again = msgspec.convert(plain, cls.Config)
    assert again == config, f"the config does not come back from a file: {again} != {config}"
    return config


def _made_up(takes: Schema | None) -> list[Batch]:
    number = np.arange(200)
    files = [f"/srv/{n % 7}/file{n % 13}.txt" if n % 5 else "" for n in range(200)]
    if takes is not None and takes.name == HALVES.name:
        nr = np.where(number % 3, 0, 1)
        halved = halves(pid=100 + number % 4, file=files, nr=nr)
        return [halved, halves(rows=1, names=halved.names)]
    ret = np.where(number % 11, number, -2)
    shared = calls(
        seq=number, pid=100 + number % 4, file=files, ret=ret, latency_ns=number * 1000, comm="made"
    )
    return [shared, calls(rows=1, seq=200, names=shared.names)]


def _cut(batch: Batch) -> Iterable[Batch]:
    """Yield the rows in batches of 1, 2, 4, ... rows."""
    start, size = 0, 1
    while start < len(batch):
        yield batch.select(np.arange(start, min(start + size, len(batch))))
        start, size = start + size, size * 2


def _copies(batch: Batch) -> dict[str, Array]:
    return {name: batch[name].copy() for name in batch.schema.names}


def _unmodified(batch: Batch, copies: Mapping[str, Array]) -> None:
    for name, copy in copies.items():
        assert np.array_equal(batch[name], copy), f"column '{name}' of what arrived was modified"
        assert not batch[name].flags.writeable, f"column '{name}' was made writeable"


def _balanced(ledger: Ledger) -> None:
    books = ledger.stages["stage"]
    assert not books.held, f"{books.held} rows are held after drain"
    assert ledger.closed, f"the books do not balance: {'; '.join(ledger.open_because)}"


def _as_promised(batch: Batch, promised: Schema, port: str) -> None:
    there = {column.name: column for column in batch.schema.columns}
    for column in promised.columns:
        found = there.get(column.name)
        assert found is not None, f"port '{port}': the column '{column.name}' did not come out"
        kinds = (found.kind, found.dtype), (column.kind, column.dtype)
        assert kinds[0] == kinds[1], f"port '{port}': column '{column.name}' is {kinds[0]}"
        assert batch[column.name].dtype == np.dtype(column.dtype), f"{column.name}: wrong dtype"


def _rows(batch: Batch) -> Iterable[dict[str, Any]]:
    for row in batch.rows():
        yield {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}


def _shown(snapshot: Snapshot | None) -> list[Any]:
    tables = [] if snapshot is None else snapshot.tables()
    for table in tables:
        for row in table.rows:
            assert len(row) == len(table.fields), f"table '{table.title}': a row of {len(row)}"
    return [(table.title, table.fields, list(table.rows), table.rest) for table in tables]


async def _lifecycle(
    make: Callable[[], Node],
    batch: Batch | None,
    directory: Path | None = None,
    snapshots: Mapping[str, Snapshot] | None = None,
) -> None:
    """Close what never started; cancel what is at work; look for what is left behind."""
    await _settled(make().close())
    before = _left()
    node = make()
    async with _started(node, context(directory=directory, snapshots=snapshots)):
        with anyio.CancelScope() as scope:
            scope.cancel()
            if isinstance(node, Source):
                await _settled(node.read())
            elif isinstance(node, (Stage, Sink)) and batch is not None:
                node.connect(batch.schema)
                await _settled(node.process(batch))
    left = _left() - before
    for _ in range(_PATIENCE):  # a thread that was abandoned may be about to end
        if not left:
            break
        await anyio.sleep(0.01)
        left = _left() - before
    assert not left, f"left behind after it was cancelled and closed: {', '.join(sorted(left))}"


@asynccontextmanager
async def _started(node: Node, ctx: NodeContext) -> AsyncIterator[None]:
    """Start a node, and close it twice; what it spawns ends before that."""
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        ctx.on_spawn = partial(_spawn, group)
        try:
            await _settled(node.start(ctx))
            yield
        except Exception as error:  # raised below: a task group would wrap it
            failure = error
        group.cancel_scope.cancel()
    for _ in range(2):
        try:
            await _settled(node.close())
        except Exception as error:
            failure = failure or error
    if failure is not None:
        raise failure


def _spawn(group: anyio.abc.TaskGroup, function: Callable[[], Awaitable[object]]) -> None:
    group.start_soon(_settled, function())


def _left() -> set[str]:
    """Return the threads (but the event loop's own workers) and descriptors that there are."""
    threads = {f"thread {t.name}" for t in threading.enumerate() if "AnyIO" not in t.name}
    links = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            links.add(f"descriptor {fd}: {os.readlink(f'/proc/self/fd/{fd}')}")
        except OSError:  # the listing's own
            continue
    return threads | links


def _count(output: Any) -> int:
    if output is None:
        return 0
    if isinstance(output, Mapping):
        return sum(map(_count, output.values()))
    return sum(map(_count, output)) if isinstance(output, list) else len(output)


async def _settled(result: Any) -> Any:
    while isinstance(result, Awaitable):
        result = await result
    return result
