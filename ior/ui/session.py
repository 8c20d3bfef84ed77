"""A graph and the screen side by side, and how both end in good order.

One task group holds the run, the ticks that take its picture, the signals and the
application. The run is stopped, never cancelled, unless it does not stop within five
seconds or the user asks a second time.
"""

from __future__ import annotations

import asyncio
import errno
import sys
import time
from typing import Any

import anyio
from msgspec.structs import replace
from prompt_toolkit.input import Input
from prompt_toolkit.output import Output

from ior.errors import IorError
from ior.host.command import Command
from ior.host.tail import Tail, follow
from ior.pipeline.clock import SystemClock
from ior.pipeline.graph import build
from ior.pipeline.run import Run
from ior.pipeline.spec import PipelineSpec
from ior.text import sanitise
from ior.ui.advice import advice
from ior.ui.endings import either, signals
from ior.ui.errands import Errands
from ior.ui.events import Ended, Event, Faded, PeriodBegun, Picture, Started, Tick
from ior.ui.keys import Action, Pressed
from ior.ui.nodes import looked_at
from ior.ui.notes import Noted, Said
from ior.ui.options import ViewOptions
from ior.ui.picker.choice import Target
from ior.ui.picker.screen import PickerScreen
from ior.ui.recorder import Recorder
from ior.ui.reducer import MESSAGE_NS, reduce
from ior.ui.resuming import resumed
from ior.ui.screen import Screen
from ior.ui.selecting import Selector, gated
from ior.ui.shutter import Shutter
from ior.ui.sight import Chosen
from ior.ui.state import State
from ior.ui.tabs.output import OutputTab
from ior.ui.terms import joined
from ior.ui.viewer import Viewer
from ior.ui.wishes import Choose, Redraw, Wish

PATIENCE_S = 5.0  # for a run to stop when it was asked to


