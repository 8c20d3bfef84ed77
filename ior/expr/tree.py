"""A checked filter as neutral terms: what a predicate means, whoever evaluates it.

The numpy compiler reads these terms, and so can a compiler that pushes a filter down into
the kernel. Fields are resolved to columns, units to nanoseconds and bytes, names of syscalls
to the user-visible ones; nothing here knows the source text. Terms are plain msgspec
structs, so they can be written as JSON.

A comparison with an empty cell is false, whatever its operator; `Not` gives its opposite.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import msgspec


class Const(msgspec.Struct, frozen=True, tag=True):
    """True or false for every row."""

    value: bool


class Number(msgspec.Struct, frozen=True, tag=True):
    """A comparison of a column's numbers.

    `kind` is the column's (`int`, `bool`, `time`, `duration`, `size`, `errno`), `op` one of
    `==`, `!=`, `<`, `<=`, `>`, `>=` (one value), `in`, `not in` (any number of values).
    Values may lie outside of the column's range. A bool column's are 0 and 1; only a column
    of floats has floats.
    """

    column: str
    kind: str
    op: str
    values: tuple[int | float, ...]


class Text(msgspec.Struct, frozen=True, tag=True):
    r"""A test of a column's texts, which holds once for each distinct name.

    `kind` is the column's (`text`, `syscall`, `family`, `errno`, `state`), `op` one of `==`,
    `!=`, `~`, `!~`, `^~`, `$~`, `under`, `directly under` (one value), `in`, `not in` (any
    number). Values are in text-column form, so `ior.text.unescape` gives their bytes. `~`
    and `!~` ignore case when the value has no upper-case letter; a syscall's name matches a
    pattern when either of its two names does.
    """

    column: str
    kind: str
    op: str
    values: tuple[str, ...]


class Not(msgspec.Struct, frozen=True, tag=True):
    """Holds where `term` does not."""

    term: Tree


class And(msgspec.Struct, frozen=True, tag=True):
    """Holds where all of at least two terms do."""

    terms: tuple[Tree, ...]


class Or(msgspec.Struct, frozen=True, tag=True):
    """Holds where any of at least two terms does."""

    terms: tuple[Tree, ...]


Tree: TypeAlias = Const | Number | Text | Not | And | Or


def leaves(tree: Tree) -> Iterator[Number | Text]:
    """Yield the comparisons of a tree, from left to right."""
    match tree:
        case And(terms) | Or(terms):
            for term in terms:
                yield from leaves(term)
        case Not(term):
            yield from leaves(term)
        case Number() | Text():
            yield tree
