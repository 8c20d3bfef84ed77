"""Does what the state wishes beside the run: recordings, exports, the clipboard, the editor.

What goes wrong is said where the person looks: in the prompt that asked, with the text that
was typed, or on the message line. Nothing here ends the run.
"""

from __future__ import annotations

import base64
import datetime
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from anyio import to_thread
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.output import Output as Screen

from ior.errors import IorError
from ior.host import editor, filters
from ior.host.command import calling_user
from ior.host.output import Output, release, reserve
from ior.text import sanitise
from ior.ui.events import Asked, Event, FiltersRead, Recording
from ior.ui.filtering import NAME
from ior.ui.recorder import Recorder
from ior.ui.state import State
from ior.ui.tabs.abc import Question
from ior.ui.wishes import (
    Copy,
    CopyCommand,
    Edit,
    Kind,
    ListFilters,
    Propose,
    SaveFilter,
    StopRecording,
    Wish,
    Write,
)

_HINTS = {
    "recording": "Enter records there what the filter lets through, until R is pressed again",
    "export": "Enter writes there what the tab shows",
}
_MAX_COPIED = 74994  # bytes: what terminals take in one OSC 52, as base64 less than 100,000

_AT_ONCE = 1 << 20  # characters of an export that are written at once

Say = Callable[[str, bool], None]
"""Show a text; True for something bad, which is kept among the warnings."""


class Errands:
    """Runs errands, one after the other or side by side; `dispatch` takes what comes of them."""

    def __init__(
        self,
        recorder: Recorder,
        screen: Screen,
        *,
        state: Callable[[], State],
        dispatch: Callable[[Event], None],
        say: Say,
        command_line: Callable[[Sequence[str]], str],
    ) -> None:
        self._recorder, self._screen = recorder, screen
        self._state, self._dispatch, self._say = state, dispatch, say
        self._command_line = command_line
        self._exported = ""  # the last export

    async def run(self, wish: Wish) -> None:
        """Do one errand; raises nothing that a person could have caused."""
        try:
            await self._run(wish)
        except (IorError, OSError) as error:
            if isinstance(wish, SaveFilter) and wish.where:
                self._dispatch(Asked(NAME, wish.name, str(error)))
            elif isinstance(wish, Write):
                question = _question(wish.kind)
                self._dispatch(Asked(question, wish.path, str(error)))
            else:
                self._say(str(error), True)

    async def _run(self, wish: Wish) -> None:
        match wish:
            case Propose(kind):
                self._propose(kind)
            case Write("recording", path):
                place = _expanded(path)
                await self._recorder.start(place)
                self._dispatch(Recording(place))
            case Write(_, path):
                await self._export(_expanded(path))
            case StopRecording():
                path = await self._recorder.stop()
                self._dispatch(Recording(""))
                self._say(f"recorded: {path}", False)
            case Copy(text):
                self._copy(text)
            case CopyCommand():
                line = self._command_line(equivalent_terms(self._state()))
                if not line:
                    raise IorError("no ior run traces the same: these calls are made up")
                self._copy(line)
            case Edit():
                await self._edit()
            case ListFilters():
                await self._list_filters()
            case SaveFilter(name, where):
                await self._save_filter(name, where)

    async def _list_filters(self) -> None:
        try:
            found = await to_thread.run_sync(filters.load, filters.place())
        except IorError as error:
            self._dispatch(FiltersRead((), str(error)))
        else:
            self._dispatch(FiltersRead(tuple(found.items())))

    async def _save_filter(self, name: str, where: str) -> None:
        place = filters.place()
        if where:
            left = await to_thread.run_sync(filters.save, place, name, where)
        else:
            left = await to_thread.run_sync(filters.delete, place, name)
        self._dispatch(FiltersRead(tuple(left.items())))
        self._say(f"{'saved' if where else 'deleted'}: {name} ({place})", False)

    def ended(self) -> None:
        """Say that the recording has ended with the run."""
        path, self._recorder.path = self._recorder.path, ""
        if path:
            release(path)  # where nothing came of it
            complete = os.path.exists(path)
            said = f"recorded to the end of the run: {path}" if complete else "nothing was recorded"
            self._say(said, not complete)
            self._dispatch(Recording(""))

    def _propose(self, kind: Kind) -> None:
        front, suffix, name = self._state().front, "ior", ""
        if kind == "export":
            if front is None or not front.tab.exports:
                self._say("there is nothing here that could be exported", False)
                return
            suffix = front.tab.exports
            name = "-" + "".join(c if c.isalnum() else "-" for c in front.tab.name.lower())
        now = datetime.datetime.now().astimezone()
        self._dispatch(Asked(_question(kind), f"ior{name}-{now:%Y%m%d-%H%M%S}.{suffix}"))

    async def _export(self, path: str) -> None:
        state = self._state()
        front = state.front
        if front is None or state.layout is None:
            raise IorError("there is nothing here that could be exported")
        view, layout, tab = front.view, state.layout, front.tab

        def write() -> int:
            reserve(path)
            lines = 0
            with Output.open(path) as output:
                for text in _gathered(tab.export(view, layout)):
                    data = text.encode("utf-8", "backslashreplace")
                    output.write(data)
                    lines += data.count(b"\n")
            return lines

        lines = await to_thread.run_sync(write)
        self._exported = path
        self._say(f"exported {lines:,} lines: {path} (! opens it)", False)

    def _copy(self, text: str) -> None:
        """Ask the terminal to take a text to its clipboard (OSC 52); it may not be able to."""
        safe = sanitise(text)
        raw = safe.encode("utf-8", "backslashreplace")[:_MAX_COPIED]
        self._screen.write_raw(f"\x1b]52;c;{base64.b64encode(raw).decode('ascii')}\x07")
        self._screen.flush()
        self._say(f"copied: {safe}", False)

    async def _edit(self) -> None:
        if not self._exported:
            raise IorError("nothing was exported yet: e exports what the tab shows")
        path, command = self._exported, editor.editor()
        await run_in_terminal(lambda: editor.edit(path, command), in_executor=True)


def _gathered(texts: Iterable[str]) -> Iterator[str]:
    """Yield texts joined to about `_AT_ONCE` characters, so that no line is a write of its own."""
    waiting: list[str] = []
    size = 0
    for text in texts:
        waiting.append(text)
        size += len(text)
        if size >= _AT_ONCE:
            yield "".join(waiting)
            waiting, size = [], 0
    yield "".join(waiting)


def equivalent_terms(state: State) -> tuple[str, ...]:
    """Return what a run must ask for to show the same. Raises IorError where it cannot."""
    if state.switches.at_first - state.switches.off:
        said = "add --syscalls or --families to the line without it"
        raise IorError(f"{state.switches.words()} since the run began: {said}")
    return (*state.terms, *((state.switches.where,) if state.switches.where else ()))


def _question(kind: Kind) -> Question:
    return Question(kind, f"{kind} to: ", _HINTS[kind])


def _expanded(path: str) -> str:
    """Return a path in which `~` at the start is the home of who called sudo."""
    if not path.startswith("~/"):
        return path
    who = calling_user()
    home = who.environment.get("HOME") if who else None
    return os.path.join(home or Path.home(), path[2:])
