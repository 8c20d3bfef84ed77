"""`ior run` against the kernel: whom it traces, when it ends, and what it leaves where."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ior.cli.session import Session, Wishes
from ior.host.command import Command
from ior.pipeline.graph import build
from ior.pipeline.spec import parse

ROOT = Path(__file__).parents[2]
IOR = [sys.executable, "-m", "ior"]

pytestmark = pytest.mark.kernel


def environment() -> dict[str, str]:
    """Return ours without sudo's variables: commands run as the user of the tests."""
    sudo = ("SUDO_UID", "SUDO_GID")
    kept = {name: value for name, value in os.environ.items() if name not in sudo}
    return kept | {"PYTHONPATH": str(ROOT)}


def run(folder: Path, *argv: str, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*before, *IOR, *argv],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def start(folder: Path, *argv: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*IOR, *argv],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def books(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "l.json").read_text())
    return found


@pytest.mark.parametrize(("program", "status"), [("exit 7", 7), ("kill -9 $$", 137)])
def test_a_commands_status_is_passed_on(tmp_path: Path, program: str, status: int) -> None:
    done = run(tmp_path, "run", "capture", "--ledger", "l.json", "--", "sh", "-c", program)
    assert done.returncode == status, done.stderr
    assert books(tmp_path)["closed"] is True
    assert (tmp_path / "trace.ior").exists()


def test_rows_stay_clean_of_what_the_command_prints(tmp_path: Path) -> None:
    line = ("run", "plain", "--families", "fs,process")
    done = run(tmp_path, *line, "--", "sh", "-c", "cat /etc/passwd; exit 5")
    assert done.returncode == 5, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert "/etc/passwd" in {row["file"] for row in rows if row["syscall"] == "openat"}
    assert "root:" in done.stderr
    assert {"sh", "cat"} <= {row["comm"] for row in rows}
    assert (rows[0]["syscall"], rows[0]["ret"]) == ("execve", "0")
    assert [row["ret"] for row in rows if row["syscall"] == "execve"] == ["0", "0"]


def test_what_is_left_out_is_not_traced(tmp_path: Path) -> None:
    line = ("run", "plain", "--kinds", "exec,open", "--families", "fs", "--no-syscalls", "/^open/")
    done = run(tmp_path, *line, "--no-kinds", "fd", "--", "cat", "/etc/passwd")
    assert done.returncode == 0, done.stderr
    seen = {row["syscall"] for row in csv.DictReader(io.StringIO(done.stdout))}
    assert {"execve", "access"} <= seen
    assert not {"openat", "read", "close", "fstat"} & seen


