"""The live view in a real pty, on made-up calls: start, keys, resize, leave."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest
from ptys import Pty

pytestmark = pytest.mark.timeout(60)

PIPELINE = """\
version = 1
[stage.kernel]
type = "synthetic"
rate = 20000
[stage.pair]
type = "pair"
inputs = "kernel"
[stage.stats]
type = "stats"
inputs = "pair"
[stage.live]
type = "stream"
inputs = "pair"
buffer = { batches = 8, when_full = "drop_oldest" }
"""


@pytest.fixture
def pipeline(tmp_path: Path) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(PIPELINE, encoding="utf-8")
    return str(path)


def calls(lines: list[str]) -> int:
    return int(lines[1].split()[1].replace(",", ""))


def test_start_keys_resize_and_quit(pipeline: str, tmp_path: Path) -> None:
    with Pty(pipeline, "--ledger", str(tmp_path / "books.json")) as pty:
        first = calls(pty.see("running"))
        pty.wait(lambda lines: calls(lines) > first + 1000)
        pty.child.send("2")
        pty.wait(lambda lines: lines[3].split()[:2] == ["syscall", "calls"])
        pty.child.send("s")
        pty.see("syscall▲")
        pty.child.send("f")
        pty.see("filter: ")
        pty.child.send("latency >= 1 parsec\r")
        pty.see("^^^")
        pty.child.send("\x1b")
        pty.wait(lambda lines: not any("^^^" in line for line in lines))
        pty.child.send("fis_error\r")
        pty.see("retained rows match")
        pty.resize(60, 15)
        pty.wait(lambda lines: "q quit" in lines[14] and "running" in lines[0])
        pty.child.send("q")
        assert pty.leave() == (0, "")
    books = json.loads((tmp_path / "books.json").read_bytes())
    assert books["closed"] is True
    assert books["calls"] > first


def test_a_row_that_was_selected_stays_though_a_filter_is_added(pipeline: str) -> None:
    with Pty(pipeline) as pty:
        pty.see("running")
        lines = pty.wait(lambda lines: calls(lines) > 5000)
        pty.child.send(lines[2].partition(" Stream")[0][-1])
        pty.see("the latest of ")
        pty.child.send(" ")
        lines = pty.wait(lambda lines: " time " in lines[21])
        time = lines[21].split()[5]
        pty.child.send("l\r")
        pty.see("retained rows match")
        pty.child.send("h")
        lines = pty.wait(lambda lines: " time " in lines[21])
        assert lines[21].split()[5] == time
        assert "paused" in lines[0]
        pty.child.send("q")
        assert pty.leave() == (0, "")


def test_ctrl_c_leaves(pipeline: str) -> None:
    with Pty(pipeline) as pty:
        pty.see("running")
        pty.child.send("\x03")
        assert pty.leave() == (0, "")


JOB = (
    *("sh", "-mc"),
    '"$@"; stty sane; echo stopped; read answer; fg > /dev/null',
    "sh",
)


def stop_and_go_on(pty: Pty, columns: int, rows: int) -> None:
    """Stop ior as a shell's job, let the terminal have another size meanwhile, go on."""
    shell = pty.pid()
    children = Path(f"/proc/{shell}/task/{shell}/children").read_text(encoding="ascii")
    os.kill(int(children.split()[0]), signal.SIGSTOP)
    pty.see("stopped")
    pty.resize(columns, rows)
    pty.child.send("\r")
    pty.wait(lambda lines: lines[0].startswith(" ior") and "quit" in lines[rows - 1])


def test_a_stopped_view_takes_the_terminal_as_it_is_when_it_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "ends.toml"
    path.write_text(PIPELINE.replace("rate = 20000", "rate = 0.0\ncalls = 3000"), encoding="utf-8")
    with Pty(str(path), within=JOB) as pty:
        pty.see("q leaves")  # no picture comes any more
        stop_and_go_on(pty, 70, 20)
        assert not any("stopped" in line for line in pty.lines)
        pty.child.send("2")
        pty.wait(lambda lines: lines[3].split()[:2] == ["syscall", "calls"])
        pty.child.send("q")
        assert pty.leave() == (0, "")


def test_a_stopped_list_of_processes_takes_the_terminal_as_it_is_too() -> None:
    with Pty(within=JOB) as pty:
        pty.see("whom to trace?")
        stop_and_go_on(pty, 70, 20)
        pty.child.send("\x03")
        assert pty.leave()[1] == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_leave(pipeline: str, number: signal.Signals) -> None:
    with Pty(pipeline) as pty:
        pty.see("running")
        os.kill(pty.pid(), number)
        assert pty.leave() == (0, "")


def test_a_theme_is_asked_for_by_name(pipeline: str) -> None:
    for name, colours in (("none", False), ("16", True)):
        with Pty(pipeline, "--theme", name) as pty:
            pty.see("running")
            pty.child.send("q")
            assert pty.leave() == (0, "")
            sent = set(re.findall(rb"\x1b\[([0-9;]*)m", pty.sent))
            assert any(b"35" in one.split(b";") for one in sent) == colours
            assert not any(b"38" in one.split(b";") for one in sent)


def test_a_pipeline_that_does_not_check_draws_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(PIPELINE + "bogus = 1\n", encoding="utf-8")
    with Pty(str(path)) as pty:
        code, said = pty.leave()
    assert code == 78
    assert "bogus" in said
