"""The tables that no tab of their own shows: those of a user's stages, and further ones."""

from __future__ import annotations

from collections.abc import Sequence

from ior.stages.flamegraph import Flamegraph
from ior.stages.history import History
from ior.stages.stats import Stats
from ior.stages.stream import Stream
from ior.ui.nodes import Nodes
from ior.ui.tabs.abc import AnyTab
from ior.ui.tabs.stats import NAMES
from ior.ui.tabs.table import TableTab

SHOWN = (*NAMES.values(), "Latency", "Totals")
"""Tables of the first `stats` node that other tabs show, in their ways."""


class OwnTab(TableTab):
    """Shows a table as its node gives it."""

    none = "no rows"

    @classmethod
    def find(cls, nodes: Nodes) -> Sequence[AnyTab]:
        """Return a tab for every table that the nodes answer now and no other tab shows."""
        found: list[AnyTab] = []
        main = nodes.first(Stats)
        elsewhere = (nodes.first(Flamegraph), nodes.first(History), nodes.first(Stream))
        for node in nodes.classes:
            try:
                titles = [table.title for table in nodes.snapshot(node).tables()]
            except Exception:  # a user's own stage may answer anything; its tab says what is wrong
                found.append(cls(node, node, 0))
                continue
            for i, title in enumerate(titles):
                if (node == main and title in SHOWN) or node in elsewhere:
                    continue
                taken = any(tab.name == title for tab in found)
                found.append(cls(f"{node}: {title}" if taken else title, node, i))
        return found
