"""The directory where a person keeps what they like: saved filters, how the view looks.

Under sudo it is that of the user who called it. What cannot be read is said with its place.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from ior.errors import IorError
from ior.host.command import calling_user

_MOST = 1 << 20  # bytes of a file


class BrokenConfig(IorError, ValueError):
    """A file in the config directory does not hold what it should; it is left as it is."""

    exit_code = 78


class HiddenConfig(BrokenConfig, PermissionError):
    """A file in the config directory, if there is one, is not ours to read."""


def folder() -> Path | None:
    """Return where the files are, or would be; None for a user without a home."""
    who = calling_user()
    if who is not None:
        home = who.environment.get("HOME")
        return None if home is None else Path(home, ".config", "ior")
    base = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".config") / "ior"


def read(path: Path) -> dict[str, Any]:
    """Return what a TOML file holds, nothing where there is none.

    Raises BrokenConfig, HiddenConfig where it is for want of permission.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST + 1)
    except FileNotFoundError:
        return {}
    except PermissionError as error:
        raise HiddenConfig(f"{path}: {error.strerror}") from None
    except OSError as error:
        raise BrokenConfig(f"{path}: {error.strerror}") from None
    if len(raw) > _MOST:
        raise BrokenConfig(f"{path}: more than {_MOST:,} bytes")
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BrokenConfig(f"{path}: {error}; mend or remove it") from None
