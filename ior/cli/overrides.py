"""Apply the command line to a pipeline: target, selection, filter, output, single keys.

Everything here changes a spec, before anything is built; what the command line asks for
wrongly is a UsageError (exit 2), what the file says wrongly stays a SpecError (exit 78).
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

import msgspec

from ior import sampling, syscalls
from ior.cli import options, recorded, viewing
from ior.cli.options import SELECTION, words
from ior.errors import FilterError, InputNotFound, SpecError, UsageError
from ior.expr import compile_filter
from ior.host import procs
from ior.host.command import Command
from ior.pipeline import registry
from ior.pipeline.abc import Sink
from ior.pipeline.spec import NodeSpec, PipelineSpec, add_filter, set_value

SOURCE = "kernel"  # the name of the source that the options about tracing mean
_SELECTING = frozenset((*SELECTION, "exclude"))
DEMO_RATE = 20_000  # calls a second: lively, and no load worth the name


class _Selection(msgspec.Struct):
    """The keys of a source that select, as the file gives them."""

    families: list[str] = []
    kinds: list[str] = []
    syscalls: list[str] = []
    exclude: dict[str, list[str]] = {}


def apply(spec: PipelineSpec, args: Namespace) -> PipelineSpec:
    """Return the pipeline as the command line wants it.

    `args` has what `ior.cli.options` adds, and `command`. Raises UsageError, NoSuchTarget
    and InputNotFound.
    """
    if args.replay is not None:
        spec = replay(spec, args.replay)
    if getattr(args, "demo", False):
        spec = replace_source(spec, "synthetic", {"profile": "moving", "rate": DEMO_RATE})
    changes, selection = _source_changes(args), _selection(args)
    sample = dict(map(sampling.parse, args.sample or ()))
    if changes or selection or sample or args.command is not None:
        source = bpf_source(spec)
        keys = spec.nodes[source].keys
        changes |= _selected(keys, selection)
        changes |= _sampled(keys, keys | changes, selection.get("syscalls", []), sample)
        spec = with_keys(spec, source, changes)
        _check_follow(spec, args)
    for where in options.conditions(args):
        check_filter(where)
        spec = add_filter(spec, where)
    spec = viewing.applied(spec, args)
    for assignment in args.set:
        spec = set_value(spec, assignment)
    if args.replay is not None and recorded.holds_calls(args.replay):
        spec = recorded.without_pairing(spec)
    output = getattr(args, "output", None)
    return spec if output is None else output_to(spec, output)


def _check_follow(spec: PipelineSpec, args: Namespace) -> None:
    keys = spec.nodes[bpf_source(spec)].keys
    if args.follow_forks and args.command is None and not {"pid", "tid"} & keys.keys():
        raise UsageError("--follow-forks needs --pid, --tid or a command to follow")


def _source_changes(args: Namespace) -> dict[str, Any]:
    """Return the keys of the bpf source that the options set."""
    keys: dict[str, Any] = {}
    if args.pid is not None:
        procs.process(args.pid)
        keys |= {"pid": args.pid, "tid": None}
    if args.tid is not None:
        procs.thread(args.tid)
        keys |= {"tid": args.tid, "pid": None}
    if args.command is not None or getattr(args, "all", False):
        keys |= {"pid": None, "tid": None}
    if args.follow_forks or args.command is not None:
        keys["follow_forks"] = True
    if args.pairing is not None:
        keys["pairing"] = args.pairing
    if args.no_push_down:
        keys["push_down"] = False
    return keys


def _selection(args: Namespace) -> dict[str, list[str]]:
    """Return the words of the options that select, by their name; without those not given.

    Raises UsageError for a word that names nothing.
    """
    given: dict[str, list[str]] = {}
    for prefix in ("", "no_"):
        some = {name: words(getattr(args, prefix + name)) for name in SELECTION}
        if any(some.values()):
            syscalls.select(some["families"], some["kinds"], some["syscalls"])
            given |= {prefix + name: found for name, found in some.items()}
    return given


def _selected(keys: dict[str, Any], given: dict[str, list[str]]) -> dict[str, Any]:
    """Return the keys of the source that the options of selection change.

    What is asked for replaces what the file asks for; what is left out adds to what the file
    leaves out. Raises UsageError where nothing is left to trace.
    """
    if not _selects(keys):
        return {}
    changes: dict[str, Any] = {name: given[name] for name in SELECTION if name in given}
    if "no_syscalls" in given:
        old = keys.get("exclude", {})
        out = {name: [*old.get(name, ()), *given[f"no_{name}"]] for name in SELECTION}
        changes["exclude"] = {name: found for name, found in out.items() if found}
    if changes:
        chosen(keys | changes)
    return changes


def _selects(keys: dict[str, Any]) -> bool:
    """Tell whether the file's own selection is one; if not, whoever builds the graph says why."""
    try:
        msgspec.convert({name: keys[name] for name in keys if name in _SELECTING}, _Selection)
        chosen(keys)
    except (msgspec.ValidationError, UsageError):
        return False
    return True


