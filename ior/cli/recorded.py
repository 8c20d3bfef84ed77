"""A capture of calls in the place of a source of halves: what was paired is not paired again.

What the live view records are calls, as its stages take them; `ior run record` records halves.
Both are replayed through any pipeline that is written for tracing.
"""

from __future__ import annotations

import msgspec

from ior.errors import InputNotFound, UsageError
from ior.pipeline.spec import NodeSpec, PipelineSpec, calls_port


def holds_calls(capture: str) -> bool:
    """Return whether a capture is of calls; one that cannot be read is not."""
    from ior.calls import CALLS  # noqa: PLC0415 - not for --help
    from ior.sources.replay import Replay, ReplayConfig  # noqa: PLC0415 - not for --help

    try:
        return Replay(ReplayConfig(path=capture)).gives.name == CALLS.name
    except (InputNotFound, UsageError):
        return False  # whoever builds the graph says why


def without_pairing(spec: PipelineSpec) -> PipelineSpec:
    """Return the pipeline without its stages that make calls: their inputs give what they gave.

    A stage that takes only other ports of theirs, as the halves that cannot be matched, is left
    out, too, with all that takes nothing else. Raises SpecError for a stage that there is not.
    """
    instead: dict[str, tuple[str, ...]] = {}  # of a wire: where the same calls come from
    gone = set()
    for name, node in spec.nodes.items():
        port = calls_port(spec, node)
        if port is not None:
            instead |= dict.fromkeys((name, f"{name}.{port}"), node.inputs)
            gone.add(name)
    nodes = {name: node for name, node in spec.nodes.items() if name not in gone}
    while True:
        wired = {name: _rewired(node, instead, gone) for name, node in nodes.items()}
        lost = {name for name, node in wired.items() if nodes[name].inputs and not node.inputs}
        if not lost:
            return msgspec.structs.replace(spec, nodes=wired)
        gone |= lost
        nodes = {name: node for name, node in nodes.items() if name not in gone}


def _rewired(node: NodeSpec, instead: dict[str, tuple[str, ...]], gone: set[str]) -> NodeSpec:
    kept = [w for w in node.inputs if w in instead or w.partition(".")[0] not in gone]
    inputs = dict.fromkeys(wire for word in kept for wire in instead.get(word, (word,)))
    return msgspec.structs.replace(node, inputs=tuple(inputs))
