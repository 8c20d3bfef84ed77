"""Whole runs under the live view, with a person at a pipe and an emulated screen."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from emulated import Person

from ior.errors import OutputError, SpecError, UsageError
from ior.pipeline.spec import PipelineSpec, parse
from ior.ui import session
from ior.ui.app import run_tui
from ior.ui.options import Left, ViewOptions
from ior.ui.picker.choice import Retarget, Target
from ior.ui.tabs.table import TableLayout, TableTab, TableView
from ior.ui.widgets import Line

pytestmark = pytest.mark.timeout(30)

HERE = Path(__file__).parent
STATS = '[stage.stats]\ntype = "stats"\ninputs = "{0}"\n'
STREAM = '[stage.live]\ntype = "stream"\ninputs = "made"\n'


def pipeline(*parts: str, source: str = "", behind: str = "made") -> PipelineSpec:
    made = f'version = 1\n[stage.made]\nuse = "own_nodes.py:Made"\n{source}\n'
    text = made + STATS.format(behind) + "\n".join(parts)
    return parse(text, directory=HERE, label="test.toml")


def through(cls: str) -> str:
    return f'[stage.mine]\nuse = "own_nodes.py:{cls}"\ninputs = "made"\n'


def live(person: Person, spec: PipelineSpec, **options: object) -> int:
    left = run_tui(
        spec,
        title="the test",
        refresh_ms=20,
        input=person.keyboard,
        output=person.terminal.output,
        **options,
    )
    return left.code


def test_the_end_stays_on_the_screen_until_q(person: Person, tmp_path: Path) -> None:
    person.when("ended", "2").when("syscall ", "q")
    assert live(person, pipeline(STREAM), ledger_path=tmp_path / "books.json") == 0
    screen = person.saw[-1]
    assert screen[0].startswith(" ior  the test")
    assert screen[4].split()[:3] == ["read", "2,000", "██████"]
    assert screen[5].split()[:3] == ["write", "1,000", "███"]
    assert screen[6].split()[:2] == ["openat", "20"]
    books = json.loads((tmp_path / "books.json").read_bytes())
    assert books["closed"] is True
    assert books["stages"]["stats"]["consumed"] == 3020


def test_a_message_goes_after_the_end_too(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "MESSAGE_NS", 200_000_000)
    person.when("ended", "2").when("syscall ", "y").when("copied", lambda: None)
    person.until(lambda: "copied" not in "\n".join(person.terminal.lines), "q")
    assert live(person, pipeline(STREAM)) == 0
    before, screen = person.saw[-2:]
    assert "copied" in before[-2]
    assert "q leaves" in screen[-2]


def test_ctrl_l_draws_over_what_somebody_else_wrote(person: Person) -> None:
    def noise() -> None:
        person.terminal.write("\x1b[5;1HBroadcast message\x1b[9;9H\x1b[2K")
        person.keyboard.send_text("\x0c")

    person.when("ended", "2").when("syscall ", noise)
    person.until(lambda: person.terminal.lines == person.saw[-1], "q")
    assert live(person, pipeline(STREAM)) == 0
    assert len(person.saw) == 3


def test_q_stops_a_run_and_its_books_close(person: Person, tmp_path: Path) -> None:
    person.when("read ", "q")
    spec = pipeline(source="ends = false")
    assert live(person, spec, ledger_path=tmp_path / "books.json") == 0
    assert "running" in person.saw[0][0]
    assert json.loads((tmp_path / "books.json").read_bytes())["closed"] is True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_leave_in_good_order(
    person: Person, tmp_path: Path, number: signal.Signals
) -> None:
    person.when("read ", lambda: os.kill(os.getpid(), number))
    spec = pipeline(source="ends = false")
    assert live(person, spec, ledger_path=tmp_path / "books.json") == 0
    assert json.loads((tmp_path / "books.json").read_bytes())["closed"] is True
    assert "\x1b[?1049l" in "".join(person.terminal.raw)


def test_a_terminal_that_goes_away_ends_the_run(person: Person, tmp_path: Path) -> None:
    person.when("read ", person.keyboard.close)
    spec = pipeline(source="ends = false")
    assert live(person, spec, ledger_path=tmp_path / "books.json") == 0
    assert json.loads((tmp_path / "books.json").read_bytes())["closed"] is True


def test_a_filter_counts_the_retained_rows(person: Person) -> None:
    person.when("ended", "2").when("syscall ", "f").when("filter:", "comm == 'cat'\r").when(
        "rows match", "q"
    )
    assert live(person, pipeline(STREAM)) == 0
    screen = person.saw[-1]
    assert "20 of 3,020 retained rows match" in screen[3]
    assert screen[5].split()[:3] == ["openat", "20", "██████"]
    assert screen[5].split()[5] == "20"  # errors, behind the rate
    assert screen[6].strip() == ""


def test_a_filter_without_a_stream_says_that_it_does_not_apply(person: Person) -> None:
    person.when("ended", "2").when("syscall ", "f").when("filter:", "is_error\r")
    person.when("not applied here", "q")
    assert live(person, pipeline()) == 0
    assert person.saw[-1][5].split()[:2] == ["read", "2,000"]


def test_a_failing_stage_leaves_the_picture_and_the_error(
    person: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    person.when("failed 0:0", "q")
    assert live(person, pipeline(through("Broken"), behind="mine")) == 1
    screen = "\n".join(person.saw[-1])
    assert "stage 'mine': ZeroDivisionError: division by zero" in screen
    assert "read " in screen
    assert "1,000" in screen
    said = "ior: stage 'mine': ZeroDivisionError: division by zero (own_nodes.py:"
    assert capsys.readouterr().err.startswith(said)


def test_a_refused_start_is_a_readable_screen(person: Person) -> None:
    person.when("failed 0:0", "q")
    assert live(person, pipeline(through("Refusing"), behind="mine")) == 77
    assert "tracing needs CAP_BPF; run: sudo ior tui" in "\n".join(person.saw[-1])


def test_a_stage_of_ones_own_has_a_tab(person: Person) -> None:
    person.when("ended", "\x1b[Z").when("Bergen", "f").when("filter:", "is_error\r")
    person.when("not applied here", "q")
    spec = pipeline(STREAM, '[stage.sky]\nuse = "own_nodes.py:Weather"\ninputs = "made"\n')
    assert live(person, spec) == 0
    screen = "\n".join(person.saw[-1])
    assert "93.0%" in screen
    assert "Weather" in screen
    assert all(name in person.saw[0][2] for name in ("2 Sysc", "3 Files", "4 Proc"))


def test_enter_drills_in_and_backspace_comes_back(person: Person) -> None:
    person.when("ended", "2").when("syscall ", "G").when("syscall ", "\r").when("20 of 3,020", "4")
    person.when("cat", "\r").when(" › ", "\x7f").when("match", "\x7f").when("    3,020", "q")
    assert live(person, pipeline(STREAM)) == 0
    assert 'syscall == "openat"' in person.saw[3][3]
    assert "20 of 3,020 retained rows match" in person.saw[3][3]
    assert person.saw[5][3].startswith(' filter syscall == "openat" › pid == 100')
    assert "filter" not in person.saw[-1][3]


def test_the_pipeline_is_a_tab(person: Person) -> None:
    person.when("ended", "7").when("view.out->live", "q")
    assert live(person, pipeline(STREAM)) == 0
    rows = {line.split()[0]: line.split() for line in person.saw[-1][4:12] if line.strip()}
    assert rows["stats"].count("3,020") == 1
    assert rows["view.out->stats"].count("3,020") == 2


def test_a_warning_is_a_row_of_the_stream(person: Person) -> None:
    def warn() -> None:
        logging.getLogger("somebody").warning("look \x1b[2J here")

    person.when("read ", "6").when("the latest of 3,020 rows", warn).when("── warning: ", "q")
    assert live(person, pipeline(STREAM, source="ends = false")) == 0
    lines = person.saw[-1]
    assert "── warning: somebody: look ␛[2J here" in lines[20]
    assert lines[19].split()[1:3] == ["cat", "100"]


def test_what_cannot_be_shown_is_said_and_the_run_goes_on(person: Person) -> None:
    person.when("ended", "\x1b[Z").when("no table here", "1").when("read ", "q")
    spec = pipeline('[stage.sky]\nuse = "own_nodes.py:Unshowable"\ninputs = "made"\n')
    assert live(person, spec) == 0
    assert "sky cannot be shown: LookupError('no table here')" in "\n".join(person.saw[1])


def test_nothing_is_written_over_the_screen(
    person: Person, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(session.Session, "say", _recorded(session.Session.say, said))
    handler = logging.StreamHandler(sys.stderr)
    logging.getLogger("libbpf").addHandler(handler)
    try:
        person.when("running", "w").when("mine: 12 rows dropped", "q")
        assert live(person, pipeline(through("Noisy"), behind="mine", source="ends = false")) == 0
    finally:
        logging.getLogger("libbpf").removeHandler(handler)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
    words = ("was logged", "was warned of", "was printed", "was written", "12 rows dropped")
    assert len(said) == len(words)
    for line, word in zip(said, words, strict=True):
        assert word in line
        assert any(line[:30] in shown for shown in person.saw[-1])


def _recorded(say: object, said: list[str]) -> object:
    def record(it: session.Session, text: str, bad: bool) -> None:
        said.append(text)
        say(it, text, bad)

    return record


def test_a_run_that_does_not_stop_is_given_up(
    person: Person, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(session, "PATIENCE_S", 0.1)
    person.when("read ", "q")
    assert live(person, pipeline(source="deaf = true"), ledger_path=tmp_path / "books.json") == 1
    assert json.loads((tmp_path / "books.json").read_bytes())["closed"] is False


def test_the_second_q_does_not_wait(person: Person) -> None:
    person.when("read ", "q").when("stopping", "q")
    assert live(person, pipeline(source="deaf = true")) == 1


def test_a_defect_in_drawing_restores_the_terminal(
    person: Person, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    line = TableTab.line

    def sometimes(tab: TableTab, view: TableView, layout: TableLayout, row: int) -> Line:
        if person.saw:
            raise AssertionError("a defect")
        return line(tab, view, layout, row)

    monkeypatch.setattr(TableTab, "line", sometimes)
    person.when("read ", "2")
    with pytest.raises(AssertionError, match="a defect"):
        live(person, pipeline(source="ends = false"), ledger_path=tmp_path / "books.json")
    assert "\x1b[?1049l" in "".join(person.terminal.raw)
    assert json.loads((tmp_path / "books.json").read_bytes())["closed"] is True


def test_bad_input_raises_before_the_screen(person: Person, tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        live(person, pipeline(), ledger_path=tmp_path / "missing" / "books.json")
    with pytest.raises(SpecError, match="bogus"):
        live(person, pipeline(source="bogus = 1"))
    csv = '[stage.csv]\ntype = "csv"\ninputs = "made"\npath = "x.csv"\n'
    text = f'version = 1\n[stage.made]\nuse = "own_nodes.py:Made"\n{csv}'
    with pytest.raises(UsageError, match="nothing to look at"):
        live(person, parse(text, directory=HERE, label="blind.toml"))
    assert person.terminal.raw == []


def test_without_a_terminal_it_says_so() -> None:
    with pytest.raises(UsageError, match="terminal"):
        run_tui(pipeline())


def left(person: Person, retarget: Retarget, **options: Any) -> Left:
    """Run with somebody who may choose another target, until they have left."""
    return run_tui(
        pipeline(source="ends = false"),
        options=ViewOptions(retarget=retarget),
        input=person.keyboard,
        output=person.terminal.output,
        **options,
    )


def test_another_target_is_chosen_while_the_run_goes_on(person: Person, tmp_path: Path) -> None:
    person.when("read ", "p").when("every process", "\x1b").when("running", "p")
    person.when("every process", "\r")
    books = tmp_path / "books.json"
    assert left(person, Retarget(), refresh_ms=20, ledger_path=books) == (0, Target())
    assert len(person.saw) == 4
    assert json.loads((tmp_path / "books.json").read_bytes())["closed"] is True


def test_ctrl_c_leaves_ior_also_while_a_target_is_chosen(person: Person) -> None:
    person.when("read ", "p").when("every process", "\x03")
    assert left(person, Retarget()) == (0, None)
    assert len(person.saw) == 2


def test_threads_are_chosen_of_the_process_that_is_traced(person: Person) -> None:
    person.when("read ", "t").when("all threads of", "\x1b[F\r")
    found = left(person, Retarget(1)).target
    assert found in {Target(tid=int(tid)) for tid in os.listdir("/proc/1/task")}


def test_signals_leave_while_a_target_is_chosen(person: Person) -> None:
    person.when("read ", "p").when("every process", lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert left(person, Retarget()) == (0, None)


def test_without_a_live_trace_there_is_nobody_to_choose(person: Person) -> None:
    person.when("read ", "p").when("nobody else to choose", "q")
    assert live(person, pipeline(source="ends = false")) == 0


def test_what_a_command_writes_is_shown_by_a_key_and_harmless(person: Person) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, b"\x1b[2J\x1b]0;evil\x07 \xff\n" + b"".join(b"%d\n" % n for n in range(99)))

    def more() -> None:
        os.write(write_end, b"the end\n")

    person.when("output (O)", "O").when("98", more).when("the end", "g").when("evil", "G")
    person.when("the end", "O").when("read ", "q")
    try:
        live(person, pipeline(source="ends = false"), options=ViewOptions(output_fd=read_end))
    finally:
        os.close(read_end)
        os.close(write_end)
    assert len(person.saw) == 6
    assert any("␛[2J␛]0;evil␇ \\xff" in line for line in person.saw[3])
    assert not any("\x1b]0;evil" in part for part in person.terminal.raw)


def test_without_a_command_there_is_no_output(person: Person) -> None:
    person.when("read ", "O").when("ior started no command", "q")
    assert live(person, pipeline(source="ends = false")) == 0
