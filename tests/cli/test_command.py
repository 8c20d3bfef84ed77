"""The launcher: nothing runs before its release, and what runs is what was asked for."""

from __future__ import annotations

import os
import select
import signal
import stat
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from ior.errors import CommandNotExecutable, CommandNotFound, IorError, UsageError
from ior.host.command import Command, calling_user, resolve


@pytest.fixture
def out(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    path = tmp_path / "out"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
    yield fd, path
    os.close(fd)


def script(path: Path, text: str, mode: int = 0o755) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_nothing_runs_before_the_release(out: tuple[int, Path]) -> None:
    with Command.start(["echo", "hello"], stdout=out[0]) as command:
        assert command.poll() is None
        assert not command.released
        before = os.readlink(f"/proc/{command.pid}/exe")
        assert before == os.readlink("/proc/self/exe")
        assert out[1].read_text() == ""
        command.release()
        assert command.wait(20) == 0
        command.check()
    assert out[1].read_text() == "hello\n"


def test_the_program_is_looked_up_by_the_parent(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    script(folder / "tool", "#!/bin/sh\nexit 5\n")
    assert resolve("tool", f"/nowhere:{tmp_path}:{folder}") == str(folder / "tool")


def test_a_command_that_is_not_released_never_runs(tmp_path: Path) -> None:
    command = Command.start(["touch", str(tmp_path / "made")])
    pid = command.pid
    command.close()
    command.close()
    assert not (tmp_path / "made").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(
    ("program", "status"),
    [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143)],
)
def test_the_status_is_that_of_a_shell(program: str, status: int) -> None:
    with Command.start(["sh", "-c", program]) as command:
        command.release()
        command.release()
        assert command.wait(20) == status
        assert command.poll() == status


def test_wait_gives_up() -> None:
    with Command.start(["sleep", "60"]) as command:
        command.release()
        assert command.wait(0.01) is None
        assert command.end(20) == 128 + signal.SIGTERM


def test_a_program_that_ignores_sigterm_goes_on(out: tuple[int, Path]) -> None:
    program = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    with Command.start(["sh", "-c", program], stdout=out[0]) as command:
        command.release()
        while not out[1].read_text():
            assert command.wait(0.01) is None
        assert command.end(0.05) is None
        os.kill(command.pid, signal.SIGKILL)
        assert command.wait(20) == 137


def test_what_a_command_apart_has_started_is_ended_with_it(out: tuple[int, Path]) -> None:
    program = "sleep 60 & echo $!; true < /dev/tty || echo no terminal; wait"
    with Command.start(["sh", "-c", program], stdout=out[0], stderr=out[0], apart=True) as command:
        command.release()
        while "no terminal" not in out[1].read_text():
            assert command.wait(0.01) is None
        started = os.pidfd_open(int(out[1].read_text().split()[0]))
        try:
            assert os.getsid(command.pid) == command.pid
            assert command.end(20) == 128 + signal.SIGTERM
            ended = select.poll()
            ended.register(started, select.POLLIN)
            assert ended.poll(20_000)
        finally:
            os.close(started)


@pytest.mark.parametrize("name", ["no-such-command-at-all", "./no/such/file", ""])
def test_a_missing_command(name: str) -> None:
    with pytest.raises(CommandNotFound) as caught:
        Command.start([name])
    assert caught.value.exit_code == 127
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_executable(tmp_path: Path) -> None:
    path = script(tmp_path / "tool", "#!/bin/sh\n", 0o644)
    with pytest.raises(CommandNotExecutable, match="permission denied") as caught:
        Command.start([str(path)])
    assert caught.value.exit_code == 126
    with pytest.raises(CommandNotExecutable, match="permission denied"):
        resolve("tool", str(tmp_path))


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(CommandNotExecutable, match="is a directory"):
        Command.start([str(tmp_path)])
    with pytest.raises(CommandNotFound):
        resolve(tmp_path.name, str(tmp_path.parent))


def test_an_executable_further_down_the_path_wins(tmp_path: Path) -> None:
    for name, mode in (("first", 0o644), ("second", 0o755)):
        (tmp_path / name).mkdir()
        script(tmp_path / name / "tool", "#!/bin/sh\n", mode)
    search = f"{tmp_path}/first:{tmp_path}/second"
    assert resolve("tool", search) == f"{tmp_path}/second/tool"


def test_an_empty_entry_of_path_is_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "tool", "#!/bin/sh\n")
    monkeypatch.chdir(tmp_path)
    assert resolve("tool", "/nowhere:") == "./tool"


def test_an_execve_that_fails_is_told_afterwards(tmp_path: Path) -> None:
    path = script(tmp_path / "tool", "just words\n")
    with Command.start([str(path)]) as command:
        command.release()
        assert command.wait(20) == 126
        with pytest.raises(CommandNotExecutable) as caught:
            command.check()
        assert caught.value.exit_code == 126


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("#!/no/such/interpreter", CommandNotFound),
        ("#! /no/such/interpreter -x y", CommandNotFound),
        ("#!/etc/passwd", CommandNotExecutable),
        ("#!/etc", CommandNotExecutable),
    ],
)
def test_a_script_without_an_interpreter_is_found_before_anything_starts(
    tmp_path: Path, line: str, error: type[IorError]
) -> None:
    path = script(tmp_path / "tool", f"{line}\n")
    with pytest.raises(error, match=r"its interpreter /\S+ (is missing|cannot be executed)$"):
        resolve(str(path))


