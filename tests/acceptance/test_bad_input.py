"""What is wrong is said in one clear line, before anything is attached or run."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from product import Done, ior

pytestmark = pytest.mark.kernel

PIPELINE = """\
version = 1
[stage.kernel]
type = "bpf"
syscalls = ["openat"]
[stage.pair]
type = "pair"
inputs = "kernel"
[stage.slow]
type = "filter"
inputs = "pair"
where = 'latency >= 1ms'
[stage.csv]
type = "csv"
inputs = "slow"
path = "rows.csv"
"""

FILES = {
    "good.toml": ("", ""),
    "broken.toml": ("[stage.csv]", "[stage.csv"),
    "key.toml": ('path = "', 'paht = "'),
    "type.toml": ('"csv"', '"cvs"'),
    "syscall.toml": ("openat", "opennat"),
    "where.toml": ("latency >=", "latncy >="),
    "output.toml": ("rows.csv", "no/such/rows.csv"),
}


class Bad(NamedTuple):
    """A command line before `-- touch marker`, the exit code, what is said and in how many lines.

    What is wrong in a pipeline has its place and a line of help. A filter is shown below its
    line, with carets under what is wrong.
    """

    argv: tuple[str, ...]
    code: int
    said: str
    lines: int = 1
    command: tuple[str, ...] = ("touch",)


RUN = ("run", "good.toml")
BAD = {
    "missing file": Bad(("run", "gone.toml"), 66, "gone.toml"),
    "toml": Bad(("run", "broken.toml"), 78, "broken.toml:12:11: E101", 2),
    "unknown key": Bad(
        ("run", "key.toml"), 78, "key.toml:15:1: E201 stage.csv.paht: unknown key", 2
    ),
    "unknown type": Bad(
        ("run", "type.toml"), 78, "type.toml:13:8: E301 stage.csv.type: unknown", 2
    ),
    "unknown syscall": Bad((*RUN, "--syscalls", "opennat"), 2, "did you mean openat"),
    "unknown syscall in the file": Bad(("run", "syscall.toml"), 78, "did you mean openat", 2),
    "filter": Bad((*RUN, "--where", "ret > 0 and latncy > 1ms"), 2, "did you mean", 3),
    "filter in the file": Bad(("run", "where.toml"), 78, "where.toml:11:10: E502", 4),
    "no such command": Bad(RUN, 127, "no-such-command", command=("no-such-command",)),
    "not executable": Bad(RUN, 126, "permission denied", command=("./good.toml",)),
    "output": Bad(("run", "output.toml"), 73, "no/such/rows.csv", 2),
    "output on the line": Bad((*RUN, "-o", "no/such/rows.csv"), 73, "no/such/rows.csv", 2),
    "output is a directory": Bad((*RUN, "-o", "."), 73, "irectory", 2),
    "ledger": Bad((*RUN, "--ledger", "no/such/l.json"), 73, "no/such/l.json"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, (old, new) in FILES.items():
        assert old in PIPELINE
        (tmp_path / name).write_text(PIPELINE.replace(old, new))
    return tmp_path


def watched(folder: Path, *argv: str, before: tuple[str, ...] = ()) -> tuple[Done, str]:
    """Run a command line; return what it gave, and its calls of bpf(2) that attach something."""
    log = folder / "bpf.log"
    strace = ("strace", "--seccomp-bpf", "-f", "-qqq", "-e", "trace=bpf", "-o", str(log))
    done = ior(folder, *argv, before=(*strace, *before))
    calls = log.read_text(encoding="utf-8").splitlines()
    attach = re.compile("BPF_LINK_CREATE|BPF_RAW_TRACEPOINT_OPEN")
    return done, "\n".join(filter(attach.search, calls))


def check(done: Done, code: int, said: str, lines: int = 1) -> None:
    assert done.code == code, done.err
    assert said in done.err
    assert done.err.count("\n") == lines, done.err
    assert re.match(r"ior: |\w+\.toml:\d+:\d+: E\d{3} ", done.err)
    assert "Traceback" not in done.err
    assert done.out == b""


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_one_line_says_what_is_wrong_before_anything_is_attached(folder: Path, bad: Bad) -> None:
    done, attached = watched(folder, *bad.argv, "--", *bad.command, "marker")
    check(done, bad.code, bad.said, bad.lines)
    assert attached == ""
    assert not (folder / "marker").exists()
    assert not (folder / "rows.csv").exists()


def test_a_good_line_attaches_and_runs(folder: Path) -> None:
    done, attached = watched(folder, *RUN, "--", "touch", "marker")
    assert done.code == 0, done.err
    assert attached.count("BPF_") > 1
    assert (folder / "marker").exists()
    assert (folder / "rows.csv").exists()


@pytest.mark.parametrize("target", ["--pid", "--tid"])
def test_a_target_that_is_gone(folder: Path, target: str) -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    done, attached = watched(folder, *RUN, target, str(gone.pid))
    check(done, 2, str(gone.pid))
    assert attached == ""


def test_a_filter_is_shown_with_the_place_that_is_wrong(folder: Path) -> None:
    done = ior(folder, *RUN, "--where", "ret > 0 and latncy > 1ms")
    _, source, carets = done.err.splitlines()
    assert source.strip() == "ret > 0 and latncy > 1ms"
    assert source[carets.index("^") : carets.rindex("^") + 1] == "latncy"


def test_without_permission(folder: Path) -> None:
    """As nobody, who may read every file: the clone may lie where only its owner looks."""
    may = "-all,+dac_read_search"
    limits = (f"--inh-caps={may}", f"--ambient-caps={may}", f"--bounding-set={may}")
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *limits)
    folder.chmod(0o777)
    done, attached = watched(folder, *RUN, "--", "touch", "marker", before=nobody)
    check(done, 77, "CAP_BPF")
    assert "MEMLOCK" not in done.err
    assert attached == ""
    assert not (folder / "marker").exists()
    assert not (folder / "rows.csv").exists()
