"""Plain methods in a thread of their own: order, errors, the way back to the loop."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import Any

import anyio
import pytest
from graph_nodes import Bare, Endless, Keeping, Summing, batches

from ior.calls import Batch
from ior.errors import IorError, StageFailed
from ior.pipeline.abc import Context, Node, Sink, Source
from ior.pipeline.graph import Graph
from ior.pipeline.run import Run
from ior.pipeline.running.lane import Lane
from ior.testing import ListSource, graph

pytestmark = pytest.mark.anyio


def threaded(made: Graph, *names: str) -> Graph:
    members = {
        name: member._replace(isolation="thread") if name in names else member
        for name, member in made.members.items()
    }
    return made._replace(members=members)


def tied(nodes: dict[str, Node], inputs: dict[str, str], *names: str, **more: Any) -> Graph:
    return threaded(graph(nodes, inputs, **more), *names)


class Blocked(Bare, Sink):
    """Blocks its thread until another node has got everything."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.threads: set[int] = set()

    def start(self, ctx: Context) -> None:  # type: ignore[override]
        self.threads.add(threading.get_ident())

    def process(self, batch: Batch) -> None:
        self.threads.add(threading.get_ident())
        assert self.gate.wait(30)

    def drain(self) -> None:
        self.threads.add(threading.get_ident())

    def close(self) -> None:  # type: ignore[override]
        self.threads.add(threading.get_ident())


class Opening(Keeping):
    """Opens a gate once it has all."""

    def __init__(self, gate: threading.Event, rows: int) -> None:
        super().__init__()
        self.gate, self.rows = gate, rows

    def process(self, batch: Batch) -> None:
        super().process(batch)
        if sum(map(len, self.kept)) == self.rows:
            self.gate.set()


async def test_what_blocks_in_its_lane_holds_nobody_and_uses_one_thread() -> None:
    blocked = Blocked()
    nodes: dict[str, Node] = {
        "in": ListSource(batches(5)),
        "blocked": blocked,
        "free": Opening(blocked.gate, 50),
    }
    ledger = await Run(tied(nodes, {"blocked": "in", "free": "in"}, "blocked")).run()
    assert ledger.closed
    assert ledger.stages["blocked"].consumed == 50
    assert len(blocked.threads) == 1
    assert blocked.threads != {threading.get_ident()}
    assert not [t for t in threading.enumerate() if t.name.startswith("ior ")]


async def test_an_error_in_a_lane_fails_the_stage() -> None:
    class Exits(Bare, Sink):
        def process(self, batch: Batch) -> None:
            raise SystemExit("enough")

    nodes: dict[str, Node] = {"in": ListSource(batches(2)), "exits": Exits()}
    run = Run(tied(nodes, {"exits": "in"}, "exits"))
    with pytest.raises(StageFailed, match="stage 'exits': RuntimeError: SystemExit: enough"):
        await run.run()
    assert run.ledger().closed


async def test_a_plain_source_may_block() -> None:
    class Plain(Bare, Source):
        left = 3

        def read(self) -> Batch | None:
            self.left -= 1
            return batches(1)[0] if self.left >= 0 else None

        def stop(self) -> None:
            self.left = 0

    nodes: dict[str, Node] = {"in": Plain(), "out": Keeping()}
    ledger = await Run(tied(nodes, {"out": "in"}, "in")).run()
    assert ledger.closed
    assert ledger.stages["out"].consumed == 30


async def test_the_context_leads_from_the_lane_to_the_loop() -> None:
    loop = threading.get_ident()
    said: list[tuple[str, str, int]] = []

    class Asking(Bare, Sink):
        looks = True
        seen: Any = None

        def drain(self) -> None:
            self.seen = self.ctx.snapshot("sum"), self.ctx.ledger()
            self.ctx.warn("done")

    class Stopping(Bare, Sink):
        def process(self, batch: Batch) -> None:
            self.ctx.request_stop()

    asking = Asking()
    nodes: dict[str, Node] = {
        "in": Endless(),
        "sum": Summing(),
        "stops": Stopping(),
        "asks": asking,
    }
    inputs = {"sum": "in", "stops": "in"}
    run = Run(
        tied(nodes, inputs, "asks", "stops", of={"asks": ["sum"]}),
        on_warning=lambda node, message: said.append((node, message, threading.get_ident())),
    )
    ledger = await run.run()
    assert asking.seen[0].rows == ledger.stages["sum"].consumed > 0
    assert asking.seen[1].stages["sum"] == ledger.stages["sum"]
    assert said == [("asks", "done", loop)]


