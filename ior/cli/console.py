"""Lines for people on stderr: everything that ior says beside its results."""

from __future__ import annotations

import contextlib
import logging
import sys

from ior.text import sanitise


def say(message: str, prefix: str = "ior: ") -> None:
    """Print one line on stderr; safe for a terminal whatever it quotes."""
    # A reader of stderr that left must not turn a good run into a failed one.
    with contextlib.suppress(BrokenPipeError):
        print(prefix + sanitise(message), file=sys.stderr, flush=True)


def warn(node: str, message: str) -> None:
    """Print a warning of a node of the graph as one line on stderr."""
    say(f"warning: stage '{node}': {message}")


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(sanitise, super().format(record).split("\n")))


def log_to_stderr() -> None:
    """Let everything that is logged, libbpf's own messages included, go to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("ior: %(name)s: %(message)s"))
    logger = logging.getLogger("ior")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
