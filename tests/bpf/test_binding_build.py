"""The build hook: what it compiles, when, and what it says when it cannot."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from ior.sources.bpf.loader import ObjectSpec

ROOT = Path(__file__).parents[2]

SOURCE = """
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "ior.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
__u64 counter = FIRST;

SEC("tp_btf/sys_enter")
int BPF_PROG(probe, struct pt_regs *regs, long nr)
{
	counter += nr;
	return 0;
}
"""


@pytest.fixture
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a tree with a small program of its own."""
    (tmp_path / "bpf").mkdir()
    (tmp_path / "bpf/ior.h").write_text("#define FIRST 41\n")
    (tmp_path / "bpf/ior.bpf.c").write_text(SOURCE)
    return tmp_path


def test_the_object_loads_and_does_not_tell_where_it_was_built(
    hook: ModuleType, project: Path
) -> None:
    assert hook.build(project)
    made = project / "ior/data/ior.bpf.o"
    assert [path.name for path in made.parent.iterdir()] == ["ior.bpf.o"]
    image = made.read_bytes()
    assert str(project).encode() not in image
    assert b".debug_info" not in image
    with ObjectSpec(image) as spec:
        assert spec.globals["counter"] == 41
        assert list(spec.programs) == ["probe"]


def test_only_newer_sources_are_compiled(hook: ModuleType, project: Path) -> None:
    assert hook.build(project)
    assert not hook.build(project)
    assert hook.build(project, force=True)
    header, made = project / "bpf/ior.h", project / "ior/data/ior.bpf.o"
    header.write_text("#define FIRST 42\n")
    later = made.stat().st_mtime_ns + 10**9
    os.utime(header, ns=(later, later))
    assert hook.build(project)
    with ObjectSpec(made) as spec:
        assert spec.globals["counter"] == 42


def test_without_clang_the_package_is_named(
    hook: ModuleType, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(project))
    with pytest.raises(SystemExit, match="need clang to be built: apt install clang libbpf-dev"):
        hook.build(project)
    assert not (project / "ior/data/ior.bpf.o").exists()


def test_without_the_headers_the_package_is_named(hook: ModuleType, project: Path) -> None:
    text = SOURCE.replace("bpf/bpf_helpers.h", "bpf/no_such_header.h")
    (project / "bpf/ior.bpf.c").write_text(text)
    with pytest.raises(SystemExit, match=r"headers of libbpf.*apt install clang libbpf-dev"):
        hook.build(project)


def test_an_error_in_the_programs_is_shown_and_keeps_the_old_object(
    hook: ModuleType, project: Path
) -> None:
    hook.build(project)
    made = project / "ior/data/ior.bpf.o"
    before = made.read_bytes()
    (project / "bpf/ior.bpf.c").write_text(SOURCE.replace("FIRST", "NO_SUCH_NAME"))
    with pytest.raises(SystemExit, match=r"do not compile:\n.*NO_SUCH_NAME"):
        hook.build(project, force=True)
    assert made.read_bytes() == before
    assert [path.name for path in made.parent.iterdir()] == ["ior.bpf.o"]


def test_another_machine_is_refused(
    hook: ModuleType, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook.platform, "machine", lambda: "riscv64")
    with pytest.raises(SystemExit, match="no eBPF programs for riscv64"):
        hook.build(project)


def test_a_plain_rebuild_needs_no_hatchling(project: Path) -> None:
    script = shutil.copy(ROOT / "hatch_build.py", project)
    command = [sys.executable, "-S", script]  # -S: no site-packages
    first = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (first.stdout, first.stderr) == ("ior/data/ior.bpf.o compiled\n", "")
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.stdout == "ior/data/ior.bpf.o is up to date\n"


@pytest.fixture
def packaged(project: Path) -> Path:
    """Make the tree one that hatchling builds with the project's own configuration."""
    for name in ("hatch_build.py", "pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, project)
    (project / "README.md").write_text("x")
    (project / "ior").mkdir()
    (project / "ior/__init__.py").write_text("")
    (project / ".gitignore").write_text("*.o\n")
    return project


def test_the_wheel_has_the_object_and_a_platform(packaged: Path) -> None:
    script = "import hatchling.build as b; print(b.build_wheel('dist'))"
    built = subprocess.run(
        [sys.executable, "-c", script], cwd=packaged, check=True, capture_output=True, text=True
    )
    name = built.stdout.split()[-1]
    assert "-py3-none-linux_" in name
    wheel = zipfile.ZipFile(packaged / "dist" / name)
    assert "ior/data/ior.bpf.o" in wheel.namelist()
    with ObjectSpec(wheel.read("ior/data/ior.bpf.o")) as spec:
        assert spec.globals["counter"] == 41


def test_an_editable_install_builds_in_place(hook: ModuleType, packaged: Path) -> None:
    data: dict[str, object] = {}
    made = hook.CustomBuildHook(str(packaged), {}, None, None, str(packaged / "dist"), "wheel")
    made.initialize("editable", data)
    assert (packaged / "ior/data/ior.bpf.o").exists()
    assert data["pure_python"] is False
    assert str(data["tag"]).startswith("py3-none-linux_")


def test_a_build_without_programs_needs_no_clang(
    hook: ModuleType, packaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `make run` installs for somebody who may install no compiler: it can replay."""
    monkeypatch.setenv("IOR_WITHOUT_PROGRAMS", "1")
    monkeypatch.setenv("PATH", "/nowhere")
    made = hook.CustomBuildHook(str(packaged), {}, None, None, str(packaged / "dist"), "wheel")
    made.initialize("editable", {})
    assert not (packaged / "ior/data/ior.bpf.o").exists()
