"""What options on the command line do to a pipeline, before anything is built."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

import pytest
from made import PIPELINE

from ior import syscalls
from ior.cli import options, overrides
from ior.cli.run import Run
from ior.errors import InputNotFound, SpecError, UsageError
from ior.pipeline.graph import build
from ior.pipeline.spec import PipelineSpec, parse

TRACE = """
version = 1
[stage.kernel]
type = "bpf"
families = ["FS"]
exclude = { syscalls = ["close"] }
pid = 1
[stage.csv]
type = "csv"
inputs = "kernel"
"""


def spec(text: str = TRACE) -> PipelineSpec:
    return parse(text, directory=Path.cwd(), label="trace.toml")


def args(*argv: str, command: list[str] | None = None) -> Namespace:
    parser = ArgumentParser()
    Run().configure(parser)
    return Namespace(**vars(parser.parse_args(argv)), command=command)


def keys(*argv: str, command: list[str] | None = None) -> dict[str, Any]:
    return overrides.apply(spec(), args(*argv, command=command)).nodes["kernel"].keys


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (None, []),
        (["read,write"], ["read", "write"]),
        (["read", "write"], ["read", "write"]),
        ([" read , write "], ["read", "write"]),
        (["/^(read|write){1,2}$/,close"], ["/^(read|write){1,2}$/", "close"]),
        (["close,/a,b/,/c,d/"], ["close", "/a,b/", "/c,d/"]),
        (["/open/"], ["/open/"]),
    ],
)
def test_lists_of_words(values: list[str] | None, words: list[str]) -> None:
    assert options.words(values) == words


@pytest.mark.parametrize("value", ["", ",", "read,", "/open", "/", "/a/b", "/a/,"])
def test_lists_that_are_none(value: str) -> None:
    with pytest.raises(UsageError):
        options.words([value])


def test_nothing_asked_changes_nothing() -> None:
    assert overrides.apply(spec(), args()) == spec()


def test_a_positive_selection_replaces_the_files_and_keeps_its_exclusions() -> None:
    changed = keys("--syscalls", "read,/^open/", "--kinds", "fd")
    assert changed["families"] == []
    assert changed["syscalls"] == ["read", "/^open/"]
    assert changed["kinds"] == ["fd"]
    assert changed["exclude"] == {"syscalls": ["close"]}


def test_an_exclusion_adds_to_the_files_and_leaves_its_selection() -> None:
    changed = keys("--no-syscalls", "read,/^f?sync$/", "--no-kinds", "open", "--no-kinds", "exec")
    assert changed["families"] == ["FS"]
    assert changed["exclude"] == {
        "syscalls": ["close", "read", "/^f?sync$/"],
        "kinds": ["open", "exec"],
    }
    assert keys("--no-families", "network")["exclude"] == {
        "syscalls": ["close"],
        "families": ["network"],
    }


def test_what_is_asked_for_and_what_is_left_out_compose() -> None:
    changed = keys("--families", "fs,ipc", "--no-kinds", "open", "--no-syscalls", "read")
    selected = syscalls.select(
        changed["families"], changed["kinds"], changed["syscalls"], changed["exclude"]
    )
    table = syscalls.table()
    assert selected == {
        nr
        for nr, call in table.by_nr.items()
        if call.family in ("FS", "IPC")
        and call.kind != "open"
        and call.name not in ("read", "close")
    }


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("--no-families", "FX"), "unknown family 'FX'"),
        (("--no-kinds", "opem"), "unknown kind 'opem'; did you mean open"),
        (("--no-syscalls", "raed"), "unknown syscall 'raed'; did you mean read"),
        (("--no-families", "fs"), "leaves nothing to trace"),
        (("--syscalls", "read", "--no-syscalls", "read"), "leaves nothing to trace"),
        (("--syscalls", "close"), "leaves nothing to trace"),  # the file leaves it out
    ],
)
def test_a_selection_that_is_refused(argv: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        keys(*argv)


def test_a_target_replaces_the_files() -> None:
    me = os.getpid()
    assert keys("--pid", str(me))["pid"] == me
    by_thread = keys("--tid", str(me))
    assert by_thread["tid"] == me
    assert "pid" not in by_thread
    with_command = keys(command=["ls"])
    assert with_command["follow_forks"] is True
    assert not {"pid", "tid"} & with_command.keys()
    assert keys("-f")["follow_forks"] is True
    assert keys("--pairing", "user")["pairing"] == "user"


def test_a_filter_stands_in_front_of_every_consumer_of_calls() -> None:
    text = TRACE.replace('inputs = "kernel"', 'inputs = "calls"')
    text += '[stage.calls]\nuse = "./mine.py:Calls"\ninputs = "kernel"\n'
    (Path.cwd() / "mine.py").write_text(
        "from ior import CALLS, HALVES, Stage\n"
        "class Calls(Stage):\n"
        "    takes, gives = HALVES, {'out': CALLS}\n"
        "    def process(self, batch):\n"
        "        return None\n"
    )
    changed = overrides.apply(spec(text), args("--where", "ret < 0", "--where", "fd > 2"))
    feeds = [changed.nodes["csv"].inputs[0]]
    while feeds[-1] != "calls":
        feeds.append(changed.nodes[feeds[-1]].inputs[0])
    chosen = [changed.nodes[name].keys.get("where") for name in feeds[:-1]]
    assert sorted(map(str, chosen)) == ["fd > 2", "ret < 0"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_source_is_the_one_named_kernel_or_the_only_one_that_traces() -> None:
    assert overrides.bpf_source(spec()) == "kernel"
    assert overrides.bpf_source(spec(TRACE.replace("kernel", "probe"))) == "probe"
    second = '[stage.other]\ntype = "bpf"\n'
    assert overrides.bpf_source(spec(TRACE + second)) == "kernel"
    with pytest.raises(UsageError, match="2 sources, none of them named 'kernel'"):
        overrides.bpf_source(spec(TRACE.replace("kernel", "probe") + second))
    with pytest.raises(UsageError, match=r"trace\.toml has no source of type bpf"):
        overrides.bpf_source(spec(PIPELINE))


def test_a_capture_takes_the_place_of_the_source() -> None:
    Path("x.ior").touch()
    node = overrides.apply(spec(), args("--replay", "x.ior")).nodes["kernel"]
    assert (node.type, node.keys) == ("replay", {"path": str(Path.cwd() / "x.ior")})
    made = overrides.apply(spec(PIPELINE), args("--replay", "x.ior")).nodes["kernel"]
    assert (made.type, made.use) == ("replay", None)
    with pytest.raises(InputNotFound):
        overrides.apply(spec(), args("--replay", "gone.ior"))


CSV = '[stage.more]\ntype = "csv"\ninputs = "kernel"\n'


def test_output_goes_to_the_one_sink_that_writes_to_stdout() -> None:
    changed = overrides.apply(spec(), args("-o", "x.csv"))
    assert changed.nodes["csv"].keys["path"] == str(Path.cwd() / "x.csv")
    assert overrides.apply(spec(), args("-o", "-")).nodes["csv"].keys["path"] == "-"
    both = overrides.apply(spec(TRACE + CSV + 'path = "y.csv"\n'), args("-o", "x.csv"))
    assert both.nodes["csv"].keys["path"] == str(Path.cwd() / "x.csv")
    assert both.nodes["more"].keys["path"] == "y.csv"


def test_output_goes_to_the_only_sink_with_a_path() -> None:
    text = TRACE + '[stage.stats]\ntype = "stats"\ninputs = "kernel"\n'
    text = text.replace('type = "csv"\ninputs = "kernel"', 'type = "report"\nof = "stats"')
    changed = overrides.apply(spec(text), args("-o", "x.txt"))
    assert changed.nodes["csv"].keys["path"] == str(Path.cwd() / "x.txt")


def test_output_that_could_mean_two_sinks() -> None:
    with pytest.raises(UsageError, match=r"2 outputs \(csv, more\); use --set STAGE.path=x.csv"):
        overrides.apply(spec(TRACE + CSV), args("-o", "x.csv"))
    off = overrides.apply(spec(TRACE + CSV + "enabled = false\n"), args("-o", "x.csv"))
    assert off.nodes["csv"].keys["path"] == str(Path.cwd() / "x.csv")


def test_sinks_that_write_to_stdout() -> None:
    assert overrides.writes_to_stdout(spec()) == ["csv"]
    assert overrides.writes_to_stdout(overrides.apply(spec(), args("-o", "x"))) == []


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ((), "of pid 1, Ctrl-C to stop"),
        (("--set", "kernel.follow_forks=true"), "of pid 1 and its descendants, Ctrl-C to stop"),
        (("--syscalls", "read"), "tracing 1 syscall of pid 1,"),
        (("--syscalls", "read,write"), "tracing 2 syscalls of pid 1,"),
        (("--tid", str(os.getpid())), f"of tid {os.getpid()},"),
    ],
)
def test_the_line_that_says_what_is_traced(argv: tuple[str, ...], said: str) -> None:
    assert said in overrides.describe(overrides.apply(spec(), args(*argv)), None, None)


def test_the_line_for_every_process_and_a_time() -> None:
    everything = spec(TRACE.replace("pid = 1\n", ""))
    assert overrides.describe(everything, None, "5s").endswith(" of every process, for 5s")


def test_options_that_are_filters() -> None:
    changed = overrides.apply(
        spec(TRACE.replace('inputs = "kernel"', 'inputs = "pair"') + PAIR),
        args(
            "--comm",
            "dd",
            "--comm",
            'a"b',
            "--min-latency",
            "1.5ms",
            "--errors",
            "--where",
            "fd > 2",
        ),
    )
    found = {n.keys["where"] for n in changed.nodes.values() if n.type == "filter"}
    assert found == {r'comm in ["dd", "a\"b"]', "latency >= 1500000ns", "is_error", "fd > 2"}
    assert keys("--no-push-down")["push_down"] is False
    with pytest.raises(UsageError, match="--min-latency"):
        overrides.apply(spec(), args("--min-latency", "fast"))


def test_control_groups_of_a_capture_need_not_exist() -> None:
    (made := Path("x.ior")).touch()
    given = ("--cgroup", "a.slice/b\\x2dc/", "--cgroup", '/q"x', "--replay", "x.ior")
    changed = overrides.apply(spec(TRACE.replace('"kernel"', '"pair"') + PAIR), args(*given))
    made.unlink()
    found = [n.keys["where"] for n in changed.nodes.values() if n.type == "filter"]
    assert found == [r'cgroup under "/a.slice/b\\x2dc" or cgroup under "/q\"x"']
    with pytest.raises(UsageError, match="no control group 'no-such-group'"):
        overrides.apply(spec(), args("--cgroup", "no-such-group"))


PAIR = '[stage.pair]\ntype = "pair"\ninputs = "kernel"\n'


def test_rates_of_the_command_line_go_before_those_of_the_file() -> None:
    text = TRACE.replace("pid = 1", "pid = 1\nsample = { fs = 10, newfstat = 0, read = 0 }")

    def sample(*argv: str) -> dict[str, int]:
        found: dict[str, int] = (
            overrides.apply(spec(text), args(*argv)).nodes["kernel"].keys["sample"]
        )
        return found

    assert sample("--sample", "FS=3", "--sample", "fstat=5") == {"FS": 3, "fstat": 5, "read": 0}
    assert sample("--sample", "default=0")["default"] == 0
    # Who names a syscall wants its rows; one in N is the file's to say.
    assert sample("--syscalls", "fstat,read") == {"fs": 10}
    assert sample("--syscalls", "read", "--sample", "read=0")["read"] == 0
    assert sample("--syscalls", "/^read$/") == {"fs": 10, "newfstat": 0, "read": 0}


def test_a_rate_of_what_is_not_traced_is_refused() -> None:
    for name in ("futex", "Network", "close"):
        with pytest.raises(UsageError, match=f"--sample {name}: it is not traced"):
            keys("--sample", f"{name}=0")
    assert keys("--sample", "socket=0", "--syscalls", "socket")["sample"] == {"socket": 0}


def test_a_recording_takes_no_rates() -> None:
    with pytest.raises(UsageError, match="--replay and --sample do not go together"):
        options.check_target(args("--replay", "x.ior", "--sample", "read=0"))


@pytest.mark.parametrize("argv", [("--sample", "read=10"), ("--no-syscalls", "write"), ()])
@pytest.mark.parametrize(
    "selection",
    ["families = 5", "families = [3]", "exclude = 5", 'kinds = ["no-such"]', 'sample = "all"'],
)
def test_what_the_file_selects_wrongly_is_left_to_the_check_of_the_file(
    selection: str, argv: tuple[str, ...]
) -> None:
    pipeline = spec(f'version = 1\n[stage.kernel]\ntype = "bpf"\n{selection}\n')
    changed = overrides.apply(pipeline, args(*argv, command=["true"]))
    with pytest.raises(SpecError, match=rf"stage\.kernel\.{selection.split(maxsplit=1)[0]}"):
        build(changed)
