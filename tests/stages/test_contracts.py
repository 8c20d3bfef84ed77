"""Every built-in node keeps the contract, and the checks find who does not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio
import msgspec
import numpy as np
import pytest

from ior import Batch, Column, Config, Sink, Source, Stage, stage
from ior.calls import HALVES
from ior.pipeline import registry
from ior.pipeline.abc import Context, Node
from ior.sinks.capture import Capture, CaptureConfig
from ior.stages.flamegraph import Flamegraph, FlamegraphConfig
from ior.stages.stats import Stats, StatsConfig
from ior.testing import calls, check_sink, check_source, check_stage, context, halves

STAGES: dict[str, dict[str, Any]] = {
    "pair": {},
    "filter": {"where": "latency >= 50us and is_error or bytes > 20"},
    "stats": {"by": ["file", "process", "pid", "errno"]},
    "flamegraph": {"stack": ["comm", "pid", "path", "syscall", "ret"]},
    "stream": {"rows": 50},
    "history": {"mib": 1},
}
SINKS: dict[str, dict[str, Any]] = {"csv": {"path": "o"}, "capture": {"path": "o"}}
LOOKING = {"report": {"path": "o"}, "folded": {"path": "o"}}
SOURCES: dict[str, dict[str, Any]] = {"synthetic": {"calls": 100_000}, "replay": {"path": "r.ior"}}


def built_in(name: str) -> Any:
    return registry.resolve(name, None, Path())


def test_every_type_is_checked_here() -> None:
    checked = {*STAGES, *SINKS, *LOOKING, *SOURCES, "bpf"}
    assert checked == set(registry.BUILTIN)


@pytest.mark.parametrize("name", STAGES)
def test_stages(name: str) -> None:
    check_stage(built_in(name), STAGES[name])


@pytest.mark.parametrize("name", SINKS)
def test_sinks(name: str, tmp_path: Path) -> None:
    check_sink(built_in(name), SINKS[name], directory=tmp_path)


@pytest.mark.parametrize("name", LOOKING)
def test_sinks_that_look(name: str, tmp_path: Path) -> None:
    flame = Flamegraph(FlamegraphConfig())
    flame.process(calls(rows=3))
    stats = Stats(StatsConfig())
    stats.process(calls(rows=3))
    shown: Any = {"flame": flame.snapshot()}
    if name == "report":
        shown["stats"] = stats.snapshot()
    check_sink(built_in(name), LOOKING[name], directory=tmp_path, snapshots=shown)


@pytest.mark.parametrize("name", SOURCES)
def test_sources(name: str, tmp_path: Path) -> None:
    async def record() -> None:
        sink = Capture(CaptureConfig(path="r.ior"))
        await sink.start(context(directory=tmp_path))
        for _ in range(9):
            await sink.process(halves(rows=10))
        await sink.drain()
        await sink.close()

    anyio.run(record)
    check_source(built_in(name), SOURCES[name], directory=tmp_path)


@pytest.mark.kernel
def test_the_kernel_source() -> None:
    check_source(built_in("bpf"), {"families": ["FS"]}, reads=0)


class Beside(Stage):
    """Does something beside its work until it has drained."""

    async def start(self, ctx: Context) -> None:
        await super().start(ctx)
        ctx.spawn(anyio.sleep_forever)

    def process(self, batch: Batch) -> Batch:
        return batch


class BesideSink(Sink):
    async def start(self, ctx: Context) -> None:
        await super().start(ctx)
        ctx.spawn(anyio.sleep_forever)

    def process(self, batch: Batch) -> None:
        pass


def test_nodes_may_spawn_tasks_as_in_a_graph() -> None:
    check_stage(Beside)
    check_sink(BesideSink)


EXTRA = Column("extra", "u4", "text", "more", 0)


class Modifies(Stage):
    def process(self, batch: Batch) -> Batch:
        column = batch["ret"]
        if column.base is None and len(column):
            column.flags.writeable = True
            column[0] += 1
        return batch


class Loses(Stage):
    def process(self, batch: Batch) -> Batch:
        return batch.select(np.arange(len(batch) // 2))


class Holds(Stage):
    def process(self, batch: Batch) -> None:
        self.ctx.hold(len(batch))


class Batchwise(Stage):
    def process(self, batch: Batch) -> Batch:
        kept = batch.select(np.arange(min(len(batch), 1)))
        self.ctx.book(filtered=len(batch) - len(kept))
        return kept


class Empty(Stage):
    def process(self, batch: Batch) -> Batch:
        return batch.select(batch["ret"] >= batch["ret"].min())


class Open(Stage):
    def start(self, ctx: Context) -> None:
        self.fd = os.open("/dev/null", os.O_RDONLY)

    def process(self, batch: Batch) -> Batch:
        return batch


class OnlyOnce(Stage):
    closed = False

    def process(self, batch: Batch) -> Batch:
        return batch

    def close(self) -> None:
        if self.closed:
            raise RuntimeError("closed twice")
        self.closed = True


@stage(gives=[EXTRA])
def wrong_type(batch: Batch) -> Batch:
    other = EXTRA._replace(dtype="u8", kind="int")
    return batch.with_columns({other: np.zeros(len(batch), np.uint64)})


@pytest.mark.parametrize(
    ("made_of", "said"),
    [
        (Modifies, "of what arrived was modified|was made writeable"),
        (Loses, "rows are unaccounted for"),
        (Holds, "rows are held after drain"),
        (Batchwise, "the same rows in other batches gave other rows"),
        (Empty, "zero-size array"),
        (Open, "left behind after it was cancelled and closed: descriptor"),
        (OnlyOnce, "closed twice"),
        (wrong_type, "column 'extra' is"),
    ],
)
def test_a_stage_that_breaks_a_promise_is_found(made_of: Any, said: str) -> None:
    with pytest.raises(Exception, match=said):
        check_stage(made_of)


def test_a_stage_to_which_a_batch_means_something_says_so() -> None:
    check_stage(Batchwise, split=False)


class Writes(Sink):
    def process(self, batch: Batch) -> Any:
        return batch


class Endless(Source):
    def read(self) -> Batch:
        return halves(rows=1)

    def stop(self) -> None:
        pass


class Miscounts(Source):
    left = 2

    async def read(self) -> Batch | None:
        self.left -= 1
        return halves(rows=1) if self.left >= 0 else None

    def stop(self) -> None:
        self.left = 0

    def books(self) -> dict[str, int]:
        return {"attempted": 3, "read": 3}


class Other(Miscounts):
    gives = HALVES._replace(name="others")


@pytest.mark.parametrize(
    ("check", "cls", "said"),
    [
        (check_sink, Writes, "a sink gives nothing"),
        (check_source, Miscounts, "books: 3 read, 2 given"),
        (check_source, Other, "not of the schema that it gives"),
        (check_source, Endless, "did not end after 'stop'"),
    ],
)
def test_sinks_and_sources_that_break_a_promise_are_found(
    check: Any, cls: type[Node], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ior.testing.contracts._MANY", 10)
    with pytest.raises(AssertionError, match=said):
        check(cls)


def test_a_config_must_come_back_from_a_file() -> None:
    class Loose(Config, frozen=True, kw_only=True):
        size: int = 1

        def __post_init__(self) -> None:
            msgspec.structs.force_setattr(self, "size", self.size + 1)

    class Mine(Batchwise):
        Config = Loose

    with pytest.raises(AssertionError, match="does not come back"):
        check_stage(Mine, split=False)
