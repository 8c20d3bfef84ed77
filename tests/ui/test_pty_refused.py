"""Where tracing cannot begin, on the real kernel: a screen that says why and what helps."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ptys import ROOT, Pty

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(90)]

sys.path.insert(0, str(ROOT))

import hatch_build  # noqa: E402 -- it is no part of the package

NOBODY = (  # who may look for files, so that Python is found, and nothing else
    *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
    *(f"--{kind}=-all,+dac_read_search" for kind in ("inh-caps", "ambient-caps", "bounding-set")),
)


def mounted(command: str) -> tuple[str, ...]:
    """Return what runs a command in a mount namespace of its own, changed by `command`."""
    return ("unshare", "--mount", "sh", "-c", f'{command} && exec "$@"', "sh")


def refused(within: tuple[str, ...], words: str, code: int, *arguments: str) -> list[str]:
    """See the screen of a trace that cannot begin; return its lines."""
    with Pty(*arguments, within=within) as pty:
        lines = pty.see("failed 0:0")
        said = " ".join(line.strip() for line in lines)
        assert words in said
        assert "What helps:" in said
        assert any(line.startswith("   ior doctor ") for line in lines)
        assert any(line.startswith("   ior tui --demo ") for line in lines)
        assert "Traceback" not in said
        pty.child.send("q")
        left, stderr = pty.leave()
    assert left == code
    assert stderr.startswith("ior: ")
    assert "Traceback" not in stderr
    return lines


@pytest.mark.parametrize("target", [("--all",), ("--", "true")])
def test_without_privileges(target: tuple[str, ...]) -> None:
    lines = refused(NOBODY, "this needs root, or the capabilities CAP_BPF", 77, *target)
    assert any(line.startswith("   sudo ior tui ...") for line in lines)


def test_a_kernel_without_btf() -> None:
    hidden = mounted("mount -t tmpfs none /sys/kernel/btf")
    refused(hidden, "CONFIG_DEBUG_INFO_BTF=y", 69, "--all")


def test_a_program_that_the_verifier_rejects(tmp_path: Path) -> None:
    source = tmp_path / "bpf"
    shutil.copytree(ROOT / "bpf", source)
    program = source / "ior.bpf.c"
    text = program.read_text(encoding="utf-8")
    start = "int BPF_PROG(on_sys_exit, struct pt_regs *regs, long ret)\n{\n"
    assert start in text
    program.write_text(text.replace(start, f"{start}\t*(volatile int *)0 = 1;\n"), "utf-8")
    made = tmp_path / "ior.bpf.o"
    clang = hatch_build.find_tool("clang")
    assert clang is not None
    line = hatch_build.command(clang, platform.machine(), tmp_path, made)
    subprocess.run(line, cwd=tmp_path, check=True)
    broken = mounted(f"mount --bind {made} {ROOT / 'ior' / 'data' / 'ior.bpf.o'}")
    refused(broken, "the verifier rejects program 'on_sys_exit'", 69, "--all")


def test_without_privileges_the_demonstration_runs() -> None:
    with Pty("--demo", within=NOBODY) as pty:
        pty.see("running")
        pty.wait(lambda lines: any("│" in line for line in lines))
        pty.child.send("q")
        assert pty.leave() == (0, "")
