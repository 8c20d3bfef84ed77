"""The seam of the tabs; the contract stands in the package's own text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar

import msgspec

from ior.ui.keys import Key, Pressed
from ior.ui.nodes import Nodes
from ior.ui.sight import Sight
from ior.ui.switches import Switches
from ior.ui.widgets import Line
from ior.ui.wishes import Wish


class Size(NamedTuple):
    """Cells of the body."""

    columns: int
    rows: int


class View(msgspec.Struct, frozen=True):
    """How a tab is looked at; one that has no positions needs no more than this."""

    @property
    def wants(self) -> Hashable:
        """What a picture depends on: another one is taken at once when this changes."""
        return None

    def renewed(self) -> Self:
        """Return the view for other rows: without what was seen of those before."""
        return self

    def live(self) -> Self:
        """Return the view of what goes on: without a place that it has stopped at."""
        return self


class Question(msgspec.Struct, frozen=True):
    """Something to be typed into the prompt; `text` stands there already."""

    name: str
    label: str
    hint: str = ""
    text: str = ""


class Answered(msgspec.Struct, frozen=True):
    """What was typed as answer to the question `name`."""

    name: str
    text: str


class Clicked(msgspec.Struct, frozen=True):
    """The mouse pointed at a cell of the body."""

    column: int
    row: int


TabEvent = Pressed | Answered | Clicked


class WrongAnswer(ValueError):
    """The answer is no good: the prompt stays, with carets from `start` to `end` if given."""

    def __init__(self, message: str, start: int = 0, end: int = 0) -> None:
        super().__init__(message)
        self.start, self.end = start, end


class Step(msgspec.Struct, frozen=True):
    """What comes of an event: another view; a message; a term for the filter; a question.

    `copy` goes to the terminal's clipboard. `pause` holds the picture still, or lets it go on.
    `switches` say which syscalls are on from now on. `wish` is to be done outside the view.
    `where` takes the place of the filter, and the tab is in front again.
    """

    view: Any
    message: str = ""
    term: str = ""
    ask: Question | None = None
    copy: str = ""
    pause: bool | None = None
    switches: Switches | None = None
    wish: Wish | None = None
    where: str = ""


V = TypeVar("V", bound=View)
S = TypeVar("S")
L = TypeVar("L")


class Tab(ABC, Generic[V, S, L]):
    """One tab: its view V, its picture S, its layout L."""

    name: str
    short: ClassVar[str] = ""  # what it is called where there is little room, "" if it is cut
    keys: ClassVar[tuple[Key, ...]] = ()
    looks: ClassVar[bool] = True  # False: whoever opens it gives the picture
    wheel: ClassVar[int] = 3  # steps up or down that a turn of the mouse's wheel is
    exports: ClassVar[str] = ""  # the suffix of the files that `export` makes, "" for none
    begin: V

    @classmethod
    def find(cls, nodes: Nodes) -> Sequence[Tab[Any, Any, Any]]:  # noqa: ARG003 (for subclasses)
        """Return the tabs of this kind that a pipeline gives."""
        return ()

    @abstractmethod
    def look(self, sight: Sight, view: V) -> S | None:
        """Return a picture of the run; None where there is nothing (now)."""

    @abstractmethod
    def arrange(self, view: V, seen: S, size: Size, last: L | None) -> tuple[V, L]:
        """Return the view with its positions inside the picture, and the layout."""

    def reduce(self, view: V, layout: L, event: TabEvent) -> Step | None:  # noqa: ARG002 (for subclasses)
        """Return what comes of an event; None for one that is not the tab's.

        Raises WrongAnswer or FilterError for an answer that is no good.
        """
        return None

    def export(self, view: V, layout: L) -> Iterable[str]:  # noqa: ARG002 (a hook)
        """Yield the text of a file with what the tab shows, also what is out of sight."""
        return ()

    @abstractmethod
    def line(self, view: V, layout: L, row: int) -> Line:
        """Return line `row` of the body, as wide as the size that was arranged for."""


AnyTab = Tab[Any, Any, Any]
