"""What views are made of: lines of styled fragments of exact width, drawn when visible.

A prompt_toolkit control that formats all its text on every frame costs 90 ms with 5000
rows; `LinesControl` asks for the visible lines alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from prompt_toolkit.application import get_app
from prompt_toolkit.data_structures import Point
from prompt_toolkit.formatted_text.base import OneStyleAndTextTuple
from prompt_toolkit.layout import Window
from prompt_toolkit.layout.controls import UIContent, UIControl
from prompt_toolkit.layout.mouse_handlers import MouseHandlers
from prompt_toolkit.layout.screen import Screen, WritePosition
from prompt_toolkit.mouse_events import MouseEvent

from ior.text import fit, sanitise, width
from ior.ui.plain import is_plain, plain

if TYPE_CHECKING:
    from prompt_toolkit.key_binding.key_bindings import NotImplementedOrNone

Fragment = tuple[str, str]
Line = list[Fragment]


def exactly(fragments: Line, cells: int, style: str = "") -> Line:
    """Cut and pad a line to exactly `cells` terminal cells, and make its text harmless.

    `style` is that of the padding.
    """
    line: Line = []
    room = cells
    for look, raw in fragments:
        if room <= 0:
            break
        text = sanitise(raw)
        wide = width(text)
        if wide > room:
            text, wide = fit(text, room), room
        line.append((look, text))
        room -= wide
    if room > 0:
        line.append((style, " " * room))
    return line


def spread(left: Line, right: Line, cells: int, style: str = "") -> Line:
    """Put two groups at the two ends of a line; the left one gives way.

    `style` is that of the space between them.
    """
    wide = sum(width(sanitise(text)) for _, text in right)
    return exactly(left, max(cells - wide, 0), style) + exactly(right, min(wide, cells))


class LinesControl(UIControl):
    """A control whose lines are made one by one, when the screen wants them.

    `content` gives how many lines there are, and what makes one of them. `pointed` takes what
    the mouse does on them, and says whether that meant anything.
    """

    def __init__(
        self,
        content: Callable[[], tuple[int, Callable[[int], Line]]],
        *,
        focusable: bool = False,
        pointed: Callable[[MouseEvent], bool] = lambda event: False,  # noqa: ARG005 (no meaning)
    ) -> None:
        self._content, self._focusable, self._pointed = content, focusable, pointed

    def mouse_handler(self, mouse_event: MouseEvent) -> NotImplementedOrNone:
        """Take what the mouse does; what means nothing is not drawn anew."""
        return None if self._pointed(mouse_event) else NotImplemented

    def is_focusable(self) -> bool:
        """Return whether keys can go here."""
        return self._focusable

    def create_content(self, width: int, height: int) -> UIContent:  # noqa: ARG002 (their signature)
        """Return the content; prompt_toolkit asks it for the lines that it shows."""
        count, line = self._content()
        if is_plain(get_app().output.encoding()):
            signs = line
            line = lambda i: [(style, plain(text)) for style, text in signs(i)]  # noqa: E731 (short)
        return UIContent(
            get_line=lambda i: list[OneStyleAndTextTuple](_unpadded(line(i))),
            line_count=count,
            show_cursor=False,
        )


class _Unheard(MouseHandlers):
    """Takes handlers that are not called."""

    def set_mouse_handler_for_range(
        self,
        x_min: int,
        x_max: int,
        y_min: int,
        y_max: int,
        handler: Callable[[MouseEvent], NotImplementedOrNone],
    ) -> None:
        """Keep none."""


class LinesWindow(Window):
    """A window of lines, which tells them where the mouse is.

    prompt_toolkit tells of text alone: behind the end of a line, of its last sign, and in an empty
    line, of the first line of all.
    """

    def write_to_screen(  # noqa: PLR0917 (their signature)
        self,
        screen: Screen,
        mouse_handlers: MouseHandlers,
        write_position: WritePosition,
        parent_style: str,
        erase_bg: bool,
        z_index: int | None,
    ) -> None:
        """Draw the lines, and take what the mouse does on them."""
        at = write_position
        super().write_to_screen(screen, _Unheard(), at, parent_style, erase_bg, z_index)

        def tell(event: MouseEvent) -> NotImplementedOrNone:
            place = Point(event.position.x - at.xpos, event.position.y - at.ypos)
            told = MouseEvent(place, event.event_type, event.button, event.modifiers)
            return self.content.mouse_handler(told)

        mouse_handlers.set_mouse_handler_for_range(
            at.xpos, at.xpos + at.width, at.ypos, at.ypos + at.height, tell
        )


def _unpadded(line: Line) -> Line:
    """Leave of the plain padding at the end one cell: all of it costs as much to draw as text.

    That one is where prompt_toolkit takes a click on what is right of it to be, and where it
    would put the mark of a last character a second time.
    """
    end = len(line)
    while end and not line[end - 1][0] and not line[end - 1][1].strip(" "):
        end -= 1
    return line if end == len(line) else [*line[:end], ("", " ")]
