"""`ior run`: results on stdout, everything else on stderr, books, and the exit code."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from made import PIPELINE, Invoke

ROOT = Path(__file__).parents[2]


def start(folder: Path, *argv: str) -> subprocess.Popen[str]:
    """Start `ior` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "ior", *argv],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_rows_on_stdout_and_the_books_on_stderr(ior: Invoke) -> None:
    result = ior("run", "made.toml")
    assert result.code == 0
    assert len(list(csv.DictReader(io.StringIO(result.out)))) == 30
    assert "running made.toml, Ctrl-C to stop" in result.err
    assert result.err.splitlines()[-1].endswith("nothing lost, the books balance")


def test_quiet_leaves_the_results(ior: Invoke) -> None:
    result = ior("run", "made.toml", "-q")
    assert (result.code, result.err) == (0, "")
    assert len(result.out.splitlines()) == 31


def test_keys_from_the_command_line(ior: Invoke) -> None:
    result = ior("run", "made.toml", "-q", "--set", "kernel.batches=5", "--set", "csv.header=false")
    assert len(result.out.splitlines()) == 50


def test_output_to_a_file(ior: Invoke, folder: Path) -> None:
    result = ior("run", "made.toml", "-o", "rows.csv")
    assert (result.code, result.out) == (0, "")
    assert len((folder / "rows.csv").read_text().splitlines()) == 31


