"""A pipeline as data: what a pipeline.toml says, before anything is made of it.

The reserved keys of a stage are parsed here, its own keys are left to its class (`check`).
A spec is a value: `set_value` and `add_filter` give a new one. Every error is one line that
names the file, the stage and the key.
"""

from __future__ import annotations

import datetime
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from ior.errors import InputNotFound, SpecError, UsageError
from ior.pipeline import columns, registry
from ior.pipeline.abc import Isolation, WhenFull
from ior.pipeline.settings import Settings
from ior.pipeline.trials import Trial

DEFAULT_BATCHES = 8
_TABLES = ("version", "pipeline", "stage", "test")


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

    `tests` are the `[[test]]` tables.
    """

    version: int
    nodes: dict[str, NodeSpec]
    directory: Path
    label: str
    settings: Settings = Settings()
    tests: tuple[Trial, ...] = ()


def load(path: Path) -> PipelineSpec:
    """Read a pipeline from a file.

    Raises InputNotFound if it cannot be read, SpecError if it cannot be parsed.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpecError(f"{path.name}: byte {error.start} is not UTF-8") from error
    except OSError as error:
        raise InputNotFound(f"cannot read the pipeline {path}: {error.strerror}") from error
    return parse(text, directory=path.parent, label=path.name)


def parse(text: str, *, directory: Path, label: str) -> PipelineSpec:
    """Parse the text of a pipeline.toml. Raises SpecError, with all it found in `findings`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{label}: {_place(str(error))}") from error
    findings = [
        f"{label}: {registry.unknown('key', key, _TABLES)}"
        for key in document.keys() - set(_TABLES)
    ]
    version, tables = document.get("version"), document.get("stage")
    if version is None:
        findings.append(f"{label}: 'version = 1' is missing at the top")
    elif type(version) is not int or version != 1:
        findings.append(f"{label}: version = {version!r} is not known; this ior reads version 1")
    if not isinstance(tables, dict) or not tables:
        findings.append(f"{label}: there is no [stage.NAME]")
        tables = {}
    nodes = {}
    for name, table in tables.items():
        try:
            nodes[name] = parse_node(name, table)
        except SpecError as error:
            findings.append(f"{label}: stage '{name}': {error}")
    settings = Settings()
    try:
        settings = convert(document.get("pipeline", {}), Settings)
    except SpecError as error:
        findings.append(f"{label}: [pipeline]: {error}")
    trials = _trials(document.get("test", []), label, findings)
    if findings:
        raise failed(findings)
    return PipelineSpec(
        version=1,
        nodes=nodes,
        directory=directory,
        label=label,
        settings=settings,
        tests=trials,
    )


def _trials(tables: object, label: str, findings: list[str]) -> tuple[Trial, ...]:
    """Parse the `[[test]]` tables; what is wrong is added to `findings`."""
    if not isinstance(tables, list):
        findings.append(f"{label}: tests are tables of their own, each headed [[test]]")
        return ()
    trials = []
    for number, table in enumerate(tables, 1):
        try:
            trials.append(convert(table, Trial))
        except SpecError as error:
            findings.append(f"{label}: test {number}: {error}")
    return tuple(trials)


def failed(findings: list[str]) -> SpecError:
    """Return the error that says the first finding and carries all."""
    error = SpecError(findings[0])
    error.findings = tuple(findings)
    return error


def parse_node(name: str, table: object) -> NodeSpec:
    """Parse one stage's table. Raises SpecError with a message that does not name the stage."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise SpecError("a stage's name has only letters, digits, '_' and '-'")
    if not isinstance(table, dict):
        raise SpecError(f"must be a table, [stage.{name}]")
    reserved = convert({k: v for k, v in table.items() if k in RESERVED}, Reserved)
    given = msgspec.structs.asdict(reserved)
    for key in ("inputs", "of"):
        value = given[key]
        given[key] = (value,) if isinstance(value, str) else tuple(value)
    own = {key: value for key, value in table.items() if key not in RESERVED}
    return NodeSpec(name=name, keys=own, **given)


def _place(message: str) -> str:
    """Put the place of a TOML error in front of it."""
    match = re.fullmatch(r"(.*) \(at (.*)\)", message, re.DOTALL)
    return f"{match[2]}: {match[1]}" if match else message


