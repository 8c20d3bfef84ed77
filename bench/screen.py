"""Measure how long a frame of the live view takes: a new picture, laid out and drawn.

Every frame has new numbers in every row, so that everything is sorted, measured and drawn
again; what is timed, in time of the CPU, ends with the bytes for the terminal. The cost of taking
the picture from the run is not in it: that is the tick's.
"""

from __future__ import annotations

import gc
import io
import time
from collections.abc import Callable, Iterator

import numpy as np
from prompt_toolkit.application import create_app_session
from prompt_toolkit.application.current import set_app
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output.vt100 import Vt100_Output

from ior.calls import CALLS, Batch
from ior.names import Names
from ior.pipeline.ledger import Ledger
from ior.stages.flamegraph import Flamegraph, FlamegraphConfig
from ior.stages.stats import Stats, StatsConfig
from ior.stages.stream import Stream, StreamConfig
from ior.tasks import Task
from ior.testing import calls
from ior.ui.durations import of_rows
from ior.ui.events import Event, Look, Picture, Resized, Started, Tick
from ior.ui.reducer import reduce
from ior.ui.screen import Screen
from ior.ui.state import State
from ior.ui.stream.rows import Part, Rows
from ior.ui.stream.search import Pattern
from ior.ui.tabs.abc import AnyTab
from ior.ui.tabs.flame import FlameTab
from ior.ui.tabs.latency import LatencyTab
from ior.ui.tabs.stats import FilesTab
from ior.ui.tabs.stream import StreamTab
from ior.ui.tabs.streammoves import StreamView

ROWS, COLUMNS, LINES, FRAMES = 5000, 200, 60, 60
AIM_MS = 30.0
CALLS_S, TICKS_S = 1_000_000, 4  # of the stream


class Written(io.StringIO):
    """A terminal that shows UTF-8."""

    encoding = "utf-8"


def pictures() -> Iterator[tuple[AnyTab, Callable[[], object]]]:
    """Yield tabs, each with what makes its next picture."""
    stats, flame = Stats(StatsConfig(max_keys=2 * ROWS)), Flamegraph(FlamegraphConfig())
    rng = np.random.default_rng(1)
    names = Names()
    files = [f"/var/lib/service{i % 40}/part{i % 7}/file{i}" for i in range(ROWS)]
    tasks = [Task(1, 0, i, f"/system.slice/service{i}.service").text() for i in range(40)]
    batch = calls(
        names=names,
        syscall=["read", "write"] * (ROWS // 2),
        comm=[f"worker-{i % 30}" for i in range(ROWS)],
        file=files,
        latency_ns=rng.integers(100, 10**7, ROWS),
        ret=[4096] * ROWS,
        task=[names.intern(tasks[i % 40]) for i in range(ROWS)],
    )
    stats.connect(CALLS)
    flame.connect(CALLS)

    def table() -> object:
        stats.process(batch.select(rng.integers(0, ROWS, ROWS)))
        return stats.snapshot().by["file"]

    def tree() -> object:
        flame.process(batch.select(rng.integers(0, ROWS, ROWS)))
        return flame.snapshot()

    yield FilesTab("stats"), table
    yield FlameTab("flame", FlamegraphConfig(), rows=True), tree
    yield LatencyTab("stats"), lambda: of_rows([batch.select(rng.integers(0, ROWS, ROWS))])
    yield StreamTab(), retained(batch)
    searching = StreamTab()
    searching.name = "  searching"
    searching.begin = StreamView(pattern=Pattern("part3.*9$"))
    yield searching, retained(batch)


def retained(batch: Batch) -> Callable[[], Rows]:
    """Return what gives the rows that the stream retains, a million calls a second later on."""
    stage = Stream(StreamConfig())
    rng = np.random.default_rng(1)

    def rows() -> Rows:
        for _ in range(CALLS_S // TICKS_S // ROWS):
            stage.process(batch.select(rng.integers(0, ROWS, ROWS)))
        snapshot = stage.snapshot()
        ends = np.cumsum([len(one) for one in snapshot.batches])
        first = snapshot.total - int(ends[-1])
        starts = [first, *(ends[:-1] + first).tolist()]
        parts = (Part(b, at, None) for b, at in zip(snapshot.batches, starts, strict=True))
        return Rows(tuple(parts), ends)

    return rows


def frame_ms(tab: AnyTab, picture: Callable[[], object]) -> list[float]:
    """Return how long each of some frames took, in ms."""
    written = Written()
    output = Vt100_Output(written, lambda: Size(rows=LINES, columns=COLUMNS))
    state = State(title="bench")
    for first in (Started(0, (tab,)), Resized(COLUMNS, LINES)):
        state = reduce(state, first)
    took = []

    def dispatch(event: Event) -> None:
        nonlocal state
        state = reduce(state, event)

    with create_pipe_input() as keyboard, create_app_session(input=keyboard, output=output):
        application = Screen(lambda: state, dispatch, input=keyboard, output=output).application
        with set_app(application):
            for i in range(FRAMES):
                seen = Look(picture())
                ledger = Ledger(closed=False, kernel={}, calls=i, stages={}, edges={})
                begin = time.thread_time()
                dispatch(Tick(Picture(seen, ledger, i * 250_000_000)))
                application.renderer.render(application, application.layout)
                took.append((time.thread_time() - begin) * 1000)
                written.truncate(0)
    return took[5:]


def main() -> None:
    """Print the frame time of each kind of tab."""
    gc.freeze()  # as the view does
    print(
        f"Frames of the live view at {COLUMNS}x{LINES}, {ROWS:,} rows or stacks, new each time;\n"
        f"Stream retains what it can of {CALLS_S:,} calls a second, and draws {TICKS_S} times:\n"
    )
    print(f"{'tab':<12}{'median ms':>12}{'p95 ms':>12}")
    for tab, picture in pictures():
        median, high = np.quantile(frame_ms(tab, picture), [0.5, 0.95])
        print(f"{tab.name:<12}{median:>12.1f}{high:>12.1f}")
    print(f"\nThe aim is {AIM_MS:.0f} ms at p95.")


if __name__ == "__main__":
    main()
