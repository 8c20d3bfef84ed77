"""What a pipeline.toml says, and how the command line changes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ior.errors import InputNotFound, SpecError, UsageError
from ior.pipeline.graph import build
from ior.pipeline.settings import Batching, Settings
from ior.pipeline.spec import Buffer, PipelineSpec, add_filter, load, parse, set_value

Own = Callable[..., PipelineSpec]

ISSUE = """
version = 1
[stage.kernel]
type = "bpf"
families = ["FS"]
[stage.pair]
type = "pair"
inputs = "kernel"
[stage.live]
type = "stream"
inputs = ["pair"]
buffer = { batches = 2, when_full = "drop_newest" }
[stage.report]
type = "report"
of = ["live"]
enabled = false
"""


def test_reserved_keys_are_apart_from_a_stages_own(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.toml"
    path.write_text(ISSUE)
    spec = load(path)
    assert (spec.version, spec.directory, spec.label) == (1, tmp_path, str(path))
    assert list(spec.nodes) == ["kernel", "pair", "live", "report"]
    assert spec.nodes["kernel"].keys == {"families": ["FS"]}
    assert spec.nodes["pair"].inputs == ("kernel",)
    assert spec.nodes["live"].buffer == Buffer(2, "drop_newest")
    assert spec.nodes["report"].of == ("live",)
    assert not spec.nodes["report"].enabled


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputNotFound, match=r"cannot read the pipeline .*no\.toml: No such file"):
        load(tmp_path / "no.toml")


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_bytes(b"version = 1 # \xff")
    with pytest.raises(SpecError, match=r"p\.toml:1:15: E102 byte 14 is not UTF-8"):
        load(tmp_path / "p.toml")


@pytest.mark.parametrize(
    ("assignment", "key", "value"),
    [
        ("kernel.ring_size=4KiB", "ring_size", "4KiB"),
        ("kernel.pid=12", "pid", 12),
        ('kernel.pid="12"', "pid", "12"),
        ("kernel.paused=true", "paused", True),
        ("kernel.rate=1.5", "rate", 1.5),
        ("kernel.syscalls=['read', 'write']", "syscalls", ["read", "write"]),
        ('kernel.where=comm == "dd"', "where", 'comm == "dd"'),
        ("kernel.path=/tmp/a b", "path", "/tmp/a b"),
        ("kernel.path=2024-01-01", "path", "2024-01-01"),
        ("kernel.path=", "path", ""),
        ("kernel.exclude.families=['Time']", "exclude", {"families": ["Time"]}),
    ],
)
def test_values_are_set(assignment: str, key: str, value: Any) -> None:
    spec = parse(ISSUE, directory=Path(), label="p.toml")
    changed = set_value(spec, assignment)
    assert changed.nodes["kernel"].keys[key] == value
    assert changed.nodes["kernel"].keys["families"] == ["FS"]
    assert key not in spec.nodes["kernel"].keys


def test_reserved_keys_are_set_too() -> None:
    spec = parse(ISSUE, directory=Path(), label="p.toml")
    assert set_value(spec, "live.buffer.batches=5").nodes["live"].buffer == Buffer(5, "drop_newest")
    assert set_value(spec, "live.inputs=pair.unmatched").nodes["live"].inputs == ("pair.unmatched",)
    assert set_value(spec, "report.enabled=true").nodes["report"].enabled


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("kernl.pid=1", "unknown stage 'kernl'; did you mean 'kernel'?"),
        ("kernel=1", "write STAGE.KEY=VALUE"),
        ("kernel.pid", "write STAGE.KEY=VALUE"),
        ("kernel.=1", "write STAGE.KEY=VALUE"),
        ("kernel.families.x=1", "'families' is not a table"),
        ("live.enabled=maybe", "key 'enabled': must be true or false; it is 'maybe'"),
        ("kernel.syscalls=[read", "not a TOML value: line 1, column 10"),
    ],
)
def test_what_cannot_be_set_is_an_error_of_usage(assignment: str, message: str) -> None:
    spec = parse(ISSUE, directory=Path(), label="p.toml")
    with pytest.raises(UsageError) as caught:
        set_value(spec, assignment)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"--set {assignment}: ")


def test_a_filter_comes_between_pairing_and_all_its_consumers(own: Own) -> None:
    spec = own(
        """
        [stage.where]
        use = "./own.py:small"
        inputs = "pair"
        [stage.stats]
        use = "./own.py:Stats"
        inputs = ["where", "pair.out"]
        [stage.odd]
        use = "./own.py:Keep"
        inputs = "pair.unmatched"
        """
    )
    changed = add_filter(spec, "latency >= 1ms")
    assert list(changed.nodes) == ["kernel", "pair", "where1", "where", "stats", "odd"]
    added = changed.nodes["where1"]
    assert (added.type, added.inputs, added.keys) == (
        "filter",
        ("pair",),
        {"where": "latency >= 1ms"},
    )
    assert changed.nodes["where"].inputs == ("where1",)
    assert changed.nodes["stats"].inputs == ("where", "where1")
    assert changed.nodes["odd"].inputs == ("pair.unmatched",)
    again = add_filter(changed, "pid == 1")
    assert again.nodes["where1"].inputs == ("where2",)
    assert again.nodes["where2"].inputs == ("pair",)


def test_a_filter_needs_calls(own: Own) -> None:
    spec = own(head='version = 1\n[stage.kernel]\nuse = "./own.py:Src"\n')
    with pytest.raises(UsageError, match=r"p\.toml makes no calls"):
        add_filter(spec, "pid == 1")


def test_the_run_as_a_whole_has_keys_too(own: Own) -> None:
    text = "[pipeline]\nmemory_mib = 64\ndrain_s = 1.5\nbatch = { max_calls = 512, max_ms = 5 }\n"
    settings = build(own(text)).settings
    assert settings == Settings(
        memory_mib=64, drain_s=1.5, abort_s=2, batch=Batching(max_calls=512, max_ms=5)
    )
    assert build(own()).settings == Settings()


@pytest.mark.parametrize(
    ("key", "names"),
    [("drian_s = 2", "drain_s"), ("drain_s = 0", "drain_s"), ("batch.max_calls = 99999", "16384")],
)
def test_a_key_of_the_run_that_is_wrong(own: Own, key: str, names: str) -> None:
    with pytest.raises(SpecError, match="pipeline") as caught:
        own(f"[pipeline]\n{key}\n")
    assert names in str(caught.value)
