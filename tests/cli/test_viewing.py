"""Options of `ior tui` about the view itself."""

from __future__ import annotations

import os
import re
from argparse import ArgumentParser, Namespace
from pathlib import Path

import pytest

from ior.cli import overrides, tui, viewing
from ior.cli.prepare import prepare, read
from ior.errors import SpecError, UsageError
from ior.host.config import BrokenConfig
from ior.names import Names
from ior.pipeline.spec import parse
from ior.stages.flamegraph import WEIGHTS
from ior.stages.stream import Stream, StreamConfig
from ior.testing.batches import calls
from ior.ui.style import CLASSES


def args(*argv: str) -> Namespace:
    parser = ArgumentParser()
    tui.Tui().configure(parser)
    asked = parser.parse_args(argv)
    asked.command = None
    return asked


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        (["500000"], {"rows": 500_000, "mib": 256}),
        (["4_000_000"], {"rows": 4_000_000, "mib": 687}),
        (["4_000_000", "256MiB"], {"rows": 4_000_000, "mib": 256}),
        (["5_000"], {"rows": 5000}),
        (["64MiB"], {"rows": 0, "mib": 64}),
        (["1.5GiB"], {"rows": 0, "mib": 1536}),
        (["10kB"], {"rows": 0, "mib": 1}),
        (["1MiB", "7"], {"rows": 7, "mib": 1}),
        (["7", "1000001B"], {"rows": 7, "mib": 1}),
    ],
)
def test_what_is_retained(given: list[str], keys: dict[str, int]) -> None:
    argv = [word for value in given for word in ("--retain", value)]
    spec = overrides.apply(read("tui"), args("--demo", *argv))
    kept = spec.nodes["stream"].keys
    assert {name: kept[name] for name in keys} == keys


@pytest.mark.parametrize("value", ["0", "many", "5 parsecs", "-3", ""])
def test_what_is_neither_a_number_nor_a_size(value: str) -> None:
    with pytest.raises(UsageError, match="--retain"):
        tui.check(args(f"--retain={value}"))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("10M", "--retain 10M: calls or bytes? 10_000_000 keeps so many calls, 10MB or 10MiB what"),
        ("500k", "500_000 keeps so many calls, 500kB or 500KiB what has room"),
        ("1000000000000", "--retain 1000000000000: that takes 163.7 TiB, and this host has "),
        ("100TiB", "--retain 100TiB: that takes 100.0 TiB, and this host has "),
    ],
)
def test_what_cannot_be_retained_is_said(value: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        tui.check(args(f"--retain={value}"))


def test_calls_have_room_in_the_memory_that_a_number_of_them_is_given() -> None:
    keys = viewing.retained(["40_000"])
    mib = -(-keys["rows"] * viewing.ROW_BYTES >> 20)
    stage = Stream(StreamConfig(rows=0, mib=mib))
    names = Names()
    task = names.intern("1 0 1 /")
    for _ in range(20):
        stage.process(calls(names=names, rows=4096, task=[task] * 4096))
    assert keys["rows"] <= sum(map(len, stage.snapshot().batches)) < 1.5 * keys["rows"]
    assert StreamConfig().mib == viewing.MIB


def test_the_flamegraph_of_one_run() -> None:
    asked = args("--demo", "--stack", "path, syscall", "--weight", "bytes")
    spec, _ = prepare("tui", asked)
    assert spec.nodes["flame"].keys == {"stack": ["path", "syscall"], "weight": "bytes"}


def test_a_wrong_frame_is_an_error_of_usage() -> None:
    with pytest.raises(SpecError, match="colour") as caught:
        prepare("tui", args("--demo", "--stack", "comm,colour"))
    assert caught.value.exit_code == 2


def test_every_weight_can_be_asked_for() -> None:
    assert tuple(WEIGHTS) == viewing.WEIGHTS


@pytest.mark.parametrize("ms", ["0", "19", "-250", "60001"])
def test_a_picture_is_not_taken_all_the_time_nor_never(ms: str) -> None:
    with pytest.raises(UsageError, match="20 to 60000 ms"):
        tui.check(args(f"--refresh={ms}"))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("SUDO_UID", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "ior").mkdir()
    return tmp_path / "ior/view.toml"


def filled(*argv: str) -> tuple[str | None, int, bool]:
    asked = args(*argv)
    viewing.fill(asked)
    return asked.theme, asked.refresh, asked.mouse


def test_a_file_holds_the_defaults_of_the_view(file: Path) -> None:
    assert filled() == (None, 250, True)
    file.write_text('theme = "light"\nrefresh_ms = 1000\nmouse = false\n', encoding="utf-8")
    assert filled() == ("light", 1000, False)
    assert filled("--theme=16", "--refresh=20", "--mouse") == ("16", 20, True)
    file.write_text("", encoding="utf-8")
    assert filled("--no-mouse") == (None, 250, False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('them = "light"', "unknown key 'them'; did you mean 'theme'?"),
        ("x = 1", "unknown key 'x'; the choices are theme, refresh_ms, mouse"),
        ('theme = "blue"', '\'theme\' is \'blue\'; it takes "dark", "light", "16", "none"'),
        ("theme = 16", "'theme' is 16; it takes \"dark\""),
        ("refresh_ms = 5", "'refresh_ms' is 5; it takes a whole number, 20 to 60000 ms"),
        ("refresh_ms = true", "'refresh_ms' is True; it takes a whole number"),
        ("mouse = 1", "'mouse' is 1; it takes true or false"),
        ("theme = ", "mend or remove it"),
    ],
)
def test_a_file_that_does_not_say_it_is_an_error_with_its_place(
    file: Path, text: str, said: str
) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BrokenConfig) as caught:
        filled()
    assert str(caught.value).startswith(f"{file}: ")
    assert said in str(caught.value)
    assert caught.value.exit_code == 78


@pytest.mark.kernel  # as root
def test_a_file_that_is_not_ours_to_read_is_warned_of(file: Path) -> None:
    file.write_text('theme = "light"', encoding="utf-8")
    file.parent.chmod(0o700)
    asked = args()
    os.seteuid(65534)
    try:
        warnings = viewing.fill(asked)
    finally:
        os.seteuid(0)
    assert warnings == (f"defaults of the view are not known: {file}: Permission denied",)
    assert (asked.theme, asked.refresh, asked.mouse) == (None, 250, True)


def test_the_themes_are_those_that_there_are() -> None:
    assert tuple(CLASSES) == viewing.THEMES


@pytest.mark.parametrize("option", [("--retain", "7"), ("--stack", "comm"), ("--weight", "gap")])
def test_options_need_the_stage_that_they_are_about(option: tuple[str, str]) -> None:
    text = 'version = 1\n[stage.kernel]\ntype = "synthetic"\n'
    spec = parse(text, directory=Path(), label="mine.toml")
    with pytest.raises(UsageError, match=f"{option[0]}: mine.toml has no stage of type"):
        overrides.apply(spec, args(*option))
