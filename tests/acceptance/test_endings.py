"""How a run ends: by its reader, its target, its time, a signal; and what is left then."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from product import IOR, books, environment, ior, rows, runs, started, traced_pid, wait_for

from ior.sources.bpf.programs import attached_links, loaded_maps, loaded_programs

pytestmark = pytest.mark.kernel

ENDLESS = ("dd", "if=/dev/zero", "of=/dev/null", "bs=1", "status=none")


def test_head_ends_the_run_and_its_command_well(tmp_path: Path) -> None:
    line = (
        f'"$@" run plain --ledger l.json -- {" ".join(ENDLESS)} | head -3; echo ${{PIPESTATUS[0]}}'
    )
    done = subprocess.run(
        ["bash", "-c", line, "bash", *IOR],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    header, *lines, status = done.stdout.splitlines()
    assert header.startswith("seq,")
    assert [line.partition(",")[0] for line in lines] == ["0", "1"]
    assert status == "0", done.stderr
    assert "Traceback" not in done.stderr
    assert not runs(traced_pid(done.stderr))
    assert books(tmp_path / "l.json")["closed"] is True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_well(tmp_path: Path, number: signal.Signals) -> None:
    work = ("sh", "-c", "while :; do : < /etc/passwd; done")
    line = ("run", "plain", "--syscalls", "openat", "--ledger", "l.json")
    with started(tmp_path, *line, "--", *work) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        status = run.stderr.readline()
        first = run.stdout.readline() + run.stdout.readline()
        run.send_signal(number)
        out, err = first + run.stdout.read(), run.stderr.read()
        assert run.wait(60) == 0, err
    assert "Traceback" not in err
    assert not runs(traced_pid(status))
    ledger = books(tmp_path / "l.json")
    assert ledger["closed"] is True
    assert ledger["kernel"]["lost"] == 0
    assert len(rows(out.encode())) == ledger["calls"] > 0


def test_a_duration_ends_a_run_of_the_whole_host(tmp_path: Path) -> None:
    began = time.monotonic()
    line = ("run", "--duration", "0.5", "--syscalls", "read,write", "--ledger", "l.json")
    done = ior(tmp_path, *line)
    assert done.code == 0, done.err
    assert 0.5 <= time.monotonic() - began < 30
    assert "for 0.5" in done.err
    assert books(tmp_path / "l.json")["closed"] is True


def test_the_end_of_a_pid_ends_the_run(tmp_path: Path) -> None:
    with subprocess.Popen(
        ["sh", "-c", "read go; : < /etc/passwd"], stdin=subprocess.PIPE
    ) as target:
        line = ("run", "plain", "--pid", str(target.pid), "--ledger", "l.json")
        with started(tmp_path, *line) as run:
            assert run.stderr is not None
            assert run.stdout is not None
            run.stderr.readline()
            target.communicate(b"go\n")
            out, err = run.stdout.read(), run.stderr.read()
            assert run.wait(60) == 0, err
    found = rows(out.encode())
    assert "/etc/passwd" in {row["file"] for row in found if row["syscall"] == "openat"}
    assert {row["pid"] for row in found} == {str(target.pid)}
    assert books(tmp_path / "l.json")["closed"] is True


def held(pid: int) -> dict[str, set[int]]:
    """Return the ids of the programs, maps and links that a process holds descriptors of."""
    found: dict[str, set[int]] = {"prog_id": set(), "map_id": set(), "link_id": set()}
    for entry in os.scandir(f"/proc/{pid}/fdinfo"):
        text = Path(entry.path).read_text(encoding="ascii")
        fields = dict(re.findall(r"^(\w+):\s*(\d+)$", text, re.MULTILINE))
        kind = next((k for k in ("link_id", "map_id", "prog_id") if k in fields), None)
        if kind is not None:
            found[kind].add(int(fields[kind]))
    return found


def test_nothing_stays_loaded_after_a_kill(tmp_path: Path) -> None:
    with started(tmp_path, "run", "plain", "-o", "rows.csv", "--", *ENDLESS) as run:
        assert run.stderr is not None
        traced = traced_pid(run.stderr.readline())
        ids = held(run.pid)
        assert ids["prog_id"] & loaded_programs().keys() == ids["prog_id"] != set()
        assert ids["link_id"] & set(attached_links()) == ids["link_id"] != set()
        assert ids["map_id"] & set(loaded_maps()) == ids["map_id"] != set()
        run.kill()
        assert run.wait(60) == -signal.SIGKILL
    os.kill(traced, signal.SIGKILL)  # nobody is left to end it
    wait_for(lambda: not ids["link_id"] & set(attached_links()), "the links to go")
    wait_for(lambda: not ids["prog_id"] & loaded_programs().keys(), "the programs to go")
    wait_for(lambda: not ids["map_id"] & set(loaded_maps()), "the maps to go")