def test_a_person_reads_arguments_by_name_and_a_file_has_numbers(tmp_path: Path) -> None:
    reader, writer = pty.openpty()
    selected = ("--syscalls", "openat", "--where", 'file == "/etc/passwd"')
    command = ("--", "cat", "/etc/passwd")
    line = (*IOR, "tap", "plain", "pair", "--limit", "1", *selected, *command)
    done = subprocess.run(
        line, cwd=tmp_path, env=environment(), stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    shown = os.read(reader, 65536).decode()
    os.close(reader)
    assert done.returncode == 0, done.stderr
    assert " call_flags=O_RDONLY" in shown
    (row,) = csv.DictReader(io.StringIO(run(tmp_path, "run", "plain", *selected, *command).stdout))
    assert (row["call_flags"], row["mode"]) == ("0", "")


def test_to_a_file_the_commands_output_is_its_own(tmp_path: Path) -> None:
    done = run(tmp_path, "run", "plain", "-o", "rows.csv", "-q", "--", "echo", "hello")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n", "")
    assert "echo" in (tmp_path / "rows.csv").read_text()


def test_a_capture_is_replayed_without_the_kernel(tmp_path: Path) -> None:
    first = run(tmp_path, "run", "capture", "-q", "--", "cat", "/etc/passwd")
    assert first.returncode == 0
    drop = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
    again = run(tmp_path, "run", "plain", "--replay", "trace.ior", before=drop)
    assert again.returncode == 0, again.stderr
    files = {row["file"] for row in csv.DictReader(io.StringIO(again.stdout))}
    assert "/etc/passwd" in files


def test_without_permission_one_line_says_so_and_nothing_has_run(tmp_path: Path) -> None:
    drop = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
    made = tmp_path / "made"
    done = run(tmp_path, "run", "plain", "-o", "x.csv", "--", "touch", str(made), before=drop)
    assert done.returncode == 77
    assert done.stderr.count("\n") == 1
    assert "CAP_BPF" in done.stderr
    assert not made.exists()
    assert not (tmp_path / "x.csv").exists()
    assert run(tmp_path, "doctor", before=drop).returncode == 77


def test_the_end_of_a_pid_ends_the_run(tmp_path: Path) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as target:
        line = ("run", "capture", "--pid", str(target.pid), "--ledger", "l.json")
        with start(tmp_path, *line) as tracer:
            assert tracer.stderr is not None
            assert f"of pid {target.pid}, Ctrl-C to stop" in tracer.stderr.readline()
            assert target.stdin is not None
            target.stdin.close()
            assert tracer.wait(60) == 0
    assert books(tmp_path)["closed"] is True


def test_ctrl_c_ends_a_run_of_everything(tmp_path: Path) -> None:
    with start(tmp_path, "run", "capture", "--ledger", "l.json") as tracer:
        assert tracer.stderr is not None
        assert "of every process, Ctrl-C to stop" in tracer.stderr.readline()
        tracer.send_signal(signal.SIGINT)
        assert tracer.wait(60) == 0, tracer.stderr.read()
    assert books(tmp_path)["closed"] is True


def test_a_duration_ends_a_run_and_its_command(tmp_path: Path) -> None:
    began = time.monotonic()
    done = run(tmp_path, "run", "capture", "--duration", "100ms", "--", "sleep", "90")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 60


def test_a_loss_is_an_exit_code_on_request(tmp_path: Path) -> None:
    line = ("run", "capture", "--set", "kernel.ring_size=4KiB", "--syscalls", "read,write")
    work = ("dd", "if=/dev/zero", "of=/dev/null", "bs=1", "count=200000", "status=none")
    done = run(tmp_path, *line, "--ledger", "l.json", "--fail-on-loss", "--", *work)
    assert done.returncode == 3, done.stderr
    kernel = books(tmp_path)["kernel"]
    assert isinstance(kernel, dict)
    assert kernel["lost"] > 0
    assert kernel["attempted"] == kernel["read"] + kernel["lost"] >= 400_000


def test_a_ring_of_no_size_is_found_before_anything_runs(tmp_path: Path) -> None:
    made = tmp_path / "made"
    done = run(tmp_path, "run", "--set", "kernel.ring_size=5KiB", "--", "touch", str(made))
    assert done.returncode == 2
    assert "power of two" in done.stderr
    assert not made.exists()


def test_a_closed_stdout_ends_the_run_and_its_command(tmp_path: Path) -> None:
    work = ("dd", "if=/dev/zero", "of=/dev/null", "bs=1")
    with start(tmp_path, "run", "plain", "--", *work) as tracer:
        assert tracer.stdout is not None
        assert tracer.stderr is not None
        assert tracer.stdout.readline().startswith("seq,")
        tracer.stdout.close()
        err = tracer.stderr.read()
        assert tracer.wait(60) == 0, err
    assert "Traceback" not in err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has called sudo")
def test_under_sudo_the_command_and_the_files_are_the_callers(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    done = subprocess.run(
        [*IOR, "run", "capture", "-q", "--", "id", "-u"],
        cwd=tmp_path,
        env=environment() | {"SUDO_UID": "65534", "SUDO_GID": "65534"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "65534\n"), done.stderr
    assert (tmp_path / "trace.ior").stat().st_uid == 65534


def test_a_command_that_is_killed_while_the_probes_attach(tmp_path: Path) -> None:
    pipeline = (
        'version = 1\n[stage]\nkernel = { type = "bpf" }\n'
        'pair = { type = "pair", inputs = "kernel" }\n'
        'stats = { type = "stats", inputs = "pair" }\n'
    )
    graph = build(parse(pipeline, directory=tmp_path, label="p.toml"))
    with Command.start(["touch", str(tmp_path / "made")]) as command:
        os.kill(command.pid, signal.SIGKILL)
        session = Session(graph, command, Wishes(quiet=True))
        assert session.run() == 128 + signal.SIGKILL
        assert session.run_.ledger().closed
    assert not (tmp_path / "made").exists()
