"""Control groups of the unified hierarchy by their paths."""

from __future__ import annotations

import os
import re
from typing import Final

from ior.errors import UsageError

_ROOT_INODE: Final = 1  # of the hierarchy itself, wherever it is mounted
_OCTAL: Final = re.compile(rb"\\([0-7]{3})")  # how mountinfo writes blanks and backslashes


def spelled(given: str) -> str:
    """Return a path from the root of the hierarchy as rows show it, of a group that may be gone."""
    return os.path.normpath("/" + given.strip("/"))


def path_of(given: str) -> str:
    """Return a control group's path from the root of the hierarchy, as rows show it.

    `given` is that, or where the group is in the hierarchy's mount. Raises UsageError if there
    is no such group, or if not the whole hierarchy is in view.
    """
    root = _mounted()
    if os.stat(root).st_ino != _ROOT_INODE:
        raise UsageError(
            f"--cgroup: {root} is only a part of the control groups (a namespace, a bind mount); "
            "use --where 'cgroup under \"PATH\"' with the whole path, as rows show it"
        )
    inside = spelled(given)
    if inside == root or inside.startswith(f"{root}/"):
        inside = inside.removeprefix(root) or "/"
    place = root + inside.rstrip("/")
    try:
        os.stat(f"{place}/cgroup.procs")
    except OSError as error:
        raise UsageError(f"no control group '{given}': {place}: {error.strerror}") from None
    return inside


def _mounted() -> str:
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            mount, _, kind = line.partition(b" - ")
            if kind.startswith(b"cgroup2 "):
                place = _OCTAL.sub(lambda found: bytes([int(found[1], 8)]), mount.split()[4])
                return os.fsdecode(place)
    raise UsageError("--cgroup: the unified hierarchy (cgroup2) is not mounted")
