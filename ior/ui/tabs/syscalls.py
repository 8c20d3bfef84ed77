"""The Syscalls tab: what is asked of the kernel, by syscall, from a `stats` node."""

from __future__ import annotations

from ior.snapshots import Snapshot, Table
from ior.stages.stats import StatsSnapshot
from ior.ui.tabs.table import TableTab


class SyscallsTab(TableTab):
    """Shows the table by syscall."""

    def __init__(self, node: str, index: int, *, filtered: bool) -> None:
        super().__init__("Syscalls", node, index, filtered=filtered)

    def table(self, snapshot: Snapshot) -> Table | None:
        """Pick the table by syscall."""
        if isinstance(snapshot, StatsSnapshot):
            return snapshot.by.get("syscall")
        return super().table(snapshot)
