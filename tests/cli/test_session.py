"""A run with a command: whose end it is, and whose exit status."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import anyio
import pytest

from ior.calls import CALLS, Batch
from ior.cli.session import Session, Wishes
from ior.errors import CommandNotExecutable, LossError, StageFailed
from ior.host.command import Command
from ior.pipeline.abc import Config, Context, Source
from ior.testing import graph

ROOT = Path(__file__).parents[2]


class Watching(Source):
    """Gives nothing, and ends when the command has ended or the run is to."""

    gives = CALLS
    stopped = False
    lost = 0
    fails = False

    def __init__(self) -> None:
        super().__init__(Config())

    async def start(self, ctx: Context) -> None:
        await super().start(ctx)
        self.command = ctx.command
        assert self.command is not None
        assert self.command.poll() is None

    async def read(self) -> Batch | None:
        assert self.command is not None
        while not self.stopped and self.command.poll() is None:
            if self.fails:
                raise ZeroDivisionError("made to fail")
            await anyio.sleep(0.005)
        return None

    def stop(self) -> None:
        self.stopped = True

    def books(self) -> Mapping[str, int]:
        return {"attempted": self.lost, "lost": self.lost}


def run(argv: list[str], wishes: Wishes | None = None, *, lost: int = 0) -> int:
    source = Watching()
    source.lost = lost
    with Command.start(argv) as command:
        return Session(graph({"kernel": source}), command, wishes or Wishes(quiet=True)).run()


@pytest.mark.parametrize(
    ("program", "status"), [("exit 0", 0), ("exit 9", 9), ("kill -9 $$", 137), ("kill $$", 143)]
)
def test_the_commands_status_is_passed_on(program: str, status: int) -> None:
    assert run(["sh", "-c", program]) == status


def test_the_commands_own_status_goes_before_a_loss() -> None:
    strict = Wishes(quiet=True, fail_on_loss=True)
    assert run(["sh", "-c", "exit 4"], strict, lost=1) == 4
    with pytest.raises(LossError, match="1 of 1 records lost in the kernel's ring"):
        run(["true"], strict, lost=1)
    assert run(["true"], Wishes(quiet=True), lost=1) == 0


def test_a_duration_ends_the_command_too() -> None:
    source = Watching()
    with Command.start(["sleep", "60"]) as command:
        code = Session(
            graph({"kernel": source}), command, Wishes(quiet=True, duration_s=0.02)
        ).run()
        assert code == 0
        assert command.poll() == 128 + signal.SIGTERM


def test_a_command_that_cannot_be_executed(tmp_path: Path) -> None:
    path = tmp_path / "tool"
    path.write_text("no format of any kind\n")
    path.chmod(0o755)
    with pytest.raises(CommandNotExecutable, match="#!/bin/sh"):
        run([str(path)])


def test_a_run_that_fails_ends_the_command() -> None:
    source = Watching()
    source.fails = True
    with Command.start(["sleep", "60"]) as command:
        with pytest.raises(StageFailed):
            Session(graph({"kernel": source}), command, Wishes(quiet=True)).run()
        assert command.poll() == 128 + signal.SIGTERM


PROGRAM = """
import sys
from test_session import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("program", "status"), [("exec sleep 60", 0), ("trap 'exit 3' INT; sleep 60 & wait", 3)]
)
def test_ctrl_c_is_an_end_as_asked_and_a_status_of_the_commands_own_is_kept(
    program: str, status: int
) -> None:
    """The terminal sends SIGINT to the whole group; so does this test."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "sh", "-c", f"{program.replace('; ', '; echo; ', 1)}"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/tests/cli"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        if status:
            assert process.stdout is not None
            assert process.stdout.readline() == "\n"
        else:
            wait_for_a_child_named(process.pid, "sleep")
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == status
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def wait_for_a_child_named(pid: int, name: str) -> None:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    for _ in range(2000):
        for child in children.read_text().split():
            if Path(f"/proc/{child}/comm").read_text() == f"{name}\n":
                return
        select.select([], [], [], 0.01)
    raise AssertionError(f"no {name} below {pid}")
