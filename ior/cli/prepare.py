"""From a word and options on the command line to a checked graph."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from ior.cli import overrides, presets
from ior.errors import SpecError, UsageError
from ior.pipeline.graph import Graph, build
from ior.pipeline.spec import PipelineSpec, survey, survey_file


def read(named: str) -> PipelineSpec:
    """Return the pipeline that a word on the command line means.

    Raises InputNotFound if there is none, SpecError with all findings if it is not a pipeline.
    """
    spec = survey_named(named)
    if spec.findings:
        build(spec, files=True)
    return spec


def survey_named(named: str) -> PipelineSpec:
    """Return the pipeline that a word means as far as it can be read; `findings` say the rest.

    Raises InputNotFound if there is none, SpecError if it is no TOML.
    """
    path = presets.locate(named)
    if path is not None:
        return survey_file(path)
    return survey(presets.text(named), directory=Path.cwd(), label=f"preset {named}")


def prepare(named: str, args: Namespace, *, files: bool = True) -> tuple[PipelineSpec, Graph]:
    """Return the pipeline as the command line wants it, and its graph, checked.

    With `files` it is tried whether files can be read and written.
    Raises SpecError with all findings. What only the command line made wrong is an error of
    usage (exit 2), what is wrong in the file one of the pipeline (exit 78).
    """
    written = read(named)
    spec = overrides.apply(written, args)
    try:
        return spec, build(spec, files=files)
    except SpecError as error:
        if error.exit_code == SpecError.exit_code and spec != written and _checks(written):
            error.exit_code = UsageError.exit_code
        raise


def _checks(spec: PipelineSpec) -> bool:
    try:
        build(spec)
    except SpecError:
        return False
    return True
