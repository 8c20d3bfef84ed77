"""Themes: what is sent to the terminal, which one fits it, and that all can be read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from emulated import Terminal
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Attrs, default_ui_style, merge_styles
from ptys import Pty
from scenes import Seat

from ior.ui.style import CLASSES, fitting, theme

VIEWS = Path(__file__).parents[2] / "ior" / "ui"
TRUE = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
ATTRIBUTES = {"0", "1", "4", "7"}  # reset, bold, underline, reverse
SIXTEEN = {str(n) for low in (30, 40, 90, 100) for n in range(low, low + 8)}
BACKGROUNDS = {"dark": ("000000", "1e1e2e"), "light": ("ffffff", "f4ecd8")}


def parameters(name: str, environment: dict[str, str], tab: str = "Flame") -> list[list[str]]:
    """Return the parameters of every SGR sequence that a screen in a theme sends."""
    with create_pipe_input() as keyboard, create_app_session(input=keyboard):
        sitting = Seat(Terminal(80, 24), keyboard, tab, "names", theme(name, environment))
        sitting.show("m", "j")
        sent = "".join(sitting.terminal.raw)
    return [found.split(";") for found in re.findall("\x1b\\[([0-9;]*)m", sent)]


def test_without_colours_only_attributes_are_sent() -> None:
    for tab in ("Flame", "Overview", "Latency", "Files"):
        assert {one for found in parameters("none", TRUE, tab) for one in found} <= ATTRIBUTES


def test_sixteen_colours_are_the_terminals_own() -> None:
    sent = {one for found in parameters("16", TRUE) for one in found}
    assert sent <= ATTRIBUTES | SIXTEEN
    assert sent & SIXTEEN


@pytest.mark.parametrize("name", ["dark", "light"])
def test_colours_are_sent_as_the_terminal_takes_them(name: str) -> None:
    full = parameters(name, TRUE)
    assert any(found[1:3] == ["38", "2"] for found in full)
    assert not any("5" in found[1:3] for found in full)
    some = parameters(name, {"TERM": "xterm-256color"})
    assert any(found[1:3] == ["38", "5"] for found in some)
    assert not any(found[1:3] == ["38", "2"] for found in some)


def test_light_and_dark_send_different_colours() -> None:
    assert parameters("light", TRUE) != parameters("dark", TRUE)


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({"TERM": "xterm-256color"}, "dark"),
        ({"TERM": "screen-256color"}, "dark"),
        ({"TERM": "tmux-direct"}, "dark"),
        (TRUE, "dark"),
        ({**TRUE, "COLORFGBG": "0;15"}, "light"),
        ({**TRUE, "COLORFGBG": "0;default;15"}, "light"),
        ({**TRUE, "COLORFGBG": "15;0"}, "dark"),
        ({"TERM": "xterm"}, "16"),
        ({"TERM": "linux"}, "16"),
        ({"TERM": "linux", "COLORTERM": "truecolor"}, "dark"),
        ({"TERM": "vt100", "COLORFGBG": "0;15"}, "16"),
        ({**TRUE, "NO_COLOR": "1"}, "none"),
        ({**TRUE, "NO_COLOR": ""}, "dark"),
        ({"TERM": "dumb"}, "none"),
        ({}, "none"),
    ],
)
def test_the_theme_that_fits_the_terminal(environment: dict[str, str], name: str) -> None:
    assert fitting(environment) == name
    assert theme(None, environment).name == name


def test_a_theme_that_was_asked_for_is_the_one() -> None:
    assert theme("light", {"NO_COLOR": "1"})[::2] == ("light", ColorDepth.DEPTH_8_BIT)
    assert theme("16", TRUE)[::2] == ("16", ColorDepth.DEPTH_4_BIT)
    assert theme("none", TRUE)[::2] == ("none", ColorDepth.DEPTH_1_BIT)


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour as WCAG 2.1 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def used() -> set[str]:
    """Return the classes that the views name; where a number follows, without it."""
    texts = (path.read_text(encoding="utf-8") for path in VIEWS.rglob("*.py"))
    return {one.rstrip(".") for text in texts for one in re.findall(r"class:([a-z.]+)", text)}


def test_every_class_that_the_views_name_is_known() -> None:
    known = {name.rstrip("0123456789").rstrip(".") for name in CLASSES["dark"]}
    parents = {part.rpartition(".")[0] for part in CLASSES["dark"]} | {"flame.f", "flame.c"}
    assert used() - known - parents <= {"flame.edge"}


@pytest.mark.parametrize("name", BACKGROUNDS)
def test_everything_can_be_read(name: str) -> None:
    style = merge_styles([default_ui_style(), theme(name, TRUE).style])
    for part in sorted(used() | CLASSES[name].keys()):
        attrs = style.get_attrs_for_style_str(f"class:{part}")
        for background in BACKGROUNDS[name]:
            own = attrs.color.replace("default", "") if attrs.color else ""
            own = own or BACKGROUNDS["light" if name == "dark" else "dark"][0]
            behind = attrs.bgcolor or background
            assert contrast(own, behind) >= 4.5, (part, own, behind)


def test_every_theme_has_what_says_more_than_colours() -> None:
    """What stands out without colours does so in every theme, or has a colour behind it."""

    def look(name: str, part: str) -> Attrs:
        return theme(name, TRUE).style.get_attrs_for_style_str(f"class:{part}")

    for part in CLASSES["none"]:
        plain = look("none", part)
        for name in ("dark", "light", "16"):
            one = look(name, part)
            assert (one.bold, one.underline) == (plain.bold, plain.underline), part
            assert one.reverse == plain.reverse or one.bgcolor, part


def test_every_class_that_the_views_use_has_a_colour_in_the_same_themes() -> None:
    assert CLASSES["dark"].keys() == CLASSES["light"].keys()
    assert CLASSES["16"].keys() <= CLASSES["dark"].keys()


@pytest.mark.timeout(60)
def test_the_theme_of_the_file_is_drawn_in_and_a_broken_file_is_said_before_the_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    file = tmp_path / "ior/view.toml"
    file.parent.mkdir()
    found = []
    for text in ("", 'theme = "none"\n'):
        file.write_text(text, encoding="ascii")
        with Pty("--demo") as pty:
            pty.see("running")
            pty.child.send("q")
            assert pty.leave() == (0, "")
            found.append(b";38;5;" in pty.sent)
    assert found == [True, False]
    file.write_text("theme = 3\n", encoding="ascii")
    with Pty("--demo") as pty:
        code, said = pty.leave()
    assert code == 78
    assert "'theme' is 3; it takes" in " ".join(said.split())
    assert b"\x1b[?1049h" not in pty.sent
