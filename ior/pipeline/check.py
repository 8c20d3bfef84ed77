"""Whether a pipeline makes sense: types, keys, inputs, ports, schemas, round trips, policies.

Nodes are made for it (which opens and attaches nothing), because what a node gives may
depend on its keys. Everything is looked at, so that `ior validate` shows all that is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ior.calls import CALLS, HALVES, Schema
from ior.errors import FilterError, IorError, SpecError, UsageError
from ior.pipeline import columns, registry, trust
from ior.pipeline.abc import Isolation, Node, Sink, Source, Stage, WhenFull
from ior.pipeline.spec import (
    DEFAULT_BATCHES,
    RESERVED,
    NodeSpec,
    OnError,
    PipelineSpec,
    convert,
    error_port,
    failed,
)


class Input(NamedTuple):
    """Where rows come from: a port of a node."""

    node: str
    port: str


class Member(NamedTuple):
    """A node and what it is wired to. The buffer is the one in front of each input.

    `takes` is what arrives by all inputs, `gives` what leaves by each port, settled; the
    error port of `on_error` is among the ports.
    """

    node: Node
    inputs: tuple[Input, ...] = ()
    of: tuple[str, ...] = ()
    batches: int = DEFAULT_BATCHES
    when_full: WhenFull = "block"
    isolation: Isolation = "inline"
    on_error: OnError = "fail"
    takes: Schema | None = None
    gives: Mapping[str, Schema] = {}


def answers(node: Node) -> bool:
    """Return whether a node can be looked at: a stage with a `snapshot` of its own."""
    return isinstance(node, Stage) and type(node).snapshot is not Stage.snapshot


def default_policy(node: Node) -> WhenFull:
    """Return the overflow policy of a node whose pipeline names none."""
    return node.when_full if isinstance(node, (Stage, Sink)) else "block"


def check(spec: PipelineSpec) -> dict[str, Member]:
    """Return the enabled nodes, made and wired, producers before consumers.

    Raises SpecError with the first finding as its message and all of them in `findings`;
    an error of another kind (InputNotFound) only when that is all that is wrong.
    """
    return _Check(spec).run()


class _Check:
    def __init__(self, spec: PipelineSpec) -> None:
        self.spec = spec
        self.findings: list[IorError] = []
        self.specs = {name: node for name, node in spec.nodes.items() if node.enabled}
        self.nodes: dict[str, Node] = {}
        self.inputs: dict[str, list[Input]] = {}
        self.takes: dict[str, Schema | None] = {}
        self.gives: dict[str, Mapping[str, Schema]] = {}

    def run(self) -> dict[str, Member]:
        for spec in self.specs.values():
            self._make(spec)
        for name, spec in self.specs.items():
            found = [self._input(spec, word) for word in spec.inputs]
            self.inputs[name] = [one for one in found if one is not None]
        for name, node in self.nodes.items():
            self._shape(self.specs[name], node)
            self._looks(self.specs[name])
            self._policy(self.specs[name], node)
        sources = any(isinstance(node, Source) for node in self.nodes.values())
        if not sources and len(self.nodes) == len(self.specs):
            message = f"{self.spec.label}: there is no source (bpf, synthetic, replay)"
            self.findings.append(SpecError(message))
        order = self._order()
        self._columns(order)
        if self.findings:
            raise _all(self.findings)
        return {name: self._member(self.specs[name]) for name in order}

    def _say(self, spec: NodeSpec, message: str) -> None:
        self.findings.append(SpecError(f"{self.spec.label}: stage '{spec.name}': {message}"))

    def _make(self, spec: NodeSpec) -> None:
        try:
            if spec.use is not None and (toml := self.spec.directory / self.spec.label).is_file():
                trust.check(toml)
            cls = registry.resolve(spec.type, spec.use, self.spec.directory)
            self.nodes[spec.name] = cls(convert(spec.keys, cls.Config, RESERVED))
        except FilterError as error:
            self._misfit(spec, error)
        except (SpecError, UsageError, ValueError, TypeError) as error:
            said = f"{self.spec.label}: stage '{spec.name}': {error}"
            self.findings.append(_from(SpecError(said), error))
        except IorError as error:
            error.add_note(f"in stage '{spec.name}'")
            self.findings.append(error)

    def _input(self, spec: NodeSpec, word: str) -> Input | None:
        name, dot, port = word.partition(".")
        if name not in self.specs:
            if name in self.spec.nodes:
                self._say(spec, f"input '{word}' is not enabled")
            else:
                others = [other for other in self.specs if other != spec.name]
                self._say(spec, registry.unknown("input", name, others))
            return None
        if name not in self.nodes:
            return None
        ports = self._ports(name)
        if not ports:
            self._say(spec, f"input '{name}' gives no rows")
        elif dot and port not in ports:
            self._say(spec, f"input '{word}': {registry.unknown('port', port, ports)}")
        else:
            return Input(name, port if dot else ports[0])
        return None

    def _shape(self, spec: NodeSpec, node: Node) -> None:
        """Say what a node must have and what it cannot have."""
        looks = isinstance(node, Sink) and node.looks
        if spec.isolation == "process" and (looks or isinstance(node, Source)):
            self._say(spec, "key 'isolation': only what takes rows can be in another process")
        if isinstance(node, Source) or looks:
            if spec.inputs:
                why = "it looks at stages, by 'of'" if looks else "a source has no inputs"
                self._say(spec, f"key 'inputs': {why}")
            if spec.buffer is not None:
                self._say(spec, "key 'buffer': it has no inputs to buffer")
        elif not spec.inputs:
            self._say(spec, "key 'inputs' is missing: name the stage whose rows it takes")
        if looks and not spec.of:
            self._say(spec, "key 'of' is missing: name the stages that it looks at")
        elif looks and not any(n in self.specs or n not in self.spec.nodes for n in spec.of):
            self._say(spec, "key 'of': none of the stages that it looks at is enabled")
        if spec.of and not looks:
            self._say(spec, "key 'of': it looks at no other stage; rows come by 'inputs'")
        inputs = self.inputs[spec.name]
        for twice in sorted({one for one in inputs if inputs.count(one) > 1}):
            self._say(spec, f"key 'inputs': '{twice.node}.{twice.port}' is named twice")

    def _looks(self, spec: NodeSpec) -> None:
        lookable = [name for name, node in self.nodes.items() if answers(node)]
        for name in dict.fromkeys(spec.of):
            if name not in self.spec.nodes:
                self._say(spec, f"key 'of': {registry.unknown('stage', name, lookable)}")
            elif name in self.nodes and name not in lookable:
                choices = f"; those that have: {', '.join(lookable)}" if lookable else ""
                self._say(spec, f"key 'of': '{name}' has nothing to look at{choices}")
            elif spec.of.count(name) > 1:
                self._say(spec, f"key 'of': '{name}' is named twice")

    def _ports(self, name: str) -> list[str]:
        """Return the names of a node's output ports, that of its errors last."""
        ports = list(columns.declared(self.nodes[name]))
        port = error_port(self.specs[name].on_error)
        return [*ports, port] if port is not None else ports

    def _columns(self, order: list[str]) -> None:
        """Settle what travels along each edge, producers first."""
        for name in order:
            if name not in self.nodes:
                continue
            node, spec = self.nodes[name], self.specs[name]
            self._error_port(spec, node)
            inputs = [i for i in self.inputs[name] if i.port in self.gives.get(i.node, {})]
            fits = all(self._fits(spec, node, one) for one in inputs)
            takes = columns.arriving(self.gives[i.node][i.port] for i in inputs)
            if not fits or (takes is None and not isinstance(node, Source)):
                continue
            self.takes[name] = takes
            self._connect(spec, node, takes)

    def _connect(self, spec: NodeSpec, node: Node, takes: Schema | None) -> None:
        try:
            given = dict(columns.connect(node, takes))
        except FilterError as error:
            self._misfit(spec, error)
            return
        except (SpecError, ValueError) as error:
            self._say(spec, str(error))
            return
        port = error_port(spec.on_error)
        if port is not None and takes is not None:
            given[port] = takes.adding([columns.ERROR])
        self.gives[spec.name] = given

    def _misfit(self, spec: NodeSpec, error: FilterError) -> None:
        said = f"{self.spec.label}: stage '{spec.name}': {error}"
        place = error.source, error.start, error.end
        self.findings.append(_from(FilterError(said, *place), error))

    def _error_port(self, spec: NodeSpec, node: Node) -> None:
        """Say what is wrong with the route of errors."""
        if isinstance(spec.on_error, str):
            return
        owner, dot, port = spec.on_error.route.partition(".")
        if isinstance(node, Source) or (isinstance(node, Sink) and node.looks):
            self._say(spec, "key 'on_error': it takes no rows that could be routed")
        elif owner != spec.name or not dot or not port:
            self._say(spec, f"key 'on_error.route': must be '{spec.name}.PORT', a port of its own")
        elif port in columns.declared(node):
            self._say(spec, f"key 'on_error.route': '{port}' is a port that it has already")

    def _fits(self, spec: NodeSpec, node: Node, one: Input) -> bool:
        """Say what an input lacks of what a node takes and needs."""
        given, takes = self.gives[one.node][one.port], getattr(node, "takes", None)
        where = f"'{one.node}.{one.port}'"
        if takes is not None and given.name != takes.name:
            message = f"it takes {takes.name}, and {where} gives {given.name}"
            if (given.name, takes.name) == (HALVES.name, CALLS.name):
                message += "; a stage of type 'pair' between them makes calls of halves"
            self._say(spec, message)
            return False
        lacking = columns.lacking(node, given)
        for name in lacking:
            self._say(spec, f"it needs the column '{name}', which {where} does not give")
        return not lacking

    def _policy(self, spec: NodeSpec, node: Node) -> None:
        """Refuse to drop halves on the way to whatever pairs them: it needs continuity."""
        if _when_full(spec, node) == "block" or not isinstance(node, Stage) or not node.gives:
            return
        if node.takes is not None and node.takes.name == HALVES.name:
            message = "rows may not be dropped between a source and pairing; use 'block'"
            self._say(spec, f"key 'buffer.when_full': {message}")

    def _order(self) -> list[str]:
        """Return the nodes, producers first, in the file's order otherwise."""
        order: list[str] = []
        way: list[str] = []
        rings: list[str] = []

        def visit(name: str) -> None:
            if name in way:
                rings.append(" <- ".join([*way[way.index(name) :], name]))
            elif name not in order:
                way.append(name)
                for producer, _ in self.inputs[name]:
                    visit(producer)
                order.append(way.pop())

        for name in self.specs:
            visit(name)
        if rings:
            first = self.specs[rings[0].split(" <- ")[0]]
            self._say(first, f"key 'inputs': rows go round: {rings[0]}")
        return order

    def _member(self, spec: NodeSpec) -> Member:
        node = self.nodes[spec.name]
        return Member(
            node,
            inputs=tuple(self.inputs[spec.name]),
            of=tuple(name for name in spec.of if name in self.nodes),
            batches=spec.buffer.batches if spec.buffer else DEFAULT_BATCHES,
            when_full=_when_full(spec, node),
            isolation=spec.isolation or registry.default_isolation(spec.type, spec.use),
            on_error=spec.on_error,
            takes=self.takes.get(spec.name),
            gives=self.gives.get(spec.name, {}),
        )


def _when_full(spec: NodeSpec, node: Node) -> WhenFull:
    named = spec.buffer.when_full if spec.buffer is not None else None
    return named or default_policy(node)


def _from(error: SpecError, cause: Exception) -> SpecError:
    error.__cause__ = cause
    return error


def _all(errors: list[IorError]) -> IorError:
    """Return the error to raise: the first about the pipeline itself, with all as findings."""
    first = next((error for error in errors if isinstance(error, SpecError)), errors[0])
    if isinstance(first, FilterError):
        first.findings = tuple(str(error) for error in errors)
        return first
    if not isinstance(first, SpecError):
        return first
    return _from(failed([str(first), *(str(e) for e in errors if e is not first)]), first)
