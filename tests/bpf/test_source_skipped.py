"""Probe runs that the kernel skips: counted, told apart from denied calls, and said at the end.

A program does not run inside itself, and none of ior's own can: no syscall begins while one is
recorded. So the programs get one here that can, under the name of one of theirs: it runs at page
faults of the kernel, and causes one. The kernel skips that second run, and counts it.
"""

from __future__ import annotations

import platform
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from tracing import compiled, trace

from hatch_build import ROOT, command, find_tool
from ior.cli.main import main
from ior.sources.bpf import source as source_module
from ior.sources.bpf.choice import Choice
from ior.sources.bpf.loader import Object

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="page_fault_kernel is of x86"),
]

PLANTED = """
#define {name} unplanted
#include "ior.bpf.c"
#undef {name}

SEC("tp_btf/page_fault_kernel")
int {name}(void *ctx)
{{
	struct task_state *s = bpf_task_storage_get(&tasks, bpf_get_current_task_btf(), 0, 0);
	__u64 word;

	if (s && s->mark == MARK_FOLLOWED)
		bpf_probe_read_user(&word, sizeof(word), (void *)8);
	return 0;
}}
"""

CALLS = 50
FAULTS = r"""
int main(void) {
	char byte;
	must(puts("ready") && fflush(stdout) == 0 && read(0, &byte, 1) == 0, "wait");
	for (int i = 0; i < 50; i++)
		syscall(SYS_access, (char *)16, 0);
	return 0;
}
"""


@contextmanager
def waiting() -> Iterator[subprocess.Popen[bytes]]:
    """Run `FAULTS` up to where it waits for the end of its input."""
    with subprocess.Popen(
        [compiled(FAULTS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        yield child


@pytest.fixture
def planted(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the source load programs of which one is skipped; return its name."""
    name = str(request.param)
    (tmp_path / "bpf").mkdir()
    for header in (ROOT / "bpf").iterdir():
        target = "included.c" if header.name == "ior.bpf.c" else header.name
        (tmp_path / "bpf" / target).write_bytes(header.read_bytes())
    text = PLANTED.format(name=name).replace("ior.bpf.c", "included.c")
    (tmp_path / "bpf/ior.bpf.c").write_text(text, "ascii")
    (tmp_path / "data").mkdir()
    clang = find_tool("clang")
    assert clang is not None
    line = command(clang, platform.machine(), tmp_path, tmp_path / "data/ior.bpf.o")
    subprocess.run(line, cwd=tmp_path, check=True)
    there = SimpleNamespace(files=lambda _: tmp_path)
    monkeypatch.setattr(source_module, "resources", there)
    return name


@pytest.mark.parametrize("planted", ["on_sys_enter"], indirect=True)
def test_calls_whose_begin_was_skipped_are_no_rows_and_have_this_cause(planted: str) -> None:
    with waiting() as child:
        stdin = child.stdin
        assert stdin is not None
        traced = trace(pid=child.pid, on_start=lambda _: stdin.close(), syscalls=["access"])
    assert traced.rows == []
    assert traced.ledger.kernel["skipped"] >= CALLS
    assert traced.ledger.lost >= CALLS
    assert traced.causes.total() == CALLS
    assert traced.causes["skipped"] > 0
    assert traced.causes["denied"] == 0


@pytest.mark.parametrize("planted", ["on_sys_enter", "on_sys_exit", "on_newtask"], indirect=True)
def test_skipped_runs_are_in_the_books_and_said_at_the_end(
    planted: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = Choice.begin
    with waiting() as child:
        stdin = child.stdin
        assert stdin is not None

        def go_on(self: Choice, loaded: Object) -> None:
            begin(self, loaded)
            stdin.close()

        monkeypatch.setattr(Choice, "begin", go_on)
        line = ["run", "summary", "--syscalls", "access", "--pid", str(child.pid)]
        code = main([*line, "--fail-on-loss"])
    said = capfd.readouterr().err
    assert code == 3, said
    told = re.findall(r"([\d,]+) probe runs skipped", said)
    assert len(told) == 2, "in the report, and in the last line"
    assert re.search(r"[\d,]+ probe runs skipped, each", said.splitlines()[-1])
