"""The line that is typed into: editing is prompt_toolkit's, what is proposed is ours.

Everything on it passes the sanitiser: a filter may hold the name of a traced process's file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.layout import BufferControl, CompletionsMenu, Float, Window
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput

from ior.expr.completing import proposals
from ior.text import fit, sanitise
from ior.ui.filtering import FILTER
from ior.ui.keys import Action
from ior.ui.state import State

_MENU_ROWS, _WIDEST = 8, 50
_ONE_LINE = str.maketrans("\n\r", "  ")

Values = Callable[[str], Sequence[str]]
"""The values of a field that are worth proposing."""


class Prompt:
    """What shows the prompt of `state()`; `edited` is told the text when it changes."""

    def __init__(
        self, state: Callable[[], State], values: Values, edited: Callable[[str], None]
    ) -> None:
        self._proposer, self._edited = _Proposer(values), edited
        self._buffer = Buffer(
            multiline=False,
            on_text_changed=self._changed,
            completer=self._proposer,
            complete_while_typing=Condition(lambda: _is_filter(state())),
        )
        control = BufferControl(self._buffer, input_processors=[_Harmless()])
        self.window = Window(control, height=1, style="class:prompt")
        menu = CompletionsMenu(max_height=_MENU_ROWS, scroll_offset=1)
        self.menu = Float(menu, xcursor=True, bottom=0)  # what is under the line can be read

    def _changed(self, buffer: Buffer) -> None:
        """Tell the text; of what was pasted all lines stand on the only one that there is."""
        text = buffer.text.translate(_ONE_LINE)
        if text != buffer.text:
            buffer.set_document(Document(text, buffer.cursor_position))  # which is told
        else:
            self._edited(text)

    def begin(self, state: State) -> None:
        """Put the text of a new question on the line."""
        assert state.prompt is not None
        self._proposer.active = _is_filter(state)
        self._proposer.known.clear()
        self._buffer.set_document(Document(state.prompt.text), bypass_readonly=True)

    def complete(self, action: Action) -> None:
        """Take the next proposal, or the one before; without any, ask for some."""
        if self._buffer.complete_state is None:
            self._buffer.start_completion(select_first=True)
        elif action is Action.COMPLETE:
            self._buffer.complete_next()
        else:
            self._buffer.complete_previous()


def _is_filter(state: State) -> bool:
    return state.prompt is not None and state.prompt.question.name == FILTER.name


class _Proposer(Completer):
    """Proposes what may come next in a filter; keeps the values while one prompt is open."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self.known: dict[str, Sequence[str]] = {}
        self.active = False

    def get_completions(
        self,
        document: Document,
        complete_event: CompleteEvent,  # noqa: ARG002 (their signature)
    ) -> Iterable[Completion]:
        """Yield proposals for the word before the cursor."""
        if not self.active:
            return
        for text, replaces, what in proposals(document.text_before_cursor, self._known):
            shown = fit(sanitise(text), _WIDEST).rstrip()
            yield Completion(text, start_position=-replaces, display=shown, display_meta=what)

    def _known(self, field: str) -> Sequence[str]:
        if field not in self.known:
            self.known[field] = self._values(field)
        return self.known[field]


class _Harmless(Processor):
    """Shows placeholders for what must not reach a terminal; one sign may take several cells."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """Replace sign by sign, and tell where each went."""
        parts = []
        places = [0]
        for style, text, *_ in transformation_input.fragments:
            for sign in text:
                shown = sanitise(sign)
                parts.append((style, shown))
                places.append(places[-1] + len(shown))
        last = len(places) - 1

        def back(at: int) -> int:
            return next((i for i, place in enumerate(places) if place >= at), last)

        return Transformation(
            [*parts],
            source_to_display=lambda at: places[min(at, last)] + max(0, at - last),
            display_to_source=back,
        )
