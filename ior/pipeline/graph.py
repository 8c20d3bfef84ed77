"""A graph of nodes that were made and not started.

`build` makes one from a spec; `ior.testing.graph` makes one from nodes. A graph is inert:
channels, tasks and files come with `ior.pipeline.run.Run`.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ior.pipeline.check import Member, check
from ior.pipeline.settings import Settings
from ior.pipeline.spec import PipelineSpec


class Graph(NamedTuple):
    """Members by name, producers before their consumers; relative paths are `directory`'s."""

    members: dict[str, Member]
    directory: Path
    settings: Settings = Settings()


def build(spec: PipelineSpec) -> Graph:
    """Check a pipeline and make its nodes; nothing is opened or attached.

    Raises SpecError naming the stage and the key, with all findings in `findings`, and
    InputNotFound where the only thing wrong is a file to read that does not exist.
    """
    return Graph(check(spec), spec.directory, spec.settings)
