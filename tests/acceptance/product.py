"""`ior` as its users have it: a command line in a process of its own, and what that wrote.

Nothing of ior is imported here, so that its results are read as anybody would read them.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
IOR = (sys.executable, "-m", "ior")
PATIENCE_S = 60.0

Row = dict[str, str]
Tables = dict[str, dict[str, dict[str, str]]]


class Done(NamedTuple):
    """What a command line gave."""

    code: int
    out: bytes
    err: str

    @property
    def rows(self) -> list[Row]:
        """What it wrote on stdout, as CSV."""
        return rows(self.out)


def environment() -> dict[str, str]:
    """Return ours, without sudo's variables: commands run as the user of the tests."""
    kept = {n: v for n, v in os.environ.items() if n not in ("SUDO_UID", "SUDO_GID", "IOR_DEBUG")}
    return kept | {"PYTHONPATH": str(ROOT)}


def ior(folder: Path, *argv: str | bytes, before: tuple[str, ...] = ()) -> Done:
    """Run a command line in `folder` to its end."""
    done = subprocess.run(
        [*before, *IOR, *argv],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=100,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr.decode("utf-8", "backslashreplace"))


@contextmanager
def started(folder: Path, *argv: str, **kwargs: Any) -> Iterator[subprocess.Popen[str]]:
    """Start a command line with its stdout and stderr as pipes; leave nothing of it behind."""
    process = subprocess.Popen(
        [*IOR, *argv],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **kwargs,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()


def wait_for(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds; fail when it does not in time."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.005)


def runs(pid: int) -> bool:
    """Tell whether a process runs: it exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def traced_pid(status: str) -> int:
    """Return the process id in the line that says what is traced."""
    found = re.search(r"\(pid (\d+)\)", status)
    assert found, status
    return int(found[1])


def rows(written: bytes) -> list[Row]:
    """Read CSV, line ends inside cells as they are."""
    return list(csv.DictReader(io.StringIO(written.decode("utf-8"), newline=""), strict=True))


def books(path: Path) -> dict[str, Any]:
    """Read the file that `--ledger` wrote."""
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def report(text: str) -> Tables:
    """Read a report among other lines of ior: tables by title, then cells by key and heading."""
    tables: Tables = {}
    said = (line for line in text.split("\n") if not line.startswith("ior: "))
    for block in "\n".join(said).split("\n\n"):
        first, *lines = block.split("\n")
        title, *heads = re.split(r"\s{2,}", first.strip())
        if "calls" not in heads:
            continue
        table = tables[title] = {}
        for line in lines if lines != ["(nothing)"] else ():
            cells = re.split(r"\s{2,}", line.strip())
            key = "  ".join(cells[: -len(heads)])
            table[key] = dict(zip(heads, cells[-len(heads) :], strict=True))
    return tables


def number(cell: str) -> int:
    """Return the count in a cell of a report."""
    return 0 if cell == "-" else int(cell.replace(",", ""))


def folded(path: Path) -> dict[tuple[str, ...], int]:
    """Read folded stacks."""
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.rpartition(" ") for line in lines)
    return {tuple(stack.split(";")): int(weight) for stack, _, weight in pairs}
