"""Syscalls whose arguments strace 6.1 cannot read: what they are about, and what they returned."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import workloads
from product import ior, rows

pytestmark = pytest.mark.kernel

NAMES = (
    *("cachestat", "fchmodat2", "futex_wake", "futex_wait", "futex_requeue", "statmount"),
    *("listmount", "setxattrat", "getxattrat", "listxattrat", "removexattrat"),
    *("open_tree_attr", "file_getattr", "file_setattr", "listns"),
)
FILES = ["dir/file", "", "dir/file", "missing", *[""] * 5, *["dir/file"] * 8, ""]
BYTES = {"getxattrat", "listxattrat"}


@pytest.mark.parametrize("pairing", ["kernel", "user"])
def test_new_syscalls_have_rows_with_what_they_are_about(tmp_path: Path, pairing: str) -> None:
    selected = ("--pairing", pairing, "--syscalls", ",".join(NAMES))
    options = ("-o", str(tmp_path / "rows.csv"))
    done = ior(tmp_path, "run", "plain", *selected, *options, "--", *workloads.command("new"))
    assert done.code == 0, done.err
    said = [line.split() for line in done.out.decode().splitlines()]
    found = rows((tmp_path / "rows.csv").read_bytes())
    assert [[row["syscall"], row["ret"]] for row in found] == said
    assert {name for name, _ in said} == set(NAMES)
    named = [row["asked"] or row["file"] for row in found]
    assert [os.path.relpath(name, tmp_path) if name else "" for name in named] == FILES
    moved = [max(int(ret), 0) if name in BYTES else 0 for name, ret in said]
    assert [int(row["bytes"]) for row in found] == moved
    chmod = found[2]
    assert (chmod["mode"], chmod["call_flags"]) == (str(0o640), "256")
