"""What `ior --version` says: everything a report of a problem should carry."""

from __future__ import annotations

import platform

import ior
from ior.errors import IorError
from ior.sources.bpf import lib


def version() -> str:
    """Return the versions of ior, libbpf, the kernel and Python, one a line."""
    try:
        libbpf = lib.version().removeprefix("v")
    except IorError:
        libbpf = "not found"
    lines = {
        "ior": ior.__version__,
        "libbpf": libbpf,
        "kernel": f"{platform.release()} {platform.machine()}",
        "Python": platform.python_version(),
    }
    return "\n".join(f"{name} {value}" for name, value in lines.items())
