"""How much the source takes at a time: a busy ring is left to fill, and nothing waits for long."""

from __future__ import annotations

import os
import time

import anyio
import pytest
from anyio.lowlevel import checkpoint
from tracing import Collect

from ior.calls import MAX_CALLS
from ior.host.command import Command
from ior.pipeline.run import Run
from ior.sources.bpf import source
from ior.sources.bpf.source import BpfSource
from ior.testing import graph

pytestmark = pytest.mark.kernel

BLOCKS = 200_000
FILL_S = 0.02
DD = ["dd", "if=/dev/zero", "of=/dev/null", "bs=1", f"count={BLOCKS}", "status=none"]


def test_a_batch_is_half_full_or_had_its_time_to_fill() -> None:
    """Each wait lasts at least its time, so this holds however slow the machine is."""
    seen = Collect()
    nodes = {"kernel": BpfSource(BpfSource.Config()), "seen": seen}
    with Command.start(DD) as command:
        run = Run(graph(nodes, {"seen": "kernel"}), command=command)
        begin = time.monotonic()
        ledger = anyio.run(run.run)
        elapsed_s = time.monotonic() - begin
    sizes = [len(batch) for batch in seen.batches]
    assert sum(sizes) == ledger.kernel["read"] >= 2 * BLOCKS
    assert max(sizes) <= MAX_CALLS
    small = [size for size in sizes if size < MAX_CALLS // 2]
    assert len(small) <= elapsed_s / FILL_S + 5  # a few more when the ring is emptied at the end


def test_a_stop_does_not_wait_for_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """The source would sleep longer than the test may take."""
    for name in ("_POLL_S", "_IDLE_POLL_S"):
        monkeypatch.setattr(source, name, 1000.0)
    node, seen = BpfSource(BpfSource.Config(pid=os.getppid(), syscalls=["swapon"])), Collect()
    run = Run(graph({"kernel": node, "seen": seen}, {"seen": "kernel"}))

    async def stop() -> None:
        while node._wait is None:
            await checkpoint()
        run.stop()

    async def both() -> None:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(stop)
                ledger = await run.run()
        assert ledger.closed
        assert not seen.batches

    anyio.run(both)
