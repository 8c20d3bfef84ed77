"""A recording of a running graph: a filter and a `capture` that join it between two batches.

They are stages like any other: the ledger covers them, the Pipeline tab shows them. The
capture goes on when the filter in front of it is another one, and ends with the run.
"""

from __future__ import annotations

import os

import anyio
from anyio import to_thread
from msgspec.structs import replace

from ior.errors import UsageError
from ior.host.output import release, reserve
from ior.pipeline.graph import build
from ior.pipeline.ledger import Ledger
from ior.pipeline.run import Run
from ior.pipeline.spec import NodeSpec, PipelineSpec

_LOOKING = ("stream", "stats", "flamegraph")  # what they take is what is recorded


class Recorder:
    """Starts and stops recordings of one run; `path` is that of the present one, "" for none."""

    def __init__(self, run: Run, spec: PipelineSpec) -> None:
        self._run, self._spec = run, spec
        self._changing = anyio.Lock()
        self.path = ""
        names = spec.nodes.keys()
        free = ("recording", *(f"recording{i}" for i in range(len(names))))
        self.name = next(name for name in free if name not in names)

    async def start(self, path: str, where: str) -> None:
        """Record to a new file the rows for which `where` holds.

        Raises OutputError if the file cannot be created or is there already, UsageError if
        there is nothing to record, ReloadRefused if the run cannot take it up.
        """
        async with self._changing:
            spec = self._with(path, where)
            await to_thread.run_sync(reserve, path)
            try:
                await self._run.reload(build(spec))
            except BaseException:
                release(path)
                raise
            self.path = path

    async def choose(self, where: str) -> None:
        """Go on with another filter. Raises ReloadRefused."""
        async with self._changing:
            if self.path:
                await self._run.reload(build(self._with(self.path, where)))

    async def stop(self) -> str:
        """Complete the file and return its path. Raises ReloadRefused."""
        async with self._changing:
            if self.path:
                await self._run.reload(build(self._spec))
            path, self.path = self.path, ""
            return path

    def rows(self, ledger: Ledger) -> int:
        """Return how many rows the present recording has."""
        books = ledger.stages.get(self.name)
        return 0 if books is None or not self.path else books.in_

    def _with(self, path: str, where: str) -> PipelineSpec:
        looking = [n for n in self._spec.nodes.values() if n.enabled and n.type in _LOOKING]
        if not looking:
            raise UsageError(f"nothing to record: no stage of type {' or '.join(_LOOKING)}")
        kinds = [node.type for node in looking]
        behind = looking[kinds.index("stream")] if "stream" in kinds else looking[0]
        chosen, written = f"{self.name}_filter", self.name
        added = (
            NodeSpec(
                name=chosen, type="filter", inputs=behind.inputs, keys={"where": where or "true"}
            ),
            NodeSpec(
                name=written,
                type="capture",
                inputs=(chosen,),
                keys={"path": os.path.abspath(path)},
            ),
        )
        nodes = self._spec.nodes | {node.name: node for node in added}
        return replace(self._spec, nodes=nodes)
