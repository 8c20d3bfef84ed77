"""What views are made of: lines of styled fragments of exact width, drawn when visible.

A prompt_toolkit control that formats all its text on every frame costs 90 ms with 5000
rows; `LinesControl` is asked for the visible lines alone.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from prompt_toolkit.application import get_app
from prompt_toolkit.data_structures import Point
from prompt_toolkit.layout import Dimension, Window
from prompt_toolkit.layout.controls import UIContent, UIControl
from prompt_toolkit.layout.mouse_handlers import MouseHandlers
from prompt_toolkit.layout.screen import Char, Screen, WritePosition
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
    """What a `LinesWindow` shows: lines that are made one by one, when the screen wants them.

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

    def lines(self, rows: int) -> Iterator[Line]:
        """Give the first `rows` lines, in signs that the terminal has, without padding."""
        count, line = self._content()
        is_short = is_plain(get_app().output.encoding())
        for row in range(min(count, rows)):
            made = unpadded(line(row))
            yield [(style, plain(text)) for style, text in made] if is_short else made

    def create_content(self, width: int, height: int) -> UIContent:  # noqa: ARG002 (their signature)
        """Return nothing: the window draws the lines itself."""
        return UIContent()


class LinesWindow(Window):
    """A window of lines, from the left edge of the screen to the right one.

    prompt_toolkit's own way of drawing is made for text that is edited: it scrolls, wraps, and
    notes where each character went. Here a fragment's cells are known as long as it comes again.
    """

    def __init__(self, content: LinesControl, height: Callable[[], int] | None = None) -> None:
        exact = None if height is None else lambda: Dimension.exact(height())
        super().__init__(content, height=exact)
        self._lines = content

    def write_to_screen(  # noqa: PLR0917 (their signature)
        self,
        screen: Screen,
        mouse_handlers: MouseHandlers,
        write_position: WritePosition,
        parent_style: str,  # noqa: ARG002 (their signature)
        erase_bg: bool,  # noqa: ARG002 (their signature)
        z_index: int | None,  # noqa: ARG002 (their signature)
    ) -> None:
        """Draw the lines, and take what the mouse does on them."""
        top, rows = write_position.ypos, write_position.height
        screen.visible_windows_to_write_positions[self] = write_position
        screen.width, screen.height = write_position.width, max(screen.height, top + rows)

        def tell(event: MouseEvent) -> NotImplementedOrNone:
            place = Point(event.position.x, event.position.y - top)
            told = MouseEvent(place, event.event_type, event.button, event.modifiers)
            return self._lines.mouse_handler(told)

        for y in range(top, top + rows):
            mouse_handlers.mouse_handlers[y] = defaultdict(lambda: tell)
        for y, line in enumerate(self._lines.lines(rows), top):
            row, x = screen.data_buffer[y], 0
            for style, text in line:
                cells = _cells(style, text)[: write_position.width - x]
                row.update(zip(range(x, x + len(cells)), cells, strict=True))
                x += len(cells)


@functools.lru_cache(2048)
def _cells(style: str, text: str) -> tuple[Char, ...]:
    """Return what the cells of a text show, made harmless; a wide character takes an empty one."""
    cells: list[Char] = []
    for character in sanitise(text):
        char = _char(style, character)
        if char.width:
            cells += [char, *[_char("", "")] * (char.width - 1)]
        else:  # a mark: on the last character, of however many cells
            at = max(i for i, cell in enumerate(cells) if cell.char)
            cells[at] = _char(style, cells[at].char + character)
    return tuple(cells)


_char = functools.lru_cache(8192)(lambda style, character: Char(character, style))


def unpadded(line: Line) -> Line:
    """Leave the plain padding at the end off: it costs as much to draw as text."""
    end = len(line)
    while end and not line[end - 1][0] and not line[end - 1][1].strip(" "):
        end -= 1
    return line[:end]