def test_an_output_is_relative_to_the_caller_not_to_the_pipeline(
    ior: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert ior("run", "../made.toml", "-o", "rows.csv").code == 0
    assert (folder / "elsewhere" / "rows.csv").exists()


def test_the_ledger_as_json(ior: Invoke, folder: Path) -> None:
    assert ior("run", "made.toml", "-q", "--ledger", "l.json").code == 0
    books = json.loads((folder / "l.json").read_text())
    assert books["closed"] is True
    assert books["kernel"]["attempted"] == books["kernel"]["read"] == 30
    assert books["stages"]["kernel"]["out"] == {"out": 30}
    assert books["stages"]["csv"]["in"] == 30
    edge = books["edges"]["kernel.out->csv"]
    assert (edge["offered"], edge["delivered"], edge["dropped"]) == (30, 30, 0)
    assert (edge["waiting"], edge["batches"]) == (0, 8)
    assert 1 <= edge["high_water"] <= 8
    assert set(books["times"]) == {"kernel", "stats", "csv"}
    assert books["times"]["stats"]["busy_ns"] > 0
    assert set(books["times"]["kernel"]["blocked_ns"]) == {"kernel.out->stats", "kernel.out->csv"}
    assert books["slowest"]["stage"] in books["times"]
    assert "% busy" in books["slowest"]["says"]


def test_a_stage_that_fails_is_one_line_and_the_ledger_is_written(
    ior: Invoke, folder: Path
) -> None:
    result = ior("run", "made.toml", "--set", "kernel.fail_after=2", "--ledger", "l.json")
    lines = result.err.splitlines()
    assert result.code == 1
    assert lines[-1].startswith("ior: ")
    assert "stage 'kernel'" in lines[-1]
    assert "made to fail" in lines[-1]
    assert "Traceback" not in result.err
    assert len(result.out.splitlines()) == 21
    assert json.loads((folder / "l.json").read_text())["stages"]["csv"]["in"] == 20


def test_loss_is_said_and_an_error_on_request(ior: Invoke, folder: Path) -> None:
    lossy = ("run", "made.toml", "--set", "kernel.lost=3", "--ledger", "l.json")
    result = ior(*lossy)
    assert result.code == 0
    assert "3" in result.err.splitlines()[-1]
    assert "lost" in result.err.splitlines()[-1]
    result = ior(*lossy, "--fail-on-loss")
    assert result.code == 3
    assert "--fail-on-loss" in result.err.splitlines()[-1]
    assert json.loads((folder / "l.json").read_text())["kernel"]["lost"] == 3
    assert ior("run", "made.toml", "--fail-on-loss").code == 0


def test_rows_that_a_stage_failed_at_are_a_loss(ior: Invoke, folder: Path) -> None:
    own = 'def bad(batch):\n    raise ValueError("no")\n'
    (folder / "own.py").write_text(own)
    stages = (
        '[stage.bad]\nuse = "./own.py:bad"\ninputs = "kernel"\non_error = "drop"\n'
        '[stage.more]\ntype = "csv"\ninputs = "bad"\npath = "more.csv"\n'
    )
    (folder / "bad.toml").write_text((folder / "made.toml").read_text() + stages)
    result = ior("run", "bad.toml")
    assert (result.code, len(result.out.splitlines())) == (0, 31)
    assert result.err.splitlines()[-1] == "ior: 30 rows that 'bad' failed at"
    assert "ValueError: no (own.py:2)" in result.err
    assert ior("run", "bad.toml", "--fail-on-loss").code == 3


def test_a_duration_ends_the_run(ior: Invoke) -> None:
    result = ior("run", "made.toml", "--set", "kernel.endless=true", "--duration", "50ms")
    assert result.code == 0
    assert "running made.toml, for 50ms" in result.err
    assert len(result.out.splitlines()) > 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_well(folder: Path, number: signal.Signals) -> None:
    line = ("run", "made.toml", "--set", "kernel.endless=true", "--ledger", "l.json")
    with start(folder, *line) as process:
        assert process.stderr is not None
        assert any("running" in line for line in process.stderr)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    books = json.loads((folder / "l.json").read_text())
    assert books["closed"] is True
    assert len(out.splitlines()) - 1 == books["stages"]["csv"]["in"] > 0


def test_a_signal_that_the_caller_ignores_stays_ignored(folder: Path) -> None:
    line = "trap '' INT; exec \"$@\""
    argv = ("run", "made.toml", "--set", "kernel.endless=true", "--duration", "300ms")
    process = subprocess.Popen(
        ["sh", "-c", line, "sh", sys.executable, "-m", "ior", *argv],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        assert any("running" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in err


def test_a_second_signal_abandons_what_does_not_end(folder: Path) -> None:
    (folder / "stuck.toml").write_text(PIPELINE.replace(":Made", ":Stuck"))
    with start(folder, "run", "stuck.toml") as process:
        assert process.stderr is not None
        assert any("running" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "kernel" in err.splitlines()[-1]
    assert "Traceback" not in err


def test_a_closed_stdout_ends_the_run_well(folder: Path) -> None:
    with start(folder, "run", "made.toml", "--set", "kernel.endless=true") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("seq,")
        process.stdout.close()
        err = process.stderr.read()
        assert process.wait(60) == 0
    assert "Traceback" not in err
    assert "error" not in err.lower()


def test_warnings_of_a_stage_are_safe_to_look_at(ior: Invoke, folder: Path) -> None:
    (folder / "shout.py").write_text(
        "from ior import Stage\n"
        "class Shout(Stage):\n"
        "    gives = {}\n"
        "    def process(self, batch):\n"
        "        self.ctx.warn('odd name: ' + batch.text('file')[0])\n"
    )
    text = PIPELINE + '[stage.shout]\nuse = "./shout.py:Shout"\ninputs = "kernel"\n'
    (folder / "loud.toml").write_text(text)
    result = ior("run", "loud.toml", "-o", "rows.csv")
    warning = next(line for line in result.err.splitlines() if "warning" in line)
    assert warning.startswith("ior: warning: stage 'shout': odd name: /tmp/a")
    assert "\x1b" not in result.err
    assert "warning" not in ior("run", "loud.toml", "-o", "rows.csv", "-q").err


def test_verbose_says_what_is_logged(ior: Invoke, folder: Path) -> None:
    (folder / "talk.py").write_text(
        "def talk(batch):\n"
        "    import logging\n"
        "    logging.getLogger('ior.stage.talk').debug('seen %d', len(batch))\n"
    )
    text = PIPELINE + '[stage.talk]\nuse = "./talk.py:talk"\ninputs = "kernel"\n'
    (folder / "talk.toml").write_text(text)
    with start(folder, "run", "talk.toml", "-v") as process:
        _, err = process.communicate(timeout=60)
    assert "ior: ior.stage.talk: seen 10" in err


def test_a_preset_is_printed_as_it_is_packaged(ior: Invoke) -> None:
    result = ior("run", "plain", "--print")
    assert result.code == 0
    assert result.out == (ROOT / "ior" / "presets" / "plain.toml").read_text()


def test_a_file_is_printed_too(ior: Invoke) -> None:
    assert ior("run", "made.toml", "--print").out == PIPELINE
