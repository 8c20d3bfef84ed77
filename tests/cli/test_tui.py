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
