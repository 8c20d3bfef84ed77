"""A pipeline as data: what a pipeline.toml says, before anything is made of it.

The reserved keys of a stage are parsed here, its own keys are left to its class (`check`).
A spec is a value: `set_value` and `add_filter` give a new one. Every error is one line that
names the file, the stage and the key.
"""

from __future__ import annotations

import datetime
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from ior.errors import InputNotFound, SpecError, UsageError
from ior.findings import Code, Finding, Problem, choice, dotted
from ior.findings import Path as At
from ior.pipeline import registry
from ior.pipeline.abc import Isolation, WhenFull
from ior.pipeline.checking import columns
from ior.pipeline.reading import toml
from ior.pipeline.reading.collector import Collector
from ior.pipeline.reading.convert import convert
from ior.pipeline.reading.environment import expand
from ior.pipeline.reading.places import Places
from ior.pipeline.reading.trials import Trial
from ior.pipeline.settings import Settings

DEFAULT_BATCHES = 8
_TABLES = ("version", "pipeline", "stage", "test")
_Struct = TypeVar("_Struct", bound=msgspec.Struct)


class Buffer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much waits in front of a node, and what happens when that is full.

    `batches` is how many may wait. Without `when_full` the type of the stage decides.
    """

    batches: Annotated[int, msgspec.Meta(ge=1)] = DEFAULT_BATCHES
    when_full: WhenFull | None = None


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where rows go that a stage failed at: `NAME.PORT`, an output port of its own.

    At the error number `stop_after` the stage fails.
    """

    route: str
    stop_after: Annotated[int, msgspec.Meta(ge=1)] | None = None


OnError = Literal["fail", "drop"] | Route
"""What an error at a batch means: the stage fails, or the batch is left out or routed."""


def error_port(on_error: OnError) -> str | None:
    """Return the name of the port that errors are routed to, None where they are not."""
    return None if isinstance(on_error, str) else on_error.route.rpartition(".")[2]


