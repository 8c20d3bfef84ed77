"""The filter language: an expression over columns, compiled once, applied to batches.

    latency >= 1ms and comm != "dd"
    path under "/etc" and not is_error or errno in [ENOENT, EACCES]

`compile_filter` checks an expression against a schema's columns and gives a `Predicate`.
What it means, without its text, is `Predicate.tree` (see `ior.expr.tree`).
"""

from __future__ import annotations

from collections.abc import Sequence

from ior.calls import CALLS, Array, Batch, Column
from ior.expr.fields import Fields
from ior.expr.masks import compile_tree
from ior.expr.syntax import parse
from ior.expr.tree import Tree, leaves

__all__ = ["Predicate", "compile_filter"]


class Predicate:
    """A compiled filter: from a batch to a boolean mask of shape (len(batch),).

    `source` is the expression, `columns` the names of the columns that it reads, `tree` its
    meaning in neutral terms. The mask may be a column of the batch: it must not be changed.
    It keeps the answers for the last two dictionaries of names that it has seen.
    """

    __slots__ = ("_mask", "columns", "source", "tree")

    def __init__(self, source: str, tree: Tree, columns: Sequence[Column]) -> None:
        self.source, self.tree = source, tree
        self.columns = frozenset(leaf.column for leaf in leaves(tree))
        self._mask = compile_tree(tree, {column.name: column for column in columns})

    def __call__(self, batch: Batch) -> Array:
        """Return which rows of `batch` are meant."""
        return self._mask(batch)

    def __repr__(self) -> str:
        return f"Predicate({self.source!r})"


def compile_filter(source: str, columns: Sequence[Column] = CALLS.columns) -> Predicate:
    """Compile an expression over `columns`.

    Raises FilterError, with the place in the expression, for anything that is wrong with it:
    syntax, unknown field or name, a value of the wrong type or unit.
    """
    return Predicate(source, Fields(columns).check(parse(source), source), columns)
