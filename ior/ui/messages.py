"""What is logged, warned or printed while the screen is up goes to its message line.

A line on stderr would be drawn over the picture. So handlers that write to the terminal
step aside, and `sys.stdout` and `sys.stderr` hand on whole lines.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from collections.abc import Callable, Iterator

Say = Callable[[str, bool], None]
"""Show a text; True for something bad. May be called from any thread."""


class _MessageHandler(logging.Handler):
    def __init__(self, say: Say) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            message += f": {record.exc_info[1]!r}"
        self._say(f"{record.name}: {message}", record.levelno >= logging.ERROR)


class _MessageWriter(io.TextIOBase):
    """A text stream whose lines become messages."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._open = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._open = (self._open + text).split("\n")
        for line in lines:
            if line.strip():
                self._say(line, False)
        return len(text)


@contextlib.contextmanager
def diverted(say: Say) -> Iterator[None]:
    """Send log records, Python's warnings and printed lines to `say` for a while."""
    terminal = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    root = logging.getLogger()
    loggers = [root, *logging.Logger.manager.loggerDict.values()]
    aside = [
        (logger, handler)
        for logger in loggers
        if isinstance(logger, logging.Logger)
        for handler in logger.handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream in terminal
    ]
    ours = _MessageHandler(say)
    writer = _MessageWriter(say)
    for logger, handler in aside:
        logger.removeHandler(handler)
    root.addHandler(ours)
    logging.captureWarnings(True)
    try:
        with contextlib.redirect_stdout(writer), contextlib.redirect_stderr(writer):
            yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(ours)
        for logger, handler in aside:
            logger.addHandler(handler)
