"""`ior stages`: every type of stage with its keys, ports and columns."""

from __future__ import annotations

import shutil
import textwrap
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ior.cli.abc import Subcommand
from ior.errors import SpecError, UsageError

if TYPE_CHECKING:
    from ior.calls import Schema
    from ior.pipeline.abc import Node
    from ior.pipeline.describe import Key

_WIDTH = 100  # lines are no longer than this, whatever the terminal


class Stages(Subcommand):
    """List the types of stages, or show all about one.

    NAME is a type, or a stage of your own as `use` names it: `./file.py:NAME`. Shown are
    its keys with their defaults, what it takes, and the ports and columns that it gives. The
    list names the types of installed packages with where they live; none is imported for it.
    """

    def configure(self, parser: ArgumentParser) -> None:
        """Take a name."""
        parser.add_argument("stage", nargs="?", metavar="NAME", help="a type, or FILE.py:NAME")

    def run(self, args: Namespace) -> int:
        """Print the list, or one stage's page."""
        lines = _listed() if args.stage is None else _page(args.stage)
        print("\n".join(lines))
        return 0


def _listed() -> Iterable[str]:
    from ior.pipeline import describe, registry  # noqa: PLC0415 - not for --help

    found = {name: _resolve(name) for name in registry.BUILTIN}
    width = max(map(len, found))
    for role in ("source", "stage", "sink"):
        yield f"{role}s"
        for name, cls in found.items():
            if describe.role(cls) == role:
                yield f"  {name:{width}}  {describe.summary(cls)}"
    others = registry.installed()
    if others:
        yield "of installed packages"
        width = max(map(len, others))
        yield from (f"  {name:{width}}  {where}" for name, where in sorted(others.items()))
    yield "more about one: ior stages NAME"


def _resolve(named: str) -> type[Node]:
    from ior.pipeline import registry  # noqa: PLC0415 - not for --help

    try:
        if ":" in named:
            return registry.resolve(None, named, Path.cwd())
        return registry.resolve(named, None, Path.cwd())
    except SpecError as error:
        raise UsageError(str(error)) from error


def _page(named: str) -> Iterable[str]:
    from ior.pipeline import describe  # noqa: PLC0415 - not for --help
    from ior.pipeline.abc import Sink  # noqa: PLC0415 - not for --help

    cls = _resolve(named)
    yield f"{named} ({describe.role(cls)}): {describe.summary(cls)}"
    keys = describe.keys(cls.Config)
    yield ""
    yield "keys" if keys else "keys: none of its own"
    for key in keys:
        yield from _key(key)
    taken = describe.takes(cls)
    yield ""
    if issubclass(cls, Sink) and cls.looks:
        yield "takes snapshots of the stages in 'of'"
    elif describe.role(cls) != "source":
        yield f"takes {taken.name}" if taken else "takes rows of any kind"
    ports = describe.ports(cls)
    for port, schema in ports.items():
        yield from _port(port, schema)
    if not ports and describe.role(cls) == "stage":
        yield "gives no rows: it answers with a snapshot to whoever names it in 'of'"


def _key(key: Key) -> Iterable[str]:
    default = "required" if key.required else f"default {key.default}" if key.default else "unset"
    yield f"  {key.name}: {key.type} ({default})"
    yield from _filled(key.doc, "      ")


def _port(port: str, schema: Schema) -> Iterable[str]:
    columns = ", with the columns" if schema.columns else ""
    yield f"gives {schema.name} on the port '{port}'{columns}"
    width = max((len(column.name) for column in schema.columns), default=0)
    for column in schema.columns:
        yield f"  {column.name:{width}}  {column.kind:8}  {column.doc}"


def _filled(text: str, indent: str) -> list[str]:
    width = min(_WIDTH, shutil.get_terminal_size().columns)
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent)