class Reserved(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that mean the same in every stage.

    `type` names a built-in stage, `use` one of your own. `inputs` are the stages whose rows
    it takes, `NAME` or `NAME.port`. `of` are the stages whose snapshots it shows. `buffer` is
    what waits in front of it. `on_error` is what its failure does. `isolation` is where it
    runs. `enabled = false` leaves it out.
    """

    type: str | None = None
    use: str | None = None
    inputs: str | list[str] = []
    of: str | list[str] = []
    buffer: Buffer | None = None
    on_error: OnError = "fail"
    isolation: Isolation | None = None
    enabled: bool = True


RESERVED = Reserved.__struct_fields__


class NodeSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One `[stage.NAME]`: the reserved keys, and the node's own in `keys`."""

    name: str
    type: str | None = None
    use: str | None = None
    inputs: tuple[str, ...] = ()
    of: tuple[str, ...] = ()
    buffer: Buffer | None = None
    on_error: OnError = "fail"
    isolation: Isolation | None = None
    enabled: bool = True
    keys: dict[str, Any] = {}
    flawed: tuple[str, ...] = ()  # reserved keys that could not be parsed

    def table(self) -> dict[str, Any]:
        """Return the TOML table that parses to this."""
        table = {key: getattr(self, key) for key in RESERVED}
        table |= {"inputs": list(self.inputs), "of": list(self.of)}
        if self.buffer is not None:
            table["buffer"] = msgspec.to_builtins(self.buffer)
            table["buffer"] = {k: v for k, v in table["buffer"].items() if v is not None}
        if not isinstance(self.on_error, str):
            table["on_error"] = msgspec.to_builtins(self.on_error)
            table["on_error"] = {k: v for k, v in table["on_error"].items() if v is not None}
        return {key: value for key, value in table.items() if value is not None} | self.keys


class PipelineSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A whole pipeline. `label` is what messages call it, `directory` where its paths start.

    `places` index the text that it comes from; `said` names, for what the text does not say,
    the option that did. `findings` are what was wrong with the text. `tests` are the
    `[[test]]` tables that could be read, by their number.
    """

    version: int
    nodes: dict[str, NodeSpec]
    directory: Path
    label: str
    settings: Settings = Settings()
    tests: dict[int, Trial] = {}
    places: Places = Places()
    said: dict[At, str] = {}
    findings: tuple[Finding, ...] = ()


def load(path: Path) -> PipelineSpec:
    """Read a pipeline from a file.

    Raises InputNotFound if it cannot be read, SpecError if it cannot be parsed.
    """
    return _strict(survey_file(path))


def parse(text: str, *, directory: Path, label: str) -> PipelineSpec:
    """Parse the text of a pipeline.toml. Raises SpecError, with all it found in `findings`."""
    return _strict(survey(text, directory=directory, label=label))


def _strict(spec: PipelineSpec) -> PipelineSpec:
    if spec.findings:
        raise SpecError.found(spec.findings)
    return spec


def survey_file(path: Path) -> PipelineSpec:
    """Read a pipeline from a file; as `survey`.

    Raises InputNotFound if it cannot be read, SpecError if it is no text or no TOML.
    """
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start)
        column = error.start - (raw.rfind(b"\n", 0, error.start) + 1)
        message = f"byte {error.start} is not UTF-8"
        help_ = "a pipeline is a text in UTF-8"
        place = str(path), line + 1, column + 1
        raise SpecError.found([Finding(*place, Code.NOT_TEXT, "", message, help_)]) from error
    except OSError as error:
        raise InputNotFound(f"cannot read the pipeline {path}: {error.strerror}") from error
    return survey(text, directory=path.parent, label=str(path))


def survey(text: str, *, directory: Path, label: str) -> PipelineSpec:
    """Parse as much of a text as can be parsed; what is wrong with the rest is in `findings`.

    Raises SpecError only for what is no TOML.
    """
    document = toml.read(text, label)
    places = Places(text)
    collector = Collector(label, places)
    document = expand(document, os.environ, lambda p: collector.add(p, (), _at(document, p.keys)))
    for key in [key for key in document if key not in _TABLES]:
        what = "table" if isinstance(document[key], (dict, list)) else "key"
        help_ = choice(key, _TABLES)
        collector.say(Code.UNKNOWN_TABLE, (key,), f"unknown {what} '{key}'", help_, at_key=True)
    _version(document.get("version"), collector)
    tables = document.get("stage", {})
    if not isinstance(tables, dict) or not tables:
        help_ = 'a pipeline has a source and at least one stage: [stage.kernel], type = "bpf"'
        collector.say(
            Code.NO_STAGE, ("stage",) if tables else (), "there is no [stage.NAME]", help_
        )
        tables = {}
    nodes = {}
    for name, table in tables.items():
        nodes[name] = _node(name, table, collector)
    settings = _converted(document.get("pipeline", {}), Settings, ("pipeline",), collector)
    spec = PipelineSpec(
        version=1,
        nodes=nodes,
        directory=directory,
        label=label,
        settings=settings or Settings(),
        tests=_trials(document.get("test", []), collector),
        places=places,
    )
    return msgspec.structs.replace(spec, findings=tuple(collector.sorted()))


def _converted(
    table: object, struct: type[_Struct], at: At, collector: Collector
) -> _Struct | None:
    """Return a table as a struct, None where something is wrong with it."""
    if not isinstance(table, dict):
        name = dotted(at)
        collector.say(Code.WRONG_TYPE, at, f"'{name}' must be a table", f"write [{name}]")
        return None
    try:
        converted: _Struct = convert(table, struct)
    except SpecError as error:
        for problem in error.problems:
            collector.add(problem, at)
        return None
    return converted


def _trials(tables: object, collector: Collector) -> dict[int, Trial]:
    """Parse the `[[test]]` tables."""
    if not isinstance(tables, list):
        message = "tests are tables of their own"
        collector.say(Code.WRONG_TYPE, ("test",), message, "head each with [[test]]")
        return {}
    found = {n: _converted(t, Trial, ("test", n), collector) for n, t in enumerate(tables)}
    return {number: trial for number, trial in found.items() if trial is not None}


def _node(name: str, table: object, collector: Collector) -> NodeSpec:
    """Parse as much of a stage's table as can be parsed."""
    try:
        return parse_node(name, table)
    except SpecError as error:
        for problem in error.problems:
            collector.add(problem, ("stage", name))
        flawed = {str(problem.keys[0]) for problem in error.problems if problem.keys}
    if not flawed or not isinstance(table, dict):
        return NodeSpec(name=name, flawed=RESERVED)
    whole = parse_node(name, {k: v for k, v in table.items() if k not in flawed})
    return msgspec.structs.replace(whole, flawed=tuple(flawed))


def _version(version: object, collector: Collector) -> None:
    help_ = "write version = 1 at the top"
    if version is None:
        collector.say(Code.VERSION, (), "the version is missing", help_)
    elif type(version) is not int or version != 1:
        message = f"version {version!r} is not known"
        collector.say(Code.VERSION, ("version",), message, f"this ior reads version 1; {help_}")


def _at(value: Any, keys: At) -> object:
    for key in keys:
        value = value[key]
    return value


def parse_node(name: str, table: object) -> NodeSpec:
    """Parse one stage's table. Raises SpecError with a message that does not name the stage."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        message = f"{name!r} cannot be a stage's name"
        help_ = "a stage's name has only letters, digits, '_' and '-'"
        raise SpecError.of([Problem(Code.STAGE_NAME, message, help_, at_key=True)])
    if not isinstance(table, dict):
        message = f"'{name}' must be a table"
        raise SpecError(message, code=Code.NO_STAGE, hint=f"write [stage.{name}]")
    reserved = convert({k: v for k, v in table.items() if k in RESERVED}, Reserved)
    given = msgspec.structs.asdict(reserved)
    for key in ("inputs", "of"):
        value = given[key]
        given[key] = (value,) if isinstance(value, str) else tuple(value)
    own = {key: value for key, value in table.items() if key not in RESERVED}
    return NodeSpec(name=name, keys=own, **given)


def set_value(spec: PipelineSpec, assignment: str) -> PipelineSpec:
    """Return the spec with one key set: `STAGE.KEY=VALUE`, `STAGE.KEY.KEY=VALUE` in a table.

    VALUE is TOML; what is not is taken as text. Raises UsageError for an unknown stage and
    for what cannot be set.
    """
    left, equals, value = assignment.partition("=")
    name, *keys = (part.strip() for part in left.split("."))
    if not equals or not keys or not all((name, *keys)):
        raise UsageError(f"--set {assignment}: write STAGE.KEY=VALUE")
    if name not in spec.nodes:
        raise UsageError(f"--set {assignment}: {registry.unknown('stage', name, spec.nodes)}")
    table = place = spec.nodes[name].table()
    for key in keys[:-1]:
        below = place.get(key, {})
        if not isinstance(below, dict):
            raise UsageError(f"--set {assignment}: '{key}' is not a table")
        place[key] = place = dict(below)
    try:
        place[keys[-1]] = _value(value.strip())
        node = parse_node(name, table)
    except SpecError as error:
        raise UsageError(f"--set {assignment}: {error}") from error
    said = spec.said | {("stage", name, *keys): f"--set {assignment}"}
    return msgspec.structs.replace(spec, nodes=spec.nodes | {name: node}, said=said)


def _value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError as error:
        if text.startswith(("[", "{")):
            raise SpecError(f"not a TOML value: {toml.place_first(str(error))}") from error
        return text
    value = parsed["value"]
    dated = isinstance(value, (datetime.date, datetime.time))
    return text if dated or len(parsed) > 1 else value


def add_filter(spec: PipelineSpec, where: str) -> PipelineSpec:
    """Return the spec with a filter between whatever makes calls and all its consumers.

    What makes calls is every stage that takes halves and gives calls on its first port, as
    `pair` does. Raises UsageError if there is none.
    """
    nodes: dict[str, NodeSpec] = {}
    said = dict(spec.said)
    behind: dict[str, str] = {}
    for name, node in spec.nodes.items():
        nodes[name] = node
        port = calls_port(spec, node)
        if port is None:
            continue
        taken = spec.nodes.keys() | nodes.keys()
        free = (f"where{i}" if i else "where" for i in range(len(taken) + 1))
        added = next(candidate for candidate in free if candidate not in taken)
        nodes[added] = NodeSpec(name=added, type="filter", inputs=(name,), keys={"where": where})
        said["stage", added] = f"--where {where}"
        behind |= {name: added, f"{name}.{port}": added}
    if not behind:
        raise UsageError(f"{spec.label} makes no calls that a filter could choose from")
    for name in spec.nodes:
        inputs = tuple(behind.get(word, word) for word in nodes[name].inputs)
        nodes[name] = msgspec.structs.replace(nodes[name], inputs=inputs)
    return msgspec.structs.replace(spec, nodes=nodes, said=said)


def calls_port(spec: PipelineSpec, node: NodeSpec) -> str | None:
    """Return the first port of a node that makes calls of halves, None for any other node."""
    if not node.enabled or not (node.type or node.use):
        return None
    try:
        cls = registry.resolve(node.type, node.use, spec.directory)
    except SpecError as error:
        raise SpecError(f"{spec.label}: stage '{node.name}': {error}") from error
    return next(iter(columns.declared(cls))) if columns.makes_calls(cls) else None