def test_an_interpreter_may_vanish_later(tmp_path: Path) -> None:
    shell = script(tmp_path / "shell", "#!/bin/sh\n")
    path = script(tmp_path / "tool", f"#!{shell}\n")
    with Command.start([str(path)]) as command:
        shell.unlink()
        command.release()
        assert command.wait(20) == 127
        with pytest.raises(CommandNotFound, match="interpreter is missing"):
            command.check()


def test_the_program_gets_its_name_as_it_was_typed(out: tuple[int, Path]) -> None:
    with Command.start(["cat", "/proc/self/cmdline"], stdout=out[0]) as command:
        command.release()
        assert command.wait(20) == 0
    assert out[1].read_bytes() == b"cat\0/proc/self/cmdline\0"


def test_arguments_are_bytes(out: tuple[int, Path]) -> None:
    odd = os.fsdecode(b"\xff\n\x1b[31m")
    with Command.start(["printf", "%s", odd], stdout=out[0]) as command:
        command.release()
        assert command.wait(20) == 0
    assert out[1].read_bytes() == b"\xff\n\x1b[31m"


def test_signals_are_as_a_shell_leaves_them(out: tuple[int, Path]) -> None:
    with Command.start(["cat", "/proc/self/status"], stdout=out[0]) as command:
        command.release()
        assert command.wait(20) == 0
    masks = dict(line.split(":\t") for line in out[1].read_text().splitlines() if "Sig" in line)
    ignored = int(masks["SigIgn"], 16)
    assert not ignored >> (signal.SIGPIPE - 1) & 1
    assert not ignored >> (signal.SIGINT - 1) & 1
    assert int(masks["SigBlk"], 16) == 0


def test_what_ior_has_open_is_closed_in_the_program(out: tuple[int, Path], tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as secret, (tmp_path / "given").open("w") as given:
        os.set_inheritable(given.fileno(), True)
        line = ["sh", "-c", "ls -l /proc/$$/fd"]
        with Command.start(line, stdout=out[0]) as command:
            command.release()
            assert command.wait(20) == 0
        assert secret.name not in out[1].read_text()
        assert given.name in out[1].read_text()


def test_it_stays_in_the_process_group_of_its_caller() -> None:
    with Command.start(["true"]) as command:
        assert os.getpgid(command.pid) == os.getpgrp()
        command.release()
        assert command.wait(20) == 0


def test_it_dies_with_a_parent_that_is_killed_before_the_release(tmp_path: Path) -> None:
    made = tmp_path / "made"
    program = (
        "import os, signal\n"
        "from ior.host.command import Command\n"
        f"command = Command.start(['touch', {str(made)!r}])\n"
        "print(command.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL
    pid = int(done.stdout)
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        pass
    else:
        assert select.select([fd], [], [], 20)[0]
        os.close(fd)
    assert not made.exists()


def test_a_forgotten_command_is_reported() -> None:
    command = Command.start(["true"])
    with pytest.warns(ResourceWarning, match="never closed"):
        command.__del__()
    command.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        command.__del__()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has called sudo")
class TestUnderSudo:
    @pytest.fixture(autouse=True)
    def sudo(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SUDO_UID", "65534")
        monkeypatch.setenv("SUDO_GID", "65534")
        monkeypatch.setenv("HOME", "/root")

    def test_the_command_runs_as_the_calling_user(self, out: tuple[int, Path]) -> None:
        line = ["sh", "-c", "id -u; id -g; id -G; echo $HOME $USER $LOGNAME"]
        with Command.start(line, stdout=out[0]) as command:
            assert Path(f"/proc/{command.pid}").stat().st_uid in (0, 65534)
            command.release()
            assert command.wait(20) == 0
        uid, gid, groups, names = out[1].read_text().splitlines()
        assert (uid, gid, groups) == ("65534", "65534", "65534")
        assert names == "/nonexistent nobody nobody"

    def test_it_cannot_become_root_again(self, out: tuple[int, Path]) -> None:
        with Command.start(["cat", "/proc/self/status"], stdout=out[0]) as command:
            command.release()
            assert command.wait(20) == 0
        status = dict(line.split(":\t", 1) for line in out[1].read_text().splitlines())
        assert status["Uid"] == "65534\t65534\t65534\t65534"
        assert int(status["CapEff"], 16) == 0

    def test_a_file_that_only_root_may_execute(self, tmp_path: Path) -> None:
        path = script(tmp_path / "tool", "#!/bin/sh\n", 0o700)
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        with Command.start([str(path)]) as command:
            command.release()
            assert command.wait(20) == 126
            with pytest.raises(CommandNotExecutable, match="permission denied"):
                command.check()


def test_root_that_called_sudo_stays_root() -> None:
    assert calling_user({"SUDO_UID": "0", "SUDO_GID": "0"}) is None
    assert calling_user({}) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has called sudo")
def test_a_user_without_an_entry_has_the_group_of_sudo() -> None:
    identity = calling_user({"SUDO_UID": "54321", "SUDO_GID": "54322"})
    assert identity == (54321, 54322, (54322,), {})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has called sudo")
@pytest.mark.parametrize("environ", [{"SUDO_UID": "root"}, {"SUDO_UID": "54321"}])
def test_an_environment_that_does_not_say_who_called(environ: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        calling_user(environ)
