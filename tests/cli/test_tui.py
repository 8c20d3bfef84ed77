"""`ior tui` from the command line to the screen and back."""

from __future__ import annotations

import json
import os
import sys
import termios
from argparse import ArgumentParser, Namespace
from pathlib import Path

import pexpect
import pytest
from made import Invoke

from ior.cli import overrides, tui
from ior.cli.prepare import read
from ior.errors import UsageError
from ior.host.command import Command

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "ior" / "data" / "sample.ior"


def spawn(folder: Path, *argv: str) -> pexpect.spawn:
    return pexpect.spawn(
        sys.executable,
        ["-m", "ior", *argv],
        cwd=str(folder),
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"},
        dimensions=(30, 100),
        timeout=60,
    )


def test_a_pipeline_is_shown_until_q(folder: Path) -> None:
    line = ("tui", "made.toml", "--set", "kernel.endless=true", "--ledger", "l.json")
    child = spawn(folder, *line, "--set", "csv.path=rows.csv")
    before = termios.tcgetattr(child.child_fd)
    child.expect("read")
    child.send("q")
    child.expect(pexpect.EOF)
    assert termios.tcgetattr(child.child_fd) == before
    child.close()
    assert child.exitstatus == 0
    assert json.loads((folder / "l.json").read_text())["closed"] is True
    assert (folder / "rows.csv").exists()


def test_a_failing_pipeline_gives_its_exit_code(folder: Path) -> None:
    line = ("tui", "made.toml", "--set", "csv.path=no/such/rows.csv")
    child = spawn(folder, *line)
    child.expect("no/such/rows.csv")
    child.send("q")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 73


def args(*argv: str, command: list[str] | None = None) -> Namespace:
    parser = ArgumentParser()
    tui.Tui().configure(parser)
    return Namespace(**vars(parser.parse_args(argv)), command=command)


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (("--all", "--pid", "1"), None),
        (("--all",), ["ls"]),
        (("--demo", "--tid", "1"), None),
        (("--demo", "--all"), None),
        (("--demo",), ["ls"]),
        (("--demo", "--replay", "x"), None),
        (("--demo=static", "--pid", "1"), None),
        (("--demo=static",), ["ls"]),
    ],
)
def test_targets_that_do_not_go_together(argv: tuple[str, ...], command: list[str] | None) -> None:
    with pytest.raises(UsageError, match=r"--all|--demo"):
        tui.check(args(*argv, command=command))


def test_the_demonstration_is_made_up() -> None:
    spec = overrides.apply(read("tui"), args("--demo"))
    assert spec.nodes["kernel"].type == "synthetic"
    assert spec.nodes["kernel"].keys["profile"] == "moving"
    assert overrides.whom(spec, None) == "preset tui"


def test_the_fixed_demonstration_keeps_its_mix() -> None:
    asked = args("--demo=static")
    tui.hold_still(asked)
    spec = overrides.apply(read("tui"), asked)
    assert spec.nodes["kernel"].type == "synthetic"
    assert spec.nodes["kernel"].keys["profile"] == "static"


def test_a_file_is_a_capture_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "no-suffix"
    path.write_bytes(SAMPLE.read_bytes())
    asked = args(str(path))
    tui.take_capture(asked)
    assert (asked.pipeline, asked.replay) == (None, str(path))
    path.write_text("version = 1")
    asked = args(str(path))
    tui.take_capture(asked)
    assert (asked.pipeline, asked.replay) == (str(path), None)


@pytest.mark.parametrize(
    "other", [("--demo",), ("--demo=static",), ("--replay", "x"), ("--pid=1",)]
)
def test_a_capture_goes_with_nothing_else_to_look_at(other: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="capture"):
        _check(args(str(SAMPLE), *other))


def _check(asked: Namespace) -> None:
    tui.take_capture(asked)
    tui.check(asked)


@pytest.mark.parametrize(
    ("option", "said", "code"),
    [("--stack=foo", "no column 'foo'", 2), ("--syscalls=opennat", "did you mean", 2)],
)
def test_what_is_wrong_is_said_before_a_target_is_chosen(
    folder: Path, option: str, said: str, code: int
) -> None:
    child = spawn(folder, "tui", option)
    child.expect(pexpect.EOF)
    child.close()
    text = child.before.decode()
    assert said in " ".join(text.split())
    assert "whom to trace" not in text
    assert child.exitstatus == code


def test_a_capture_is_shown_by_naming_it(folder: Path) -> None:
    child = spawn(folder, "tui", str(SAMPLE))
    child.expect("capture ")
    child.expect("ended")
    child.send("q")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_what_the_options_leave_out_stands_in_the_title(folder: Path) -> None:
    child = spawn(folder, "tui", str(SAMPLE), "--errors", "--where", "fd > 2")
    child.expect("where is_error and fd > 2")
    child.send("q")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


@pytest.mark.parametrize("demo", ["--demo", "--demo=static"])
def test_the_demonstration_runs(folder: Path, demo: str) -> None:
    child = spawn(folder, "tui", demo)
    child.expect("demo, ")
    child.expect("Syscalls")
    child.send("3")
    child.expect("pread64")
    child.send("q")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_a_command_that_was_ended_because_the_view_was_left_is_no_failure() -> None:
    for program, status in (("kill $$", 0), ("exit 6", 6), ("sleep 60", 0)):
        with Command.start(["sh", "-c", program]) as command:
            assert tui.status_of(command) == 0
            command.release()
            if "sleep" not in program:
                command.wait(20)
            assert tui.status_of(command) == status
    assert tui.status_of(None) == 0


def test_without_a_terminal_ior_run_is_named(ior: Invoke) -> None:
    result = ior("tui", "made.toml")
    assert result.code == 2
    assert "ior run" in result.err
