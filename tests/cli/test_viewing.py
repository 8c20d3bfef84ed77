"""Options of `ior tui` about the view itself."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

import pytest

from ior.cli import overrides, tui, viewing
from ior.cli.prepare import prepare, read
from ior.errors import SpecError, UsageError
from ior.pipeline.spec import parse
from ior.stages.flamegraph import WEIGHTS


def args(*argv: str) -> Namespace:
    parser = ArgumentParser()
    tui.Tui().configure(parser)
    asked = parser.parse_args(argv)
    asked.command = None
    return asked


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        (["500000"], {"rows": 500_000}),
        (["5_000"], {"rows": 5000}),
        (["64MiB"], {"rows": 0, "mib": 64}),
        (["1.5GiB"], {"rows": 0, "mib": 1536}),
        (["10kB"], {"rows": 0, "mib": 1}),
        (["1MiB", "7"], {"rows": 7, "mib": 1}),
        (["7", "1000001B"], {"rows": 7, "mib": 1}),
    ],
)
def test_what_is_retained(given: list[str], keys: dict[str, int]) -> None:
    argv = [word for value in given for word in ("--retain", value)]
    spec = overrides.apply(read("tui"), args("--demo", *argv))
    kept = spec.nodes["stream"].keys
    assert {name: kept[name] for name in keys} == keys


@pytest.mark.parametrize("value", ["0", "many", "5 parsecs", "-3", ""])
def test_what_is_neither_a_number_nor_a_size(value: str) -> None:
    with pytest.raises(UsageError, match="--retain"):
        tui.check(args(f"--retain={value}"))


def test_the_flamegraph_of_one_run() -> None:
    asked = args("--demo", "--stack", "path, syscall", "--weight", "bytes")
    spec, _ = prepare("tui", asked)
    assert spec.nodes["flame"].keys == {"stack": ["path", "syscall"], "weight": "bytes"}


def test_a_wrong_frame_is_an_error_of_usage() -> None:
    with pytest.raises(SpecError, match="colour") as caught:
        prepare("tui", args("--demo", "--stack", "comm,colour"))
    assert caught.value.exit_code == 2


def test_every_weight_can_be_asked_for() -> None:
    assert tuple(WEIGHTS) == viewing.WEIGHTS


@pytest.mark.parametrize("ms", ["0", "19", "-250", "60001"])
def test_a_picture_is_not_taken_all_the_time_nor_never(ms: str) -> None:
    with pytest.raises(UsageError, match="20 to 60000 ms"):
        tui.check(args(f"--refresh={ms}"))


@pytest.mark.parametrize("option", [("--retain", "7"), ("--stack", "comm"), ("--weight", "gap")])
def test_options_need_the_stage_that_they_are_about(option: tuple[str, str]) -> None:
    text = 'version = 1\n[stage.kernel]\ntype = "synthetic"\n'
    spec = parse(text, directory=Path(), label="mine.toml")
    with pytest.raises(UsageError, match=f"{option[0]}: mine.toml has no stage of type"):
        overrides.apply(spec, args(*option))
