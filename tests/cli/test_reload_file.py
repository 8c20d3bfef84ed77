"""`ior run --watch` and SIGHUP: a pipeline file that changes under a run."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from made import Invoke

from ior.cli.reload import PipelineFile
from ior.pipeline.graph import Graph
from ior.testing import graph

ROOT = Path(__file__).parents[2]

MADE = """
version = 1
[stage.kernel]
use = "./nodes.py:Made"
endless = true
[stage.where]
type = "filter"
where = '{where}'
inputs = "kernel"
[stage.csv]
type = "csv"
inputs = "where"
columns = ["ret"]
path = "rows.csv"
"""


def start(folder: Path, *argv: str) -> subprocess.Popen[str]:
    """Start `ior run` in a session of its own, so that it has no controlling terminal."""
    return subprocess.Popen(
        [sys.executable, "-m", "ior", "run", *argv],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def until(process: subprocess.Popen[str], words: str) -> list[str]:
    """Return the lines on stderr up to one with these words."""
    assert process.stderr is not None
    lines: list[str] = []
    for line in process.stderr:
        lines.append(line.rstrip())
        if words in line:
            return lines
    raise AssertionError(f"it never said '{words}', but: {lines}")


def replace(path: Path, text: str) -> None:
    """Write a file as editors do: under another name, then renamed."""
    beside = path.with_name("beside.tmp")
    beside.write_text(text)
    beside.rename(path)


def ended(process: subprocess.Popen[str], folder: Path) -> dict[str, dict[str, dict[str, int]]]:
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    books: dict[str, dict[str, dict[str, int]]] = json.loads((folder / "l.json").read_text())
    assert books["closed"], books["open_because"]
    return books


def test_sighup_without_a_terminal_applies_the_file(folder: Path) -> None:
    file = folder / "p.toml"
    file.write_text(MADE.format(where="ret == 5"))
    with start(folder, "p.toml", "--ledger", "l.json") as process:
        until(process, "running p.toml")
        file.write_text(MADE.format(where="ret == 6"))
        process.send_signal(signal.SIGHUP)
        until(process, "p.toml applied: anew where")
        books = ended(process, folder)
    assert books["stages"]["where@1"]["out"]["out"] == books["stages"]["csv"]["in"]
    assert books["stages"]["where"]["out"]["out"] == 0


def test_a_watched_file_that_is_wrong_is_explained_and_the_run_goes_on(folder: Path) -> None:
    file = folder / "p.toml"
    file.write_text(MADE.format(where="ret == 5"))
    with start(folder, "p.toml", "--watch", "--ledger", "l.json") as process:
        until(process, "running p.toml")
        replace(file, MADE.format(where="rat == 5").replace("columns", "colums"))
        until(process, "p.toml is not applied, the run goes on as before:")
        said = until(process, "did you mean 'columns'")
        assert any("E502" in line and "'rat'" in line for line in said), said
        replace(file, MADE.format(where="ret == 5").replace("endless", "fail_after = 9\nendless"))
        until(process, "is not applied")
        said = until(process, "source")
        assert said[-1].endswith(
            "stage 'kernel' is a source: its keys cannot change while it runs; start a new run"
        )
        replace(file, MADE.format(where="ret != 5"))
        until(process, "p.toml applied: anew where")
        books = ended(process, folder)
    assert books["stages"].keys() == {"kernel", "where@1", "where", "csv"}
    rows = (folder / "rows.csv").read_text().split()
    assert len(rows) - 1 == books["stages"]["where@1"]["in"]


def test_a_preset_cannot_be_watched(ior: Invoke) -> None:
    result = ior("run", "summary", "--watch")
    assert result.code == 2
    assert "'summary' is a preset" in result.err


def made_graph() -> Graph:
    return graph({})


def test_a_file_has_changed_when_its_settled_content_has(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text("one")
    file = PipelineFile(path, made_graph)
    assert [file.changed() for _ in range(3)] == [False] * 3
    os.utime(path, (1, 1))
    assert [file.changed() for _ in range(3)] == [False] * 3
    path.write_text("two")
    assert [file.changed() for _ in range(3)] == [False, True, False]
    path.unlink()
    assert not file.changed()
    replace(path, "two")
    assert [file.changed() for _ in range(3)] == [False] * 3
    replace(path, "tre")
    assert [file.changed() for _ in range(3)] == [False, True, False]


KERNEL = """
version = 1
[stage.kernel]
type = "bpf"
[stage.pair]
type = "pair"
inputs = "kernel"
[stage.reads]
type = "filter"
inputs = "pair"
where = 'comm == "dd" and syscall == "read" and fd == 0'
[stage.all]
type = "csv"
inputs = "reads"
path = "all.csv"
columns = ["ret"]
[stage.where]
type = "filter"
inputs = "pair"
where = 'comm == "dd" and {where}'
[stage.some]
type = "csv"
inputs = "where"
path = "some.csv"
columns = ["syscall"]
"""

WORK = """
runs=0
while [ ! -e stop ]; do
    dd if=/dev/zero of=/dev/null bs=512 count=500 2>/dev/null
    runs=$((runs + 1)); echo $runs > runs
done
"""


def column(path: Path) -> list[str]:
    with path.open(newline="") as lines:
        return [row[0] for row in csv.reader(lines)][1:]


def wait_for_more(folder: Path, process: subprocess.Popen[str]) -> None:
    """Wait until dd has run three more times."""
    before = runs(folder)
    anyio.run(_until, lambda: runs(folder) >= before + 3 or process.poll() is not None)


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - another process does it
        await anyio.sleep(0.01)


def runs(folder: Path) -> int:
    return int((folder / "runs").read_text() or 0) if (folder / "runs").exists() else 0


@pytest.mark.kernel
def test_the_probes_stay_attached_while_a_filter_changes(folder: Path) -> None:
    file = folder / "p.toml"
    file.write_text(KERNEL.format(where='syscall == "read" and fd == 0'))
    line = ("p.toml", "--watch", "--ledger", "l.json", "--", "sh", "-c", WORK)
    with start(folder, *line) as process:
        until(process, "tracing")
        wait_for_more(folder, process)
        replace(file, KERNEL.format(where='syscall == "write" and fd == 1'))
        until(process, "p.toml applied: anew where")
        wait_for_more(folder, process)
        (folder / "stop").touch()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    books = json.loads((folder / "l.json").read_text())
    assert books["closed"], books["open_because"]
    assert books["kernel"]["lost"] == 0
    calls = 500 * runs(folder)
    assert len(column(folder / "all.csv")) == calls  # the reads of every dd: nobody looked away
    some = column(folder / "some.csv")
    assert some == ["read"] * some.count("read") + ["write"] * some.count("write")
    assert some.count("read") == books["stages"]["where@1"]["out"]["out"] > 0
    assert some.count("write") == books["stages"]["where"]["out"]["out"] > 0
    assert abs(len(some) - calls) <= 1  # one read or write may lie on either side of the change
    assert books["stages"]["where@1"]["in"] + books["stages"]["where"]["in"] == books["calls"]
