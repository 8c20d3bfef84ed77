"""The examples of stages of one's own keep the contract and run without the kernel."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ior.pipeline import registry
from ior.testing import calls, check_sink, check_source, check_stage

ROOT = Path(__file__).parents[2]


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """Return a copy that is root's, wherever the clone came from."""
    folder = tmp_path / "examples"
    shutil.copytree(ROOT / "examples", folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    return folder


def named(folder: Path, use: str) -> Any:
    return registry.resolve(None, use, folder)


def ior(folder: Path, *argv: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "ior", "run", *argv, "--ledger", "l.json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ledger: dict[str, Any] = json.loads((folder / "l.json").read_bytes())
    assert ledger["closed"], ledger["open_because"]
    return ledger | {"report": done.stderr}


@pytest.mark.parametrize(
    "use", ["./extensions.py:extensions", "./bursts.py:bursts", "./slow_files.py:SlowFiles"]
)
def test_the_stages_keep_the_contract(examples: Path, use: str) -> None:
    check_stage(named(examples, use))


def test_the_sink_and_the_source_keep_the_contract(examples: Path) -> None:
    check_sink(named(examples, "./sqlite_sink.py:Sqlite"), {"path": "a.db"}, directory=examples)
    lines = ["time_ns,latency_ns,pid,ret,comm,syscall,file", "1,,3,4,cat,read,/etc/passwd"]
    (examples / "c.csv").write_text("\n".join([lines[0], *lines[1:] * 10]) + "\n")
    source = named(examples, "./csv_source.py:CsvSource")
    check_source(source, {"path": "c.csv", "rows": 3}, directory=examples)


def test_one_pipeline_with_one_of_each_form(examples: Path) -> None:
    ledger = ior(examples, "own_stages.toml")
    stages = ledger["stages"]
    with (examples / "calls.csv").open(newline="") as file:
        written = list(csv.DictReader(file))
    assert len(written) == stages["web"]["out"]["out"] > 0
    assert {row["extension"] for row in written} == {"html", "py"}
    assert all(row["file"].endswith("." + row["extension"]) for row in written)
    assert min(int(row["depth"]) for row in written) > 2
    counted = sqlite3.connect(examples / "calls.db").execute("SELECT sum(count) FROM calls")
    assert counted.fetchone() == (stages["bursts"]["out"]["out"],)
    assert 0 < stages["bursts"]["filtered"] < stages["bursts"]["in"]
    assert (examples / "errors.csv").read_text() == "error,seq,file\n"
    assert "By extension" in ledger["report"]
    again = ior(examples, "from_csv.toml")
    assert again["kernel"]["read"] == again["stages"]["stats"]["consumed"] == len(written)
    assert "Syscalls" in again["report"]


def test_the_page_leads_to_a_tested_stage(tmp_path: Path) -> None:
    page = (ROOT / "docs/stages.md").read_text(encoding="utf-8")
    lesson = page[page.index("### In ten minutes") : page.index("### Three forms")]
    blocks = re.findall(r"^```\w+\n(.*?)^```", lesson, re.DOTALL | re.MULTILINE)
    for name, text in zip(("mine.py", "mine.toml", "test_mine.py"), blocks, strict=True):
        (tmp_path / name).write_text(text)
    ledger = ior(tmp_path, "mine.toml")
    assert 0 < ledger["stages"]["only"]["out"]["out"] < 10_000
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{tmp_path}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 passed" in tested.stdout


def test_a_function_is_tested_as_a_function(examples: Path) -> None:
    made = named(examples, "./extensions.py:extensions")
    batch = made.function(calls(file=["/a/b.py", "/etc/.hidden", "pipe:[1]"]))
    assert batch.text("extension") == ["py", "", ""]
    assert batch["depth"].tolist() == [2, 2, 0]
