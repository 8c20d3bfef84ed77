"""Which characters the caller's terminal knows, as its locale says.

Where the locale is C or POSIX, Python writes UTF-8 all the same, and says so in the environment
(PEP 538, PEP 540). A terminal may well not know it there: what counts is the environment that
the process was given.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from io import TextIOWrapper
from pathlib import Path

_LOCALE = ("LC_ALL", "LC_CTYPE", "LANG")  # the first that is set decides


def given() -> dict[str, str]:
    """Return the environment as it was when the process began."""
    try:
        raw = Path("/proc/self/environ").read_bytes()
    except OSError:
        return dict(os.environ)
    pairs = (os.fsdecode(entry).partition("=") for entry in raw.split(b"\0") if entry)
    return {name: value for name, _, value in pairs}


def is_bare(environ: Mapping[str, str]) -> bool:
    """Return whether the locale promises ASCII and no more: C, POSIX, or none at all."""
    if environ.get("PYTHONIOENCODING") or environ.get("PYTHONUTF8") == "1":
        return False  # somebody wants it otherwise
    locale = next((environ[name] for name in _LOCALE if environ.get(name)), "C")
    return locale in ("C", "POSIX")


def heed_locale() -> None:
    """Let stdout take ASCII alone where the locale promises no more."""
    if isinstance(sys.stdout, TextIOWrapper) and is_bare(given()):
        sys.stdout.reconfigure(encoding="ascii", errors="replace")
