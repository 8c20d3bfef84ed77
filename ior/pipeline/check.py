"""Whether a pipeline makes sense: types, keys, inputs, ports, schemas, round trips, policies.

Nodes are made for it (which opens and attaches nothing), because what a node gives may
depend on its keys. Everything is looked at, so that all that is wrong is said at once; what
follows only from another mistake is not said.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ior.calls import CALLS, HALVES, Schema
from ior.errors import FilterError, IorError, SpecError
from ior.findings import Code, Finding, choice
from ior.findings import Path as At
from ior.pipeline import registry
from ior.pipeline.abc import Config, Node, Sink, Source, Stage, WhenFull, answers
from ior.pipeline.checking import columns, limits, trust
from ior.pipeline.checking.member import Input, Member, default_policy
from ior.pipeline.checking.objections import objections, value_at
from ior.pipeline.reading.collector import Collector
from ior.pipeline.reading.convert import convert, problems_of
from ior.pipeline.spec import (
    DEFAULT_BATCHES,
    RESERVED,
    NodeSpec,
    PipelineSpec,
    error_port,
)


class Checked(NamedTuple):
    """What `examine` found.

    `members` are the nodes, producers first, if all could be made; `unseen` the names of the
    stages whose code was not imported.
    """

    members: dict[str, Member]
    findings: list[Finding]
    unseen: tuple[str, ...]


def examine(spec: PipelineSpec, *, load: bool = True, files: bool = False) -> Checked:
    """Return all that is wrong with a pipeline, and its members if nothing is.

    Without `load` no code of the user's is imported: their stages are looked at as far as
    that goes. With `files` the files are tried that stages will read and write.
    """
    return _Check(spec, load=load, files=files).run()


class _Said(Exception):
    """What keeps a node from being made has been said."""


class _Check:
    def __init__(self, spec: PipelineSpec, *, load: bool, files: bool) -> None:
        self.spec, self.load, self.files = spec, load, files
        self.collector = Collector(spec.label, spec.places, spec.said)
        self.collector.found += spec.findings
        self.specs = {name: node for name, node in spec.nodes.items() if node.enabled}
        self.nodes: dict[str, Node] = {}
        self.unseen: list[str] = []
        self.inputs: dict[str, list[Input]] = {}
        self.takes: dict[str, Schema | None] = {}
        self.gives: dict[str, Mapping[str, Schema]] = {}

    def run(self) -> Checked:
        for spec in self.specs.values():
            self._make(spec)
        for name, spec in self.specs.items():
            found = [self._input(spec, number) for number in range(len(spec.inputs))]
            self.inputs[name] = [one for one in found if one is not None]
        for name, node in self.nodes.items():
            self._shape(self.specs[name], node)
            self._looks(self.specs[name])
            self._policy(self.specs[name], node)
        sources = any(isinstance(node, Source) for node in self.nodes.values())
        if self.specs and not sources and len(self.nodes) == len(self.specs):
            help_ = "add a stage of type bpf, synthetic or replay, without inputs"
            self.collector.say(Code.NO_SOURCE, (), "there is no source", help_)
        order = self._order()
        self._columns(order)
        complete = len(self.nodes) == len(self.specs)
        members = {name: self._member(self.specs[name]) for name in order if name in self.nodes}
        limits.buffers(self.spec, members, self.collector)
        limits.unused(self.specs, self.nodes, self.collector, complete=complete)
        limits.filters(members, self.collector)
        if self.files:
            limits.files(self.spec, self.nodes, self.collector)
        findings = self.collector.sorted()
        return Checked(members if complete else {}, findings, tuple(self.unseen))

    def _say(self, spec: NodeSpec, code: Code, keys: At, message: str, help_: str = "") -> None:
        self.collector.say(code, ("stage", spec.name, *keys), message, help_)

    def _make(self, spec: NodeSpec) -> None:
        if not (spec.type or spec.use) and spec.flawed:
            return  # what it is could not be read
        try:
            if not self.load and registry.is_own(spec.type, spec.use):
                registry.look(spec.type, spec.use, self.spec.directory)
                self.unseen.append(spec.name)
                return
            toml = self.spec.directory / Path(self.spec.label).name
            if spec.use is not None and toml.is_file():
                trust.check(toml)
            cls = registry.resolve(spec.type, spec.use, self.spec.directory)
            self.nodes[spec.name] = cls(self._config(spec, cls.Config))
        except _Said:
            return
        except (IorError, ValueError, TypeError, ArithmeticError) as error:
            self._refused(spec, error)

    def _config(self, spec: NodeSpec, struct: type[Config]) -> Config:
        """Return a stage's own keys as its struct, without those that do not fit.

        What the others say is still looked at; the pipeline is refused all the same.
        """
        problems = list(problems_of(spec.keys, struct, RESERVED))
        for problem in problems:
            self.collector.add(problem, ("stage", spec.name))
        wrong = {problem.keys[0] for problem in problems}
        fitting = {key: value for key, value in spec.keys.items() if key not in wrong}
        try:
            config: Config = convert(fitting, struct)
        except SpecError:
            if problems:
                raise _Said from None
            raise
        return config

    def _refused(self, spec: NodeSpec, error: Exception) -> None:
        """Say what a node or its class objected to."""
        for problem in objections(spec, error):
            self.collector.add(problem, ("stage", spec.name), value_at(spec.keys, problem.keys))

    def _input(self, spec: NodeSpec, number: int) -> Input | None:
        word, keys = spec.inputs[number], ("inputs", number)
        name, dot, port = word.partition(".")
        if name not in self.specs:
            if name in self.spec.nodes:
                help_ = f"set enabled = true in [stage.{name}], or name another input"
                self._say(spec, Code.NO_ROWS, keys, f"input '{word}' is not enabled", help_)
            else:
                others = [other for other in self.specs if other != spec.name]
                help_ = choice(name, others)
                self._say(spec, Code.UNKNOWN_INPUT, keys, f"unknown input '{name}'", help_)
            return None
        if name not in self.nodes:
            return None
        ports = self._ports(name)
        if not ports:
            givers = [n for n in self.nodes if n != spec.name and self._ports(n)]
            help_ = f"the stages that give rows are {', '.join(givers)}"
            if answers(self.nodes[name]):
                help_ = "what it found is shown by a stage that names it in 'of', such as a report"
            self._say(spec, Code.NO_ROWS, keys, f"input '{name}' gives no rows", help_)
        elif dot and port not in ports:
            message = f"'{name}' has no port '{port}'"
            self._say(spec, Code.UNKNOWN_PORT, keys, message, choice(port, ports))
        else:
            return Input(name, port if dot else ports[0])
        return None

    def _shape(self, spec: NodeSpec, node: Node) -> None:
        """Say what a node must have and what it cannot have."""
        looks = isinstance(node, Sink) and node.looks
        if spec.isolation == "process" and (looks or isinstance(node, Source)):
            message = "only what takes rows can be in another process"
            help_ = 'write isolation = "thread"'
            self._say(spec, Code.OUT_OF_PLACE, ("isolation",), message, help_)
        kind = f"'{spec.type}'" if spec.type else "it"
        if isinstance(node, Source) or looks:
            why = "it looks at stages, by 'of'" if looks else "a source has no inputs"
            for key in ("inputs", "buffer"):
                if getattr(spec, key):
                    message = f"{kind} takes no rows: {why}"
                    self._say(spec, Code.OUT_OF_PLACE, (key,), message, f"remove '{key}'")
        elif not spec.inputs and "inputs" not in spec.flawed:
            message = f"{kind} is not connected: the key 'inputs' is missing"
            help_ = "name the stage whose rows it takes" + self._example("inputs", spec)
            self._say(spec, Code.NOT_CONNECTED, (), message, help_)
        if looks and not spec.of and "of" not in spec.flawed:
            message = f"{kind} is not connected: the key 'of' is missing"
            help_ = "name the stages that it looks at" + self._example("of", spec)
            self._say(spec, Code.NOT_CONNECTED, (), message, help_)
        elif (
            looks
            and spec.of
            and not any(n in self.specs or n not in self.spec.nodes for n in spec.of)
        ):
            message = "none of the stages that it looks at is enabled"
            self._say(spec, Code.NOT_CONNECTED, ("of",), message, "enable one, or disable this too")
        if spec.of and not looks:
            message = f"{kind} looks at no other stage"
            help_ = "rows come by 'inputs'; remove 'of'"
            self._say(spec, Code.OUT_OF_PLACE, ("of",), message, help_)
        inputs = self.inputs[spec.name]
        for twice in sorted({one for one in inputs if inputs.count(one) > 1}):
            message = f"'{twice.node}.{twice.port}' is named twice"
            self._say(
                spec, Code.TWICE, ("inputs",), message, "name it once: it gives each row once"
            )

    def _example(self, key: str, spec: NodeSpec) -> str:
        """Return how the key would look with the last stage that it could name, if there is one."""
        names = [
            name
            for name, node in self.nodes.items()
            if name != spec.name and (answers(node) if key == "of" else self._ports(name))
        ]
        return f': {key} = "{names[-1]}"' if names else ""

    def _looks(self, spec: NodeSpec) -> None:
        lookable = [name for name, node in self.nodes.items() if answers(node)]
        for number, name in enumerate(spec.of):
            if name not in self.spec.nodes:
                help_ = choice(name, lookable)
                self._say(spec, Code.UNKNOWN_OF, ("of", number), f"unknown stage '{name}'", help_)
            elif name in self.nodes and name not in lookable:
                help_ = f"those that have: {', '.join(lookable) or 'none'}"
                message = f"'{name}' has nothing to look at"
                self._say(spec, Code.UNKNOWN_OF, ("of", number), message, help_)
            elif name in spec.of[:number]:
                message = f"'{name}' is named twice"
                self._say(spec, Code.TWICE, ("of", number), message, "name it once")

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
            numbered = list(enumerate(self.inputs[name]))
            inputs = [(n, i) for n, i in numbered if i.port in self.gives.get(i.node, {})]
            fits = [self._fits(spec, node, number, one) for number, one in inputs]
            takes = columns.arriving(self.gives[i.node][i.port] for _, i in inputs)
            if not all(fits) or len(inputs) < len(spec.inputs):
                self._connect_alone(spec, node)
            elif takes is not None or isinstance(node, Source):
                self.takes[name] = takes
                self._connect(spec, node, takes)

    def _connect(self, spec: NodeSpec, node: Node, takes: Schema | None) -> None:
        try:
            given = dict(columns.connect(node, takes))
        except (SpecError, ValueError) as error:
            self._refused(spec, error)
            return
        port = error_port(spec.on_error)
        if port is not None and takes is not None:
            given[port] = takes.adding([columns.ERROR])
        self.gives[spec.name] = given

    def _connect_alone(self, spec: NodeSpec, node: Node) -> None:
        """Look at a node behind something that is wrong as if what it takes arrived.

        Stages that are not ior's own may add columns: then nothing is said of unknown ones.
        """
        if isinstance(node, Source):
            return
        takes = getattr(node, "takes", None) or CALLS
        if not any(registry.is_own(other.type, other.use) for other in self.specs.values()):
            self._connect(spec, node, takes)
            return
        try:
            columns.connect(node, takes)
        except FilterError as error:
            if error.problems[0].code is not Code.FILTER_FIELD:
                self._refused(spec, error)
        except (SpecError, ValueError):
            pass

    def _error_port(self, spec: NodeSpec, node: Node) -> None:
        """Say what is wrong with the route of errors."""
        if isinstance(spec.on_error, str):
            return
        owner, dot, port = spec.on_error.route.partition(".")
        keys, help_ = ("on_error", "route"), f'write route = "{spec.name}.errors"'
        if isinstance(node, Source) or (isinstance(node, Sink) and node.looks):
            message = "it takes no rows that could be routed"
            self._say(spec, Code.OUT_OF_PLACE, ("on_error",), message, 'write on_error = "fail"')
        elif owner != spec.name or not dot or not port:
            message = f"errors leave by a port of the stage itself, '{spec.name}.PORT'"
            self._say(spec, Code.UNKNOWN_PORT, keys, message, help_)
        elif port in columns.declared(node):
            message = f"'{port}' is a port that it has already"
            self._say(spec, Code.TWICE, keys, message, help_)

    def _fits(self, spec: NodeSpec, node: Node, number: int, one: Input) -> bool:
        """Say what an input lacks of what a node takes and needs."""
        given, takes = self.gives[one.node][one.port], getattr(node, "takes", None)
        where, keys = f"'{one.node}.{one.port}'", ("inputs", number)
        lacking = columns.lacking(node, given)
        wants = takes.name if takes is not None else given.name
        if given.name == HALVES.name and lacking and set(lacking) <= set(CALLS.names):
            wants = CALLS.name
        if given.name != wants:
            message = f"it takes {wants}, and {where} gives {given.name}"
            help_ = f"name a stage that gives {wants}"
            if (given.name, wants) == (HALVES.name, CALLS.name):
                help_ = "a stage of type 'pair' between them makes calls of halves"
            self._say(spec, Code.SCHEMA, keys, message, help_)
            return False
        for name in lacking:
            message = f"it needs the column '{name}', which {where} does not give"
            self._say(spec, Code.COLUMN, keys, message, choice(name, given.names))
        return not lacking

    def _policy(self, spec: NodeSpec, node: Node) -> None:
        """Refuse to drop halves on the way to whatever pairs them: it needs continuity."""
        if _when_full(spec, node) == "block" or not isinstance(node, Stage) or not node.gives:
            return
        if node.takes is not None and node.takes.name == HALVES.name:
            message = (
                "rows may not be dropped between a source and pairing, which needs every record"
            )
            help_ = 'write when_full = "block"; drop behind the pairing instead'
            self._say(spec, Code.DROPS_HALVES, ("buffer", "when_full"), message, help_)

    def _order(self) -> list[str]:
        """Return the nodes, producers first, in the file's order otherwise."""
        order: list[str] = []
        way: list[str] = []

        def visit(name: str) -> None:
            if name in way:
                ring = " <- ".join([*way[way.index(name) :], name])
                help_ = "rows go one way: take one of these out of 'inputs'"
                self._say(
                    self.specs[name], Code.CYCLE, ("inputs",), f"rows go round: {ring}", help_
                )
            elif name not in order:
                way.append(name)
                for producer in self._producers(name):
                    visit(producer)
                order.append(way.pop())

        for name in self.specs:
            visit(name)
        return order

    def _producers(self, name: str) -> list[str]:
        words = [word.partition(".")[0] for word in self.specs[name].inputs]
        return [word for word in dict.fromkeys(words) if word in self.specs]

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
