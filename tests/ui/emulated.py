"""A terminal without a terminal: what prompt_toolkit writes goes to a screen emulator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pyte
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import PipeInput
from prompt_toolkit.output.vt100 import Vt100_Output
from pyte.screens import Char

from ior.pipeline.ledger import EdgeBooks, Ledger, StageBooks
from ior.snapshots import Field, Table
from ior.ui.events import Event, Look, Picture, Tick
from ior.ui.reducer import reduce
from ior.ui.screen import Screen
from ior.ui.sight import Matched
from ior.ui.state import State
from ior.ui.style import Theme
from ior.ui.tabs.table import TableTab

SIZES = [(20, 5), (60, 15), (80, 24), (120, 40), (200, 60)]
FIELDS = (
    Field("syscall", "text"),
    Field("calls", "count"),
    Field("errors", "count"),
    Field("bytes", "size"),
    *(Field(name, "duration") for name in ("total", "min", "mean", "p50", "p95", "p99", "max")),
)
NAMES = (
    "read",
    "write",
    "openat",
    "close",
    "fstat",
    "statx",
    "lseek",
    "mmap",
    "poll",
    "getdents64",
)


def table(rows: int, *, rest: bool = False) -> Table:
    """Make a table of `rows` syscalls, most calls first."""
    cells = []
    for i in range(rows):
        name = NAMES[i] if i < len(NAMES) else f"syscall_{i}"
        calls = 200_000 // (i + 1)
        times = tuple(1000 * (i + k) for k in range(7))
        cells.append((name, calls, i, calls * 512, *times))
    other = ("(other)", 77, 0, 0, *(None,) * 7) if rest else None
    return Table("Syscalls", FIELDS, tuple(cells), other)


def ledger(calls: int = 400_011, *, lost: int = 0, dropped: int = 0, closed: bool = True) -> Ledger:
    """Make books with so many calls and losses."""
    return Ledger(
        closed=closed,
        kernel={"attempted": calls + lost, "read": calls, "lost": lost},
        calls=calls,
        stages={"pair": StageBooks(in_=calls, out={"out": calls})},
        edges={"pair.out->live": EdgeBooks(offered=dropped, dropped=dropped)},
    )


def picture(seconds: float = 0, rows: int = 30, calls: int = 400_011, **books: int) -> Picture:
    """Make what is seen `seconds` after the start."""
    return Picture(Look(table(rows)), ledger(calls, **books), int(seconds * 1e9))


def tabs(*names: str) -> tuple[TableTab, ...]:
    """Make tabs that show tables."""
    return tuple(TableTab(name, "stats", 0) for name in names)


def tick(shown: Table | None, seconds: float = 0, matched: Matched | None = None) -> Tick:
    """Make a tick that shows a table."""
    return Tick(Picture(Look(shown, matched), ledger(), int(seconds * 1e9)))


class Terminal:
    """A pyte screen that prompt_toolkit writes to."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.Stream(self.screen)
        self.raw: list[str] = []
        self.on_frame: Callable[[], None] = lambda: None
        self.output = Vt100_Output(self, lambda: Size(rows=self.rows, columns=self.columns))

    encoding = "utf-8"

    def write(self, text: str) -> None:
        self.raw.append(text)
        self._stream.feed(text)

    def flush(self) -> None:
        self.on_frame()

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError("not a descriptor")

    def resize(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.screen.resize(rows, columns)

    @property
    def lines(self) -> list[str]:
        return list(self.screen.display)

    @property
    def cells(self) -> list[list[Char]]:
        """Every cell; that behind a wide character is empty."""
        buffer = self.screen.buffer
        return [[buffer[y][x] for x in range(self.columns)] for y in range(self.rows)]


class Person:
    """Looks at a terminal, and presses keys when a screen shows what is waited for."""

    def __init__(self, terminal: Terminal, keyboard: PipeInput) -> None:
        self.terminal, self.keyboard = terminal, keyboard
        self._steps: list[tuple[Callable[[], bool], Callable[[], None]]] = []
        self.saw: list[list[str]] = []  # the screen at each step
        terminal.on_frame = self._look

    def when(self, words: str, act: str | Callable[[], None]) -> Person:
        """Once `words` are on the screen, press keys or do something."""
        return self.until(lambda: words in "\n".join(self.terminal.lines), act)

    def until(self, holds: Callable[[], bool], act: str | Callable[[], None]) -> Person:
        """Once `holds` is true when something is drawn, press keys or do something."""
        keys = act
        send = (lambda: self.keyboard.send_text(keys)) if isinstance(keys, str) else keys
        self._steps.append((holds, send))
        return self

    def _look(self) -> None:
        if self._steps and self._steps[0][0]():
            self.saw.append(self.terminal.lines)
            self._steps.pop(0)[1]()


class Stand:
    """A screen over a state of the test's choice, driven by keys."""

    def __init__(
        self, terminal: Terminal, keyboard: PipeInput, state: State, look: Theme | None = None
    ) -> None:
        self.terminal, self._keyboard, self.state = terminal, keyboard, state
        self.cells: list[list[Char]] = []  # of the terminal, when it was last shown
        self.before = state, self.cells  # before the last thing that was done
        self._heard = 0  # events
        self.screen = Screen(
            lambda: self.state,
            self.dispatch,
            input=keyboard,
            output=terminal.output,
            look=look,
        )

    def dispatch(self, event: Event) -> None:
        self._heard += 1
        before, self.state = self.state, reduce(self.state, event)
        self.screen.follow(before, self.state)

    def show(self, *keys: str | Callable[[], None]) -> list[str]:
        """Draw, press keys or do things one after the other, return the lines after the last.

        Whatever is done has to be drawn.
        """
        return asyncio.run(self._show(keys))

    async def _show(self, keys: tuple[str | Callable[[], None], ...]) -> list[str]:
        application = self.screen.application
        drawn = asyncio.Event()
        application.after_render += lambda _: drawn.set()
        running = asyncio.ensure_future(application.run_async(set_exception_handler=False))
        await drawn.wait()
        for key in keys:
            self.before = self.state, self.terminal.cells
            heard = self._heard
            drawn.clear()
            if isinstance(key, str):
                self._keyboard.send_text(key)
            else:
                key()
            await asyncio.wait_for(drawn.wait(), 10)
            while key == "\x1b" and self._heard == heard:  # drawn for something else meanwhile
                drawn.clear()
                await asyncio.wait_for(drawn.wait(), 10)
        while application.invalidated:
            drawn.clear()
            await asyncio.wait_for(drawn.wait(), 10)
        lines, self.cells = self.terminal.lines, self.terminal.cells
        application.exit()
        await running
        return lines
