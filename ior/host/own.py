"""The processes that are parts of ior: a trace of the whole host leaves them out."""

from __future__ import annotations

import os

_children: set[int] = set()


def processes() -> list[int]:
    """Return the ids of this process and of its parts that run now."""
    return [os.getpid(), *_children]


def add(pid: int) -> None:
    """Note a child that does ior's work."""
    _children.add(pid)


def discard(pid: int) -> None:
    """Forget a child before it is waited for, after which its id may be another's."""
    _children.discard(pid)
