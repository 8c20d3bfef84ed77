"""A recording of a running graph: a `capture` that joins it between two batches.

It takes what the stages of the view take, so what the filter of the view lets through, and
goes on when that changes. It is a stage like any other: the ledger covers it, the Pipeline tab
shows it. It ends with the run.
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

    async def start(self, path: str) -> None:
        """Record to a new file what is let through.

        Raises OutputError if the file cannot be created or is there already, UsageError if
        there is nothing to record, ReloadRefused if the run cannot take it up.
        """
        async with self._changing:
            spec = self._with(path)
            await to_thread.run_sync(reserve, path)
            try:
                await self._run.reload(build(spec))
            except BaseException:
                release(path)
                raise
            self.path = path

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

    def _with(self, path: str) -> PipelineSpec:
        looking = [n for n in self._spec.nodes.values() if n.enabled and n.type in _LOOKING]
        if not looking:
            raise UsageError(f"nothing to record: no stage of type {' or '.join(_LOOKING)}")
        kinds = [node.type for node in looking]
        behind = looking[kinds.index("stream")] if "stream" in kinds else looking[0]
        keys = {"path": os.path.abspath(path)}
        added = NodeSpec(name=self.name, type="capture", inputs=behind.inputs, keys=keys)
        return replace(self._spec, nodes=self._spec.nodes | {self.name: added})
