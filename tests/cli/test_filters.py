"""The file of saved filters: whose it is, what is kept, what is refused and left alone."""

from __future__ import annotations

import os
import pwd
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ior.errors import IorError
from ior.host import filters
from ior.host.config import BrokenConfig


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("SUDO_UID", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return filters.place()


def test_filters_are_saved_replaced_and_deleted(place: Path, tmp_path: Path) -> None:
    assert place == tmp_path / "config/ior/filters.toml"
    assert filters.load(place) == {}
    filters.save(place, "slow", "latency >= 1ms")
    assert filters.save(place, "a b", 'comm == "x\\"y"') == {
        "a b": 'comm == "x\\"y"',
        "slow": "latency >= 1ms",
    }
    filters.save(place, "slow", "latency >= 2ms")
    assert filters.load(place)["slow"] == "latency >= 2ms"
    assert filters.delete(place, "slow") == {"a b": 'comm == "x\\"y"'}
    assert filters.delete(place, "nobody") == filters.load(place)
    assert stat.S_IMODE(place.stat().st_mode) & 0o022 == 0
    assert os.listdir(place.parent) == ["filters.toml"]


@given(
    st.text(st.characters(exclude_categories=("C",)), min_size=1, max_size=20),
    st.text(st.characters(exclude_categories=("Cs",))),
)
def test_any_text_comes_back_as_it_was(name: str, where: str) -> None:
    if not name.isprintable():
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "filters.toml")
        filters.save(place, name, where)
        assert filters.load(place) == {name: where}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[filters\nx = 1\n", "line 1"),
        ("[filters]\nslow = 3\n", "'slow' must be a text"),
        ("filters = 3\n", "must be a table"),
        ("[other]\nx = 1\n", "unknown key 'other'"),
        ("\udcff", "mend or remove it"),
    ],
)
def test_a_broken_file_is_said_and_never_written_over(place: Path, text: str, why: str) -> None:
    place.parent.mkdir(parents=True)
    raw = text.encode("utf-8", "surrogateescape")
    place.write_bytes(raw)
    for act in (
        lambda: filters.load(place),
        lambda: filters.save(place, "x", "is_error"),
        lambda: filters.delete(place, "x"),
    ):
        with pytest.raises(BrokenConfig, match=why) as caught:
            act()
        assert str(place) in str(caught.value)
    assert place.read_bytes() == raw


@pytest.mark.parametrize("name", ["", "x" * 101, "a\nb", "\x1b[2J"])
def test_a_name_that_is_none_is_refused(place: Path, name: str) -> None:
    with pytest.raises(IorError, match="1 to 100 characters"):
        filters.save(place, name, "is_error")
    assert not place.exists()


def test_a_place_that_cannot_be_written_is_said(place: Path) -> None:
    place.parent.parent.write_text("a file", encoding="ascii")
    with pytest.raises(IorError, match="Not a directory"):
        filters.save(place, "x", "is_error")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_under_sudo_they_are_the_callers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    person = pwd.struct_passwd(("nobody", "x", 65534, 65533, "", str(tmp_path), "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: person)
    monkeypatch.setattr(os, "getgrouplist", lambda name, gid: [gid])
    monkeypatch.setenv("SUDO_UID", "65534")
    monkeypatch.setenv("SUDO_GID", "65533")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/root/.config")
    os.chown(tmp_path, 65534, 65533)
    place = filters.place()
    assert place == tmp_path / ".config/ior/filters.toml"
    filters.save(place, "x", "is_error")
    for one in (place, place.parent, place.parent.parent):
        assert (one.stat().st_uid, one.stat().st_gid) == (65534, 65533)
    filters.save(place, "y", "is_error")
    assert place.stat().st_uid == 65534
