"""The nodes of a pipeline that a view can look at."""

from __future__ import annotations

import msgspec

from ior.pipeline import registry
from ior.pipeline.abc import Config, Node, Source, Stage
from ior.pipeline.spec import NodeSpec, PipelineSpec
from ior.snapshots import Snapshot
from ior.sources.replay import Replay
from ior.ui.moment import Watched


class Nodes:
    """The nodes of a pipeline that answer when they are looked at, in the pipeline's order.

    `recorded` says whether the calls come from a capture: then their times are not the clock's.
    """

    def __init__(self, run: Watched, spec: PipelineSpec) -> None:
        self._run, self._spec = run, spec
        self.classes = looked_at(spec)
        nodes = [node for node in spec.nodes.values() if node.enabled]
        classes = {node.name: _class(node, spec) for node in nodes}
        self.sources = [
            name for name, cls in classes.items() if issubclass(cls, Source) and _answers(cls)
        ]
        self.recorded = any(issubclass(cls, Replay) for cls in classes.values())

    def of(self, kind: type[Stage]) -> list[str]:
        """Return the names of the nodes of a kind."""
        return [name for name, cls in self.classes.items() if issubclass(cls, kind)]

    def first(self, kind: type[Stage]) -> str | None:
        """Return the name of the first node of a kind, None without any."""
        return next(iter(self.of(kind)), None)

    def config(self, name: str) -> Config:
        """Return the config of a node."""
        return msgspec.convert(self._spec.nodes[name].keys, self.classes[name].Config)

    def snapshot(self, name: str) -> Snapshot:
        """Return what a node answers now, unfiltered. What it raises is its own."""
        return self._run.snapshot(name)


def looked_at(spec: PipelineSpec) -> dict[str, type[Stage]]:
    """Return the stages of a pipeline that answer when they are looked at, by name.

    Raises SpecError for a stage that there is not.
    """
    classes = {node.name: _class(node, spec) for node in spec.nodes.values() if node.enabled}
    return {name: cls for name, cls in classes.items() if issubclass(cls, Stage) and _answers(cls)}


def _class(node: NodeSpec, spec: PipelineSpec) -> type[Node]:
    return registry.resolve(node.type, node.use, spec.directory)


def _answers(cls: type[Source | Stage]) -> bool:
    return cls.snapshot not in (Source.snapshot, Stage.snapshot)