class Session:
    """One run under the live view."""

    def __init__(
        self,
        spec: PipelineSpec,
        *,
        command: Command | None,
        title: str,
        refresh_s: float,
        options: ViewOptions,
    ) -> None:
        self._refresh_s, self._command, self._options = refresh_s, command, options
        self._tail = Tail()
        self.target: Target | None = None  # chosen to be traced next
        self._choice: Choose | None = None  # to be made now
        self._picker: PickerScreen | None = None
        self._clock = SystemClock()
        spec, gates = gated(spec, looked_at(spec))
        graph = build(spec)
        self.run = Run(graph, clock=self._clock, command=command, on_warning=self._warned)
        self._selector = Selector(self.run, graph, gates, self._clock)
        self._viewer = Viewer(self.run, spec, self._clock)
        self.state = State(
            title=title or spec.label,
            output=None if options.output_fd is None else OutputTab(self._tail),
            read_only=options.read_only,
            switches=self._selector.switches,
        )
        self._recorder = Recorder(self.run, spec)
        self.error: Exception | None = None
        self._screen: Screen | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._shown, self._ended = anyio.Event(), anyio.Event()
        self._leaving, self._hurrying = anyio.Event(), anyio.Event()

    def code(self) -> int:
        """Return the exit code, saying on stderr why it is not 0.

        Raises what the run raised if that is a defect and not a failure of the graph.
        """
        if self.error is None:
            return 0
        if not isinstance(self.error, IorError):
            raise self.error
        sys.stderr.write(f"ior: {sanitise(str(self.error))}\n")
        return self.error.exit_code

    def dispatch(self, event: Event) -> None:
        """Change the state, and do what it then asks for."""
        before = self.state
        self.state = reduce(before, event)
        if (before.terms, before.switches) != (self.state.terms, self.state.switches):
            self._select()
        if self.state.quits:
            self._leaving.set()
        if self.state.quits > 1:
            self._hurrying.set()
        if before.looks_at != self.state.looks_at and self.state.picture is not None:
            self.state = reduce(self.state, Tick(self._picture()))
        wish = self.state.wish
        if wish is not None:
            self.state = replace(self.state, wish=None)
            self._grant(wish)
        if self._screen is not None:
            self._screen.follow(before, self.state)
        message = self.state.message
        same = before.is_over and before.message is message
        if self.state.is_over and message is not None and not same and self._loop is not None:
            self._loop.call_later(MESSAGE_NS / 1e9, self._fade, message)

    def _fade(self, message: Noted | Said) -> None:
        """Take a message off its line after the end, when no picture does it any more."""
        if message is self.state.message:
            self.dispatch(Faded())

    def _select(self) -> None:
        """Let through what is chosen, from this moment on, which a picture is taken of."""
        switches = self.state.switches
        period, refused = self._selector.choose(joined(self.state.terms), switches)
        for said in refused:
            self.say(said, True)
        picture = self._picture()
        if not self.state.is_over:
            period = replace(period, latest_ns=picture.latest_ns)
            self.state = reduce(self.state, PeriodBegun(period))
        self.state = reduce(self.state, Tick(picture))
        self._start(self._selector.settle, switches)

    def _grant(self, wish: Wish) -> None:
        """Do what the state wishes."""
        if isinstance(wish, Redraw):
            assert self._screen is not None
            self._screen.application.renderer.clear()
        elif not isinstance(wish, Choose):
            self._start(self._errands.run, wish)
        elif self._options.retarget is None:
            self._answer("there is nobody else to choose: this is no live trace", False)
        elif not self._leaving.is_set():
            self._choice = wish
            self._close()

    def say(self, text: str, bad: bool) -> None:
        """Show a text on the message line; from any thread."""
        if self._loop is None or self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._note, text, self._clock.now_ns(), bad)

    def _note(self, text: str, now_ns: int, bad: bool) -> None:
        self.dispatch(Noted(text, now_ns, bad, self._viewer.rows()))

    def _answer(self, text: str, bad: bool) -> None:
        now_ns = self._clock.now_ns()
        if bad:
            self._note(text, now_ns, bad)
        else:
            self.dispatch(Said(text, now_ns))

    def _warned(self, node: str, message: str) -> None:
        self.say(f"{node}: {message}", False)

    def _picture(self) -> Picture:
        """Look at what is in front; what cannot be shown is said on the message line."""
        front = self.state.front
        if front is None or not front.tab.looks:
            return self._viewer.picture(None)
        state = self.state
        if state.paused and state.over is None and state.look is not None:
            self._viewer.hold()  # it stays as it is: nothing has to be added up again
            return self._viewer.picture(state.look)
        try:
            took_ns = state.elapsed_ns if state.is_over else 0
            chosen = Chosen(state.where, state.window, state.notes, took_ns)
            look = self._viewer.look(front.tab, front.view, chosen, held=state.paused)
            return self._viewer.picture(look)
        except Exception as error:  # a user's own stage may answer anything
            self.say(f"{front.tab.name} cannot be shown: {error!r}", True)
            return self._viewer.picture(None)

    async def live(self, input_: Input, output: Output) -> None:
        """Run graph and screen; return when the user has left and the run has ended."""
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._crashed)
        look = self._options.theme
        self._screen = Screen(
            lambda: self.state,
            self.dispatch,
            input=input_,
            output=output,
            look=look,
            mouse=self._options.mouse,
            values=self._viewer.values,
        )
        self._errands = Errands(
            self._recorder,
            output,
            state=lambda: self.state,
            dispatch=self.dispatch,
            say=self._answer,
            command_line=self._options.command_line,
        )
        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:
            self._start = tasks.start_soon
            for task in (self._run, self._ticks, self._leave):
                tasks.start_soon(task)
            tasks.start_soon(signals, lambda: self.dispatch(Pressed(Action.QUIT)))
            screen = self._screen
            tasks.start_soon(resumed, lambda: (self._picker or screen).application)
            if self._options.output_fd is not None:
                tasks.start_soon(follow, self._options.output_fd, self._tail)
            try:
                await self._show()
            except Exception as error:  # raised below: a task group would wrap it
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _show(self) -> None:
        """Show the screen until the user leaves, then let the run end in any case."""
        assert self._screen is not None
        application = self._screen.application
        try:
            while True:
                await application.run_async(self._shown.set, set_exception_handler=False)
                if self._choice is None or not await self._go_on(self._choice):
                    break
        except EOFError:
            pass  # the terminal is gone
        except OSError as error:
            if error.errno != errno.EIO:  # the terminal is gone, too
                raise
        finally:
            with anyio.CancelScope(shield=True):
                self._leaving.set()
                await self._ended.wait()

    async def _go_on(self, choice: Choose) -> bool:
        """Let a target be chosen in the screen's place; return whether that is shown again."""
        assert self._options.retarget is not None
        assert self._screen is not None
        self._choice = None
        of, message = self._options.retarget.pid if choice.threads else None, ""
        if choice.threads and of is None:
            message = "choose a process, then Tab shows its threads"
        application = self._screen.application
        ends, options = (application.input, application.output), self._options
        self._picker = PickerScreen(
            *ends, of=of, message=message, look=options.theme, mouse=options.mouse
        )
        self.target = await self._picker.pick()
        quits = self._picker.state.quits
        self._picker = None
        if self._leaving.is_set():
            return False
        if quits or self.target is not None:
            self._shown = anyio.Event()
            self.dispatch(Pressed(Action.QUIT))
        return True

    def _crashed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Give up on a defect in a callback, a drawing one for instance: it would come again."""
        error = context.get("exception")
        if isinstance(error, Exception) and "handle" in context:
            self._close(error)
        else:
            loop.default_exception_handler(context)

    def _close(self, error: Exception | None = None) -> None:
        """Close the screen, which then raises `error` if there is one."""
        if self._picker is not None:
            self._picker.dispatch(Pressed(Action.QUIT))
        application = self._screen.application if self._screen else None
        if application is not None and application.is_running and not application.is_done:
            if error is not None:
                application.exit(exception=error)
            else:
                application.exit()

    async def _run(self) -> None:
        try:
            await self._run_graph()
        finally:
            self._ended.set()

    async def _run_graph(self) -> None:
        try:
            await self.run.run()
        except Exception as error:
            self.error = error
        self._open()
        self._errands.ended()
        said = "" if self.error is None else str(self.error) or type(self.error).__name__
        helps = () if self.run.started.is_set() else advice(self.error)
        status = self._command.poll() if self._command and self._command.released else None
        self.dispatch(Ended(self._picture(), said, helps, status))
        self.dispatch(Tick(self._picture()))  # rates are of the whole run from now on

    def _open(self) -> None:
        if self.state.started_ns is None:
            self.dispatch(Started(self._clock.now_ns(), self._viewer.open()))
            for line in self._options.warnings:
                self._note(line, self._clock.now_ns(), False)

    async def _ticks(self) -> None:
        await self.run.started.wait()
        self._open()
        shutter = Shutter(self._refresh_s)
        while not self._ended.is_set():
            begun = time.perf_counter()
            if shutter.is_due(self.run.rows(), self._clock.now_ns()):
                picture = self._picture()
                if not picture.is_like(self.state.picture):
                    self.dispatch(Tick(picture))
                shutter.took(picture, time.perf_counter() - begun)
            await shutter.rest(self.run, self._clock)

    async def _leave(self) -> None:
        """Wait for the wish to leave, stop the run, then close the screen."""
        await self._leaving.wait()
        if not self._ended.is_set():
            if self._command is not None and self._command.released:
                self._command.end(grace_s=0)
            self.run.stop()
            with anyio.move_on_after(PATIENCE_S):
                await either(self._ended, self._hurrying)
            if not self._ended.is_set():
                self.run.abort()
                await self._ended.wait()
        await self._shown.wait()
        self._close()
