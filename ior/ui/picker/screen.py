"""The application of the picker: it reads /proc in a thread, and never waits for it."""

from __future__ import annotations

import contextlib
import os
import signal

import anyio
from anyio import create_task_group, to_thread
from prompt_toolkit.application import Application, create_app_session
from prompt_toolkit.input import Input, create_input
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.key_binding.key_processor import KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import Layout
from prompt_toolkit.mouse_events import MouseEvent
from prompt_toolkit.output import Output, create_output

from ior.host.listing import Lister
from ior.ui.events import Resized
from ior.ui.keys import Action, Pressed
from ior.ui.mouse import is_click, turned
from ior.ui.picker.choice import KEYS, Clicked, Event, Picker, Scanned, Target, Typed, reduce
from ior.ui.picker.view import lines
from ior.ui.resuming import resumed
from ior.ui.screen import ESCAPE_S, REDRAW_S
from ior.ui.style import Theme, theme
from ior.ui.widgets import LinesControl, LinesWindow


def choose(message: str = "", look: Theme | None = None, *, mouse: bool = True) -> Target | None:
    """Let the person at the terminal choose; return None if they left, or a signal asked to.

    `message` says why they have to choose again.
    """
    keyboard, terminal = create_input(), create_output()

    async def run() -> Target | None:
        screen = PickerScreen(keyboard, terminal, message=message, look=look, mouse=mouse)
        async with create_task_group() as tasks:
            tasks.start_soon(_leave_on_signal, screen)
            tasks.start_soon(resumed, lambda: screen.application)
            target = await screen.pick()
            tasks.cancel_scope.cancel()
        return target

    with create_app_session(input=keyboard, output=terminal):
        return anyio.run(run)


async def _leave_on_signal(screen: PickerScreen) -> None:
    wanted = (signal.SIGTERM, signal.SIGHUP)
    heard = [number for number in wanted if signal.getsignal(number) != signal.SIG_IGN]
    with anyio.open_signal_receiver(*heard) as signals:
        async for _ in signals:
            screen.dispatch(Pressed(Action.QUIT))


class PickerScreen:
    """One full-screen application that ends with a choice, or without."""

    def __init__(
        self,
        input_: Input,
        output: Output,
        *,
        lister: Lister | None = None,
        of: int | None = None,
        message: str = "",
        look: Theme | None = None,
        mouse: bool = True,
    ) -> None:
        """Begin with the processes, or with the threads of process `of`."""
        look = look or theme(None, os.environ)
        self.state = Picker(of=of, message=message)
        self._lister = lister or Lister()
        self._drawn = lines(self.state)
        control = LinesControl(
            lambda: (len(self._drawn), self._drawn.__getitem__),
            focusable=True,
            pointed=self._pointed,
        )
        self.application: Application[None] = Application(
            Layout(LinesWindow(control)),
            style=look.style,
            color_depth=look.depth,
            key_bindings=self._bindings(),
            full_screen=True,
            mouse_support=mouse,
            min_redraw_interval=REDRAW_S,
            terminal_size_polling_interval=None,  # SIGWINCH tells
            before_render=lambda _: self._measure(),
            input=input_,
            output=output,
        )
        self.application.ttimeoutlen = self.application.timeoutlen = ESCAPE_S

    async def pick(self) -> Target | None:
        """Show the screen until somebody has chosen; return None if they left without."""
        async with create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._scan)
            with contextlib.suppress(EOFError):  # the terminal is gone
                await self.application.run_async(set_exception_handler=False)
            tasks.cancel_scope.cancel()
        return self.state.chosen

    def dispatch(self, event: Event) -> None:
        """Change the state, and do what it then asks for."""
        before, self.state = self.state, reduce(self.state, event)
        if self.state.wants != before.wants:
            self._tasks.start_soon(self._scan)
        if (self.state.left or self.state.chosen) and not self.application.is_done:
            self.application.exit()
        self.application.invalidate()

    async def _scan(self) -> None:
        of = self.state.of
        listing = await to_thread.run_sync(
            self._lister.processes if of is None else lambda: self._lister.threads(of),
            abandon_on_cancel=True,
        )
        self.dispatch(Scanned(of, listing))

    def _pointed(self, event: MouseEvent) -> bool:
        turn = turned(event)
        if is_click(event):
            self.dispatch(Clicked(event.position.y))
        elif turn is not None:
            self.dispatch(turn)
        return turn is not None or is_click(event)

    def _measure(self) -> None:
        size = self.application.output.get_size()
        if (size.columns, size.rows) != (self.state.columns, self.state.rows):
            self.dispatch(Resized(size.columns, size.rows))
        self._drawn = lines(self.state)

    def _bindings(self) -> KeyBindings:
        made = KeyBindings()
        for line in KEYS:
            for name in line.keys:
                self._bind(made, name, Pressed(line.action))

        @made.add(Keys.Any)
        @made.add(Keys.BracketedPaste)
        def _(event: KeyPressEvent) -> None:
            typed = "".join(character for character in event.data if character.isprintable())
            if typed:
                self.dispatch(Typed(typed))

        return made

    def _bind(self, made: KeyBindings, name: str, pressed: Pressed) -> None:
        @made.add(name, eager=True)
        def _(_: KeyPressEvent) -> None:
            self.dispatch(pressed)
