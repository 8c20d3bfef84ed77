"""A checked graph as text, as a Mermaid flowchart, and as input for dot.

All three draw one `Picture`: nodes in the graph's order, the edges of every port with what
happens when their buffer is full, who looks at whom, and ports that nobody takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ior import sampling
from ior.expr.wording import wording
from ior.pipeline.abc import Sink, Source
from ior.pipeline.graph import Graph
from ior.pipeline.pushing import Pushed, pushed
from ior.pipeline.spec import PipelineSpec
from ior.sources.bpf.config import BpfConfig


class Box(NamedTuple):
    """A node: its name, what it is in the TOML, its role, and what a source does not record."""

    name: str
    kind: str
    role: str
    notes: tuple[str, ...] = ()


class Line(NamedTuple):
    """An edge. `port` is empty for a producer's only port."""

    producer: str
    port: str
    consumer: str
    rows: str
    buffer: str


class Picture(NamedTuple):
    """What is drawn. `looks` are pairs (who looks, at whom); `loose` are (node, port, rows)."""

    boxes: list[Box]
    lines: list[Line]
    looks: list[tuple[str, str]]
    loose: list[tuple[str, str, str]]


def picture(spec: PipelineSpec, graph: Graph) -> Picture:
    """Return the picture of a pipeline and its graph."""
    drawn = Picture([], [], [], [])
    push = pushed(graph)
    taken = {wire for member in graph.members.values() for wire in member.inputs}
    for name, member in graph.members.items():
        node = member.node
        role = "sink" if isinstance(node, Sink) else "stage"
        role = "source" if isinstance(node, Source) else role
        kind = spec.nodes[name].type or spec.nodes[name].use or ""
        notes = (*_rates(node.config), *_pushed(push.get(name)))
        drawn.boxes.append(Box(name, kind, role, notes))
        drawn.looks.extend((name, other) for other in member.of)
        for producer, port in member.inputs:
            ports = graph.members[producer].gives
            said = port if len(ports) > 1 else ""
            buffer = f"{member.batches} batches, {member.when_full}"
            drawn.lines.append(Line(producer, said, name, ports[port].name, buffer))
        drawn.loose.extend(
            (name, port, schema.name)
            for port, schema in member.gives.items()
            if (name, port) not in taken
        )
    return drawn


def _rates(config: object) -> tuple[str, ...]:
    """Return a line that says how much of what a source records, where that is not all."""
    if not isinstance(config, BpfConfig) or not config.sample:
        return ()
    said = (f"{name} {sampling.label(rate)}" for name, rate in config.sample.items())
    return (f"recorded: {', '.join(said)}",)


def _pushed(push: Pushed | None) -> tuple[str, ...]:
    if push is None or push.split.pushed is None:
        return ()
    said = [f"in the kernel: {wording(push.split.pushed)}"]
    if push.split.rest is not None:
        said.append(f"not in the kernel: {wording(push.split.rest)}")
    return tuple(said)


def text(drawn: Picture) -> Iterator[str]:
    """Yield a tree from every source; a node with several inputs is drawn out once."""
    boxes = {box.name: box for box in drawn.boxes}
    seen: set[str] = set()

    def branches(name: str) -> list[tuple[str, str | None]]:
        """Return what hangs at a node: a label, and the node there, if it is one."""
        found: list[tuple[str, str | None]] = []
        for line in drawn.lines:
            if line.producer == name:
                port = f"{line.port}: " if line.port else ""
                found.append((f"{port}{line.rows}, {line.buffer} -> ", line.consumer))
        found += [
            (f"{port}: {rows}, taken by nobody", None)
            for node, port, rows in drawn.loose
            if node == name
        ]
        found += [
            (f"shown by {looker}", None) for looker, looked_at in drawn.looks if looked_at == name
        ]
        return found

    def tree(name: str, label: str, indent: str, below: str) -> Iterator[str]:
        box = boxes[name]
        again = " (see above)" if name in seen else ""
        yield f"{indent}{label}{box.name} ({box.kind}){again}"
        if again:
            return
        seen.add(name)
        found = [(note, None) for note in box.notes] + branches(name)
        for i, (what, node) in enumerate(found):
            last = i == len(found) - 1
            arm, under = ("└─ ", "   ") if last else ("├─ ", "│  ")
            if node is None:
                yield f"{below}{arm}{what}"
            else:
                yield from tree(node, what, below + arm, below + under)

    for box in drawn.boxes:
        if box.role == "source":
            yield from tree(box.name, "", "", "")
    for box in drawn.boxes:
        if box.name not in seen:
            looked_at = ", ".join(other for looker, other in drawn.looks if looker == box.name)
            yield f"{box.name} ({box.kind}) shows {looked_at}"


def mermaid(drawn: Picture) -> Iterator[str]:
    """Yield a Mermaid flowchart; a dotted arrow is a look at results, not a way of rows."""
    ids = {box.name: f"n{i}" for i, box in enumerate(drawn.boxes)}
    shapes = {"source": "([{}])", "stage": "[{}]", "sink": "[/{}/]"}
    yield "flowchart LR"
    for box in drawn.boxes:
        label = '"' + "<br>".join(map(_entities, (box.name, box.kind, *box.notes))) + '"'
        yield f"    {ids[box.name]}{shapes[box.role].format(label)}"
    for line in drawn.lines:
        yield f'    {ids[line.producer]} -- "{_label(line)}" --> {ids[line.consumer]}'
    for looker, other in drawn.looks:
        yield f"    {ids[other]} -.-> {ids[looker]}"


def dot(drawn: Picture) -> Iterator[str]:
    """Yield a directed graph for Graphviz."""
    shapes = {"source": "oval", "stage": "box", "sink": "parallelogram"}
    yield "digraph pipeline {"
    yield "    rankdir=LR;"
    for box in drawn.boxes:
        label = (
            '"' + "\\n".join(_quoted(one)[1:-1] for one in (box.name, box.kind, *box.notes)) + '"'
        )
        yield f"    {_quoted(box.name)} [shape={shapes[box.role]}, label={label}];"
    for line in drawn.lines:
        ends = f"{_quoted(line.producer)} -> {_quoted(line.consumer)}"
        yield f"    {ends} [label={_quoted(_label(line))}];"
    for looker, other in drawn.looks:
        yield f"    {_quoted(other)} -> {_quoted(looker)} [style=dotted];"
    yield "}"


def _label(line: Line) -> str:
    what = f"{line.port}: {line.rows}" if line.port else line.rows
    return f"{what}, {line.buffer}"


def _entities(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


FORMATS: dict[str, Callable[[Picture], Iterator[str]]] = {
    "text": text,
    "mermaid": mermaid,
    "dot": dot,
}
"""The formats of `ior graph`."""
