"""A person before a run that is over: every tab of a whole pipeline, on an emulated screen.

The pipeline is real and has run to its end; what is looked at, and when another look is taken,
is as in a session. So a tab that the catalogue gets is there without a word here.
"""

from __future__ import annotations

import functools
import unicodedata
from pathlib import Path
from typing import Any

import anyio
from emulated import Stand, Terminal
from msgspec.structs import replace
from prompt_toolkit.input import PipeInput
from prompt_toolkit.input.ansi_escape_sequences import REVERSE_ANSI_SEQUENCES
from prompt_toolkit.keys import Keys
from pyte.screens import Char

from ior.cli import overrides
from ior.cli.prepare import read
from ior.host.tail import Tail
from ior.pipeline.graph import build
from ior.pipeline.run import Run
from ior.pipeline.spec import PipelineSpec, parse
from ior.text import fit
from ior.ui import frame
from ior.ui.events import Ended, Event, Picture, Resized, Started, Tick
from ior.ui.keys import Action, Pressed
from ior.ui.notes import Noted
from ior.ui.sight import Chosen
from ior.ui.state import State
from ior.ui.style import Theme
from ior.ui.tabs.abc import AnyTab
from ior.ui.tabs.output import OutputTab
from ior.ui.viewer import Viewer
from ior.ui.widgets import Line
from ior.ui.wishes import Wish

SECOND = 1_000_000_000


def wired(*types: str, source: str = 'type = "synthetic"') -> str:
    """Return a pipeline whose stages, called as their types are, each take the calls of `pair`."""
    nodes = [
        f"[stage.made]\n{source}",
        '[stage.pair]\ntype = "pair"\ninputs = "made"',
        *(f'[stage.{type_}]\ntype = "{type_}"\ninputs = "pair"' for type_ in types),
    ]
    return "\n".join(["version = 1", *nodes, ""])


class Turned:
    """A clock whose time is what it was set to; nobody sleeps by it."""

    def __init__(self, ns: int) -> None:
        self.ns = ns

    def now_ns(self) -> int:
        return self.ns

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError(seconds)


@functools.cache
def demonstration() -> tuple[Run, PipelineSpec]:
    """Run what `ior tui --demo` shows for its first ten seconds."""
    keys = {"profile": "moving", "rate": 0.0, "calls": 10 * overrides.DEMO_RATE}
    spec = overrides.replace_source(read("tui"), "synthetic", keys)
    run = Run(build(spec))
    anyio.run(run.run)
    return run, spec


@functools.cache
def ended(of: str) -> tuple[Run, PipelineSpec]:
    """Run the pipeline on such calls to its end."""
    if of == "demo":
        return demonstration()
    text = wired(
        *("stats", "stream", "flamegraph", "history"),
        source=f'use = "own_nodes.py:Scenery"\nmade_of = "{of}"',
    )
    text += '[stage.sky]\nuse = "own_nodes.py:Weather"\ninputs = "pair"\n'
    spec = parse(text, directory=Path(__file__).parent, label="scenes.toml")
    run = Run(build(spec))
    anyio.run(run.run)
    return run, spec


def opened(of: str = "names") -> tuple[AnyTab, ...]:
    """Return fresh tabs."""
    run, spec = ended(of)
    return Viewer(run, spec, Turned(SECOND)).open()


def looked_at(tab: AnyTab, of: str = "names") -> Any:
    """Return what a tab sees."""
    run, spec = ended(of)
    return Viewer(run, spec, Turned(SECOND)).look(tab, tab.begin, Chosen()).seen


NAMES = [tab.name for tab in opened()]


