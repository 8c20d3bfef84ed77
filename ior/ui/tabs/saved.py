"""The saved filters in the tab's place: apply one, save the present one, delete one."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import msgspec
from msgspec.structs import replace

from ior.text import fit
from ior.ui.folding import fold
from ior.ui.keys import SCROLL, Action, Key, Pressed
from ior.ui.sight import Sight
from ior.ui.tabs.abc import Clicked, Size, Step, Tab, TabEvent, View
from ior.ui.widgets import Line, exactly
from ior.ui.wishes import SaveFilter

_NAME = 20  # cells


class Saved(NamedTuple):
    """Name and expression of each filter, or why they cannot be read."""

    filters: tuple[tuple[str, str], ...] = ()
    error: str = ""


class SavedView(View, frozen=True, kw_only=True):
    """Which row the cursor is on, and which stands at the top."""

    cursor: int = 0
    top: int = 0


class SavedLayout(msgspec.Struct, frozen=True):
    """The filters, and the cells that there are for them."""

    saved: Saved
    size: Size


class SavedTab(Tab[SavedView, Saved, SavedLayout]):
    """Lists the saved filters; whoever opens it gives them."""

    name = "Saved filters"
    looks = False
    keys: ClassVar[tuple[Key, ...]] = (
        Key(Action.DRILL, ("enter",), "Enter", "apply", "filter by the one under the cursor"),
        Key(Action.SAVE, ("a",), "a", "add", "save the present filter under a name"),
        Key(Action.DELETE, ("d", "delete"), "d Del", "delete", "delete it"),
        *SCROLL,
    )
    begin = SavedView()

    def look(self, sight: Sight, view: SavedView) -> Saved | None:  # noqa: ARG002 (a hook)
        """Return None: they were given."""
        return None

    def arrange(
        self,
        view: SavedView,
        seen: Saved,
        size: Size,
        last: SavedLayout | None,  # noqa: ARG002 (nothing is worth keeping)
    ) -> tuple[SavedView, SavedLayout]:
        """Keep the cursor in sight."""
        rows = len(seen.filters)
        cursor = max(0, min(view.cursor, rows - 1))
        top = max(min(view.top, cursor), cursor - size.rows + 1, 0)
        if (cursor, top) != (view.cursor, view.top):
            view = SavedView(cursor=cursor, top=top)
        return view, SavedLayout(seen, size)

    def reduce(self, view: SavedView, layout: SavedLayout, event: TabEvent) -> Step | None:
        """Move, apply or delete."""
        filters, page = layout.saved.filters, layout.size.rows
        moves = {
            Action.UP: view.cursor - 1,
            Action.DOWN: view.cursor + 1,
            Action.PAGE_UP: view.cursor - page,
            Action.PAGE_DOWN: view.cursor + page,
            Action.FIRST: 0,
            Action.LAST: len(filters),
        }
        match event:
            case Clicked(_, row):
                return Step(replace(view, cursor=view.top + row))
            case Pressed(Action.DRILL | Action.DELETE) if not filters:
                return Step(view)
            case Pressed(Action.DRILL):
                return Step(view, where=filters[view.cursor][1])
            case Pressed(Action.DELETE):
                return Step(view, wish=SaveFilter(filters[view.cursor][0], ""))
            case Pressed(action) if action in moves:
                return Step(replace(view, cursor=max(0, moves[action])))
        return None

    def line(self, view: SavedView, layout: SavedLayout, row: int) -> Line:
        """Draw a filter, or what is wrong."""
        filters, columns = layout.saved.filters, layout.size.columns
        if layout.saved.error:
            said = fold(layout.saved.error, columns - 2, layout.size.rows)
            return exactly([("class:bad", f" {said[row]}" if row < len(said) else "")], columns)
        at = view.top + row
        if at >= len(filters):
            nothing = not filters and row == 0
            return exactly([("", " no filter is saved; a adds the present one" * nothing)], columns)
        name, where = filters[at]
        here = at == view.cursor
        style = "class:cursor" if here else "class:key"
        cells = [(style, f" {fit(name, _NAME)} "), ("class:cursor" if here else "", where)]
        return exactly(cells, columns, "class:cursor" if here else "")


SAVED = SavedTab()