async def test_a_busy_node_answers_with_its_last_picture() -> None:
    class Slow(Summing):
        def __init__(self) -> None:
            super().__init__()
            self.inside, self.gate = threading.Event(), threading.Event()

        def process(self, batch: Batch) -> None:
            super().process(batch)
            self.inside.set()
            assert self.gate.wait(30)

    slow = Slow()
    nodes: dict[str, Node] = {"in": ListSource(batches(1)), "slow": slow}
    run = Run(tied(nodes, {"slow": "in"}, "slow"))
    async with anyio.create_task_group() as group:
        group.start_soon(run.run)
        await anyio.to_thread.run_sync(slow.inside.wait, 30)
        assert list(run.snapshot("slow").tables()) == []
        slow.gate.set()
    assert run.snapshot("slow").tables()[0].rows == ((10,),)


async def test_an_abort_does_not_wait_for_a_lane_that_hangs() -> None:
    blocked = Blocked()
    nodes: dict[str, Node] = {"in": Endless(), "blocked": blocked}
    run = Run(tied(nodes, {"blocked": "in"}, "blocked"))

    said: list[str] = []

    async def ends() -> None:
        try:
            await run.run()
        except IorError as error:
            said.append(str(error))

    async with anyio.create_task_group() as group:
        group.start_soon(ends)
        await run.started.wait()
        await anyio.wait_all_tasks_blocked()
        run.abort()
    assert len(said) == 1
    assert "'blocked' with" in said[0]
    assert "'blocked' did not close" in said[0]
    assert not run.ledger().closed
    blocked.gate.set()


async def test_the_next_call_waits_for_one_that_was_cancelled() -> None:
    lane, gate, order = Lane("test"), threading.Event(), list[int]()

    def first() -> None:
        gate.wait(30)
        order.append(1)

    with anyio.move_on_after(0.01):
        await lane.call(first)
    assert lane.busy
    gate.set()
    await lane.call(order.append, 2)
    assert order == [1, 2]
    lane.close()


class Hogging(Bare, Sink):
    """Is async, and blocks all the same."""

    async def process(self, batch: Batch) -> None:
        time.sleep(0.3)  # noqa: ASYNC251 - what it must not do


class Computing(Bare, Sink):
    """Is async, and computes on the event loop."""

    async def process(self, batch: Batch) -> None:
        begin = time.thread_time()
        while time.thread_time() < begin + 0.3:
            pass


class Ousted(Bare, Sink):
    """Has hardly any processor for a while, as another process takes it."""

    def __init__(self, rival: subprocess.Popen[bytes]) -> None:
        super().__init__()
        self.rival, self.used_s = rival, 0.0

    async def process(self, batch: Batch) -> None:
        assert self.rival.stdin is not None
        begin, used = time.monotonic(), time.thread_time()
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        self.rival.stdin.close()  # off it goes
        while time.monotonic() < begin + 0.35:
            pass
        self.used_s = time.thread_time() - used
        with suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def warned_of(node: Node) -> list[tuple[str, str]]:
    said: list[tuple[str, str]] = []
    nodes: dict[str, Node] = {"in": ListSource(batches(1)), "hog": node, "calm": Keeping()}
    made = tied(nodes, {"hog": "in", "calm": "in"}, "hog", "calm")
    assert anyio.run(Run(made, on_warning=lambda *what: said.append(what)).run).closed
    return said


@pytest.mark.parametrize("hog", [Hogging, Computing])
def test_an_async_stage_that_blocks_is_named(hog: type[Node]) -> None:
    said = warned_of(hog())
    assert [node for node, _ in said] == ["hog"]
    assert re.match(r"held up everything else for (2[5-9]\d|3\d\d) ms", said[0][1])


RIVAL = """
import sys, time
print("ready", flush=True)
sys.stdin.read()
end = time.process_time() + 0.4
while time.process_time() < end:
    pass
"""


def test_an_async_stage_that_got_no_processor_did_not_block() -> None:
    """It runs in a thread of its own, which may have to stay of the lowest class."""
    said: list[tuple[str, str]] = []
    cpu = {min(os.sched_getaffinity(0))}
    command = (sys.executable, "-c", RIVAL)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as rival:
        os.sched_setaffinity(rival.pid, cpu)
        assert rival.stdout is not None
        assert rival.stdout.readline() == b"ready\n"
        ousted = Ousted(rival)

        def run() -> None:
            os.sched_setaffinity(0, cpu)
            said.extend(warned_of(ousted))

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    assert 0 < ousted.used_s < 0.15
    assert said == []
