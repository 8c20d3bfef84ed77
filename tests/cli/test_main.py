"""The command line as a whole: help, versions, and one clear line for everything wrong."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

import pytest
from made import PIPELINE, Invoke

import ior as library
from ior.cli.main import COMMANDS, main

ROOT = Path(__file__).parents[2]


def edited(old: str, new: str) -> str:
    assert old in PIPELINE
    return PIPELINE.replace(old, new)


FILES = {
    "broken.toml": "version = 1\n[stage.kernel\n",
    "key.toml": edited('path = "-"', 'path = "-"\npaht = "x"'),
    "type.toml": edited('"stats"', '"statz"'),
    "version.toml": edited("version = 1", "version = 7"),
    "many.toml": edited('type = "stats"', 'type = "statz"').replace('"csv"', '"cvs"'),
    "where.toml": edited('type = "stats"', 'type = "filter"\nwhere = "latency >"'),
    "bytes.toml": "\udcff",
}

BAD = {
    "no such command": (["frobnicate"], 2, "frobnicate"),
    "no such option": (["run", "--frobnicate"], 2, "--frobnicate"),
    "abbreviated option": (["run", "--durat", "3"], 2, "--durat"),
    "no such preset": (["run", "sumary"], 66, "did you mean summary?"),
    "a command without dashes": (["run", "ls"], 66, "ior run -- ls"),
    "no such file": (["run", "gone.toml"], 66, "gone.toml"),
    "a directory": (["run", "./"], 66, "directory"),
    "toml": (["run", "broken.toml"], 78, "broken.toml:2:14: E101 "),
    "not text": (["run", "bytes.toml"], 78, "bytes.toml:1:1: E102 byte 0 is not UTF-8"),
    "unknown key": (
        ["run", "key.toml"],
        78,
        "E201 stage.csv.paht: unknown key 'paht'\n  help: did you mean 'path'",
    ),
    "unknown type": (["run", "type.toml"], 78, "E301 stage.stats.type: unknown type 'statz'"),
    "version": (["run", "version.toml"], 78, "E103 version: version 7 is not known"),
    "several": (["run", "many.toml"], 78, "E301 stage.csv.type: unknown type 'cvs'"),
    "bad set": (["run", "made.toml", "--set", "kernel"], 2, "STAGE.KEY=VALUE"),
    "set of no stage": (["run", "made.toml", "--set", "kernle.batches=1"], 2, "'kernel'"),
    "set of no key": (["run", "made.toml", "--set", "csv.paht=x"], 2, "'path'"),
    "set of a wrong value": (["run", "made.toml", "--set", "kernel.batches=few"], 2, "batches"),
    "duration": (["run", "made.toml", "--duration", "soon"], 2, "--duration"),
    "negative duration": (["run", "made.toml", "--duration=-1"], 2, "--duration"),
    "pid is no number": (["run", "--pid", "init"], 2, "--pid"),
    "pid is gone": (["run", "--pid", "2147483647"], 2, "no process with pid 2147483647"),
    "tid is gone": (["run", "--tid", "2147483647"], 2, "no thread with tid 2147483647"),
    "pid and tid": (["run", "--pid", "1", "--tid", "1"], 2, "--tid"),
    "pid and command": (["run", "--pid", "1", "--", "ls"], 2, "--pid and a command"),
    "nothing to follow": (["run", "-f"], 2, "--follow-forks"),
    "unknown syscall": (["run", "--syscalls", "opennat"], 2, "did you mean openat"),
    "unknown family": (["run", "--families", "FX"], 2, "unknown family 'FX'"),
    "unknown kind": (["run", "--kinds", "opem"], 2, "unknown kind 'opem'"),
    "pattern": (["run", "--syscalls", "/[/"], 2, "bad pattern"),
    "open pattern": (["run", "--syscalls", "/open"], 2, "closing slash"),
    "pattern of nothing": (["run", "--syscalls", "/zzz/"], 2, "no syscall matches"),
    "empty word": (["run", "--syscalls", "read,,write"], 2, "empty word"),
    "no source to trace": (["run", "made.toml", "--syscalls", "read"], 2, "type bpf"),
    "command without source": (["run", "made.toml", "--", "ls"], 2, "type bpf"),
    "no pairing of that name": (["run", "--pairing", "both"], 2, "--pairing"),
    "no command": (["run", "--"], 2, "no command after --"),
    "missing command": (["run", "--", "no-such-command"], 127, "no-such-command"),
    "directory as command": (["run", "--", "/"], 126, "is a directory"),
    "command elsewhere": (["presets", "--", "ls"], 2, "takes no command"),
    "words elsewhere": (["doctor", "please"], 2, "does not know please"),
    "no capture": (["run", "--replay", "gone.ior"], 66, "gone.ior"),
    "replay and pid": (["run", "--replay", "x", "--pid", "1"], 2, "--replay and --pid"),
    "replay and syscalls": (["run", "--replay", "x", "--syscalls", "read"], 2, "--where"),
    "two outputs": (
        ["run", "made.toml", "-o", "x", "--set", "stats.max_keys=few"],
        2,
        "max_keys",
    ),
    "no output": (["run", "tui", "-o", "x"], 2, "preset tui has no output"),
    "output in no directory": (["run", "made.toml", "-o", "no/such/x.csv"], 73, "no/such/x.csv"),
    "ledger in no directory": (["run", "made.toml", "--ledger", "no/l.json"], 73, "no/l.json"),
    "print and change": (["run", "plain", "--print", "--where", "ret > 1"], 2, "--where"),
    "print a missing file": (["run", "gone.toml", "--print"], 66, "gone.toml"),
    "tui without a terminal": (["tui"], 2, "needs a terminal"),
    "validate nothing": (["validate"], 2, "PIPELINE"),
    "validate a missing file": (["validate", "gone.toml"], 66, "gone.toml"),
}


@pytest.fixture
def files(folder: Path) -> None:
    for name, text in FILES.items():
        (folder / name).write_bytes(text.encode("utf-8", "surrogateescape"))


@pytest.mark.parametrize(("argv", "code", "said"), BAD.values(), ids=BAD)
def test_bad_input_gives_one_line(
    ior: Invoke, files: None, argv: list[str], code: int, said: str
) -> None:
    result = ior(*argv)
    assert result.code == code, result.err
    lines = [line for line in result.err.splitlines() if not line.startswith("  ")]
    errors = [line for line in lines if ": W101 stage.stats: " not in line]
    assert len(errors) == 1 or all(": E301 stage." in line for line in errors), result.err
    assert errors[0].startswith("ior: ") or re.search(r": E\d{3} ", errors[0])
    assert said in result.err
    assert result.out == ""


def test_a_bad_filter_on_the_command_line_is_shown_with_its_place(ior: Invoke) -> None:
    result = ior("run", "made.toml", "--where", "latency > 1ms and comn == 'x'")
    message, source, caret = result.err.splitlines()
    assert result.code == 2
    assert message.startswith("ior: ")
    assert source == "  latency > 1ms and comn == 'x'"
    assert caret == "  " + " " * 18 + "^^^^"


def test_a_bad_filter_in_a_file_is_the_pipelines_fault(ior: Invoke, files: None) -> None:
    result = ior("run", "where.toml")
    assert result.code == 78
    assert result.err.startswith("where.toml:7:19: E501 stage.stats.where: ")


def test_what_a_file_says_wrongly_stays_its_fault_whatever_is_added(
    ior: Invoke, files: None
) -> None:
    assert ior("run", "key.toml", "--set", "stats.max_keys=5").code == 78


@pytest.mark.parametrize("argv", [[], ["-h"], *([c.name, "--help"] for c in COMMANDS)])
def test_help_fits_a_terminal(ior: Invoke, argv: list[str]) -> None:
    result = ior(*argv)
    text = result.out + result.err
    assert text.startswith("usage: ior")
    assert max(map(len, text.splitlines())) <= 80


def test_help_names_every_command(ior: Invoke) -> None:
    text = ior("--help").out
    for command in COMMANDS:
        assert f"    {command.name} " in text
        assert command.__doc__


def test_ior_alone_without_a_terminal_is_an_error_of_usage(ior: Invoke) -> None:
    result = ior()
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("usage: ior")


def test_the_version(ior: Invoke) -> None:
    result = ior("--version")
    lines = dict(line.split(" ", 1) for line in result.out.splitlines())
    assert result.code == 0
    assert lines["ior"] == library.__version__
    assert lines["Python"] == platform.python_version()
    assert lines["kernel"].startswith(platform.release())
    assert lines["libbpf"]


def test_the_version_without_libbpf(ior: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IOR_LIBBPF", "/no/such/libbpf.so")
    program = "import sys; from ior.cli.main import main; sys.exit(main(['--version']))"
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0
    assert "libbpf not found" in done.stdout
    assert "numpy" not in done.stderr


class Broken:
    name = "presets"
    takes_command = False

    def run(self, args: object) -> int:
        raise RuntimeError("a defect\n\x1b[31mof ours")


def test_a_defect_is_one_line_and_a_traceback_on_request(
    ior: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ior.cli.main.COMMANDS", (Broken(),))
    monkeypatch.setattr("ior.cli.main.parser", _presets_only)
    result = ior("presets")
    assert result.code == 1
    assert result.err.count("\n") == 1
    assert "RuntimeError: a defect" in result.err
    assert "IOR_DEBUG=1" in result.err
    assert "\x1b" not in result.err
    monkeypatch.setenv("IOR_DEBUG", "1")
    assert "Traceback" in ior("presets").err


def _presets_only() -> object:
    top = ArgumentParser("ior")
    top.add_argument("--version", action="store_true")
    top.add_subparsers(dest="name").add_parser("presets")
    return top


def test_python_m_ior_is_ior() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ior", "run", "no-such-preset"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 66
    assert done.stderr.startswith("ior: no pipeline file or preset 'no-such-preset'")


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    line = f"{sys.executable} -m ior run summary --print | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line], check=False, capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout == "0\n"
    assert done.stderr == ""


def test_interrupted_before_anything_runs(ior: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("ior.cli.main.version", interrupt)
    assert main(["--version"]) == 130
