"""`ior tap`: look at the rows that pass one edge of a pipeline."""

from __future__ import annotations

import contextlib
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from ior.cli import options
from ior.cli.abc import Subcommand
from ior.cli.console import say, say_findings
from ior.errors import UsageError
from ior.host.command import Command, resolve

if TYPE_CHECKING:
    from ior.pipeline.checking.member import Input
    from ior.pipeline.graph import Graph
    from ior.pipeline.spec import PipelineSpec
    from ior.sinks.tapped import Tapped


class Tap(Subcommand):
    """Run a pipeline and print the rows that pass one of its edges.

    STAGE is a stage whose rows are shown, STAGE.port one of its ports; of a stage that
    gives no rows, those that it takes are shown. Rows are text on a terminal and CSV
    elsewhere. The pipeline runs as it would without, and never waits for the reader: rows
    that come too fast are skipped, and counted at the end. A stage of the pipeline that
    writes to stdout is left out, for the rows are there.
    """

    takes_command = True

    def configure(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.usage = "ior tap PIPELINE STAGE[.port] [options] [-- COMMAND ...]"
        parser.add_argument("pipeline", metavar="PIPELINE", help="a file or a preset")
        parser.add_argument("place", metavar="STAGE[.port]", help="whose rows")
        parser.add_argument("--limit", type=int, metavar="N", help="end after so many rows")
        parser.add_argument("--duration", metavar="S", help="end after this time")
        parser.add_argument(
            "-q", "--quiet", action="store_true", help="no status and no warnings; rows stay"
        )
        options.add_target(parser)
        options.add_selection(parser)
        options.add_changes(parser)

    def run(self, args: Namespace) -> int:
        """Check, wire the tap, run."""
        if args.limit is not None and args.limit < 1:
            raise UsageError(f"--limit is a number of rows from 1 on, not {args.limit}")
        duration_s = None if args.duration is None else options.seconds(args.duration)
        options.check_target(args)
        if args.command is not None:
            resolve(args.command[0])
        from ior.cli import overrides  # noqa: PLC0415 - not for --help
        from ior.cli.prepare import prepare  # noqa: PLC0415 - not for --help
        from ior.cli.session import Session, Wishes  # noqa: PLC0415 - not for --help

        spec, graph = prepare(args.pipeline, args)
        if not args.quiet:
            say_findings(graph.warnings)
        graph, name, tap = _tapped(spec, graph, args)
        with contextlib.ExitStack() as stack:
            command = None
            if args.command is not None:
                command = stack.enter_context(Command.start(args.command, stdout=2))
            wishes = Wishes(
                duration_s=duration_s,
                quiet=args.quiet,
                announcement=overrides.describe(spec, command, args.duration),
                reports=True,
                hushed=name,
            )
            code = Session(graph, command, wishes).run()
        if not args.quiet:
            say(f"{tap.shown:,} rows of '{args.place}' shown, {tap.skipped:,} skipped")
        return code


def _tapped(spec: PipelineSpec, graph: Graph, args: Namespace) -> tuple[Graph, str, Tapped]:
    """Return the graph with a tap and without what writes to stdout, the tap's name, the tap."""
    from ior.cli.overrides import writes_to_stdout  # noqa: PLC0415 - not for --help
    from ior.pipeline.checking.member import Member  # noqa: PLC0415 - not for --help
    from ior.sinks.tapped import Tapped, TappedConfig  # noqa: PLC0415 - not for --help

    inputs = _inputs(graph, args.place)
    members = dict(graph.members)
    for sink in writes_to_stdout(spec):
        if members.pop(sink, None) is not None and not args.quiet:
            say(f"'{sink}' writes to stdout, where the rows of the tap go: it is left out")
    name = "tap"
    while name in spec.nodes:
        name += "_"
    tap = Tapped(TappedConfig(limit=args.limit))
    members[name] = Member(tap, inputs=inputs, when_full="drop_oldest")
    return graph._replace(members=members), name, tap


def _inputs(graph: Graph, place: str) -> tuple[Input, ...]:
    """Return the ports whose rows `place` means. Raises UsageError if there are none."""
    from ior.pipeline import registry  # noqa: PLC0415 - not for --help
    from ior.pipeline.checking.member import Input  # noqa: PLC0415 - not for --help

    stage, dot, port = place.partition(".")
    if stage not in graph.members:
        raise UsageError(registry.unknown("stage", stage, graph.members))
    member = graph.members[stage]
    ports = list(member.gives)
    if dot and port not in ports:
        raise UsageError(f"'{stage}': {registry.unknown('port', port, ports)}")
    if ports:
        return (Input(stage, port or ports[0]),)
    if not member.inputs:
        raise UsageError(f"no rows pass '{stage}': it shows the results of {', '.join(member.of)}")
    return member.inputs
