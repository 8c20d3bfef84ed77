"""Screens in ASCII, without colours, and with the warnings of the check."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ptys import Pty

from ior.host.charset import is_bare
from ior.text import fit, width
from ior.ui.plain import plain


@given(st.text())
def test_plain_text_is_ascii_and_as_wide(text: str) -> None:
    shown = fit(text, 40)
    assert plain(shown).isascii()
    assert len(plain(shown)) == width(shown)


@pytest.mark.parametrize(
    ("environ", "bare"),
    [
        ({}, True),
        ({"LANG": "C"}, True),
        ({"LANG": "POSIX", "LC_ALL": ""}, True),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, True),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, False),
        ({"LANG": "C.utf8"}, False),
        ({"LANG": "de_DE.ISO-8859-1"}, False),  # Python's own encoding is that
        ({"LANG": "C", "PYTHONUTF8": "1"}, False),
    ],
)
def test_a_locale_that_promises_no_more_than_ascii(environ: dict[str, str], bare: bool) -> None:
    assert is_bare(environ) == bare


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "environ", [{"LC_ALL": "C"}, {"LANG": "C"}, {}, {"LC_ALL": "C", "PYTHONUTF8": "0"}]
)
def test_without_utf_8_only_ascii_reaches_the_terminal(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LC_CTYPE", "LANG", "PYTHONUTF8", "PYTHONIOENCODING"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with Pty("--demo") as pty:
        pty.see("running")
        pty.child.send("\t\t")
        pty.wait(lambda lines: lines[3].startswith("syscall"))
        pty.child.send("q")
        assert pty.leave() == (0, "")
        assert pty.sent.isascii()


@pytest.mark.timeout(60)
def test_no_color_sends_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    with Pty("--demo") as pty:
        pty.see("running")
        pty.child.send("q")
        assert pty.leave() == (0, "")
        assert b"\x1b[0;3" not in pty.sent
        assert b";31" not in pty.sent
        assert b";36" not in pty.sent


@pytest.mark.timeout(60)
def test_warnings_of_the_check_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'version = 1\n[stage.kernel]\ntype = "synthetic"\nrate = 2000\n'
        '[stage.pair]\ntype = "pair"\ninputs = "kernel"\n'
        '[stage.stats]\ntype = "stats"\ninputs = "pair"\n'
        '[stage.idle]\ntype = "filter"\ninputs = "pair"\nwhere = "fd > 2"\n',
        encoding="utf-8",
    )
    with Pty(str(path)) as pty:
        pty.see("1 warning (w)")
        pty.child.send("w")
        pty.see("0:00  stage.idle: ")
        pty.child.send("q")
        assert pty.leave() == (0, "")
