"""Which tabs there are, in the order in which they stand."""

from __future__ import annotations

from ior.ui.keys import KEYS, Key, markdown
from ior.ui.nodes import Nodes
from ior.ui.picker.choice import KEYS as PICKER_KEYS
from ior.ui.tabs.abc import AnyTab
from ior.ui.tabs.flame import FlameTab
from ior.ui.tabs.latency import LatencyTab
from ior.ui.tabs.overview import OverviewTab
from ior.ui.tabs.own import OwnTab
from ior.ui.tabs.pipeline import PipelineTab
from ior.ui.tabs.saved import SavedTab
from ior.ui.tabs.stats import FilesTab, ProcessesTab, StatsTab, SyscallsTab
from ior.ui.tabs.stream import StreamTab
from ior.ui.tabs.switches import SwitchesTab
from ior.ui.tabs.table import TableTab
from ior.ui.tabs.texts import TextTab

TABS: tuple[type[AnyTab], ...] = (
    FlameTab,
    OverviewTab,
    SyscallsTab,
    FilesTab,
    ProcessesTab,
    LatencyTab,
    StreamTab,
    PipelineTab,
    OwnTab,
)

OVER: tuple[type[AnyTab], ...] = (TextTab, SwitchesTab, SavedTab)
"""What can stand in a tab's place."""

CHAPTERS: tuple[tuple[str, tuple[Key, ...]], ...] = (
    ("Everywhere", KEYS),
    ("In Flame", FlameTab.keys),
    ("In Overview", OverviewTab.keys),
    ("In Latency", LatencyTab.keys),
    ("In Stream", StreamTab.keys),
    ("In tables", TableTab.keys),
    ("In Syscalls, Files and Processes as well", StatsTab.keys[len(TableTab.keys) :]),
    ("In help, warnings and output", TextTab.keys),
    ("In the selection of syscalls", SwitchesTab.keys),
    ("In the saved filters", SavedTab.keys),
    ("In the list of processes", PICKER_KEYS),
)
"""The chapters of the documentation of keys."""


def tabs_of(nodes: Nodes) -> tuple[AnyTab, ...]:
    """Return the tabs that a pipeline gives, in order."""
    return tuple(tab for kind in TABS for tab in kind.find(nodes))


def every_key() -> frozenset[str]:
    """Return prompt_toolkit's names of all keys that mean something somewhere."""
    lines = [*KEYS, *(line for kind in (*TABS, *OVER) for line in kind.keys)]
    return frozenset(name for line in lines for name in line.keys)


def documentation() -> str:
    """Return all keys as the documentation has them."""
    return "\n".join(f"### {title}\n\n{markdown(lines)}" for title, lines in CHAPTERS)
