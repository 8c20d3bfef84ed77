"""Every example runs as it is described, on the running kernel."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from product import ROOT, books, environment, folded, ior, number, report

pytestmark = pytest.mark.kernel

EXAMPLES = ROOT / "examples"
WORK = ("sh", "-c", "cat /etc/passwd /etc/group > copy; cat copy > /dev/null")


def test_the_pipeline_with_a_stage_class_of_ones_own(tmp_path: Path) -> None:
    line = ("run", str(EXAMPLES / "pipeline.toml"), "--ledger", "l.json")
    changes = ("--set", "slow.threshold_us=0", "--set", "report.width=120")
    done = ior(tmp_path, *line, *changes, "--set", "report.top=999", "--", *WORK)
    assert done.code == 0, done.err
    ledger = books(tmp_path / "l.json")
    assert ledger["closed"] is True
    assert ledger["stages"]["slow"]["consumed"] == ledger["stages"]["named"]["out"]["out"] > 0
    table = done.err.partition("Slow files")[2].partition("\n\n")[0]
    slow = dict(re.findall(r"^(/\S+) +([\d,]+) ", table, re.MULTILINE))
    assert {"/etc/passwd", "/etc/group", f"{tmp_path}/copy"} <= slow.keys()
    assert sum(map(number, slow.values())) == ledger["stages"]["slow"]["consumed"]


def test_a_stage_function_of_ones_own(tmp_path: Path) -> None:
    """The README's: its two blocks in two files."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for language, name in (("toml", "slow.toml"), ("python", "by_extension.py")):
        found = re.search(rf"^```{language}\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
        assert found
        (tmp_path / name).write_text(found[1])
    for name in ("one.txt", "two.txt", "three.md"):
        (tmp_path / name).write_text(name)
    line = ("run", "slow.toml", "--set", 'slow.where=path under "/"', "--ledger", "l.json")
    done = ior(tmp_path, *line, "--", "cat", "one.txt", "two.txt", "three.md")
    assert done.code == 0, done.err
    ledger = books(tmp_path / "l.json")
    assert ledger["closed"] is True
    assert number(report(done.err)["Files"][".md"]["calls"]) > 1
    stacks = folded(tmp_path / "stacks.folded")
    assert sum(stacks.values()) == ledger["stages"]["kinds"]["out"]["out"] > 0
    opened = {s[1]: n for s, n in stacks.items() if s[0] == "cat" and s[-1] == "openat"}
    assert (opened[".txt"], opened[".md"]) == (2, 1)


def test_a_probe_of_ones_own(tmp_path: Path) -> None:
    probe = (sys.executable, str(EXAMPLES / "own_probe.py"), "--seconds", "60", "--events", "3")
    with subprocess.Popen(
        [*probe, "--uid", "54322"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "tracing\n"
        for _ in range(3):
            subprocess.run(["/bin/true"], check=True, user=54322)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert out.splitlines()[1:] == [f"{3:>10}  {1:>5}  true", "3 executed, 0 lost"]


def test_there_is_no_example_that_nobody_runs() -> None:
    run_here = {"pipeline.toml", "tested.toml", "slow_files.py", "own_probe.py", "own_probe.bpf.c"}
    run_here |= {"own_stages.toml", "extensions.py", "bursts.py", "sqlite_sink.py"}
    run_here |= {"from_csv.toml", "csv_source.py"}  # tests/pipeline/test_own_examples.py
    assert {path.name for path in EXAMPLES.iterdir() if path.name != "__pycache__"} == run_here
