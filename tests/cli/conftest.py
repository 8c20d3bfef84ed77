"""A directory with a pipeline in it, and the command line as a function."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from made import NODES, PIPELINE, Invoke, Result

from ior.cli.main import main


@pytest.fixture(autouse=True)
def no_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands run as the user of the tests, also where sudo started those."""
    for name in ("SUDO_UID", "SUDO_GID", "IOR_DEBUG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current directory, with `made.toml` in it."""
    (tmp_path / "nodes.py").write_text(NODES)
    (tmp_path / "made.toml").write_text(PIPELINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


@pytest.fixture
def ior(folder: Path, capfd: pytest.CaptureFixture[str]) -> Invoke:
    """Return a function that runs a command line in this process."""

    def invoke(*argv: str) -> Result:
        with contextlib.suppress(SystemExit):
            code = main(argv)
            return Result(code, *capfd.readouterr())
        return Result(0, *capfd.readouterr())

    assert folder.exists()
    return invoke
