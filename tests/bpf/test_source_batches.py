"""How much the source takes at a time: a busy ring is left to fill, and nothing waits for long."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from tracing import Collect

from ior.calls import MAX_CALLS
from ior.host.command import Command
from ior.pipeline.run import Run
from ior.sources.bpf import waiting
from ior.sources.bpf.ring import RingReader
from ior.sources.bpf.source import BpfSource
from ior.testing import graph

pytestmark = pytest.mark.kernel

BLOCKS = 200_000
FILL_S = 0.02
DD = ["dd", "if=/dev/zero", "of=/dev/null", "bs=1", f"count={BLOCKS}", "status=none"]
SLEEP = ["sleep", "1000"]


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


def patient(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let the source wait longer than a test may take, once it is idle; return the waits."""
    waits = []

    def forever(_: object) -> float:
        waits.append(1000.0)
        return 1000.0

    monkeypatch.setattr(waiting, "until_next_second", forever)
    monkeypatch.setattr(waiting, "_IDLE_S", 0.2)
    return waits


async def idle(waits: list[float]) -> None:
    """Return when the source waits for good."""
    while not waits:  # noqa: ASYNC110 (a plain function tells)
        await anyio.sleep(0.01)


def test_a_stop_does_not_wait_for_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = patient(monkeypatch)
    node, seen = BpfSource(BpfSource.Config(pid=os.getppid(), syscalls=["swapon"])), Collect()
    run = Run(graph({"kernel": node, "seen": seen}, {"seen": "kernel"}))

    async def stop() -> None:
        await idle(waits)
        run.stop()

    async def both() -> None:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(stop)
                ledger = await run.run()
        assert ledger.closed
        assert not seen.batches

    anyio.run(both)


@pytest.mark.parametrize("started", [True, False], ids=["a command", "a process"])
def test_the_end_of_a_target_is_seen_though_no_record_tells_it(
    started: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = patient(monkeypatch)
    ledgers = []

    async def trace(pid: int, command: Command | None) -> None:
        config = BpfSource.Config(pid=None if command else pid, syscalls=["swapon"])
        nodes = {"kernel": BpfSource(config), "seen": Collect()}
        run = Run(graph(nodes, {"seen": "kernel"}), command=command)

        async def kill() -> None:
            await idle(waits)
            os.kill(pid, signal.SIGKILL)

        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(kill)
                ledgers.append(await run.run())

    if started:
        with Command.start(SLEEP) as command:
            anyio.run(trace, command.pid, command)
    else:
        with subprocess.Popen(SLEEP) as process:
            anyio.run(trace, process.pid, None)
    (ledger,) = ledgers
    assert ledger.closed
    assert ledger.calls == 0


def test_while_a_record_is_half_written_the_others_have_their_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A small ring is not left to fill, so there is no other wait."""
    config = BpfSource.Config(pid=os.getppid(), syscalls=["swapon"], ring_size="64KiB")
    node, looks = BpfSource(config), []
    run = Run(graph({"kernel": node, "seen": Collect()}, {"seen": "kernel"}))
    drain = node._drain

    def counted() -> Any:
        looks.append(drain())
        return looks[-1]

    async def stop() -> None:
        await run.started.wait()
        monkeypatch.setattr(node, "_drain", counted)
        monkeypatch.setattr(RingReader, "pending_bytes", 8)
        while len(looks) < 50:
            await checkpoint()
        monkeypatch.undo()
        run.stop()

    async def both() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop)
            assert (await run.run()).closed

    anyio.run(both)
