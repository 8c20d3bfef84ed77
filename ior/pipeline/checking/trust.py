"""Whose code root runs: a user's own stage, and the pipeline that names it.

A pipeline is a program once it names code. As root, ior runs it only where nobody but root
and the user who called sudo can change it: the file, the pipeline, and every directory on
the way to them. Anybody else runs what they could run anyway.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ior.errors import SpecError
from ior.findings import Code


def check(path: Path) -> None:
    """Raise SpecError, naming file and mode, if somebody else can change what root would run.

    Looks at `path` itself, the directories above it, and where links on the way lead to. A
    directory further up may be writable by all if it is sticky, as /tmp is.
    """
    if os.geteuid() != 0:
        return
    absolute = path.absolute()
    for way in dict.fromkeys((Path(os.path.normpath(absolute)), absolute.resolve())):
        for step in (way, *way.parents):
            try:
                found = step.lstat()
            except OSError as error:
                message = f"'{step}' cannot be looked at: {error.strerror}"
                raise SpecError(message, code=Code.UNTRUSTED, keys=("use",)) from error
            if not stat.S_ISLNK(found.st_mode):
                _check(step, found, above=step not in (way, way.parent))


def _check(path: Path, found: os.stat_result, *, above: bool) -> None:
    uid, gid = _number("SUDO_UID"), _number("SUDO_GID")
    shown = f"'{path}' (mode {stat.S_IMODE(found.st_mode):04o}, owner {found.st_uid})"
    if found.st_uid not in (0, uid):
        allowed = "root" if uid is None else f"root or {uid}"
        raise _refusal(f"as root, code is run only if it is {allowed}'s: {shown} is not")
    if above and found.st_mode & stat.S_ISVTX:
        return
    if found.st_mode & stat.S_IWOTH:
        raise _refusal(f"as root, code that everybody can change is not run: {shown}")
    if found.st_mode & stat.S_IWGRP and found.st_gid != gid:
        raise _refusal(
            f"as root, code that the group {found.st_gid} can change is not run: {shown}"
        )


def _refusal(message: str) -> SpecError:
    hint = "take it over by chown and the right to write away by chmod, or do not run it as root"
    return SpecError(message, code=Code.UNTRUSTED, hint=hint, keys=("use",))


def _number(name: str) -> int | None:
    value = os.environ.get(name, "")
    return int(value) if value.isdecimal() else None
