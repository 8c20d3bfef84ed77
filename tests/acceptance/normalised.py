"""When two texts say the same: what no two runs, and no two programs, write alike."""

from __future__ import annotations

import re
from collections.abc import Callable

Same = Callable[[str, str], bool]

# Numbers that the kernel gives anew in each run: processes, files without a place or name.
_OF_A_RUN = re.compile(r"(?<=^/proc/)\d+|(?<=:\[)\d+(?=\]$)|(?<=/#)\d+$")


def one_run(ours: str, theirs: str) -> bool:
    """Compare with strace of the same run.

    Of unix sockets strace knows inodes and their own path, of netlink's not the protocol.
    """
    if theirs == "unix":
        return ours.startswith("unix ")
    if theirs.startswith("netlink "):
        return re.sub(r"^netlink \w+", "netlink", ours) == theirs
    return ours == theirs


def two_runs(ours: str, theirs: str) -> bool:
    """Compare with strace of another run of the same program."""
    return one_run(_OF_A_RUN.sub("N", ours), _OF_A_RUN.sub("N", theirs))
