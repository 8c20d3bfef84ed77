"""Compile the eBPF programs into the package when it is built.

A build hook for hatchling: the wheel carries `ior/data/ior.bpf.o`, so that whoever installs
it needs no compiler. Editable installs build it in place. `python hatch_build.py` does the
same without hatchling; nothing is compiled when the object is newer than its sources.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ModuleNotFoundError:  # a plain rebuild
    BuildHookInterface = object  # type: ignore[assignment,misc]

ROOT = Path(__file__).resolve().parent
SOURCE = Path("bpf/ior.bpf.c")
OBJECT = Path("ior/data/ior.bpf.o")
ARCHITECTURES = {"x86_64": "x86", "aarch64": "arm64"}
INSTALL = "apt install clang libbpf-dev"


def find_tool(name: str, beside: str | None = None) -> str | None:
    """Return the path of an LLVM tool: from `$CLANG` (for clang), PATH, or beside another."""
    chosen = os.environ.get("CLANG", name) if name == "clang" else name
    if found := shutil.which(chosen):
        return found
    if beside is not None:  # Debian's llvm-strip may be in /usr/lib/llvm-N/bin only
        return shutil.which(name, path=str(Path(beside).resolve().parent))
    return None


def is_fresh(root: Path) -> bool:
    """Return whether the object is newer than every source and this file."""
    target = root / OBJECT
    if not target.exists():
        return False
    sources = [*(root / SOURCE.parent).glob("*.[ch]"), Path(__file__)]
    return all(source.stat().st_mtime_ns < target.stat().st_mtime_ns for source in sources)


def command(clang: str, machine: str, root: Path, output: Path) -> list[str]:
    """Return the call of clang that compiles the programs for a machine."""
    multiarch = sysconfig.get_config_var("MULTIARCH") or f"{machine}-linux-gnu"
    return [
        clang,
        *("-O2", "-g", "-Wall", "-Werror", "-target", "bpf"),
        f"-D__TARGET_ARCH_{ARCHITECTURES[machine]}",
        # <asm/types.h> of Debian is in a directory that clang does not know for this target.
        *("-idirafter", f"/usr/include/{multiarch}"),
        # BTF names source files: the object must not depend on where it was built.
        f"-fdebug-prefix-map={root}=.",
        *("-c", str(SOURCE), "-o", str(output)),
    ]


def build(root: Path = ROOT, *, force: bool = False) -> bool:
    """Compile the programs below `root`; return whether there was anything to do.

    Raises:
        SystemExit: with one clear sentence: clang or the headers are missing, the machine is
            not supported, or the programs do not compile.
    """
    if not force and is_fresh(root):
        return False
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise SystemExit(f"ior has no eBPF programs for {machine}: x86_64 and aarch64 only")
    clang = find_tool("clang")
    if clang is None:
        raise SystemExit(f"ior's eBPF programs need clang to be built: {INSTALL}")
    target = root / OBJECT
    target.parent.mkdir(parents=True, exist_ok=True)
    made = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        compiled = subprocess.run(  # noqa: S603 -- our own arguments, no shell
            command(clang, machine, root, made),
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
        if compiled.returncode:
            raise SystemExit(explain(compiled.stderr))
        if strip := find_tool("llvm-strip", beside=clang):  # DWARF goes, BTF stays
            subprocess.run([strip, "-g", str(made)], check=True)  # noqa: S603 -- the same
        made.replace(target)
    finally:
        made.unlink(missing_ok=True)
    return True


def explain(stderr: str) -> str:
    """Return what to tell about a failed compilation."""
    for header in ("bpf/", "linux/", "asm/"):
        if f"fatal error: '{header}" in stderr:
            return f"ior's eBPF programs need the headers of libbpf to be built: {INSTALL}"
    return f"ior's eBPF programs do not compile:\n{stderr.rstrip()}"


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Builds the object and gives the wheel its platform."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 -- hatchling's signature
        """Compile before the files are collected; hatchling calls this for each build."""
        if not os.environ.get("IOR_WITHOUT_PROGRAMS"):  # such an ior can replay and no more
            build(Path(self.root))
        build_data["pure_python"] = False
        platform_tag = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform_tag}"


if __name__ == "__main__":
    done = build(force="--force" in sys.argv[1:])
    print(f"{OBJECT} {'compiled' if done else 'is up to date'}")  # noqa: T201 -- a script
