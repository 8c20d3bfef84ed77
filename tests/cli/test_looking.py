"""Looking at pipelines without running them: `graph`, `stages`, `schema`."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from made import Invoke

from ior.calls import CALLS
from ior.cli import presets
from ior.pipeline import describe, registry
from ior.pipeline.reading.schema import json_schema

ROOT = Path(__file__).parents[2]
FILES = [*sorted((ROOT / "examples").rglob("*.toml")), ROOT / "bench/pipeline.toml"]

BRANCHED = """
version = 1
[stage.kernel]
type = "synthetic"
[stage.pair]
type = "pair"
inputs = "kernel"
[stage.rows]
type = "csv"
inputs = ["pair", "narrow"]
path = "rows.csv"
[stage.narrow]
type = "filter"
inputs = "pair"
where = "is_error"
buffer = { batches = 3, when_full = "drop_newest" }
[stage.stats]
type = "stats"
inputs = "narrow"
[stage.off]
type = "stats"
inputs = "narrow"
enabled = false
[stage.report]
type = "report"
of = "stats"
"""

TEXT = """\
kernel (synthetic)
└─ halves, 8 batches, block -> pair (pair)
   ├─ out: calls, 3 batches, drop_newest -> narrow (filter)
   │  ├─ calls, 8 batches, block -> rows (csv)
   │  └─ calls, 8 batches, block -> stats (stats)
   │     └─ shown by report
   ├─ out: calls, 8 batches, block -> rows (csv) (see above)
   └─ unmatched: unmatched, taken by nobody
