"""Regular expressions that a person types: searched for in texts that others chose.

An expression such as `(a+)+$` can take longer than the universe is old on one name. Such a
search is given up after a while, as nothing else goes on meanwhile, not even `q`.
"""

from __future__ import annotations

import contextlib
import functools
import re
import signal
import threading
import warnings
from collections.abc import Iterator

from ior.ui.tabs.abc import WrongAnswer

PATIENCE_S = 0.5  # for one text
TOO_SLOW = "this takes too long on a name that is here: repeat less inside of what is repeated"
_REPEATS = re.compile(r"[*+?{]")


class _TooSlow(Exception):
    """A search took longer than `PATIENCE_S`."""


def compiled(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """Compile an expression. Raises re.error, whatever is wrong with it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # it may mean something else one day
            return re.compile(pattern, flags)
    except (OverflowError, RecursionError, MemoryError) as error:
        raise re.error(f"it is too large ({error})", pattern) from None


class Matcher:
    """Searches texts for an expression; case matters where it has a capital.

    Raises re.error for one that is no good. `slow` is set once a text took too long: from then
    on nothing matches.
    """

    def __init__(self, pattern: str) -> None:
        self._search = compiled(pattern, 0 if pattern != pattern.lower() else re.IGNORECASE).search
        repeats, others = len(_REPEATS.findall(pattern)), pattern.count("|")
        # Only then can it take long: what is repeated is, or can be read in several ways.
        self._guarded = repeats > 1 or ("(" in pattern and repeats + others > 1)
        self.slow = False

    def __call__(self, text: str) -> object:
        """Return something true if a text matches."""
        if not self._guarded:
            return self._search(text)
        if self.slow:
            return None
        try:
            with _patient():
                return self._search(text)
        except _TooSlow:
            self.slow = True
            return None


@functools.lru_cache(16)
def matcher(pattern: str) -> Matcher:
    """Return what searches for an expression, the same for the same. Raises re.error."""
    return Matcher(pattern)


def typed(pattern: str) -> Matcher:
    """Return what searches for an expression that a person has typed. Raises WrongAnswer."""
    try:
        return matcher(pattern)
    except re.error as error:
        at = error.pos or 0
        raise WrongAnswer(f"no regular expression: {error.msg}", at, at + 1) from None


@contextlib.contextmanager
def _patient() -> Iterator[None]:
    """Raise _TooSlow where it takes too long; matching heeds signals, in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGALRM, _give_up)
    left = signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *left)
        signal.signal(signal.SIGALRM, handler)


def _give_up(*_: object) -> None:
    raise _TooSlow
