"""Pipelines that do not check: one clear line each, before anything is started."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ior.errors import FilterError, SpecError
from ior.pipeline.graph import build
from ior.pipeline.spec import PipelineSpec, parse, set_value

Own = Callable[..., PipelineSpec]

UNREADABLE = [
    ("version = 1\n[stage.kernel\n", "line 2, column 14: Expected ']'"),
    (
        "version = 2\n[stage.k]\ntype = 'bpf'\n",
        "version = 2 is not known; this ior reads version 1",
    ),
    ("[stage.k]\ntype = 'bpf'\n", "'version = 1' is missing at the top"),
    ("version = 1\n", "there is no [stage.NAME]"),
    (
        "version = 1\nstages = 1\n[stage.k]\ntype = 'bpf'\n",
        "unknown key 'stages'; did you mean 'stage'",
    ),
    ("version = 1\n[stage]\nkernel = 'bpf'\n", "stage 'kernel': must be a table, [stage.kernel]"),
    (
        "version = 1\n[stage.'a.b']\ntype = 'bpf'\n",
        "stage 'a.b': a stage's name has only letters, digits, '_' and '-'",
    ),
    (
        "version = 1\n[stage.k]\ntype = 3\n",
        "stage 'k': key 'type': expected str, got int",
    ),
    (
        "version = 1\n[stage.k]\ninputs = [1]\n",
        "stage 'k': key 'inputs[0]': expected str, got int",
    ),
    (
        "version = 1\n[stage.k]\nbuffer = { batches = 0 }\n",
        "stage 'k': key 'buffer.batches': expected int >= 1",
    ),
    (
        "version = 1\n[stage.k]\nbuffer = { when_full = 'drop' }\n",
        "stage 'k': key 'buffer.when_full': 'drop' is none of block, drop_newest, drop_oldest",
    ),
    (
        "version = 1\n[stage.k]\nbuffer = { batch = 1 }\n",
        "stage 'k': unknown key 'buffer.batch'; did you mean 'buffer.batches'?",
    ),
    (
        "version = 1\n[stage.k]\non_error = 'skip'\n",
        "stage 'k': key 'on_error': 'skip' is none of drop, fail",
    ),
    (
        "version = 1\n[stage.k]\nisolation = 'apart'\n",
        "stage 'k': key 'isolation': 'apart' is none of inline, process, thread",
    ),
]

UNCHECKED = [
    ("[stage.x]\ntype = 'flter'\n", "stage 'x': unknown type 'flter'; did you mean 'filter'?"),
    (
        "[stage.x]\ntype = 'zzz'\n",
        (
            "stage 'x': unknown type 'zzz'; the choices are bpf, synthetic, replay, pair, filter,"
            " stats, flamegraph, stream, csv, folded, report, capture"
        ),
    ),
    ("[stage.x]\ninputs = 'pair'\n", "stage 'x': 'type' is missing (or 'use', for"),
    (
        "[stage.x]\ntype = 'csv'\nuse = './own.py:Keep'\n",
        "stage 'x': 'type' and 'use' exclude each other",
    ),
    (
        "[stage.x]\nuse = './own.py:Sift'\ninputs = 'pair'\nwher = '1'\n",
        "stage 'x': unknown key 'wher'; did you mean 'where'?",
    ),
    (
        "[stage.x]\nuse = './own.py:Keep'\nimputs = 'pair'\n",
        "stage 'x': unknown key 'imputs'; did you mean 'inputs'?",
    ),
    ("[stage.x]\nuse = './own.py:Sift'\ninputs = 'pair'\n", "stage 'x': key 'where' is missing"),
    (
        "[stage.x]\nuse = './own.py:Sift'\ninputs = 'pair'\nwhere = 3\n",
        "stage 'x': key 'where': expected str, got int",
    ),
    (
        "[stage.x]\nuse = './own.py:Sift'\ninputs = 'pair'\nwhere = 'fd = 3'\n",
        "stage 'x': '=' is not an operator; write '=='",
    ),
    (
        "[stage.x]\nuse = './own.py:Pair'\ninputs = 'kernel'\nmode = 'fats'\n",
        "stage 'x': key 'mode': 'fats' is none of fast, slow",
    ),
    (
        "[stage.x]\nuse = './own.py:Pair'\ninputs = 'kernel'\nexclude = { kinds = 3 }\n",
        "stage 'x': key 'exclude[...]': expected array, got int",
    ),
    (
        "[stage.x]\nuse = './own.py:Keep'\ninputs = 'pare'\n",
        "stage 'x': unknown input 'pare'; did you mean 'pair'?",
    ),
    (
        "[stage.x]\nuse = './own.py:Keep'\ninputs = 'pair.unmached'\n",
        "stage 'x': input 'pair.unmached': unknown port 'unmached'; did you mean 'unmatched'?",
    ),
    ("[stage.x]\nuse = './own.py:Keep'\n", "stage 'x': key 'inputs' is missing"),
    (
        "[stage.x]\nuse = './own.py:Src'\ninputs = 'pair'\n",
        "stage 'x': key 'inputs': a source has no inputs",
    ),
    (
        "[stage.x]\nuse = './own.py:Src'\nbuffer = {}\n",
        "stage 'x': key 'buffer': it has no inputs to buffer",
    ),
    (
        "[stage.x]\nuse = './own.py:Keep'\ninputs = ['pair', 'pair.out']\n",
        "stage 'x': key 'inputs': 'pair.out' is named twice",
    ),
    (
        (
            "[stage.s]\nuse = './own.py:Stats'\ninputs = 'pair'\n"
            "[stage.x]\nuse = './own.py:Keep'\ninputs = 's'\n"
        ),
        "stage 'x': input 's' gives no rows",
    ),
    (
        "[stage.x]\nuse = './own.py:Stats'\ninputs = 'kernel'\n",
        "stage 'x': it takes calls, and 'kernel.out' gives halves; a stage of type 'pair' between",
    ),
    (
        "[stage.x]\nuse = './own.py:Pair'\ninputs = 'pair'\n",
        "stage 'x': it takes halves, and 'pair.out' gives calls",
    ),
    (
        "[stage.x]\nuse = './own.py:Pair'\ninputs = 'kernel'\nbuffer = {when_full='drop_oldest'}\n",
        "stage 'x': key 'buffer.when_full': rows may not be dropped between a source and pairing",
    ),
    (
        "[stage.x]\nuse = './own.py:Report'\n",
        "stage 'x': key 'of' is missing: name the stages that it looks at",
    ),
    (
        (
            "[stage.stats]\nuse = './own.py:Stats'\ninputs = 'pair'\n"
            "[stage.x]\nuse = './own.py:Report'\nof = 'stat'\n"
        ),
        "stage 'x': key 'of': unknown stage 'stat'; did you mean 'stats'?",
    ),
    (
        (
            "[stage.stats]\nuse = './own.py:Stats'\ninputs = 'pair'\n"
            "[stage.x]\nuse = './own.py:Report'\nof = ['stats', 'pair']\n"
        ),
        "stage 'x': key 'of': 'pair' has nothing to look at; those that have: stats",
    ),
    (
        (
            "[stage.x]\nuse = './own.py:Report'\nof = 'stats'\ninputs = 'pair'\n"
            "[stage.stats]\nuse = './own.py:Stats'\ninputs = 'pair'\n"
        ),
        "stage 'x': key 'inputs': it looks at stages, by 'of'",
    ),
    (
        "[stage.x]\nuse = './own.py:Keep'\ninputs = 'pair'\nof = 'pair'\n",
        "stage 'x': key 'of': it looks at no other stage",
    ),
    (
        (
            "[stage.stats]\nuse = './own.py:Stats'\ninputs = 'pair'\nenabled = false\n"
            "[stage.x]\nuse = './own.py:Report'\nof = 'stats'\n"
        ),
        "stage 'x': key 'of': none of the stages that it looks at is enabled",
    ),
    (
        (
            "[stage.off]\nuse = './own.py:small'\ninputs = 'pair'\nenabled = false\n"
            "[stage.x]\nuse = './own.py:Keep'\ninputs = 'off'\n"
        ),
        "stage 'x': input 'off' is not enabled",
    ),
    (
        (
            "[stage.x]\nuse = './own.py:small'\ninputs = ['pair', 'y']\n"
            "[stage.y]\nuse = './own.py:small'\ninputs = 'x'\n"
        ),
        "stage 'x': key 'inputs': rows go round: x <- y <- x",
    ),
    ("[stage.x]\nuse = './own.py'\n", "use = './own.py' must be 'FILE.py:NAME'"),
    ("[stage.x]\nuse = './gone.py:f'\n", "stage 'x': use = './gone.py:f': there is no file"),
    ("[stage.x]\nuse = './own.py:smal'\n", "unknown name 'smal'; did you mean 'small'?"),
    ("[stage.x]\nuse = './own.py:number'\n", "'./own.py:number' is neither a function nor a class"),
    ("[stage.x]\nuse = 'pathlib:Path'\n", "'pathlib:Path' is no Source, Stage or Sink"),
    ("[stage.x]\nuse = './own.py:Forgot'\n", "'./own.py:Forgot' lacks the method process"),
    ("[stage.x]\nuse = 'no_such_package:f'\n", "ModuleNotFoundError: No module named 'no_such_pa"),
]


@pytest.mark.parametrize(("text", "message"), UNREADABLE)
def test_what_cannot_be_read_is_one_line(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(text, directory=Path(), label="p.toml")
    assert str(caught.value).startswith(f"p.toml: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("rest", "message"), UNCHECKED)
def test_what_does_not_check_is_one_line(own: Own, rest: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        build(own(rest))
    assert message in str(caught.value)
    assert str(caught.value).startswith("p.toml: stage 'x': ")
    assert "\n" not in str(caught.value)


def test_a_graph_needs_a_source(own: Own) -> None:
    spec = own('version = 1\n[stage.a]\nuse = "./own.py:small"\ninputs = "a"\n', head="")
    with pytest.raises(SpecError) as caught:
        build(spec)
    assert "p.toml: there is no source (bpf, synthetic, replay)" in caught.value.findings


def test_all_findings_are_said(own: Own) -> None:
    spec = own(
        "[stage.x]\ntype = 'flter'\n[stage.y]\nuse = './own.py:Sift'\ninputs = 'kernl'\nwhere = ''"
    )
    with pytest.raises(SpecError) as caught:
        build(spec)
    assert caught.value.findings == (
        "p.toml: stage 'x': unknown type 'flter'; did you mean 'filter'?",
        "p.toml: stage 'y': unknown input 'kernl'; did you mean 'kernel'?",
    )


def test_a_wrong_filter_keeps_its_place(own: Own) -> None:
    spec = own("[stage.x]\nuse = './own.py:Sift'\ninputs = 'pair'\nwhere = 'fd = 3'\n")
    with pytest.raises(FilterError) as caught:
        build(spec)
    assert caught.value.caret() == "fd = 3\n   ^"
    assert caught.value.findings == (str(caught.value),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import os\n\nx = 1 / 0\n", "bad.py:3: ZeroDivisionError: division by zero"),
        ("def f(:\n", "bad.py:1: SyntaxError: invalid syntax"),
        ("import no_such_thing\n", "bad.py:1: ModuleNotFoundError: No module named"),
        ("import json\njson.loads('{')\n", "bad.py:2: JSONDecodeError: "),
        ("raise SystemExit(3)\n", "bad.py:1: SystemExit: 3"),
    ],
)
def test_a_file_that_does_not_import_names_its_line(
    own: Own, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "bad.py").write_text(text)
    with pytest.raises(SpecError) as caught:
        build(own("[stage.x]\nuse = './bad.py:f'\ninputs = 'pair'\n"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_graph_is_planned_producers_first(own: Own) -> None:
    spec = own(
        "[stage.rep]\nuse = './own.py:Report'\nof = ['stats', 'off']\n"
        "[stage.stats]\nuse = './own.py:Stats'\ninputs = 'late'\nbuffer = { batches = 3 }\n"
        "[stage.late]\nuse = './own.py:small'\ninputs = ['pair', 'pair.unmatched']\n"
        "[stage.off]\nuse = './own.py:Stats'\ninputs = 'pair'\nenabled = false\n"
    )
    with pytest.raises(SpecError, match=r"it takes calls, and .pair\.unmatched. gives halves"):
        build(spec)
    members = build(set_value(spec, "late.inputs=pair")).members
    order = list(members)
    assert order.index("pair") < order.index("late") < order.index("stats")
    assert "off" not in order
    assert members["rep"].of == ("stats",)
    assert (members["stats"].batches, members["stats"].when_full) == (3, "block")
    assert members["late"].batches == 8