def _sampled(
    keys: dict[str, Any], changed: dict[str, Any], named: list[str], sample: dict[str, int]
) -> dict[str, Any]:
    """Return the key `sample` of the source, if the command line changes it.

    A syscall that `--syscalls` names is recorded also where the file only counts it. Raises
    UsageError for a rate of what is not traced.
    """
    old = keys.get("sample", {})
    if not _selects(changed) or not _are_rates(old):
        return {}  # whoever builds the graph says what is wrong
    traced = chosen(changed)
    for name in sample:
        if not sampling.numbers(name) & traced:
            raise UsageError(f"--sample {name}: it is not traced; add it with --syscalls")
    table = syscalls.table()
    asked = {table.by_name[name].nr for name in named if name in table.by_name}
    kept = {
        name: rate
        for name, rate in old.items()
        if rate or name not in table.by_name or table.by_name[name].nr not in asked
    }
    rates = sampling.merged(kept, sample)
    return {} if rates == old else {"sample": rates}


def _are_rates(found: Any) -> bool:
    known = isinstance(found, dict) and all(type(rate) is int for rate in found.values())
    return known and not any(sampling.objections(found))


def chosen(keys: dict[str, Any]) -> frozenset[int]:
    """Return the numbers of the syscalls that a bpf source with these keys traces."""
    families, kinds, names = (keys.get(name, ()) for name in SELECTION)
    return syscalls.select(families, kinds, names, keys.get("exclude"))


def check_filter(where: str) -> None:
    """Raise FilterError, as an error of usage, for an expression that does not compile."""
    try:
        compile_filter(where)
    except FilterError as error:
        error.exit_code = UsageError.exit_code
        raise


def bpf_source(spec: PipelineSpec) -> str:
    """Return the name of the source that traces: `kernel`, or the only one of type bpf.

    Raises UsageError if there is none.
    """
    traces = [name for name, node in spec.nodes.items() if node.type == "bpf"]
    if SOURCE in traces:
        return SOURCE
    if len(traces) == 1:
        return traces[0]
    count = "no source" if not traces else f"{len(traces)} sources, none of them named '{SOURCE}',"
    raise UsageError(
        f"{spec.label} has {count} of type bpf: options about what to trace have no place to go"
    )


def with_keys(spec: PipelineSpec, name: str, keys: dict[str, Any]) -> PipelineSpec:
    """Return the pipeline with keys of one node set; a value of None removes the key."""
    node = spec.nodes[name]
    merged = {key: value for key, value in (node.keys | keys).items() if value is not None}
    return _with_node(spec, msgspec.structs.replace(node, keys=merged))


def _with_node(spec: PipelineSpec, node: NodeSpec) -> PipelineSpec:
    return msgspec.structs.replace(spec, nodes={**spec.nodes, node.name: node})


