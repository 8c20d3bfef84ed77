"""The prompt_toolkit application: windows around pure views, and the keys' bindings.

Everything drawn is a function of the state, but for the filter prompt, whose editing is
prompt_toolkit's; its text comes back as `FilterEdited`.
"""

from __future__ import annotations

from collections.abc import Callable

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.key_binding.key_processor import KeyPressEvent
from prompt_toolkit.layout import (
    BufferControl,
    ConditionalContainer,
    Dimension,
    HSplit,
    Layout,
    VSplit,
    Window,
)
from prompt_toolkit.output import Output

from ior.ui import frame
from ior.ui.events import Event, FilterEdited, Pressed, Resized
from ior.ui.keys import KEYS, Action, Mode
from ior.ui.state import State
from ior.ui.style import STYLE
from ior.ui.widgets import Line, LinesControl

ESCAPE_S = 0.05  # how long an Esc waits for the rest of a key's sequence
REDRAW_S = 0.02

Body = Callable[[State, int], Line]
"""Draw one line of the present tab."""

Press = Callable[[Action, int], None]
"""Say what was pressed: the action, and which of its keys."""


class Screen:
    """One full-screen application that shows `state()` and tells `dispatch` what happens."""

    def __init__(
        self,
        state: Callable[[], State],
        dispatch: Callable[[Event], None],
        body: Body,
        *,
        input: Input | None = None,  # noqa: A002 (prompt_toolkit's own name for it)
        output: Output | None = None,
    ) -> None:
        self._state, self._dispatch, self._body = state, dispatch, body
        self._prompt = Buffer(multiline=False, on_text_changed=self._edited)
        self._table = Window(
            LinesControl(lambda: (state().body_rows, self._body_line), focusable=True)
        )
        self._prompt_window = Window(BufferControl(self._prompt), height=1, style="class:prompt")
        self.application: Application[None] = Application(
            Layout(self._root(), focused_element=self._table),
            style=STYLE,
            key_bindings=bindings(self._press, lambda: state().mode),
            full_screen=True,
            min_redraw_interval=REDRAW_S,
            before_render=lambda _: self._measure(),
            input=input,
            output=output,
        )
        self.application.ttimeoutlen = ESCAPE_S
        self.application.timeoutlen = ESCAPE_S

    def _root(self) -> HSplit:
        state = self._state
        label = Window(
            LinesControl(lambda: (1, lambda _: [("class:label", frame.PROMPT)])),
            width=len(frame.PROMPT),
            height=1,
        )
        prompt = ConditionalContainer(
            VSplit([label, self._prompt_window]), Condition(lambda: state().prompt is not None)
        )
        return HSplit([self._lines(frame.head), self._table, prompt, self._lines(frame.foot)])

    def _lines(self, view: Callable[[State], list[Line]]) -> Window:
        def content() -> tuple[int, Callable[[int], Line]]:
            lines = view(self._state())
            return len(lines), lines.__getitem__

        return Window(
            LinesControl(content), height=lambda: Dimension.exact(len(view(self._state())))
        )

    def _body_line(self, row: int) -> Line:
        state = self._state()
        if state.small:
            return frame.notice_line(state, row)
        return frame.over_line(state, row) if state.over_table else self._body(state, row)

    def _measure(self) -> None:
        size, state = self.application.output.get_size(), self._state()
        if (size.columns, size.rows) != (state.columns, state.rows):
            self._dispatch(Resized(size.columns, size.rows))

    def _press(self, action: Action, nth: int) -> None:
        self._dispatch(Pressed(action, nth))

    def _edited(self, buffer: Buffer) -> None:
        self._dispatch(FilterEdited(buffer.text))

    def follow(self, before: State, state: State) -> None:
        """Put the focus where the state says, and draw it soon."""
        if state.prompt is not None and before.prompt is None:
            self._prompt.set_document(Document(state.prompt.text), bypass_readonly=True)
            self.application.layout.focus(self._prompt_window)
        elif state.prompt is None and before.prompt is not None:
            self.application.layout.focus(self._table)
        self.application.invalidate()


def bindings(press: Press, mode: Callable[[], Mode]) -> KeyBindings:
    """Return the table of keys as bindings that call `press`; `mode` says which hold now."""
    made = KeyBindings()
    for line in KEYS:
        for nth, name in enumerate(line.keys):
            pressed = Pressed(line.action, nth)
            _bind(made, name, pressed, press, Condition(_in(line.modes, mode)))
    return made


def _in(modes: tuple[Mode, ...], mode: Callable[[], Mode]) -> Callable[[], bool]:
    return lambda: mode() in modes


def _bind(made: KeyBindings, name: str, pressed: Pressed, press: Press, holds: Condition) -> None:
    @made.add(name, filter=holds, eager=True)
    def _(_: KeyPressEvent) -> None:
        press(pressed.action, pressed.nth)
