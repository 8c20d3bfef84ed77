"""What a changed pipeline means for a run of the old one: which stages stay as they are.

A stage stays if its keys, and those of all stages in front of it, are the same. A sink that
takes rows stays if its own are: what it writes goes on, whatever is in front of it. A stage
that shows results has no state of its own. Sources stay, or nothing is changed at all.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from ior.errors import ReloadRefused
from ior.pipeline.abc import Sink, Source
from ior.pipeline.checking.member import Member
from ior.pipeline.graph import Graph


class Changes(NamedTuple):
    """Names of members: those that go on, those to be made, those that end."""

    kept: tuple[str, ...]
    fresh: tuple[str, ...]
    gone: tuple[str, ...]

    def __str__(self) -> str:
        """Say it for people."""
        said = {
            "anew": [name for name in self.fresh if name in self.gone],
            "added": [name for name in self.fresh if name not in self.gone],
            "removed": [name for name in self.gone if name not in self.fresh],
        }
        parts = [f"{what} {', '.join(names)}" for what, names in said.items() if names]
        return "; ".join(parts) or "nothing changed"


def compare(
    old: Graph, new: Graph, finished: Collection[str], written: Collection[Path]
) -> Changes:
    """Return what becomes of a run of `old` that is to go on as `new`.

    `finished` are the members that take no more rows, `written` the files that sinks have
    written so far. Raises ReloadRefused with all reasons.
    """
    kept: list[str] = []
    for name, member in new.members.items():  # producers before their consumers
        before = old.members.get(name)
        if before is None or not _same(before, member):
            continue
        fed_as_before = all(one.node in kept for one in member.inputs)
        if fed_as_before or (isinstance(member.node, Sink) and name not in finished):
            kept.append(name)
    fresh = tuple(name for name in new.members if name not in kept)
    gone = tuple(name for name in old.members if name not in kept)
    reasons = [*_of_the_whole(old, new), *_of_sources(old, new, kept)]
    for name in fresh:
        place = written_by(new, name)
        if place in written:
            reasons.append(
                f"stage '{name}': it would write over {place}, which this run has written; "
                "give it another path"
            )
    if reasons:
        raise ReloadRefused(reasons)
    return Changes(tuple(kept), fresh, gone)


def written_by(graph: Graph, name: str) -> Path | None:
    """Return the file that a sink writes rows to, None where there is no such file."""
    node = graph.members[name].node
    path = getattr(node.config, "path", None)
    if not isinstance(node, Sink) or node.looks or not isinstance(path, str) or path == "-":
        return None
    place = (graph.directory / path).resolve()
    return None if place.exists() and not place.is_file() else place  # a pipe, a device


def _same(one: Member, other: Member) -> bool:
    """Return whether two members are made and wired alike; their nodes are two objects."""
    classes = [getattr(type(m.node), "function", type(m.node)) for m in (one, other)]
    return (
        classes[0] is classes[1]
        and one.node.config == other.node.config
        and one._replace(node=other.node) == other
    )


def _of_the_whole(old: Graph, new: Graph) -> list[str]:
    if old.settings == new.settings:
        return []
    return ["[pipeline]: its keys cannot change while it runs; start a new run for that"]


def _of_sources(old: Graph, new: Graph, kept: Collection[str]) -> list[str]:
    """Return why the sources of a run cannot become those of another pipeline."""
    reasons = []
    for name in dict.fromkeys([*old.members, *new.members]):
        before, after = old.members.get(name), new.members.get(name)
        was, is_ = (m is not None and isinstance(m.node, Source) for m in (before, after))
        if name in kept or not (was or is_):
            continue
        what = "its keys cannot change"
        if not (was and is_):
            what = "it cannot be taken out" if was else "it cannot be added"
        reasons.append(f"stage '{name}' is a source: {what} while it runs; start a new run")
    return reasons