class Seat(Stand):
    """A screen with the tab `name` in front, and a person who presses keys.

    `wishes` are what the state asked for so far.
    """

    def __init__(
        self,
        terminal: Terminal,
        keyboard: PipeInput,
        name: str,
        of: str,
        look: Theme | None = None,
    ) -> None:
        self.clock = Turned(100 * SECOND)
        self.wishes: list[Wish] = []
        self.tail = Tail()
        self.tail.feed(b"the command said this\n")
        state = State(title="the test", output=OutputTab(self.tail))
        super().__init__(terminal, keyboard, state, look)
        self.turn(of)
        for event in (
            Started(70 * SECOND, self._viewer.open()),
            Resized(terminal.columns, terminal.rows),
            Noted("something was warned of", 99 * SECOND),
            Pressed(Action.TAB, NAMES.index(name)),
        ):
            self.dispatch(event)
        self.tick()
        super().dispatch(Tick(self.picture()))  # so that what is of late has settled

    def turn(self, of: str) -> None:
        """Look at other calls from now on."""
        run, spec = ended(of)
        self._viewer = Viewer(run, spec, self.clock)

    def dispatch(self, event: Event) -> None:
        """Change the state, and look again where a session would."""
        before = self.state
        super().dispatch(event)
        if before.looks_at != self.state.looks_at and self.state.picture is not None:
            super().dispatch(Tick(self.picture()))
        if self.state.wish is not None:
            self.wishes.append(self.state.wish)
            self.state = replace(self.state, wish=None)

    def picture(self) -> Picture:
        """Look at what is in front."""
        state, front = self.state, self.state.front
        if front is None or not front.tab.looks:
            return self._viewer.picture(None)
        chosen = Chosen(state.where, state.window, state.notes)
        look = self._viewer.look(front.tab, front.view, chosen, held=state.paused)
        return self._viewer.picture(look)

    def tick(self) -> None:
        """Take a picture, a second after the last."""
        self.clock.ns += SECOND
        super().dispatch(Tick(self.picture()))

    def fail(self, error: str) -> None:
        """Let the run fail."""
        self.dispatch(Ended(self.picture(), error))

    def resize(self, columns: int, rows: int) -> None:
        """Change the terminal's size while the screen is up."""
        self.terminal.resize(columns, rows)
        self.screen.application._on_resize()

    @property
    def body(self) -> list[str]:
        """The lines of the body, as they were when it was last shown."""
        return body(self.state, self.cells)

    @property
    def named(self) -> str:
        """The name of the tab that is drawn as the present one, also where it is cut."""
        drawn = self.reversed(frame.TABS_LINE).strip().lstrip("0123456789 ")
        tabs = self.state.tabs
        return next(
            t.name for t in tabs if drawn and drawn in (t.name, (t.short or t.name)[: len(drawn)])
        )

    def reversed(self, row: int) -> str:
        """Return what was drawn in reversed video in a line of the terminal."""
        return "".join(cell.data for cell in self.cells[row] if cell.reverse)


def body(state: State, cells: list[list[Char]]) -> list[str]:
    """Return the lines of the body, of all cells of a terminal."""
    lines = cells[state.head_rows :][: state.body_rows]
    return ["".join(cell.data for cell in line) for line in lines]


def text(line: Line) -> str:
    return "".join(part for _, part in line)


def written(state: State) -> list[str]:
    """Return the lines that a state means, of the whole screen."""
    lines = [*frame.head(state), *(frame.body(state, row) for row in range(state.body_rows))]
    if state.prompt is not None:
        said = f"{state.prompt.question.label}{state.prompt.text}"
        lines.append([("", fit(said, state.columns))])  # a longer one scrolls in its window
    return [_drawn(text(line)) for line in (*lines, *frame.foot(state))]


def _drawn(line: str) -> str:
    """Return a line as the emulator has it; prompt_toolkit drops marks on the last cell."""
    while unicodedata.combining(line[-1]):
        line = line[:-1]
    return unicodedata.normalize("NFC", line)


def sequence(name: str) -> str:
    """Return what a terminal sends for a key of prompt_toolkit's name."""
    special = {"space": " ", "enter": "\r", "backspace": "\x7f", "tab": "\t", "escape": "\x1b"}
    if len(name) == 1 or name in special:
        return special.get(name, name)
    return {"<sigint>": "\x03"}.get(name) or REVERSE_ANSI_SEQUENCES[Keys(name)]
