"""Pipelines that do not check: one clear line each, before anything is started."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ior.errors import SpecError
from ior.findings import Code
from ior.pipeline.graph import build
from ior.pipeline.spec import PipelineSpec, set_value

Own = Callable[..., PipelineSpec]


def test_a_graph_needs_a_source(own: Own) -> None:
    spec = own('version = 1\n[stage.a]\nuse = "./own.py:small"\ninputs = "a"\n', head="")
    with pytest.raises(SpecError) as caught:
        build(spec)
    assert [f.code for f in caught.value.findings] == [Code.NO_SOURCE, Code.CYCLE]


def test_all_findings_are_said(own: Own) -> None:
    spec = own(
        "[stage.x]\ntype = 'flter'\n[stage.y]\nuse = './own.py:Sift'\ninputs = 'kernl'\nwhere = ''"
    )
    with pytest.raises(SpecError) as caught:
        build(spec)
    assert [f"{f.line} {f.code} {f.where}" for f in caught.value.findings] == [
        "9 E301 stage.x.type",
        "12 E401 stage.y.inputs",
    ]


def test_a_wrong_filter_keeps_its_place(own: Own) -> None:
    spec = own("[stage.x]\nuse = './own.py:Sift'\ninputs = 'pair'\nwhere = 'fd = 3'\n")
    with pytest.raises(SpecError) as caught:
        build(spec)
    assert caught.value.findings[0].excerpt == "fd = 3\n   ^"
    assert (caught.value.findings[0].line, caught.value.findings[0].column) == (11, 13)


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
