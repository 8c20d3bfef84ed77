"""What is looked at once a graph is wired: memory, files, and what is there for nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ior.calls import Schema
from ior.errors import OutputError
from ior.expr import Predicate
from ior.expr.reason import never
from ior.findings import Code, Path
from ior.host.output import check_writable
from ior.pipeline.abc import Node, Sink, Source, answers
from ior.pipeline.checking import columns
from ior.pipeline.checking.member import Member
from ior.pipeline.reading.collector import Collector
from ior.pipeline.spec import NodeSpec, PipelineSpec, error_port

_MIB = 1 << 20
_WORDS = 5  # numbers in a cell of kind `words`


def batch_bytes(schema: Schema, rows: int) -> int:
    """Return what the columns of a batch of so many rows take."""
    cells = (
        np.dtype(column.dtype).itemsize * (_WORDS if column.kind == "words" else 1)
        for column in schema.columns
    )
    return rows * sum(cells)


def buffers(spec: PipelineSpec, members: Mapping[str, Member], collector: Collector) -> None:
    """Say where full buffers would take more than `memory_mib` of `[pipeline]`."""
    sizes: dict[str, int] = {}
    for name, member in members.items():
        for one in member.inputs:
            schema = members[one.node].gives.get(one.port)
            if schema is not None:
                size = member.batches * batch_bytes(schema, spec.settings.batch.max_calls)
                sizes[name] = sizes.get(name, 0) + size
    total = sum(sizes.values())
    if total <= spec.settings.memory_mib * _MIB:
        return
    largest = max(sizes, key=sizes.__getitem__)
    whole, part = math.ceil(total / _MIB), math.ceil(sizes[largest] / _MIB)
    allowed = spec.settings.memory_mib
    message = f"the buffers take up to {whole:,} MiB, and memory_mib allows {allowed:,}"
    help_ = f"lower buffer.batches of '{largest}' ({part:,} MiB), or allow memory_mib = {whole}"
    at: Path = ("stage", largest, "buffer", "batches")
    if ("pipeline", "memory_mib") in spec.places:
        at = ("pipeline", "memory_mib")
    collector.say(Code.MEMORY, at, message, help_)


def unused(
    specs: Mapping[str, NodeSpec],
    nodes: Mapping[str, Node],
    collector: Collector,
    *,
    complete: bool,
) -> None:
    """Warn of rows that nobody takes and results that nobody looks at.

    `complete` means that all stages are known. A pipeline without a sink is one for the
    terminal interface, which shows every result.
    """
    taken = {word.partition(".")[0] for spec in specs.values() for word in spec.inputs}
    ports = {word for spec in specs.values() for word in spec.inputs}
    looked = {name for spec in specs.values() for name in spec.of}
    if any("inputs" in spec.flawed or "of" in spec.flawed for spec in specs.values()):
        return  # who takes what is not known
    if not taken <= specs.keys() or not looked <= specs.keys():
        taken, looked = set(specs), set(specs)  # one that is misspelt may mean any
    shown = complete and any(isinstance(node, Sink) for node in nodes.values())
    for name, node in nodes.items():
        at = ("stage", name)
        route = error_port(specs[name].on_error)
        if route is not None and f"{name}.{route}" not in ports:
            help_ = f'name "{name}.{route}" in the inputs of a stage'
            message = f"nobody takes the errors that leave by '{route}'"
            collector.say(Code.UNUSED, (*at, "on_error", "route"), message, help_)
        if name in taken or name in looked:
            continue
        if columns.declared(node):
            message = "nobody takes its rows"
            collector.say(Code.UNUSED, at, message, f"name '{name}' in the inputs of a stage")
        elif shown and answers(node):
            message = "nobody looks at its result"
            help_ = f"name '{name}' in the 'of' of a report; `ior tui` shows it without"
            collector.say(Code.UNUSED, at, message, help_)


def filters(members: Mapping[str, Member], collector: Collector) -> None:
    """Warn of filters that keep nothing, whatever comes."""
    for name, member in members.items():
        predicate = getattr(member.node, "predicate", None)
        if not isinstance(predicate, Predicate) or member.takes is None:
            continue
        reason = never(predicate.tree, member.takes.columns)
        if reason is not None:
            message = f"the filter can never be true: {reason}"
            at = ("stage", name, "where")
            collector.say(Code.NEVER, at, message, "no call will pass; correct the condition")


def files(spec: PipelineSpec, nodes: Mapping[str, Node], collector: Collector) -> None:
    """Say which files cannot be written, would be written twice, or are not there to read."""
    writers: dict[str, str] = {}
    for name, node in nodes.items():
        for key in node.writes if isinstance(node, Sink) else ():
            path = str(getattr(node.config, key))
            other = writers.setdefault(_place(spec, path) or name, name)
            if other != name:
                message = f"'{other}' writes to '{path}' too"
                collector.say(Code.OUTPUT, ("stage", name, key), message, "name another file")
                continue
            try:
                check_writable(path, directory=spec.directory)
            except OutputError as error:
                message, _, help_ = str(error).partition("; ")
                help_ = help_ or "name a file in a directory that exists and that you may write to"
                collector.say(Code.OUTPUT, ("stage", name, key), message, help_)
        for key in node.reads if isinstance(node, Source) else ():
            path = str(getattr(node.config, key))
            if not (spec.directory / path).exists():
                help_ = "a relative path starts at the pipeline's directory"
                message = f"there is no file '{path}'"
                collector.say(Code.INPUT, ("stage", name, key), message, help_)


def _place(spec: PipelineSpec, path: str) -> str | None:
    """Return what two sinks cannot both write: a file or stdout, but not a device or a pipe."""
    if path == "-":
        return path
    whole = (spec.directory / path).resolve()
    return str(whole) if whole.is_file() or not whole.exists() else None
