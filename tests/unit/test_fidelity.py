"""The page that says what is captured of every syscall is true."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ior import syscalls

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/fidelity.md").read_text(encoding="utf-8")


def test_the_table_is_the_one_by_which_ior_traces() -> None:
    line = [sys.executable, str(ROOT / "scripts/fidelity.py"), "--check"]
    done = subprocess.run(line, check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, f"run scripts/fidelity.py; {done.stderr}"


def test_every_syscall_is_in_it_once() -> None:
    table = PAGE.partition("| syscall |")[2]
    named = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]
    assert sorted(named) == sorted(call.name for call in syscalls.table("x86_64").by_nr.values())
    assert "| `openat` | FS | new descriptor, path | `call_flags`, `mode` |  |" in table
    assert "| `rename` | FS | path, from path |  |  |" in table
    assert "| `read` | FS | descriptor | `requested_bytes` | read |" in table
