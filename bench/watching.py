"""The live view under measurement, in this process: somebody at the keys, and a stopwatch.

Keys come from a pipe, what is drawn goes to a terminal of 200 by 60 cells that takes everything. A
frame is a picture reduced to the state, and drawn; its time is the CPU's, so that a busy host does
not count. How long the ring of the kernel stays unread is real time: that is what fills it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import anyio
from prompt_toolkit.application import create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output.vt100 import Vt100_Output

from bench.screen import COLUMNS, LINES, Written
from ior.host.command import Command
from ior.pipeline.ledger import Ledger
from ior.pipeline.spec import PipelineSpec
from ior.sources.bpf.source import BpfSource
from ior.ui.events import Event, Tick
from ior.ui.options import ViewOptions
from ior.ui.session import Session

REFRESH_MS = 250  # the default
EACH_S, IDLE_S = 3.0, 10.0  # a tab of the demonstration; the idle view
TABS = "12345678"


class Seen(NamedTuple):
    """What was measured while a view was up."""

    frames_ms: list[float]
    unread_s: list[float]  # between two looks into the ring of calls
    ring_bytes: int
    cpu_s: float  # of ior, while the run was under way
    seconds: float
    ledger: Ledger
    idle: float  # cores


class Terminal(Written):
    """Takes everything, and forgets it."""

    def write(self, text: str) -> int:
        """Return how much was taken."""
        return len(text)


class Timed(Session):
    """A session that notes how long pictures take to be reduced and drawn."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.frames_ms: list[float] = []
        self.unread_s: list[float] = []
        self.ring_bytes = 0
        self._reducing_s = 0.0
        self._begun = self.spent = (0.0, 0.0)  # CPU and real time
        self.idle = 0.0
        self.refresh_ms = round(1000 * options["refresh_s"])

    def dispatch(self, event: Event) -> None:
        """Note how long a picture takes to become the state, and how long the run does."""
        begin, was_over = time.thread_time(), self.state.is_over
        super().dispatch(event)
        if not was_over:
            cpu_s, now_s = self._begun
            self.spent = time.process_time() - cpu_s, time.monotonic() - now_s
        if isinstance(event, Tick):
            self._reducing_s += time.thread_time() - begin

    def watch(self) -> None:
        """Time the drawing from now on, and the reader of the ring."""
        assert self._screen is not None
        self._begun = time.process_time(), time.monotonic()
        for worker in self.run._crew.workers.values():
            if isinstance(worker.node, BpfSource):
                self._watch_ring(worker.node)
        application = self._screen.application
        begun = 0.0

        def begin(_: object) -> None:
            nonlocal begun
            begun = time.thread_time()

        def end(_: object) -> None:
            took = self._reducing_s + time.thread_time() - begun
            if self._reducing_s:  # others draw no picture
                self.frames_ms.append(took * 1000)
            self._reducing_s = 0.0

        application.before_render += begin
        application.after_render += end

    def _watch_ring(self, source: BpfSource) -> None:
        drain, last = source._drain, 0.0
        self.ring_bytes = source._ring_size

        def timed() -> Any:
            nonlocal last
            now = time.monotonic()
            if last:
                self.unread_s.append(now - last)
            last = now
            return drain()

        source._drain = timed  # type: ignore[method-assign]  # to time it


def view(
    pipeline: PipelineSpec,
    command: Command | None,
    keys: Callable[[Any, Timed], Any],
    refresh_ms: int = REFRESH_MS,
) -> Seen:
    """Run the view until `keys`, which gets the keyboard, has left it."""
    output = Vt100_Output(Terminal(), lambda: Size(rows=LINES, columns=COLUMNS))
    with create_pipe_input() as keyboard, create_app_session(input=keyboard, output=output):
        options = ViewOptions(mouse=False)
        session = Timed(
            pipeline, command=command, title="bench", refresh_s=refresh_ms / 1000, options=options
        )
        gc.freeze()  # as `run_tui` does

        async def live() -> None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(keys, keyboard, session)
                await session.live(keyboard, output)
                tasks.cancel_scope.cancel()

        anyio.run(live)
        books = session.run.ledger()
        ring = session.unread_s, session.ring_bytes
        return Seen(session.frames_ms, *ring, *session.spent, books, session.idle)


async def through_tabs(keyboard: Any, session: Timed) -> None:
    """Look at every tab for a while, with 5000 files and more retained."""
    await session.run.started.wait()
    await anyio.sleep(1.0)
    session.watch()
    for tab in TABS:
        keyboard.send_text(tab)
        await anyio.sleep(EACH_S)
    keyboard.send_text("q")


async def to_the_end(keyboard: Any, session: Timed) -> None:
    """Turn the tabs until the run has ended."""
    await session.run.started.wait()
    session.watch()
    tab = 0
    while not session.state.is_over:
        if session.refresh_ms == REFRESH_MS:
            keyboard.send_text(TABS[tab % len(TABS)])
        tab += 1
        await anyio.sleep(0.5)
    keyboard.send_text("q")


async def idle(keyboard: Any, session: Timed) -> None:
    """Note what a view costs in which nothing happens, once it has settled."""
    await session.run.started.wait()
    await anyio.sleep(2.0)
    begin = time.process_time(), time.monotonic()
    await anyio.sleep(IDLE_S)
    session.idle = (time.process_time() - begin[0]) / (time.monotonic() - begin[1])
    keyboard.send_text("q")


@contextlib.contextmanager
def load(argv: Sequence[str]) -> Iterator[Command]:
    """Start a command that waits until it is traced, with its streams away."""
    with open(os.devnull, "r+b") as null:
        end = null.fileno()
        with Command.start(list(argv), stdin=end, stdout=end, stderr=end) as command:
            yield command
