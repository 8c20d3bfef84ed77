"""Stages of a user's own, by `use`: functions and classes in a file or a module."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ior.errors import StageFailed
from ior.pipeline.graph import build
from ior.pipeline.ledger import Ledger
from ior.pipeline.run import Run
from ior.pipeline.spec import PipelineSpec, parse

pytestmark = pytest.mark.anyio
Own = Callable[..., PipelineSpec]


def through(name: str) -> str:
    return f"""
    [stage.mine]
    use = "./own.py:{name}"
    inputs = "pair"
    [stage.keep]
    use = "./own.py:Keep"
    inputs = "mine"
    """


async def ran(spec: PipelineSpec) -> tuple[Ledger, dict[str, Any]]:
    graph = build(spec)
    ledger = await Run(graph).run()
    return ledger, {name: member.node for name, member in graph.members.items()}


@pytest.mark.parametrize(
    ("function", "out", "filtered", "made"),
    [("small", 10, 30, 0), ("nothing", 0, 40, 0), ("double", 80, 0, 40)],
)
async def test_the_difference_that_a_function_makes_is_booked(
    own: Own, function: str, out: int, filtered: int, made: int
) -> None:
    ledger, nodes = await ran(own(through(function)))
    books = ledger.stages["mine"]
    assert (books.in_, books.out["out"], books.filtered, books.made) == (40, out, filtered, made)
    assert ledger.closed
    assert sum(map(len, nodes["keep"].kept)) == out


async def test_a_function_that_gives_no_batch_fails_the_run(own: Own) -> None:
    with pytest.raises(StageFailed, match="stage 'mine': TypeError: the function gave int, not a"):
        await ran(own(through("wrong")))


async def test_a_class_has_its_own_keys(own: Own) -> None:
    spec = own('[stage.k2]\nuse = "./own.py:Src"\nrows = 3\n' + through("Stats"))
    with pytest.raises(ValueError, match="input 'mine' gives no rows"):
        build(spec)
    ledger, nodes = await ran(
        own('[stage.k2]\nuse = "./own.py:Src"\nrows = 3\n' + through("small"))
    )
    assert ledger.stages["k2"].out == {"out": 6}
    assert nodes["pair"].config.max_pending == 10


async def test_stages_of_one_file_share_its_module(own: Own) -> None:
    graph = build(own(through("small")))
    modules = {type(member.node).__module__ for member in graph.members.values()}
    assert len(modules) == 1


async def test_a_changed_file_is_read_again(tmp_path: Path, own: Own) -> None:
    first = build(own(through("small"))).members["keep"].node
    own_file = tmp_path / "own.py"
    own_file.write_text(own_file.read_text().replace('path: str = "-"', 'path: str = "new"'))
    spec = parse(
        'version = 1\n[stage.k]\nuse = "./own.py:Src"\n'
        '[stage.keep]\nuse = "./own.py:Keep"\ninputs = "k"\n',
        directory=tmp_path,
        label="p.toml",
    )
    second = build(spec).members["keep"].node
    assert (first.config.path, second.config.path) == ("-", "new")


async def test_a_module_on_the_path_is_used(
    tmp_path: Path, own: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "on_the_path.py").write_text("def all_of_it(batch):\n    return batch\n")
    monkeypatch.syspath_prepend(tmp_path)
    spec = own(through("small"))
    spec = parse(
        "version = 1\n"
        '[stage.kernel]\nuse = "./own.py:Src"\n'
        '[stage.pair]\nuse = "./own.py:Pair"\ninputs = "kernel"\n'
        '[stage.mine]\nuse = "on_the_path:all_of_it"\ninputs = "pair"\n',
        directory=spec.directory,
        label="p.toml",
    )
    ledger, _ = await ran(spec)
    assert ledger.stages["mine"].out == {"out": 40}