def replay(spec: PipelineSpec, capture: str) -> PipelineSpec:
    """Return the pipeline with its tracing source replaced by the replay of a capture.

    Raises InputNotFound if there is no such file.
    """
    path = Path(capture).absolute()
    if not path.exists():
        raise InputNotFound(f"no capture '{capture}'")
    return replace_source(spec, "replay", {"path": str(path)})


def replace_source(spec: PipelineSpec, type_: str, keys: dict[str, Any]) -> PipelineSpec:
    """Return the pipeline with its source replaced by one of another type.

    The source is the one named `kernel` whatever its type, or the only bpf source.
    """
    name = SOURCE if SOURCE in spec.nodes else bpf_source(spec)
    return _with_node(
        spec, msgspec.structs.replace(spec.nodes[name], type=type_, use=None, keys=keys)
    )


def writes_to_stdout(spec: PipelineSpec) -> list[str]:
    """Return the names of the enabled sinks whose `path` is `-`, given or by default."""
    return [name for name, path in _paths(spec).items() if path == "-"]


def _paths(spec: PipelineSpec) -> dict[str, object]:
    """Return the enabled sinks that have a path, and it."""
    found = {name: _path(spec, node) for name, node in spec.nodes.items()}
    return {name: path for name, path in found.items() if path is not None}


def _path(spec: PipelineSpec, node: NodeSpec) -> object:
    """Return where a sink writes; None for other nodes and for sinks without a path."""
    if not node.enabled:
        return None
    try:
        cls = registry.resolve(node.type, node.use, spec.directory)
    except SpecError:
        return None  # whoever builds the graph says it, with the stage's name
    if not issubclass(cls, Sink):
        return None
    defaults = {field.name: field.default for field in msgspec.structs.fields(cls.Config)}
    if "path" not in defaults:
        return None
    return node.keys.get("path", defaults["path"])


def output_to(spec: PipelineSpec, path: str) -> PipelineSpec:
    """Return the pipeline with its one output going to `path`.

    That is the only sink that writes to stdout or, where none does, the only one with a
    path. Raises UsageError if there is no such sink, or more than one.
    """
    sinks = writes_to_stdout(spec) or list(_paths(spec))
    if len(sinks) != 1:
        has = f"{len(sinks)} outputs ({', '.join(sinks)})" if sinks else "no output"
        raise UsageError(f"-o: {spec.label} has {has}; use --set STAGE.path={path}")
    absolute = path if path == "-" else str(Path(path).absolute())
    return with_keys(spec, sinks[0], {"path": absolute})


def describe(spec: PipelineSpec, command: Command | None, duration: str | None) -> str:
    """Return the line that says what a run does once it has started."""
    unit = " s" if duration and duration[-1].isdigit() else ""
    until = f"for {duration}{unit}" if duration else "Ctrl-C to stop"
    traces = [node for node in spec.nodes.values() if node.type == "bpf" and node.enabled]
    if len(traces) != 1:
        return f"running {spec.label}, {until}"
    numbers = chosen(traces[0].keys)
    count, rates = len(numbers), sampling.rates(traces[0].keys.get("sample", {}))
    counted = sum(rates.get(nr) == 0 for nr in numbers)
    only = f" ({counted} counted only)" if counted else ""
    return f"tracing {count} syscall{'s' * (count != 1)}{only} of {whom(spec, command)}, {until}"


def whom(spec: PipelineSpec, command: Command | None) -> str:
    """Return whom a pipeline traces, for people; the pipeline's own name if it does not trace."""
    traces = [node for node in spec.nodes.values() if node.type == "bpf" and node.enabled]
    if len(traces) != 1:
        return spec.label
    keys = traces[0].keys
    if command is not None:
        target = f"'{command.name}' (pid {command.pid})"
    elif "pid" in keys or "tid" in keys:
        target = f"pid {keys['pid']}" if "pid" in keys else f"tid {keys['tid']}"
    else:
        return "every process"
    return f"{target} and its descendants" if keys.get("follow_forks") else target
