"""The seams of nodes that can be asked, while they run, to leave rows out.

A source that leaves calls out where they happen, a filter, and a stage that holds halves whose
other side may then never come.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection

from ior.calls import Batch
from ior.expr.sieve import Split
from ior.expr.tree import Tree
from ior.pipeline.abc import Source, Stage


class SelectiveSource(Source):
    """A source that can leave calls out where they happen, and change its mind about which.

    Before `start` what is asked for is noted. A row's `filter_epoch` (`epoch` of a half) says
    under which selection its call began: the number grows with every change.
    """

    @property
    @abstractmethod
    def numbers(self) -> frozenset[int]:
        """The numbers of the syscalls that it gives."""

    @property
    @abstractmethod
    def epoch(self) -> int:
        """The number of the present selection."""

    @abstractmethod
    def split(self, where: Tree) -> Split:
        """Return which terms of a filter this source can apply, and which not."""

    @abstractmethod
    def sift(self, where: Tree | None, *, complete: bool = True) -> None:
        """Leave out, of calls that begin from now on, those that `where` would leave out.

        Terms that cannot be applied are left to the filter that `where` comes from. Unless
        `complete`, filters of the graph leave out more: totals of the source are not theirs.
        """

    @abstractmethod
    def select(self, numbers: Collection[int] | None = None, where: Tree | None = None) -> None:
        """Give only these syscalls from now on, and of them those for which `where` holds.

        None changes nothing of its kind. Raises SpecError for a term that it cannot apply.
        """

    @abstractmethod
    def chosen(self, batch: Batch) -> Batch:
        """Return which rows, read before the last `select`, are still to be given."""

    @abstractmethod
    def awaited(self, halves: Batch) -> Batch:
        """Return those of halves given before whose other side may still be given."""


class SelectiveStage(Stage):
    """A stage that leaves rows out, and can be asked to leave out more."""

    @abstractmethod
    def also(self, where: str) -> None:
        """Keep only rows for which `where` holds as well, from the next batch on.

        It takes the place of what was asked for so before; "" asks for nothing. Raises
        FilterError for what the rows cannot be asked, and then changes nothing.
        """

    @abstractmethod
    def wanted(self, batch: Batch) -> Batch:
        """Return the rows that are kept now, of a batch that arrived or was given before."""


class HoldingStage(Stage):
    """A stage that holds halves of calls until their other side comes, as `pair` does."""

    @abstractmethod
    def heed(self, awaited: Callable[[Batch], Batch]) -> None:
        """Learn how to ask the source of all that arrives which halves may still be completed.

        Called once, before the first row arrives; not where several sources give rows.
        """
