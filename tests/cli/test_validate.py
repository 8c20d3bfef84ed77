"""`ior validate` and its options; what it finds is in tests/pipeline."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made import Invoke

from ior.cli import doctor

GOOD = """version = 1
[stage.kernel]
type = "bpf"
[stage.pair]
type = "pair"
inputs = "kernel"
[stage.rows]
type = "csv"
inputs = "pair"
"""
WARNED = GOOD + '[stage.stats]\ntype = "stats"\ninputs = "pair"\n'
OWN = GOOD + '[stage.own]\nuse = "./own.py:f"\ninputs = "pair"\n'


def test_one_that_is_right(ior: Invoke, folder: Path) -> None:
    (folder / "p.toml").write_text(GOOD)
    result = ior("validate", "p.toml")
    assert (result.code, result.out, result.err) == (0, "p.toml: ok\n", "")


def test_warnings_are_denied_on_request(ior: Invoke, folder: Path) -> None:
    (folder / "p.toml").write_text(WARNED)
    said = "p.toml:10:1: W101 stage.stats: nobody looks at its result\n"
    assert ior("validate", "p.toml").code == 0
    denied = ior("validate", "p.toml", "--deny-warnings")
    assert denied.code == 78
    assert denied.out.startswith(said)
    assert denied.out.endswith("p.toml: 1 warning\n")


def test_json_has_the_same_findings(ior: Invoke, folder: Path) -> None:
    (folder / "p.toml").write_text(WARNED.replace('"csv"', '"cvs"'))
    (folder / "q.toml").write_text("version = \n")
    result = ior("validate", "p.toml", "q.toml", "--format", "json")
    assert result.code == 78
    found = json.loads(result.out)
    assert [(f["file"], f["line"], f["column"], f["code"], f["severity"]) for f in found] == [
        ("p.toml", 8, 8, "E301", "error"),
        ("q.toml", 1, 11, "E101", "error"),
    ]
    assert found[0]["where"] == "stage.rows.type"
    assert found[0]["message"] == "unknown type 'cvs'"
    assert found[0]["help"] == "did you mean 'csv'?"
    (folder / "p.toml").write_text(GOOD)
    assert json.loads(ior("validate", "p.toml", "--format", "json").out) == []


def test_no_code_of_the_users_runs_unless_asked(ior: Invoke, folder: Path) -> None:
    (folder / "p.toml").write_text(OWN)
    (folder / "own.py").write_text("open('ran', 'w').close()\ndef f(batch): return batch\n")
    result = ior("validate", "p.toml")
    assert (result.code, (folder / "ran").exists()) == (0, False)
    assert "--load would check the keys and columns of 'own'" in result.out
    result = ior("validate", "p.toml", "--load")
    assert (result.code, (folder / "ran").exists()) == (0, True)
    assert "--load" not in result.out


MANY_NAMES = """\
import math
from pathlib import Path
import numpy as np
from ior import Stage, stage
from ior.pipeline.abc import Config

LIMIT = 5

class Settings(Config):
    limit: int = LIMIT

class Kept(Stage):
    def process(self, batch): ...

class Derived(Kept): ...

def now(): ...

def _hidden(batch): ...

if LIMIT:
    def halve(batch): ...

@stage(needs=("pid",))
def rated(batch): ...
"""


def test_what_can_be_seen_without_running_is(ior: Invoke, folder: Path) -> None:
    (folder / "p.toml").write_text(OWN)
    for text, said in {
        "def f(:\n": "E304 stage.own.use: cannot be imported: own.py:1: SyntaxError: invalid",
        "def ff(batch): ...\n": "E303 stage.own.use: './own.py' has no 'f'",
    }.items():
        (folder / "own.py").write_text(text)
        result = ior("validate", "p.toml")
        assert result.code == 78
        assert said in result.out
    (folder / "own.py").write_text(MANY_NAMES)
    for option in ((), ("--load",)):
        found = ior("validate", "p.toml", *option, "--format", "json").out
        assert [one["help"] for one in json.loads(found) if one["code"] == "E303"] == [
            "the choices are Kept, Derived, halve, rated"
        ]
    for text in (
        "from x import f\n",
        "if True:\n    f = 3\n",
        "from os import *\n",
        "g, f = 1, 2\n",
    ):
        (folder / "own.py").write_text(text)
        assert ior("validate", "p.toml").code == 0
    (folder / "p.toml").write_text(OWN.replace("./own.py:f", "no_such_package.part:f"))
    assert (
        "E303 stage.own.use: there is no package 'no_such_package'" in ior("validate", "p.toml").out
    )


def test_probe_names_what_the_host_lacks_and_who_needs_it(
    ior: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = [
        doctor.Finding("kernel", 0, "fine"),
        doctor.Finding("permission", 77, "CAP_BPF missing", "use: sudo ior"),
    ]
    monkeypatch.setattr(doctor, "findings", lambda: iter(lacking))
    (folder / "p.toml").write_text(GOOD)
    assert ior("validate", "p.toml").code == 0
    result = ior("validate", "p.toml", "--probe")
    assert result.code == 78
    assert result.out == (
        "p.toml:2:1: E603 stage.kernel: this host cannot trace: permission: CAP_BPF missing\n"
        "  help: use: sudo ior\n"
        "p.toml: 1 error\n"
    )
    (folder / "p.toml").write_text(GOOD.replace('"bpf"', '"synthetic"'))
    assert ior("validate", "p.toml", "--probe").code == 0


@pytest.mark.parametrize("preset", ["summary", "plain", "flame", "capture", "tui"])
def test_presets_have_nothing_to_warn_of(ior: Invoke, folder: Path, preset: str) -> None:
    assert ior("validate", preset, "--deny-warnings").out == f"{preset}: ok\n"


def test_run_says_the_same_before_anything_starts(ior: Invoke, folder: Path) -> None:
    (folder / "p.toml").write_text(GOOD.replace('"csv"', '"cvs"').replace("bpf", "bfp"))
    result = ior("run", "p.toml")
    assert (result.code, result.out) == (78, "")
    said = ior("validate", "p.toml").out
    assert said == f"{result.err}p.toml: 2 errors\n"


def test_what_an_option_says_wrongly_is_said_of_the_option(ior: Invoke, folder: Path) -> None:
    result = ior("run", "made.toml", "-q", "--set", "csv.columns=['seqq']")
    assert result.code == 2
    assert result.err.startswith("--set csv.columns=['seqq']: E410 stage.csv.columns: ")


def test_a_byte_order_mark_and_a_nest_of_lists(ior: Invoke, folder: Path) -> None:
    text = (folder / "made.toml").read_text()
    (folder / "bom.toml").write_text(text, encoding="utf-8-sig")
    assert ior("validate", "bom.toml").code == 0
    (folder / "deep.toml").write_text(f"x = {'[' * 5000}{']' * 5000}\n")
    result = ior("validate", "deep.toml")
    assert result.code == 78
    assert "deep.toml:1:1: E101 tables and lists are nested too deeply" in result.out
