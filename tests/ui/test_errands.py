"""Recordings, exports, the clipboard and the editor: files, books and what the screen says."""

from __future__ import annotations

import base64
import csv
import json
import os
import re
import shlex
from argparse import ArgumentParser, Namespace
from pathlib import Path

import msgspec
import pytest
from emulated import Person

from ior.cli import tui
from ior.pipeline.spec import PipelineSpec, parse
from ior.recording import BLOCK, MAGIC, End
from ior.ui.app import run_tui
from ior.ui.options import ViewOptions

pytestmark = pytest.mark.timeout(60)

FLAME = """\
[stage.flame]
type = "flamegraph"
inputs = "pair"
weight = "latency"
"""
PIPELINE = """\
version = 1
[stage.kernel]
type = "synthetic"
rate = 20000
profile = "static"
[stage.pair]
type = "pair"
inputs = "kernel"
[stage.stats]
type = "stats"
inputs = "pair"
[stage.live]
type = "stream"
inputs = "pair"
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pipeline(more: str = "") -> PipelineSpec:
    return parse(PIPELINE + more, directory=Path.cwd(), label="test.toml")


def in_syscalls(person: Person) -> Person:
    """Let a person go to the tab of syscalls first."""

    def press() -> None:
        label = re.search(r"(\d) Sys", person.terminal.lines[2])
        assert label is not None
        person.keyboard.send_text(label[1])

    person.when(" Syscalls ", press)
    return person.until(lambda: person.terminal.lines[3].startswith("syscall"), "")


def live(person: Person, more: str = "", **options: object) -> dict[str, object]:
    """Run the view; return the books."""
    left = run_tui(
        pipeline(more),
        refresh_ms=20,
        ledger_path=Path("books.json"),
        options=ViewOptions(**options),
        input=person.keyboard,
        output=person.terminal.output,
    )
    assert left.code == 0
    return json.loads(Path("books.json").read_bytes())


def recorded(path: Path) -> int:
    """Return the rows of a complete recording, from its end."""
    data, at, last = path.read_bytes(), len(MAGIC), b""
    while at < len(data):
        kind, length, _ = BLOCK.unpack_from(data, at)
        last, at = kind + data[at + BLOCK.size : at + BLOCK.size + length], at + BLOCK.size + length
    assert last[:1] == b"E"
    return msgspec.json.decode(last[1:], type=End).rows


def test_a_recording_goes_on_over_filters_and_the_books_cover_it(
    person: Person, here: Path
) -> None:
    in_syscalls(person).when("read ", "R").when("recording to: ior-", "\x15one.ior\r")
    person.when("recording (R)", "f").when("filter: ", "is_error\r").when("rows match", "f")
    person.when("filter: ", "\x15is_error and pid > 1\r").when("pid > 1", "R")
    person.when("recorded: one.ior", "R").when("recording to: ior-", "\x15two.ior\r")
    person.when("recording (R)", "q")
    books = live(person)
    assert books["closed"] is True
    stages = books["stages"]
    assert stages["recording@1"]["consumed"] == recorded(here / "one.ior") > 0
    assert stages["recording"]["consumed"] == recorded(here / "two.ior")
    assert stages["view"]["filtered"] > 0
    assert sorted(os.listdir()) == ["books.json", "one.ior", "two.ior"]


def test_a_bad_path_keeps_the_text_and_says_why(person: Person, here: Path) -> None:
    (here / "there.csv").write_bytes(b"mine")
    in_syscalls(person).when("read ", "e").when("export to: ior-syscalls-", "\x15no/such/x.csv\r")
    person.when("No such file", "\x15there.csv\r").when("exists already", "\x7f2\r")
    person.when("exported ", "q")
    live(person)
    screen = "\n".join(person.saw[5])
    assert "export to: there.csv" in screen
    assert (here / "there.csv").read_bytes() == b"mine"
    with (here / "there.cs2").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][:2] == ["syscall", "calls"]
    assert all(re.fullmatch("[0-9]+", row[1]) for row in rows[1:])
    assert len(rows) > 8


def test_the_flamegraph_is_exported_as_folded_stacks(person: Person, here: Path) -> None:
    person.until(lambda: bool(re.match(" calls [1-9]", person.terminal.lines[1])), "e")
    person.when("export to: ior-flame-", "\x15x.folded\r").when("exported ", "q")
    live(person, FLAME)
    lines = (here / "x.folded").read_text("utf-8").splitlines()
    assert len(lines) > 10
    assert all(re.fullmatch(r".+;\S+ [0-9]+", line) for line in lines)


def test_files_belong_to_the_user_who_called_sudo(
    person: Person, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    monkeypatch.setenv("SUDO_UID", "65534")
    monkeypatch.setenv("SUDO_GID", "65533")
    in_syscalls(person).when("read ", "e").when("export to: ", "\x15x.csv\r").when("exported ", "R")
    person.when("recording to: ", "\x15x.ior\r").when("recording (R)", "q")
    live(person)
    assert {(here / name).stat().st_uid for name in ("x.csv", "x.ior")} == {65534}


def test_a_read_only_view_writes_nothing(person: Person, here: Path) -> None:
    in_syscalls(person).when("read ", "R").when("read-only", "Y").when("copied: it", "e")
    person.when("read-only", "!").when("read-only", "q")
    live(person, read_only=True, command_line=lambda terms: "it")
    assert os.listdir() == ["books.json"]


def test_a_row_and_the_command_line_are_copied(person: Person, here: Path) -> None:
    del here
    in_syscalls(person).when("read ", "y").when("copied: ", "f").when("filter: ", "is_error\r")
    person.when("rows match", "Y").when("copied: ior run", "q")
    live(person, command_line=lambda terms: f"ior run {terms}")
    sent = re.findall("\x1b\\]52;c;([^\x07]*)\x07", "".join(person.terminal.raw))
    row, line = (base64.b64decode(one).decode() for one in sent)
    assert re.match(r"\w+  [\d,]+  ", row)
    assert line == "ior run ('is_error',)"


def test_the_editor_opens_the_last_export(
    person: Person, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISUAL", "/bin/sh -c 'cp \"$0\" seen'")
    in_syscalls(person).when("read ", "!").when("nothing was exported yet", "e")
    person.when("export to: ", "\x15x.csv\r").when("lines: x.csv", "!")

    person.until((here / "seen").exists, "q")
    live(person)
    assert (here / "seen").read_bytes() == (here / "x.csv").read_bytes()


def test_the_equivalent_command_line() -> None:
    words = ["mine.toml", "--pid", "812", "--families", "FS", "--no-syscalls", "read"]
    words += ["--where", "fd > 2"]
    parser = ArgumentParser()
    tui.Tui().configure(parser)
    args = Namespace(**vars(parser.parse_args(words)), command=None)
    line = tui.command_line(args, ["latency >= 1ms", 'comm == "a b"'])
    assert shlex.split(line) == [
        *("ior", "run", "mine.toml", "--pid", "812", "--families", "FS", "--no-syscalls", "read"),
        *("--where", "fd > 2", "--where", "latency >= 1ms", "--where", 'comm == "a b"'),
    ]
    args = Namespace(**vars(parser.parse_args(())), command=["ls", "a b"])
    assert tui.command_line(args, ()) == "ior run -- ls 'a b'"
    words = ["--comm", "dd", "--min-latency", "1ms", "--errors", "--no-push-down"]
    args = Namespace(**vars(parser.parse_args([*words, "--where", "fd > 2"])), command=None)
    assert shlex.split(tui.command_line(args, ())) == [
        *("ior", "run", "--no-push-down", "--where", 'comm in ["dd"]'),
        *("--where", "latency >= 1000000ns", "--where", "is_error", "--where", "fd > 2"),
    ]
    args = Namespace(**vars(parser.parse_args(("--demo",))), command=None)
    assert tui.command_line(args, ()) == ""
