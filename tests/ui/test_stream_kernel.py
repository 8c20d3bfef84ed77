"""The stream of real calls: a row opened, and the life of its descriptor from open to close."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ptys import Pty

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(120)]

SCRIPT = """
import os, time
fd = os.open({path!r}, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
os.write(fd, b"x" * 100)
for _ in range(3):
    os.pread(fd, 50, 0)
os.close(fd)
"""


def entry(lines: list[str], label: str) -> str:
    """Return the text beside a label."""
    found = (re.match(rf"[› ]{re.escape(label)} +(.*)", line) for line in lines)
    return next(match[1].rstrip() for match in found if match)


def test_a_real_row_tells_the_life_of_its_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "file"
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(path=str(path)), encoding="utf-8")
    with Pty("--", "python3", "-I", "-S", str(script), columns=120, rows=60) as pty:
        lines = pty.see("the run has ended; q leaves")
        tab = re.search(r"(\d) Stream", lines[2])
        assert tab is not None
        pty.child.send(tab[1])
        pty.see("the latest of ")
        pty.child.send("/^pread64$\r")
        pty.see("match ")
        pty.child.send("v")
        lines = pty.wait(lambda lines: sum("close  = 0" in line for line in lines) == 3)
        assert lines[3].startswith("›pread64 ")
        assert entry(lines, "file") == str(path)
        assert entry(lines, "requested_bytes") == "50 B (50)"
        assert entry(lines, "result") == "50"
        life = lines[next(i for i, line in enumerate(lines) if "descriptor " in line) :]
        assert "openat  = " in entry(life, "opened")
        assert "O_RDWR|O_CREAT|O_CLOEXEC mode=0640" in entry(life, "opened").replace("call_", "")
        assert entry(life, "pread64").startswith("3 calls, 150 B, ")
        assert entry(life, "write").startswith("1 call, 100 B, ")
        assert "close  = 0" in entry(life, "closed")
        row = re.compile(r"›(?: {16}|this call {7}) \S+  \d+  (\w+)  = ")
        calls = [match[1] for match in map(row.match, life) if match]
        assert calls == ["openat", "write", "pread64", "pread64", "pread64", "close"]
        pty.child.send("v")
        pty.see(" match ")
        pty.child.send("q")
        assert pty.leave() == (0, "")
