"""Control groups of the unified hierarchy by their paths."""

from __future__ import annotations

import os

from ior.errors import UsageError


def number(path: str) -> int:
    """Return the id of a control group: of a path below the hierarchy's root, or in its mount.

    Raises UsageError if there is none.
    """
    root = _mounted()
    place = path if path.startswith(f"{root}/") else f"{root}/{path.strip('/')}"
    try:
        return os.stat(place).st_ino
    except OSError as error:
        raise UsageError(f"no control group '{path}': {place}: {error.strerror}") from None


def _mounted() -> str:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            mount, _, kind = line.partition(" - ")
            if kind.startswith("cgroup2 "):
                return mount.split()[4]
    raise UsageError("--cgroup: the unified hierarchy (cgroup2) is not mounted")
