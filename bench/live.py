"""Measure the live view at work: frames, ior's CPU while nothing happens, and what gets lost.

The view runs whole, in this process: its keys come from a pipe, what it draws goes to a
terminal of 200 by 60 cells that takes everything. A frame is a picture reduced to the state,
and drawn; its time is the CPU's, so that a busy host does not count. What is lost of `dd bs=1`
is shown next to what is lost when nothing is drawn. Run as root.
"""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import anyio
import numpy as np
from prompt_toolkit.application import create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output.vt100 import Vt100_Output

from bench.screen import AIM_MS, COLUMNS, LINES, Written
from ior.cli import overrides
from ior.cli.prepare import read
from ior.host.command import Command
from ior.pipeline import spec
from ior.pipeline.ledger import Ledger
from ior.pipeline.spec import PipelineSpec
from ior.ui import app
from ior.ui.events import Event, Tick
from ior.ui.frame import losses
from ior.ui.options import ViewOptions

REFRESH_MS = 250  # the default
EACH_S, IDLE_S = 3.0, 10.0  # a tab of the demonstration; the idle view
BLOCKS = 3_000_000
AIM_IDLE = 0.02
TABS = "12345678"


class Seen(NamedTuple):
    """What was measured while a view was up."""

    frames_ms: list[float]
    cpu_s: float  # of ior
    seconds: float
    ledger: Ledger
    idle: float


class Terminal(Written):
    """Takes everything, and forgets it."""

    def write(self, text: str) -> int:
        """Return how much was taken."""
        return len(text)


class Timed(app.Session):
    """A session that notes how long pictures take to be reduced and drawn."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.frames_ms: list[float] = []
        self._reducing_s = 0.0
        self.idle = 0.0  # cores
        self.refresh_ms = round(1000 * options["refresh_s"])

    def dispatch(self, event: Event) -> None:
        """Note how long a picture takes to become the state."""
        begin = time.thread_time()
        super().dispatch(event)
        if isinstance(event, Tick):
            self._reducing_s += time.thread_time() - begin

    def watch(self) -> None:
        """Time the drawing from now on."""
        assert self._screen is not None
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
        cpu, begin = time.process_time(), time.monotonic()

        async def live() -> None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(keys, keyboard, session)
                await session.live(keyboard, output)
                tasks.cancel_scope.cancel()

        anyio.run(live)
        spent = time.process_time() - cpu, time.monotonic() - begin
        return Seen(session.frames_ms, *spent, session.run.ledger(), session.idle)


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
def dd(blocks: int) -> Iterator[Command]:
    """Make the load, which waits until it is traced."""
    argv = ["dd", "if=/dev/zero", "of=/dev/null", "bs=1", f"count={blocks}"]
    with open(os.devnull, "r+b") as null:
        end = null.fileno()
        with Command.start(argv, stdin=end, stdout=end, stderr=end) as command:
            yield command


def main() -> None:
    """Print frames, idle CPU and losses."""
    print(
        f"The live view at {COLUMNS}x{LINES}, a picture every {REFRESH_MS} ms, every tab in turn:\n"
    )
    numbers = f"{'frames':>8}{'median ms':>12}{'p95 ms':>10}{'ior CPU':>10}{'calls/s':>11}"
    print(f"{'load':<24}{numbers}  lost")
    made = overrides.replace_source(
        read("tui"), "synthetic", {"profile": "moving", "rate": overrides.DEMO_RATE}
    )
    show("ior tui --demo", view(made, None, through_tabs))
    for load, refresh_ms in (("ior tui -- dd bs=1", REFRESH_MS), ("  hardly drawn", 60_000)):
        with dd(BLOCKS) as command:
            show(load, view(read("tui"), command, to_the_end, refresh_ms))
    with subprocess.Popen(["sleep", "infinity"]) as other:
        try:
            still = spec.set_value(read("tui"), f"kernel.pid={other.pid}")
            share = view(still, None, idle).idle
        finally:
            other.kill()
    print(f"\nWhile the traced process sleeps ior takes {share:.1%} of a core.")
    print(
        f"The aims are {AIM_MS:.0f} ms at p95, {AIM_IDLE:.0%} of a core, and that no more of dd is"
        " lost than when hardly anything is drawn."
    )


def show(load: str, seen: Seen) -> None:
    """Print a line."""
    median, high = np.quantile(seen.frames_ms or [0.0], [0.5, 0.95])
    rate = seen.ledger.kernel.get("attempted", seen.ledger.calls) / seen.seconds
    lost = ", ".join(f"{rows:,} {place}" for place, rows in losses(seen.ledger)) or "0"
    print(
        f"{load:<24}{len(seen.frames_ms):>8}{median:>12.1f}{high:>10.1f}"
        f"{seen.cpu_s / seen.seconds:>10.0%}{rate:>11,.0f}  {lost}"
    )


if __name__ == "__main__":
    main()
