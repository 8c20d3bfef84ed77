"""A graph of nodes that were made and not started.

`build` makes one from a spec; `ior.testing.graph` makes one from nodes. A graph is inert:
channels, tasks and files come with `ior.pipeline.run.Run`.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ior.errors import SpecError
from ior.findings import Finding
from ior.pipeline.check import examine
from ior.pipeline.checking.member import Member
from ior.pipeline.settings import Settings
from ior.pipeline.spec import PipelineSpec


class Graph(NamedTuple):
    """Members by name, producers before their consumers; relative paths are `directory`'s.

    `warnings` are what the checker found that keeps nothing from running.
    """

    members: dict[str, Member]
    directory: Path
    settings: Settings = Settings()
    warnings: tuple[Finding, ...] = ()


def build(spec: PipelineSpec, *, files: bool = False) -> Graph:
    """Check a pipeline and make its nodes; nothing is opened or attached.

    With `files` it is tried whether the files can be read and written that stages name.
    Raises SpecError with all findings in `findings`.
    """
    checked = examine(spec, files=files)
    if any(not finding.is_warning for finding in checked.findings):
        raise SpecError.found(checked.findings)
    return Graph(checked.members, spec.directory, spec.settings, tuple(checked.findings))
