"""Stages in a process of their own: what they give comes back, what they break stays there."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import anyio
import pytest

from ior.errors import IorError, StageFailed
from ior.pipeline.graph import build
from ior.pipeline.run import Run
from ior.pipeline.spec import parse

pytestmark = pytest.mark.anyio

OWN = """
import ctypes, os, signal
from pathlib import Path
import numpy as np
from ior import Column, Sink, Stage, Table, Field, stage

EXT = Column("ext", "u4", "text", "the file's extension", 0)
MAIN = os.getpid()

@stage(gives=[EXT])
def ext(batch, ctx):
    assert os.getpid() != MAIN
    ctx.warn(f"at work as {os.geteuid()}")
    kept = batch.select(batch["ret"] >= 0)
    return kept.with_columns({EXT: [name.rpartition(".")[2] for name in kept.text("file")]})

async def halved(batches):
    async for batch in batches:
        yield batch.select(np.arange(len(batch) // 2))

class Rights(Stage):
    gives = {}
    status = ""
    def process(self, batch):
        self.status = Path("/proc/self/status").read_text()
        self.fds = sorted(os.listdir("/proc/self/fd"))
    def snapshot(self):
        wanted = ("Uid", "Groups", "CapPrm", "CapEff", "CapBnd", "NoNewPrivs")
        lines = [line.split(":") for line in self.status.splitlines()]
        rows = [(k, " ".join(v.split())) for k, v, *_ in lines if k in wanted]
        rows.append(("fds", str(len(self.fds) if self.status else 0)))
        return Shown(rows)

class Shown:
    def __init__(self, rows): self.rows = rows
    def tables(self): return [Table("rights", (Field("k", "text"), Field("v", "text")), self.rows)]

class Crashes(Sink):
    def process(self, batch):
        ctypes.string_at(0)

class Leaves(Sink):
    def process(self, batch):
        raise SystemExit(3)

class Lingers(Sink):
    def process(self, batch):
        pass
    def close(self):
        signal.pause()

class Hangs(Sink):
    def process(self, batch):
        while True:
            pass
"""
HEAD = """version = 1
[stage.kernel]
type = "synthetic"
calls = 40000
[stage.pair]
type = "pair"
inputs = "kernel"
[stage.mine]
inputs = "pair"
isolation = "process"
"""


def run_of(folder: Path, rest: str, warned: list[str] | None = None) -> Run:
    (folder / "own.py").write_text(OWN)
    graph = build(parse(HEAD + rest, directory=folder, label="p.toml"))
    said = [] if warned is None else warned
    return Run(graph, on_warning=lambda node, message: said.append(f"{node} {message}"))


async def test_what_is_given_apart_arrives(tmp_path: Path) -> None:
    warned: list[str] = []
    rest = 'use = "./own.py:ext"\n[stage.s]\ntype = "stats"\nby = ["ext"]\ninputs = "mine"\n'
    run = run_of(tmp_path, rest, warned)
    ledger = await run.run()
    assert ledger.closed, ledger.open_because
    mine = ledger.stages["mine"]
    assert mine.filtered > 0
    assert mine.out["out"] == 40_000 - mine.filtered == ledger.stages["s"].consumed
    assert "py" in {row[0] for row in run.snapshot("s").tables()[0].rows}
    expected = int(os.environ.get("SUDO_UID", "65534")) if os.geteuid() == 0 else os.geteuid()
    assert warned[0].startswith(f"mine at work as {expected}")


async def test_a_generator_apart(tmp_path: Path) -> None:
    rest = 'use = "./own.py:halved"\n[stage.s]\ntype = "stream"\ninputs = "mine"\n'
    ledger = await run_of(tmp_path, rest).run()
    assert ledger.closed, ledger.open_because
    mine = ledger.stages["mine"]
    assert mine.filtered + mine.out["out"] == 40_000
    assert 0 <= mine.filtered - mine.out["out"] < 40


async def test_it_has_no_rights_and_no_descriptors(tmp_path: Path) -> None:
    run = run_of(tmp_path, 'use = "./own.py:Rights"\n')
    ledger = await run.run()
    assert ledger.closed
    rows = dict(run.snapshot("mine").tables()[0].rows)
    assert rows["CapPrm"] == rows["CapEff"] == "0" * 16
    assert rows["NoNewPrivs"] == "1"
    if os.geteuid() == 0:
        assert rows["CapBnd"] == "0" * 16
        assert rows["Groups"] == ""
        assert "0" not in rows["Uid"].split()


async def test_a_crash_fails_the_stage_and_the_books_close(tmp_path: Path) -> None:
    run = run_of(tmp_path, 'use = "./own.py:Crashes"\n')
    said = f"stage 'mine': ChildProcessError: its process ended by signal {int(signal.SIGSEGV)}"
    with pytest.raises(StageFailed, match=said):
        await run.run()
    assert run.ledger().closed, run.ledger().open_because


async def test_an_abort_ends_one_that_hangs(tmp_path: Path) -> None:
    run = run_of(tmp_path, 'use = "./own.py:Hangs"\n')
    said: list[str] = []

    async def ends() -> None:
        try:
            await run.run()
        except Exception as error:
            said.append(str(error))

    async with anyio.create_task_group() as group:
        group.start_soon(ends)
        await run.started.wait()
        while not run._crew.workers["mine"].ctx.lane.busy:  # type: ignore[union-attr]
            await anyio.lowlevel.checkpoint()
        pid = run._crew.workers["mine"].node._pid  # type: ignore[attr-defined]
        run.abort()
    assert "'mine' with" in said[0]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)  # nobody is left


async def test_what_is_raised_there_is_said_as_it_was_there(tmp_path: Path) -> None:
    with pytest.raises(StageFailed) as caught:
        await run_of(tmp_path, 'use = "./own.py:Leaves"\n').run()
    line = OWN.split("\n").index("        raise SystemExit(3)") + 1
    assert str(caught.value) == f"stage 'mine': SystemExit: 3 (own.py:{line})"


async def test_one_that_does_not_close_is_ended(tmp_path: Path) -> None:
    rest = 'use = "./own.py:Lingers"\n[pipeline]\ndrain_s = 2\n'
    run = run_of(tmp_path, rest)
    with pytest.raises(IorError, match="'mine' did not close"):
        await run.run()
