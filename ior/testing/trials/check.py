"""What is wrong with the tests of a pipeline, all at once and each with its place.

What a test says is held against the checked graph: the stages, ports and columns that it names,
the values of its rows. What only a run can tell (the tables of a stage's results) the run says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ior.calls import CALLS, Schema
from ior.errors import IorError, SpecError
from ior.findings import Code, Finding, Problem, choice
from ior.findings import Path as At
from ior.pipeline.abc import Sink, Source
from ior.pipeline.checking.member import Member
from ior.pipeline.reading.collector import Collector
from ior.pipeline.reading.trials import Expect, Fault, Feed, Trial
from ior.pipeline.spec import PipelineSpec
from ior.sources.replay import batches as recorded
from ior.testing.trials import cells
from ior.units import parse_duration


def findings(spec: PipelineSpec, members: Mapping[str, Member]) -> list[Finding]:
    """Return what is wrong with the tests of a pipeline whose nodes are `members`.

    Where the pipeline itself is wrong there are no members, and only names are looked at.
    """
    collector = Collector(spec.label, spec.places, spec.said)
    named = [name for name, node in spec.nodes.items() if node.enabled]
    stages = {name: members.get(name) for name in named}
    for number, trial in spec.tests.items():
        for problem in _Checked(stages, spec.directory).trial(trial):
            collector.add(problem, ("test", number))
    return collector.sorted()


class _Checked(NamedTuple):
    members: Mapping[str, Member | None]
    directory: Path

    def trial(self, trial: Trial) -> Iterator[Problem]:
        parts: tuple[tuple[str, Any, Any], ...] = (
            ("feed", trial.feed, self.feed),
            ("fault", trial.fault, self.fault),
            ("expect", trial.expect, self.expect),
        )
        for kind, items, look in parts:
            for number, item in enumerate(items):
                key, place = ("at", item.at) if kind == "expect" else ("stage", item.stage)
                for problem in self._stage(place.partition(".")[0], key) or look(item):
                    yield problem._replace(keys=(kind, number, *problem.keys))

    def _stage(self, name: str, key: str) -> list[Problem]:
        if name in self.members:
            return []
        help_ = choice(name, self.members)
        return [Problem(Code.TEST_PLACE, f"unknown stage '{name}'", help_, (key,))]

    def feed(self, feed: Feed) -> Iterator[Problem]:
        yield from _time(feed.every, "every")
        member = self.members[feed.stage]
        if member is None:
            return
        node = member.node
        if isinstance(node, Sink) and node.looks:
            yield _no_rows(feed.stage, "stage")
            return
        schema = node.gives if isinstance(node, Source) else member.takes or CALLS
        if feed.fixture is not None:
            yield from self._fixture(feed, schema)
        elif not feed.rows:
            help_ = "write rows = [{ ... }], or fixture = a recording"
            yield Problem(Code.TEST_VALUE, "there are no rows", help_)
        for number, row in enumerate(feed.rows):
            for key, value in row.items():
                said = _refused(lambda k=key, v=value: cells.batch([{k: v}], schema, 1))
                if said is not None:
                    yield _cell(("rows", number, key), key, said, schema)

    def _fixture(self, feed: Feed, schema: Schema) -> Iterator[Problem]:
        keys: At = ("fixture",)
        if feed.rows:
            message = "'rows' and 'fixture' exclude each other"
            yield Problem(Code.TEST_VALUE, message, "give one of them", keys)
            return
        try:
            first = next(iter(recorded(str(self.directory / str(feed.fixture)))), None)
        except IorError as error:
            message, _, help_ = str(error).partition("; ")
            help_ = help_ or "a relative path starts at the pipeline's directory"
            yield Problem(Code.TEST_VALUE, message, help_, keys)
            return
        if first is not None and first.schema.name != schema.name:
            message = f"the fixture holds {first.schema.name}, not {schema.name}"
            help_ = f"feed it to a stage that takes {first.schema.name}"
            yield Problem(Code.TEST_VALUE, message, help_, keys)

    def fault(self, fault: Fault) -> Iterator[Problem]:
        if fault.lasts is not None:
            yield from _time(fault.lasts, "lasts")
        member = self.members[fault.stage]
        source = member is not None and isinstance(member.node, Source)
        if fault.lasts is None and fault.kind == "slow" and not source:
            help_ = 'write lasts = "50ms", the time that each batch takes'
            yield Problem(Code.TEST_VALUE, "'slow' needs 'lasts'", help_, ("kind",))
        if member is None:
            return
        if source != (fault.kind == "lost"):
            says = (
                "is a source: it loses records" if source else "is no source: it loses no records"
            )
            help_ = "write kind = 'lost'" if source else "a stage is stalled, slow or failing"
            yield Problem(Code.TEST_VALUE, f"'{fault.stage}' {says}", help_, ("kind",))
        elif isinstance(member.node, Sink) and member.node.looks:
            yield _no_rows(fault.stage, "stage")

    def expect(self, expect: Expect) -> Iterator[Problem]:
        name, dot, port = expect.at.partition(".")
        member = self.members[name]
        if member is None:
            return
        if isinstance(member.node, Sink) and member.node.looks:
            yield _no_rows(name, "at")
            return
        ports = list(member.gives)
        if dot and port not in ports:
            help_ = choice(port, ports)
            yield Problem(Code.TEST_PLACE, f"'{name}' has no port '{port}'", help_, ("at",))
            return
        if expect.table is not None:
            return
        schema = member.gives[port or ports[0]] if ports else member.takes or CALLS
        for number, row in enumerate(expect.rows or ()):
            for key, value in row.items():
                said = _refused(lambda k=key, v=value: cells.wanted({k: v}, schema))
                if said is not None:
                    yield _cell(("rows", number, key), key, said, schema)


def _no_rows(name: str, key: str) -> Problem:
    help_ = "name the stage whose results it shows"
    return Problem(Code.TEST_PLACE, f"no rows pass '{name}'", help_, (key,))


def _time(text: str, key: str) -> Iterator[Problem]:
    said = _refused(lambda: parse_duration(text))
    if said is not None:
        message, _, help_ = said.partition("; ")
        yield Problem(Code.TEST_VALUE, message, help_ or 'write a time such as "50ms"', (key,))


def _cell(keys: At, key: str, said: str, schema: Schema) -> Problem:
    try:
        one = cells.column(schema, key)
    except SpecError:
        help_ = choice(key, schema.names)
        return Problem(Code.TEST_PLACE, f"unknown column '{key}'", help_, keys, at_key=True)
    message, _, help_ = said.removeprefix(f"column '{key}': ").partition("; ")
    return Problem(Code.TEST_VALUE, message, help_ or f"'{one.name}' is {one.doc}", keys)


def _refused(read: Any) -> str | None:
    try:
        read()
    except (SpecError, ValueError) as error:
        return str(error)
    return None
