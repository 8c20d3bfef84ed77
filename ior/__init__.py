"""Trace what every process asks of the Linux kernel, as columns, through a graph of stages.

This is the library's public face: what a stage of one's own and a program that runs a
pipeline need. The names are resolved when they are first used, so that `ior --help` does
not pay for numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:  # for type checkers and editors; a test compares it with the table
    from ior.calls import CALLS as CALLS
    from ior.calls import HALVES as HALVES
    from ior.calls import Batch as Batch
    from ior.calls import Column as Column
    from ior.calls import Flag as Flag
    from ior.calls import Origin as Origin
    from ior.calls import Schema as Schema
    from ior.errors import FilterError as FilterError
    from ior.errors import IorError as IorError
    from ior.errors import SpecError as SpecError
    from ior.expr import compile_filter as compile_filter
    from ior.names import FileState as FileState
    from ior.names import Names as Names
    from ior.pipeline.abc import Config as Config
    from ior.pipeline.abc import Context as Context
    from ior.pipeline.abc import Sink as Sink
    from ior.pipeline.abc import Source as Source
    from ior.pipeline.abc import Stage as Stage
    from ior.pipeline.forms import stage as stage
    from ior.pipeline.graph import build as build
    from ior.pipeline.ledger import Ledger as Ledger
    from ior.pipeline.run import Run as Run
    from ior.pipeline.spec import load as load
    from ior.pipeline.spec import parse as parse
    from ior.snapshots import Field as Field
    from ior.snapshots import Snapshot as Snapshot
    from ior.snapshots import Table as Table

PUBLIC = {
    "CALLS": "ior.calls",
    "HALVES": "ior.calls",
    "Batch": "ior.calls",
    "Column": "ior.calls",
    "Config": "ior.pipeline.abc",
    "Context": "ior.pipeline.abc",
    "Field": "ior.snapshots",
    "FileState": "ior.names",
    "FilterError": "ior.errors",
    "Flag": "ior.calls",
    "IorError": "ior.errors",
    "Ledger": "ior.pipeline.ledger",
    "Names": "ior.names",
    "Origin": "ior.calls",
    "Run": "ior.pipeline.run",
    "Schema": "ior.calls",
    "Sink": "ior.pipeline.abc",
    "Snapshot": "ior.snapshots",
    "Source": "ior.pipeline.abc",
    "SpecError": "ior.errors",
    "Stage": "ior.pipeline.abc",
    "Table": "ior.snapshots",
    "build": "ior.pipeline.graph",
    "compile_filter": "ior.expr",
    "load": "ior.pipeline.spec",
    "parse": "ior.pipeline.spec",
    "stage": "ior.pipeline.forms",
}
"""Where each public name lives."""


def __getattr__(name: str) -> object:
    if name not in PUBLIC:
        raise AttributeError(f"module 'ior' has no attribute '{name}'")
    value: object = getattr(import_module(PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*PUBLIC, "__version__"})
