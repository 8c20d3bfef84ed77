"""Small BPF objects for the tests, compiled by clang when they are needed; control groups."""

from __future__ import annotations

import os
import platform
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ior.sources.bpf.loader import ObjectSpec

GETPPID = {"x86_64": 110, "aarch64": 173}[platform.machine()]
"""A syscall that does nothing: a test makes as many events as it calls `os.getppid`."""

PRELUDE = """
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile __u32 target_pid;
const volatile __u32 target_nr;

static __always_inline int is_wanted(long nr)
{
	return nr == target_nr && (__u32)(bpf_get_current_pid_tgid() >> 32) == target_pid;
}
"""

Compile = Callable[[str], Path]


@pytest.fixture(scope="session")
def compile_bpf(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """Compile C behind `PRELUDE` to an object and give its path; once for each text."""
    done: dict[str, Path] = {}
    target = {"x86_64": "x86", "aarch64": "arm64"}[platform.machine()]
    multiarch = sysconfig.get_config_var("MULTIARCH") or f"{platform.machine()}-linux-gnu"

    def compile_text(text: str) -> Path:
        if text not in done:
            directory = tmp_path_factory.mktemp("bpf")
            (directory / "probe.bpf.c").write_text(PRELUDE + text)
            command = ["clang", "-O2", "-g", "-Wall", "-Wno-unused-function", "-target", "bpf"]
            command += [f"-D__TARGET_ARCH_{target}", "-idirafter", f"/usr/include/{multiarch}"]
            command += ["-c", "probe.bpf.c", "-o", "probe.bpf.o"]
            subprocess.run(command, cwd=directory, check=True)
            done[text] = directory / "probe.bpf.o"
        return done[text]

    return compile_text


@pytest.fixture
def open_bpf(compile_bpf: Compile) -> Callable[[str], ObjectSpec]:
    """Open compiled C as a spec whose programs see only this process's getppid."""

    def open_text(text: str) -> ObjectSpec:
        spec = ObjectSpec(compile_bpf(text))
        for name, value in (("target_pid", os.getpid()), ("target_nr", GETPPID)):
            if name in spec.globals:
                spec.globals[name] = value
        return spec

    return open_text


@pytest.fixture
def groups() -> Iterator[Path]:
    """Give a new cgroup below the root of the unified hierarchy."""
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    fields = (line.split() for line in mounts)
    root = next(Path(where) for _, where, kind, *_ in fields if kind == "cgroup2")
    group = root / f"ior-test-{os.getpid()}"
    group.mkdir()
    yield group
    for _, below, _, at in os.fwalk(group, topdown=False):  # paths may be too long for names
        for name in below:
            os.rmdir(name, dir_fd=at)
    group.rmdir()
