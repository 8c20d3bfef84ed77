"""What a filter says of control groups by their paths, for a source that knows the group of a task.

A path decides for its own group and for all below, unless a longer one does. What it decides is
asked of the compiled filter itself, at the path and at one below it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from ior.expr.tree import Text, Tree, leaves
from ior.text import unescape

MOST: Final = 8  # paths
MAX_BYTES: Final = 255  # of a path, without its first slash and with a last one
_WHOLE: Final = ("==", "!=", "in", "not in", "under")


class GroupPath(msgspec.Struct, frozen=True):
    """Components from the root on, and whether the group passes, and those below it."""

    parts: tuple[bytes, ...]
    here: bool
    below: bool


class GroupPaths(msgspec.Struct, frozen=True):
    """The longest of `paths` at or above a group decides; `others` where there is none."""

    paths: tuple[GroupPath, ...]
    others: bool


def group_paths(tree: Tree, holds: Callable[[Sequence[str]], list[bool]]) -> GroupPaths | None:
    """Return what a tree about `cgroup` means, None where it asks for more than whole paths.

    `holds` says of which texts of the column the tree holds.
    """
    named: set[str] = set()
    for leaf in leaves(tree):
        if not isinstance(leaf, Text) or leaf.op not in _WHOLE:
            return None
        named |= {value or "/" for value in leaf.values}
    # Other texts are no path that a group has, so what is compared with them is decided.
    paths = sorted(text for text in named if text == "/" or _is_path(text))
    if len(paths) > MOST or any(_size(text) > MAX_BYTES for text in paths):
        return None
    other = "/" + "-" * (1 + max(map(len, named), default=0))
    here = holds(paths)
    below = holds([text.rstrip("/") + other for text in paths])
    return GroupPaths(
        tuple(map(GroupPath, map(_parts, paths), here, below)), others=holds([other])[0]
    )


def _is_path(text: str) -> bool:
    return text.startswith("/") and all(part not in ("", ".", "..") for part in text[1:].split("/"))


def _parts(text: str) -> tuple[bytes, ...]:
    return tuple(part for part in unescape(text).split(b"/") if part)


def _size(text: str) -> int:
    return sum(len(part) + 1 for part in _parts(text))
