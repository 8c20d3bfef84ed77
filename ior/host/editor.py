"""Open a file in the editor of the person at the terminal, with that person's rights."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

from ior.errors import CommandNotFound, IorError
from ior.host.command import calling_user, resolve

_USUAL = ("vi", "nano")


def editor(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return the words of the editor's command: $VISUAL, $EDITOR, or what is usually there.

    Raises CommandNotFound without any.
    """
    for name in ("VISUAL", "EDITOR"):
        try:
            words = shlex.split(environ.get(name, ""))
        except ValueError:
            raise CommandNotFound(f"{name} is no command: a quote in it has no end") from None
        if words:
            return [resolve(words[0]), *words[1:]]
    found = next(filter(None, map(shutil.which, _USUAL)), None)
    if found is None:
        raise CommandNotFound(f"no editor: set EDITOR (there is neither {' nor '.join(_USUAL)})")
    return [found]


def edit(path: str, command: list[str]) -> None:
    """Run the editor on a file until it ends, as the user who called sudo.

    Raises IorError if it cannot be run or ends with an error.
    """
    who = calling_user()
    rights: dict[str, Any] = {}
    if who is not None:
        rights = {"user": who.uid, "group": who.gid, "extra_groups": who.groups}
        rights["env"] = {**os.environ, **who.environment}
    try:
        done = subprocess.run([*command, path], check=False, **rights)  # noqa: S603 - their editor
    except OSError as error:
        raise IorError(f"cannot run the editor '{command[0]}': {error.strerror}") from error
    if done.returncode:
        raise IorError(f"the editor '{command[0]}' ended with {done.returncode}")
