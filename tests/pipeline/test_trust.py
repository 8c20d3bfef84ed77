"""Whose code root runs, what installed packages bring, and what is never searched."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ior.errors import SpecError
from ior.pipeline import registry
from ior.pipeline.checking import trust
from ior.pipeline.graph import build
from ior.pipeline.spec import load

OWN = "def keep(batch):\n    return batch\n"
TOML = """version = 1
[stage.kernel]
type = "synthetic"
[stage.pair]
type = "pair"
inputs = "kernel"
[stage.own]
use = "./own.py:keep"
inputs = "pair"
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root refuses, and can chown")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SUDO_UID", "SUDO_GID"):
        monkeypatch.delenv(name, raising=False)
    place = tmp_path / "place"
    place.mkdir(mode=0o755)
    (place / "own.py").write_text(OWN)
    (place / "p.toml").write_text(TOML)
    return place


@as_root
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda p: os.chown(p / "own.py", 1234, 0), "own.py' (mode 0644, owner 1234) is not"),
        (lambda p: (p / "own.py").chmod(0o646), "everybody can change is not run: "),
        (lambda p: (p / "own.py").chmod(0o664), "the group 0 can change is not run: "),
        (lambda p: (p / "p.toml").chmod(0o666), "p.toml' (mode 0666, owner 0); take"),
        (lambda p: os.chown(p / "p.toml", 1234, 0), "p.toml' (mode 0644, owner 1234)"),
        (lambda p: p.chmod(0o777), "place' (mode 0777, owner 0)"),
        (lambda p: p.chmod(0o1777), "place' (mode 1777, owner 0)"),
        (lambda p: p.parent.chmod(0o777), "(mode 0777, owner 0)"),
        (lambda p: os.chown(p, 1234, 0), "place' (mode 0755, owner 1234) is not"),
    ],
)
def test_root_refuses_what_others_can_change(
    folder: Path, spoil: Callable[[Path], None], said: str
) -> None:
    build(load(folder / "p.toml"))
    spoil(folder)
    with pytest.raises(SpecError) as caught:
        build(load(folder / "p.toml"))
    assert "E306 stage.own.use: as root, code" in str(caught.value)
    assert said in str(caught.value)


@as_root
def test_the_user_of_sudo_is_trusted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", "1234")
    monkeypatch.setenv("SUDO_GID", "1235")
    os.chown(folder / "own.py", 1234, 1235)
    (folder / "own.py").chmod(0o664)
    build(load(folder / "p.toml"))
    monkeypatch.setenv("SUDO_GID", "1236")
    with pytest.raises(SpecError, match="the group 1235 can change"):
        build(load(folder / "p.toml"))


@as_root
def test_a_link_is_followed_and_looked_at_itself(folder: Path, tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    (open_to_all / "real.py").write_text(OWN)
    (folder / "own.py").unlink()
    (folder / "own.py").symlink_to(open_to_all / "real.py")
    with pytest.raises(SpecError, match=r"open' \(mode 0777, owner 0\)"):
        build(load(folder / "p.toml"))


def test_others_run_what_they_can_run_anyway(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (folder / "own.py").chmod(0o666)
    trust.check(folder / "own.py")


def packaged(folder: Path, name: str = "plugin_of_mine") -> None:
    (folder / f"{name}.py").write_text(OWN)
    about = folder / f"{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    points = f"[ior.stages]\nkeeper = {name}:keep\nbroken = no_such_module_at_all:x\n"
    (about / "entry_points.txt").write_text(points + "filter = no_such_module_at_all:y\n")


def test_a_package_brings_types_and_only_those_named_are_imported(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged(folder)
    monkeypatch.syspath_prepend(folder)
    (folder / "p.toml").write_text(TOML.replace('use = "./own.py:keep"', 'type = "keeper"'))
    made = build(load(folder / "p.toml"))
    assert made.members["own"].isolation == "thread"
    assert type(made.members["own"].node).__name__ == "keep"
    assert registry.installed()["keeper"] == "plugin_of_mine:keep"
    assert registry.resolve("filter", None, folder).__module__ == "ior.stages.filter"
    with pytest.raises(SpecError, match="cannot be imported: ModuleNotFoundError"):
        registry.resolve("broken", None, folder)
    with pytest.raises(SpecError, match="did you mean 'keeper'"):
        registry.resolve("keepr", None, folder)


def test_the_current_directory_is_not_searched(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "only_here.py").write_text(OWN)
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.path", ["", str(folder), *__import__("sys").path])
    with pytest.raises(SpecError, match="No module named 'only_here'"):
        registry.resolve(None, "only_here:keep", folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    registry.resolve(None, "only_here:keep", folder)
