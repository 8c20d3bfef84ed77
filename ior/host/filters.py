"""Filters that a person has saved under names: a TOML file in their config directory.

Under sudo it is that of the user who called it, and belongs to them. A file that cannot be
read is never written over: what is in it may be worth mending.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from ior.errors import IorError
from ior.host import config
from ior.host.command import calling_user
from ior.host.config import BrokenConfig
from ior.host.output import Output

_TABLE = "filters"
_HEAD = "# Filters saved in `ior tui`: a name and an expression each\n"


def place() -> Path:
    """Return where the file is, or would be. Raises IorError for a user without a home."""
    folder = config.folder()
    if folder is None:
        raise IorError("the user who called sudo has no home: there is no place for saved filters")
    return folder / "filters.toml"


def load(path: Path) -> dict[str, str]:
    """Return the saved filters by name, in order; none where there is no file.

    Raises BrokenConfig, with the place, for a file that does not hold names and expressions.
    """
    found = config.read(path)
    table = found.pop(_TABLE, {})
    if found:
        raise BrokenConfig(f"{path}: unknown key '{next(iter(found))}'; [{_TABLE}] is all it holds")
    if not isinstance(table, dict):
        raise BrokenConfig(f"{path}: '{_TABLE}' must be a table of names and filters")
    for name, where in table.items():
        if not isinstance(where, str):
            raise BrokenConfig(f"{path}: the filter '{name}' must be a text")
    return dict(sorted(table.items()))


def save(path: Path, name: str, where: str) -> dict[str, str]:
    """Put a filter to the others, in place of one of the same name; return all.

    Raises BrokenConfig for a file that cannot be read, OutputError for one that cannot be
    written, IorError for a name that is none.
    """
    if not name or len(name) > 100 or not name.isprintable():
        raise IorError("a name has 1 to 100 characters, all of which can be seen")
    if any("\ud800" <= sign <= "\udfff" for sign in where):
        raise IorError("the filter has characters that no file of text can hold")
    return _write(path, load(path) | {name: where})


def delete(path: Path, name: str) -> dict[str, str]:
    """Take a filter out; return the others. Raises like `save`."""
    filters = load(path)
    filters.pop(name, None)
    return _write(path, filters)


def _write(path: Path, filters: dict[str, str]) -> dict[str, str]:
    filters = dict(sorted(filters.items()))
    lines = [f"{_quoted(name)} = {_quoted(where)}\n" for name, where in filters.items()]
    text = _HEAD + f"\n[{_TABLE}]\n" + "".join(lines)
    _make_folders(path.parent)
    with Output.open(str(path)) as output:
        output.write(text.encode())
    return filters


def _quoted(text: str) -> str:
    """Return a TOML string; JSON's escapes are TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _make_folders(folder: Path) -> None:
    """Create what is missing of a directory, for the user who called sudo."""
    who = calling_user()
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        try:
            one.mkdir(mode=0o755, exist_ok=True)
            if who is not None:
                os.chown(one, who.uid, who.gid, follow_symlinks=False)
        except OSError as error:
            raise IorError(f"cannot create {one}: {error.strerror}") from None
