"""What a run lets through to the view from now on: the filter and the syscalls that are on.

In front of the stages that the view looks at stands a `filter`, which is asked for more while
it runs: so what a person chooses holds from the next batch on, and the rows that it leaves out
are in the books. Sources leave out what they can, where nobody else wants it. Sinks, and what
reports show, get what the pipeline says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from ior.errors import FilterError
from ior.expr import Predicate
from ior.expr.wording import wording
from ior.pipeline.abc import Source
from ior.pipeline.clock import Clock
from ior.pipeline.graph import Graph
from ior.pipeline.pushing import Pushed
from ior.pipeline.run import Run
from ior.pipeline.selective import SelectiveSource
from ior.pipeline.spec import NodeSpec, PipelineSpec
from ior.ui.periods import Period, filtered
from ior.ui.switches import Switches


def gated(spec: PipelineSpec, looking: Iterable[str]) -> tuple[PipelineSpec, tuple[str, ...]]:
    """Put a filter in front of the stages that are looked at; return the filters' names too.

    Stages with the same inputs share one. Those that give rows to others, and those that a
    sink shows, have none.
    """
    enabled = [node for node in spec.nodes.values() if node.enabled]
    givers = {wire.partition(".")[0] for node in enabled for wire in node.inputs}
    shown = {name for node in enabled for name in node.of}
    gates: dict[tuple[str, ...], str] = {}
    nodes = dict(spec.nodes)
    free = (name for name in ("view", *(f"view{i}" for i in range(2, 10_000))) if name not in nodes)
    for name in looking:
        inputs = nodes[name].inputs
        if name in givers or name in shown or not inputs:
            continue
        if inputs not in gates:
            gates[inputs] = next(free)
        nodes[name] = replace(nodes[name], inputs=(gates[inputs],))
    for inputs, name in gates.items():
        keys = {"where": "true"}
        nodes[name] = NodeSpec(name=name, type="filter", inputs=inputs, keys=keys)
    return replace(spec, nodes=nodes), tuple(gates.values())


class Selector:
    """Lets through what is chosen. `switches` are the syscalls that the graph traces at first."""

    def __init__(self, run: Run, graph: Graph, gates: Sequence[str], clock: Clock) -> None:
        self._run, self._gates, self._clock = run, gates, clock
        sources = [m.node for m in graph.members.values() if isinstance(m.node, Source)]
        only = sources[0] if len(sources) == 1 else None
        self._source = only if isinstance(only, SelectiveSource) else None
        self.switches = Switches()
        if self._source is not None:
            self.switches = Switches.tracing(self._source.numbers)
        self._numbers = self.switches.numbers

    def choose(self, where: Predicate | None, switches: Switches) -> tuple[Period, list[str]]:
        """Let no row through any more that is not wanted.

        Returns the period that begins, and a sentence for each filter that cannot ask for it.
        """
        text, refused, is_taken = where.source if where else "", list[str](), False
        kernel = None if self._source is None else ""
        everything = _all(text, switches.where)
        for name in self._gates:
            for asked in (everything, switches.where, ""):
                try:
                    pushed = self._run.refilter(name, asked)
                except FilterError as error:
                    refused.append(f"{name} lets everything through: {error}")
                else:
                    is_taken = is_taken or asked == everything
                    if where is not None and any(name in p.filters for p in pushed.values()):
                        kernel = self._in_kernel(where, pushed)
                    break
        period = Period(
            since_ns=self._clock.now_ns(),
            where=text if is_taken else "",
            switched=switches.words(),
            kernel=kernel,
            filtered=filtered(self._run.ledger()),
            epoch=0 if self._source is None else self._source.epoch,
        )
        return period, refused

    def _in_kernel(self, where: Predicate, pushed: Mapping[str, Pushed]) -> str | None:
        """Return which part of a filter the source applies, None where it has no kernel."""
        if self._source is None:
            return None
        if not any(push.split.pushed for push in pushed.values()):
            return ""
        split = self._source.split(where.tree)
        if split.pushed is None:
            return ""
        return "all of it" if split.rest is None else wording(split.pushed)

    async def settle(self, switches: Switches) -> None:
        """Let the source record what is switched on, and nothing else."""
        numbers = switches.numbers
        if self._source is not None and numbers != self._numbers:
            self._numbers = numbers
            await self._run.select(numbers)


def _all(*terms: str) -> str:
    return " and ".join(f"({term})" for term in terms if term)