def convert(keys: dict[str, Any], struct: Any, also: tuple[str, ...] = ()) -> Any:
    """Convert a TOML table to `struct`; `also` are further keys to propose for a mistyped one.

    Raises SpecError naming the key and the choices. A SpecError that the struct itself
    raised (a filter that does not parse) is raised as it is.
    """
    try:
        return msgspec.convert(keys, struct)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, SpecError):
            raise error.__cause__ from None
        raise SpecError(_explain(str(error), struct, also)) from error


def _explain(message: str, struct: Any, also: tuple[str, ...]) -> str:
    said, _, path = message.partition(" - at `$")
    path = path.removesuffix("`").removeprefix(".")
    known, choices = _inside(struct, path)
    if match := re.fullmatch(r"Object contains unknown field `(.*)`", said):
        key = f"{path}.{match[1]}" if path else match[1]
        prefix = f"{path}." if path else ""
        names = [prefix + name for name in known] + ([] if path else list(also))
        return registry.unknown("key", key, names)
    if match := re.fullmatch(r"Object missing required field `(.*)`", said):
        return f"key '{path + '.' if path else ''}{match[1]}' is missing"
    if not path:
        return said
    if match := re.fullmatch(r"Invalid enum value (.*)", said):
        return f"key '{path}': {match[1]} is none of {', '.join(map(str, choices))}"
    said = said[:1].lower() + said[1:].replace("`", "")
    said = said.replace(" | null", "").replace("object", "a table")
    return f"key '{path}': {said}"


def _inside(struct: Any, path: str) -> tuple[list[str], list[Any]]:
    """Return the keys of the table at `path` in `struct`, and the values that a literal takes."""
    here: list[msgspec.inspect.Type] = [msgspec.inspect.type_info(struct)]
    for part in re.findall(r"[^.\[\]]+|\[[^\]]*\]", path):
        below: list[msgspec.inspect.Type] = []
        for kind in _alternatives(here):
            if isinstance(kind, msgspec.inspect.StructType):
                below += [f.type for f in kind.fields if f.encode_name == part]
            elif isinstance(kind, msgspec.inspect.DictType):
                below.append(kind.value_type)
            elif isinstance(kind, msgspec.inspect.CollectionType):
                below.append(kind.item_type)
        here = below
    keys: list[str] = []
    values: list[Any] = []
    for kind in _alternatives(here):
        if isinstance(kind, msgspec.inspect.StructType):
            keys += [field.encode_name for field in kind.fields]
        elif isinstance(kind, msgspec.inspect.LiteralType):
            values += kind.values
        elif isinstance(kind, msgspec.inspect.EnumType):
            values += [member.value for member in kind.cls]
    return keys, values


def _alternatives(kinds: list[msgspec.inspect.Type]) -> list[msgspec.inspect.Type]:
    """Take unions and metadata apart."""
    flat: list[msgspec.inspect.Type] = []
    for kind in kinds:
        if isinstance(kind, msgspec.inspect.UnionType):
            flat += _alternatives(list(kind.types))
        elif isinstance(kind, msgspec.inspect.Metadata):
            flat += _alternatives([kind.type])
        else:
            flat.append(kind)
    return flat


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
    return msgspec.structs.replace(spec, nodes=spec.nodes | {name: node})


def _value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError as error:
        if text.startswith(("[", "{")):
            raise SpecError(f"not a TOML value: {_place(str(error))}") from error
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
    behind: dict[str, str] = {}
    for name, node in spec.nodes.items():
        nodes[name] = node
        port = _calls_port(spec, node)
        if port is None:
            continue
        taken = spec.nodes.keys() | nodes.keys()
        free = (f"where{i}" if i else "where" for i in range(len(taken) + 1))
        added = next(candidate for candidate in free if candidate not in taken)
        nodes[added] = NodeSpec(name=added, type="filter", inputs=(name,), keys={"where": where})
        behind |= {name: added, f"{name}.{port}": added}
    if not behind:
        raise UsageError(f"{spec.label} makes no calls that a filter could choose from")
    for name in spec.nodes:
        inputs = tuple(behind.get(word, word) for word in nodes[name].inputs)
        nodes[name] = msgspec.structs.replace(nodes[name], inputs=inputs)
    return msgspec.structs.replace(spec, nodes=nodes)


def _calls_port(spec: PipelineSpec, node: NodeSpec) -> str | None:
    """Return the first port of a node that makes calls of halves, None for any other node."""
    if not node.enabled:
        return None
    try:
        cls = registry.resolve(node.type, node.use, spec.directory)
    except SpecError as error:
        raise SpecError(f"{spec.label}: stage '{node.name}': {error}") from error
    return next(iter(columns.declared(cls))) if columns.makes_calls(cls) else None
