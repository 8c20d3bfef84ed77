"""Lines for people on stderr: everything that ior says beside its results."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable

from ior.findings import Finding
from ior.text import sanitise


def say(message: str, prefix: str = "ior: ") -> None:
    """Print one line on stderr; safe for a terminal whatever it quotes."""
    put(f"{prefix}{sanitise(message)}\n")


def put(text: str) -> None:
    """Write to stderr as it is."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        # A reader of stderr that left, or a terminal that was closed, must not turn a good
        # run into a failed one. The interpreter flushes once more at exit.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stderr.fileno())
        os.close(null)


def say_findings(findings: Iterable[Finding]) -> None:
    """Print what is wrong with a pipeline, a line each, with the help."""
    for finding in findings:
        for line in finding.lines():
            say(line, prefix="")


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
