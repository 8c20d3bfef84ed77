"""The packaged pipelines: each one checks, is listed, and can begin one of your own."""

from __future__ import annotations

from pathlib import Path

import pytest
from made import Invoke

from ior.cli import presets
from ior.cli.prepare import read
from ior.errors import InputNotFound
from ior.pipeline.graph import build

NAMES = presets.names()


def test_what_is_packaged() -> None:
    assert {"summary", "plain", "flame", "capture", "tui"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_checks(name: str) -> None:
    spec = read(name)
    assert spec.nodes["kernel"].type == "bpf"
    assert "kernel" in build(spec).members


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_says_what_it_is_for(name: str) -> None:
    assert presets.text(name).startswith("# ")
    assert 10 < len(presets.title(name)) < 70


def test_the_list(ior: Invoke) -> None:
    result = ior("presets")
    assert [line.split()[0] for line in result.out.splitlines()] == NAMES
    assert presets.title("summary") in result.out
    assert max(map(len, result.out.splitlines())) <= 80


def test_a_printed_preset_is_a_pipeline_that_checks(ior: Invoke, folder: Path) -> None:
    (folder / "mine.toml").write_text(ior("run", "summary", "--print").out)
    assert read("mine.toml").nodes == read("summary").nodes


def test_a_word_is_a_preset_before_it_is_a_file(folder: Path) -> None:
    (folder / "plain").write_text("")
    (folder / "mine").write_text("")
    assert presets.locate("plain") is None
    assert presets.locate("./plain") == Path("./plain")
    assert presets.locate("mine") == Path("mine")
    with pytest.raises(InputNotFound, match="did you mean plain"):
        presets.locate("plian")


def test_validate(ior: Invoke, folder: Path) -> None:
    warned = "made.toml:5:1: W101 stage.stats: nobody looks at its result\n"
    assert ior("validate", "made.toml", "--load").out.startswith(warned)
    text = (folder / "made.toml").read_text()
    (folder / "bad.toml").write_text(text.replace('"stats"', '"statz"').replace('"csv"', '"cvs"'))
    result = ior("validate", "bad.toml", "made.toml")
    assert result.code == 78
    lines = [line for line in result.out.splitlines() if "W101" not in line]
    assert lines[0] == "bad.toml:6:8: E301 stage.stats.type: unknown type 'statz'"
    assert lines[2] == "bad.toml:9:8: E301 stage.csv.type: unknown type 'cvs'"
    assert lines[4].startswith("bad.toml: 2 errors; --load would check")


def test_validate_shows_the_place_in_a_filter(ior: Invoke, folder: Path) -> None:
    text = (folder / "made.toml").read_text()
    where = 'type = "filter"\nwhere = "comn == 1"'
    (folder / "bad.toml").write_text(text.replace('type = "stats"', where))
    result = ior("validate", "bad.toml", "--load")
    assert result.code == 78
    lines = result.out.splitlines()
    at = next(i for i, line in enumerate(lines) if " E502 stage.stats.where: " in line)
    assert lines[at].startswith("bad.toml:7:10: ")
    assert lines[at + 1 : at + 3] == ["  comn == 1", "  ^^^^"]
