"""The editor is the user's, and runs with the user's rights."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ior.errors import CommandNotFound, IorError
from ior.host.editor import edit, editor

WHO = ["/bin/sh", "-c", 'echo "$(id -u) $(id -g) $(id -G)" > "$0"']


def test_visual_comes_before_editor() -> None:
    assert editor({"VISUAL": f"{sys.executable} -c 'a b'", "EDITOR": "/bin/false"}) == [
        sys.executable,
        "-c",
        "a b",
    ]
    assert editor({"VISUAL": "", "EDITOR": "cat -n"})[1:] == ["-n"]


@pytest.mark.parametrize("value", ["no-such-editor", "'open"])
def test_an_editor_that_is_none_is_said(value: str) -> None:
    with pytest.raises(CommandNotFound):
        editor({"EDITOR": value})


def test_it_runs_as_the_user_who_called_sudo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    os.chmod(tmp_path, 0o777)
    for folder in tmp_path.parents[:2]:
        os.chmod(folder, 0o755)
    monkeypatch.setenv("SUDO_UID", "65534")
    monkeypatch.setenv("SUDO_GID", "65533")
    path = tmp_path / "told"
    edit(str(path), WHO)
    uid, gid, *groups = path.read_text("ascii").split()
    assert (uid, gid) == ("65534", "65533")
    assert "0" not in groups


def test_an_editor_that_fails_is_said(tmp_path: Path) -> None:
    with pytest.raises(IorError, match="ended with 3"):
        edit(str(tmp_path / "x"), [sys.executable, "-c", "raise SystemExit(3)"])
