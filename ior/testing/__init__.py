"""What tests of stages and graphs are made of: batches from columns, a clock that is turned.

Public: for the tests of a stage of one's own as much as for ior's.

    batch = calls(comm=["dd", "ls"], syscall=["read", "openat"], latency_ns=[10, 20])
    check_stage(Mine, {"threshold": 3})
    graph_ = graph({"in": ListSource([batch]), "mine": Mine(Mine.Config())}, {"mine": "in"})
"""

from ior.testing.batches import ORIGIN, calls, halves
from ior.testing.clock import VirtualClock
from ior.testing.contracts import check_sink, check_source, check_stage
from ior.testing.graphs import ListSource, context, graph

__all__ = [
    "ORIGIN",
    "ListSource",
    "VirtualClock",
    "calls",
    "check_sink",
    "check_source",
    "check_stage",
    "context",
    "graph",
    "halves",
]