report (report) shows stats
"""


@pytest.fixture
def branched(folder: Path) -> str:
    (folder / "b.toml").write_text(BRANCHED)
    return "b.toml"


def test_a_graph_as_text(ior: Invoke, branched: str) -> None:
    assert ior("graph", branched).out == TEXT


def test_a_graph_for_mermaid_and_dot(ior: Invoke, branched: str) -> None:
    mermaid = ior("graph", branched, "--format", "mermaid").out
    ids = dict(re.findall(r'(n\d+)[(\[/]+"(\w+)<br>', mermaid))
    edges = re.findall(r'(n\d+) -- "([^"]*)" --> (n\d+)', mermaid)
    drawn = {(ids[a], label, ids[b]) for a, label, b in edges}
    dot = ior("graph", branched, "--format", "dot").out
    assert set(re.findall(r'"(\w+)" -> "(\w+)" \[label="([^"]*)"\]', dot)) == {
        (a, b, label) for a, label, b in drawn
    }
    assert drawn == {
        ("kernel", "halves, 8 batches, block", "pair"),
        ("pair", "out: calls, 8 batches, block", "rows"),
        ("pair", "out: calls, 3 batches, drop_newest", "narrow"),
        ("narrow", "calls, 8 batches, block", "rows"),
        ("narrow", "calls, 8 batches, block", "stats"),
    }
    assert '"stats" -> "report" [style=dotted]' in dot
    assert mermaid.startswith("flowchart LR\n")
    assert "off" not in mermaid + dot


PUSHED = """\
version = 1
[stage]
kernel = { type = "bpf" }
pair = { type = "pair", inputs = "kernel" }
keep = { type = "filter", inputs = "pair", where = 'cgroup under "/a" and latency > 1s and fd > 2' }
stats = { type = "stats", inputs = "keep" }
"""


@pytest.mark.parametrize("format_", ["text", "mermaid", "dot"])
def test_a_graph_says_what_of_a_filter_the_kernel_applies(
    ior: Invoke, folder: Path, format_: str
) -> None:
    (folder / "p.toml").write_text(PUSHED)
    said = ior("graph", "p.toml", "--format", format_).out.replace("&quot;", '"')
    said = said.replace("&gt;", ">").replace('\\"', '"')
    assert re.search(r'(?<!not )in the kernel: cgroup under "/a" and latency > 1s\W', said)
    assert "not in the kernel: fd > 2" in said


RATES = "sample = { futex = 0, FS = 10, openat = 1 }"


@pytest.mark.parametrize("format_", ["text", "mermaid", "dot"])
def test_a_graph_says_how_many_calls_are_recorded(ior: Invoke, folder: Path, format_: str) -> None:
    sampled = PUSHED.replace('"bpf" }', f'"bpf", {RATES} }}')
    (folder / "p.toml").write_text(sampled)
    said = ior("graph", "p.toml", "--format", format_).out
    assert "recorded: futex counted only, FS 1 in 10, openat all" in said
    assert said.index("recorded: ") < said.index("in the kernel: ")
    (folder / "p.toml").write_text(PUSHED)
    assert "recorded" not in ior("graph", "p.toml", "--format", format_).out


def test_a_graph_says_what_becomes_of_options(ior: Invoke, folder: Path) -> None:
    given = ("--comm", "dd", "--min-latency", "1ms", "--where", "fd > 2", "--sample", "read=10")
    said = ior("graph", "plain", *given).out
    assert "├─ recorded: read 1 in 10\n" in said
    assert '├─ in the kernel: latency >= 1ms and comm in ["dd"]\n' in said
    assert "├─ not in the kernel: fd > 2\n" in said
    user = ior("graph", "plain", *given, "--pairing", "user").out
    assert "├─ not in the kernel: fd > 2 and latency >= 1ms\n" in user
    assert "in the kernel" not in ior("graph", "plain", *given, "--no-push-down").out
    wrong = ior("graph", "plain", "--where", "fd >")
    assert (wrong.code, wrong.out) == (2, "")
    assert ior("graph", "plain", "--syscalls", "raed").code == 2


def test_a_graph_that_does_not_check(ior: Invoke, folder: Path) -> None:
    (folder / "bad.toml").write_text(BRANCHED.replace('"narrow"]', '"narow"]'))
    result = ior("graph", "bad.toml")
    assert result.code == 78
    assert "narow" in result.err
    assert result.out == ""


def test_the_list_of_stages(ior: Invoke) -> None:
    out = ior("stages").out
    assert re.findall(r"^  (\w+)  ", out, re.MULTILINE) == list(registry.BUILTIN)
    assert [line for line in out.splitlines() if line in ("sources", "stages", "sinks")] == [
        "sources",
        "stages",
        "sinks",
    ]


def test_the_list_names_the_types_of_packages_without_importing_them(
    ior: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = folder / "others-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[ior.stages]\nkeeper = not_there_at_all:keep\n")
    monkeypatch.syspath_prepend(folder)
    result = ior("stages")
    assert result.code == 0
    assert "of installed packages\n  keeper  not_there_at_all:keep\n" in result.out


@pytest.mark.parametrize("name", registry.BUILTIN)
def test_every_key_is_on_its_stages_page(ior: Invoke, name: str) -> None:
    cls = registry.resolve(name, None, ROOT)
    out = ior("stages", name).out
    assert re.findall(r"^  (\w+): ", out, re.MULTILINE) == list(cls.Config.__struct_fields__)
    for schema in describe.ports(cls).values():
        for column in schema.columns:
            assert re.search(rf"^  {column.name} +{column.kind} +\S", out, re.MULTILINE)
    for key in describe.keys(cls.Config):
        assert f"`{key.name}" in key.doc, f"{name}: the docstring says nothing about {key.name}"


def test_a_page_says_types_defaults_and_bounds(ior: Invoke) -> None:
    pair = ior("stages", "pair").out
    assert "max_pending: int >= 1 (default 65536)" in pair
    assert "gives calls on the port 'out'" in pair
    assert "gives unmatched on the port 'unmatched'" in pair
    assert 'pairing: "kernel" | "user" (default "kernel")' in ior("stages", "bpf").out
    assert "where: text (required)" in ior("stages", "filter").out
    assert "takes snapshots" in ior("stages", "report").out


def test_a_stage_of_ones_own_has_a_page(ior: Invoke, folder: Path) -> None:
    out = ior("stages", "./nodes.py:Made").out
    assert "./nodes.py:Made (source): Gives batches of ten calls" in out
    assert "lost: int (default 0)" in out
    assert CALLS.columns[0].doc in out
    wrong = ior("stages", "stast")
    assert wrong.code == 2
    assert "did you mean 'stats'?" in wrong.err


def checked(text: str) -> list[str]:
    """Return what the schema has against a pipeline."""
    validator = jsonschema.Draft7Validator(json_schema())
    return [error.message for error in validator.iter_errors(tomllib.loads(text))]


def test_the_schema_is_one() -> None:
    jsonschema.Draft7Validator.check_schema(json_schema())


def test_the_command_prints_the_schema(ior: Invoke) -> None:
    assert msgspec.json.decode(ior("schema").out) == json_schema()


@pytest.mark.parametrize("name", presets.names())
def test_presets_are_valid(name: str) -> None:
    assert checked(presets.text(name)) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_examples_are_valid(path: Path) -> None:
    assert checked(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version = 1", "version = 2"),
        ("version = 1", "verison = 1"),
        ('type = "pair"', 'type = "piar"'),
        ('type = "pair"', 'type = "pair"\nmax_pending = 0'),
        ('type = "pair"', 'type = "pair"\nmax_pendign = 1'),
        ('type = "pair"', 'type = "pair"\nuse = "./x.py:f"'),
        ('where = "is_error"', ""),
        ('"drop_newest"', '"drop_any"'),
        ("batches = 3", 'batches = "3"'),
        ("[stage.off]", '[stage."o.f"]'),
        ("enabled = false", 'enabled = "no"'),
    ],
)
def test_the_schema_marks(old: str, new: str) -> None:
    assert checked(BRANCHED) == []
    assert old in BRANCHED
    assert checked(BRANCHED.replace(old, new)) != []


def test_a_stage_of_ones_own_has_any_keys_in_the_schema() -> None:
    own = 'version = 1\n[stage.a]\nuse = "./a.py:f"\nlevel = 3\ninputs = ["b"]\n'
    assert checked(own) == []
    assert checked(own.replace('["b"]', "3")) != []


def test_the_schema_describes_and_has_defaults() -> None:
    pair: dict[str, Any] = json_schema()["definitions"]["stage.pair"]["properties"]
    assert pair["max_pending"]["default"] == 65536
    assert "max_pending" in pair["max_pending"]["description"]
    assert json_schema()["definitions"]["stage.stats"]["properties"]["by"]["default"]
