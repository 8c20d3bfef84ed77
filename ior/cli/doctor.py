"""`ior doctor`: what stops tracing on this host, with the remedy."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from ior import syscalls
from ior.cli.abc import Subcommand
from ior.cli.console import say
from ior.errors import IorError, NotPermitted, UnsupportedHost
from ior.sources.bpf import lib

CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF = 21, 38, 39  # include/uapi/linux/capability.h

_VMLINUX = Path("/sys/kernel/btf/vmlinux")
_LOCKDOWN = Path("/sys/kernel/security/lockdown")
_STATUS = Path("/proc/self/status")


class Finding(NamedTuple):
    """What one check found. `code` is 0 when it is well, else the exit code it stands for."""

    name: str
    code: int
    said: str
    remedy: str = ""


class Doctor(Subcommand):
    """Say what stops tracing on this host, and the remedy.

    Each check is one line. The exit code is 69 when the host lacks something, 77 when
    only permission is missing.
    """

    def configure(self, parser: ArgumentParser) -> None:
        """Take no options."""

    def run(self, args: Namespace) -> int:
        """Run every check and print what it found."""
        del args
        codes = []
        for finding in findings():
            mark = "FAIL" if finding.code else "ok"
            remedy = f"; {finding.remedy}" if finding.remedy else ""
            print(f"{mark:4} {finding.name}: {finding.said}{remedy}")
            codes.append(finding.code)
        for code in (UnsupportedHost.exit_code, NotPermitted.exit_code):
            if code in codes:
                sys.stdout.flush()
                say("this host cannot trace as it is; ior run --replay and ior tui --demo can run")
                return code
        return 0


def findings() -> Iterator[Finding]:
    """Yield what each check found; what needs a failed check is left out."""
    yield architecture()
    yield kernel_types()
    library = libbpf()
    yield library
    permission = capabilities()
    yield permission
    yield lockdown()
    if library.code or permission.code:
        return
    yield from features()


def _missing(name: str, said: str, remedy: str = "") -> Finding:
    return Finding(name, UnsupportedHost.exit_code, said, remedy)


def architecture() -> Finding:
    """Check that the syscall table covers this machine."""
    try:
        count = len(syscalls.table().by_nr)
    except IorError as error:
        return _missing("architecture", str(error))
    return Finding("architecture", 0, f"{platform.machine()}, {count} syscalls known")


def kernel_types(path: Path = _VMLINUX) -> Finding:
    """Check that the kernel describes its types (BTF)."""
    name, release = "kernel", platform.release()
    if path.exists():
        return Finding(name, 0, f"{release} with BTF")
    return _missing(
        name, f"{release} without {path}", "use a kernel built with CONFIG_DEBUG_INFO_BTF=y"
    )


def libbpf() -> Finding:
    """Check that a usable libbpf is found."""
    try:
        return Finding("libbpf", 0, lib.version().removeprefix("v"))
    except IorError as error:
        return _missing("libbpf", str(error))


def capabilities(status: Path = _STATUS) -> Finding:
    """Check that the kernel lets this process load programs that read kernel memory."""
    name = "permission"
    held = effective(status.read_text("ascii", "replace"))
    if held >> CAP_SYS_ADMIN & 1:
        return Finding(name, 0, "CAP_SYS_ADMIN")
    lacking = [
        n for n, bit in (("CAP_BPF", CAP_BPF), ("CAP_PERFMON", CAP_PERFMON)) if not held >> bit & 1
    ]
    if not lacking:
        return Finding(name, 0, "CAP_BPF and CAP_PERFMON")
    remedy = f"use: sudo {shlex.join([*_program(), 'doctor'])}"
    return Finding(name, NotPermitted.exit_code, f"{' and '.join(lacking)} missing", remedy)


def _program() -> list[str]:
    """Return the words that start this ior whatever PATH sudo has."""
    if sys.argv[0].endswith(".py"):
        return [sys.executable, "-m", "ior"]
    return [os.path.abspath(sys.argv[0])]


def effective(status: str) -> int:
    """Return the effective capabilities, one bit each, from the text of a `status` file."""
    words = (line.split() for line in status.splitlines() if line.startswith("CapEff:"))
    return next((int(word[1], 16) for word in words), 0)


def lockdown(path: Path = _LOCKDOWN) -> Finding:
    """Check that the kernel's lockdown leaves kernel memory readable for tracing."""
    try:
        modes = path.read_text("ascii", "replace").split()
    except OSError:
        modes = []
    mode = next((mode.strip("[]") for mode in modes if mode.startswith("[")), "none")
    if mode != "confidentiality":
        return Finding("lockdown", 0, mode)
    return Finding(
        "lockdown",
        NotPermitted.exit_code,
        "confidentiality, under which no program may read kernel memory",
        "start the kernel without lockdown=confidentiality",
    )


def features() -> Iterator[Finding]:
    """Try each feature of the kernel that ior's programs need, then the programs themselves."""
    from ior.sources.bpf.features import FEATURES  # noqa: PLC0415 - not for --help

    lacking = False
    for feature in FEATURES[1:]:  # the first has its own check
        name = feature.name.removeprefix("the ")
        if feature.exists():
            yield Finding(name, 0, "available")
        else:
            lacking = True
            yield _missing(name, "this kernel lacks it", feature.remedy)
    if not lacking:
        yield programs()


def programs() -> Finding:
    """Load ior's own programs, without attaching them."""
    from ior.sources.bpf.loader import ObjectSpec  # noqa: PLC0415 - not for --help

    name = "ior's programs"
    image = resources.files("ior") / "data" / "ior.bpf.o"
    if not image.is_file():
        return _missing(name, "not in this installation", "install ior again, with clang present")
    try:
        with ObjectSpec(image.read_bytes(), name="ior") as spec, spec.load() as loaded:
            return Finding(name, 0, f"{len(loaded.programs)} load")
    except IorError as error:
        return Finding(name, error.exit_code, str(error))
