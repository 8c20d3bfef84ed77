"""The tabs Syscalls, Files and Processes: the tables of a `stats` node, by what they go by."""

from __future__ import annotations

from collections.abc import Sequence

from ior.snapshots import Snapshot, Table
from ior.stages.stats import Stats, StatsSnapshot
from ior.ui.sight import Nodes
from ior.ui.tabs.abc import AnyTab
from ior.ui.tabs.table import TableTab

NAMES = {"syscall": "Syscalls", "file": "Files", "process": "Processes"}


class StatsTab(TableTab):
    """Shows the table of a `stats` node by `key`."""

    key = ""

    def __init__(self, node: str) -> None:
        super().__init__(NAMES[self.key], node, 0)

    @classmethod
    def find(cls, nodes: Nodes) -> Sequence[AnyTab]:
        """Return a tab if the first `stats` node keeps the table."""
        node = nodes.first(Stats)
        config = None if node is None else nodes.config(node)
        kept = isinstance(config, Stats.Config) and cls.key in config.by
        return [cls(node)] if node is not None and kept else []

    def table(self, snapshot: Snapshot) -> Table | None:
        """Pick the table."""
        return snapshot.by.get(self.key) if isinstance(snapshot, StatsSnapshot) else None


class SyscallsTab(StatsTab):
    """What is asked of the kernel."""

    key = "syscall"


class FilesTab(StatsTab):
    """What is read and written."""

    key = "file"


class ProcessesTab(StatsTab):
    """Who asks."""

    key = "process"
