"""A directory with nodes of one's own, for pipelines that use them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx
from users_nodes import OWN_NODES

from ior.pipeline.spec import PipelineSpec, parse

HEAD = """
version = 1
[stage.kernel]
use = "./own.py:Src"
[stage.pair]
use = "./own.py:Pair"
inputs = "kernel"
"""


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., PipelineSpec]:
    """Return what parses a pipeline that starts with a source `kernel` and a stage `pair`."""
    (tmp_path / "own.py").write_text(OWN_NODES)

    def make(rest: str = "", head: str = HEAD) -> PipelineSpec:
        return parse(head + rest, directory=tmp_path, label="p.toml")

    return make


@pytest.fixture
def nothing_blocks() -> Iterator[None]:
    """Let a blocking call in the event loop raise: a graph has one loop for all its nodes."""
    with blockbuster_ctx():
        yield
