"""A trace of the whole host leaves out ior, with the processes that stages run in."""

from __future__ import annotations

import csv
import os
import subprocess
from pathlib import Path
from subprocess import DEVNULL

import anyio
import pytest

from ior.host import own
from ior.pipeline.graph import build
from ior.pipeline.run import Run
from ior.pipeline.spec import parse

pytestmark = pytest.mark.kernel

PIPELINE = """version = 1
[stage.kernel]
type = "bpf"
families = ["FS", "Network"]
[stage.pair]
type = "pair"
inputs = "kernel"
[stage.mine]
use = "./own.py:kept"
inputs = "pair"
isolation = "process"
[stage.rows]
type = "csv"
inputs = "mine"
path = "rows.csv"
"""


async def work(run: Run) -> set[int]:
    """Run for a while; return the ids of ior's processes."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run.run)
        await run.started.wait()
        parts = set(own.processes())
        await anyio.sleep(0.5)
        run.stop()
    return parts


def test_no_part_of_ior_is_in_a_trace_of_the_whole_host(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def kept(batch):\n    return batch\n")
    run = Run(build(parse(PIPELINE, directory=tmp_path, label="p.toml")))
    with subprocess.Popen(["sh", "-c", "while :; do ls /; done"], stdout=DEVNULL) as other:
        try:
            parts = anyio.run(work, run)
        finally:
            other.kill()
    assert len(parts) == 2
    assert os.getpid() in parts
    with (tmp_path / "rows.csv").open() as rows:
        seen = {(int(row["pid"]), row["comm"]) for row in csv.DictReader(rows)}
    assert "ls" in {comm for _, comm in seen}
    assert [pid for pid, _ in seen if pid in parts] == []
    assert own.processes() == [os.getpid()]
