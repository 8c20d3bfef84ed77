"""The prompt_toolkit application: windows around pure views, and the keys' bindings.

Everything drawn is a function of the state, but for the prompt, whose editing is
prompt_toolkit's; its text comes back as `PromptEdited`.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from prompt_toolkit.application import Application
from prompt_toolkit.filters import Condition
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.key_binding.key_processor import KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import (
    ConditionalContainer,
    Dimension,
    FloatContainer,
    HSplit,
    Layout,
    VSplit,
    Window,
)
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.mouse_events import MouseEvent
from prompt_toolkit.output import Output

from ior.text import width
from ior.ui import frame, tabline
from ior.ui.events import Event, PromptEdited, Resized, Unbound
from ior.ui.keys import Action, Pressed, pressed
from ior.ui.mouse import is_click, turned
from ior.ui.prompt import Prompt, Values
from ior.ui.state import State
from ior.ui.style import Theme, theme
from ior.ui.tabs.abc import Clicked
from ior.ui.tabs.catalogue import every_key
from ior.ui.widgets import Line, LinesControl, LinesWindow

ESCAPE_S = 0.05  # how long an Esc waits for the rest of a key's sequence
REDRAW_S = 0.02


class Screen:
    """One full-screen application that shows `state()` and tells `dispatch` what happens."""

    def __init__(
        self,
        state: Callable[[], State],
        dispatch: Callable[[Event], None],
        *,
        input: Input | None = None,  # noqa: A002 (prompt_toolkit's own name for it)
        output: Output | None = None,
        look: Theme | None = None,
        mouse: bool = True,
        values: Values = lambda field: (),  # noqa: ARG005 (nobody has seen any)
    ) -> None:
        """Draw in the theme `look`, or in what fits the terminal; propose `values` of fields."""
        look = look or theme(None, os.environ)
        self._state, self._dispatch = state, dispatch
        self._prompt = Prompt(state, values, lambda text: dispatch(PromptEdited(text)))
        self._table = LinesWindow(
            LinesControl(
                lambda: (state().body_rows, self._body_line),
                focusable=True,
                pointed=self._pointed,
            ),
            lambda: max(0, state().rows - state().head_rows - state().foot_rows),
        )
        self.application: Application[None] = Application(
            Layout(self._root(), focused_element=self._table),
            style=look.style,
            color_depth=look.depth,
            key_bindings=bindings(self._act, state, dispatch),
            full_screen=True,
            mouse_support=mouse,
            min_redraw_interval=REDRAW_S,
            terminal_size_polling_interval=None,  # SIGWINCH tells
            before_render=lambda _: self._measure(),
            input=input,
            output=output,
        )
        self.application.ttimeoutlen = ESCAPE_S
        self.application.timeoutlen = ESCAPE_S

    def _act(self, event: Pressed) -> None:
        """Hand a key on; those that edit the prompt stay here."""
        if event.action in (Action.COMPLETE, Action.COMPLETE_BEFORE):
            self._prompt.complete(event.action)
        else:
            self._dispatch(event)

    def _root(self) -> HSplit:
        state = self._state
        label = Window(
            FormattedTextControl(self._label),
            width=lambda: Dimension.exact(width(self._label())),
            style="class:label",
            height=1,
        )
        prompt = ConditionalContainer(
            VSplit([label, self._prompt.window]), Condition(lambda: state().prompt is not None)
        )
        head = self._lines(frame.head, lambda: state().head_rows, self._pointed_at_head)
        body = FloatContainer(self._table, [self._prompt.menu])
        return HSplit(
            [
                head,
                body,
                prompt,
                self._lines(frame.foot, lambda: state().foot_rows - (state().prompt is not None)),
            ]
        )

    def _lines(
        self,
        view: Callable[[State], list[Line]],
        rows: Callable[[], int],
        pointed: Callable[[MouseEvent], bool] = lambda event: False,  # noqa: ARG005 (no meaning)
    ) -> Window:
        def content() -> tuple[int, Callable[[int], Line]]:
            lines = view(self._state())
            return len(lines), lines.__getitem__

        return LinesWindow(LinesControl(content, pointed=pointed), rows)

    def _label(self) -> str:
        prompt = self._state().prompt
        return prompt.question.label if prompt else ""

    def _body_line(self, row: int) -> Line:
        return frame.body(self._state(), row)

    def _pointed(self, event: MouseEvent) -> bool:
        """Hand a click and the wheel to what is in front; a prompt has to be answered first."""
        state, turn = self._state(), turned(event)
        if state.prompt is not None or state.front is None:
            return False
        if is_click(event):
            self._dispatch(Clicked(event.position.x, event.position.y))
        elif turn is not None:
            for _ in range(state.front.tab.wheel):
                self._dispatch(turn)
        return turn is not None or is_click(event)

    def _pointed_at_head(self, event: MouseEvent) -> bool:
        """Turn to the tab whose name was clicked at."""
        state = self._state()
        if not is_click(event) or state.prompt is not None or event.position.y != frame.TABS_LINE:
            return False
        tab = tabline.tab_at(state, event.position.x)
        if tab is not None:
            self._dispatch(Pressed(Action.TAB, tab))
        return tab is not None

    def _measure(self) -> None:
        size, state = self.application.output.get_size(), self._state()
        if (size.columns, size.rows) != (state.columns, state.rows):
            self._dispatch(Resized(size.columns, size.rows))

    def follow(self, before: State, state: State) -> None:
        """Put the focus where the state says, and draw it soon."""
        asked = before.prompt.question.name if before.prompt else None
        if state.prompt is not None and state.prompt.question.name != asked:
            self._prompt.begin(state)
            self.application.layout.focus(self._prompt.window)
        elif state.prompt is None and before.prompt is not None:
            self.application.layout.focus(self._table)
        self.application.invalidate()


def bindings(
    act: Callable[[Pressed], None],
    state: Callable[[], State],
    dispatch: Callable[[Event], None],
) -> KeyBindings:
    """Return bindings of every key that means something somewhere, where it does now.

    Any other is told to `dispatch`, unless a text is being typed.
    """
    made = KeyBindings()
    for name in sorted(every_key()):
        _bind(made, name, act, state)

    @made.add(Keys.Any, filter=Condition(lambda: state().prompt is None))
    def _(event: KeyPressEvent) -> None:
        key = event.key_sequence[0].key
        if isinstance(key, Keys):
            dispatch(Unbound(key.value))
        elif key.isprintable():
            dispatch(Unbound(key))

    return made


def _bind(
    made: KeyBindings, name: str, dispatch: Callable[[Pressed], None], state: Callable[[], State]
) -> None:
    def meant() -> Pressed | None:
        return pressed(name, state().keys)

    @made.add(name, filter=Condition(lambda: meant() is not None), eager=True)
    def _(_: KeyPressEvent) -> None:
        event = meant()
        if event is not None:
            dispatch(event)
