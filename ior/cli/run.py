"""`ior run`: trace through a pipeline."""

from __future__ import annotations

import contextlib
from argparse import ArgumentParser, Namespace

from ior.cli import options, presets
from ior.cli.abc import Subcommand
from ior.cli.console import log_to_stderr, say_findings
from ior.errors import InputNotFound, UsageError
from ior.host.command import Command, resolve


class Run(Subcommand):
    """Trace through a pipeline.

    PIPELINE is a file, or the name of a preset (see `ior presets`); without, it is
    `summary`. A COMMAND is traced from its first call, with all its descendants, as
    the user who called sudo; its exit status is passed on. When the run ends before
    the command does, the command is asked to end (SIGTERM).
    """

    takes_command = True

    def configure(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.usage = "ior run [PIPELINE.toml | PRESET] [options] [-- COMMAND ...]"
        parser.add_argument("pipeline", nargs="?", default=None, metavar="PIPELINE")
        parser.add_argument(
            "--duration", metavar="S", help="end after this time, such as 10, 1.5 or 2m"
        )
        parser.add_argument(
            "--watch",
            action="store_true",
            help="apply the file whenever it changes, without an end of the trace",
        )
        options.add_target(parser)
        options.add_selection(parser)
        _add_outputs(parser)
        options.add_changes(parser)

    def run(self, args: Namespace) -> int:
        """Check everything, then trace."""
        named = args.pipeline or "summary"
        if args.print:
            print(_printed(named, args), end="")
            return 0
        if args.verbose:
            log_to_stderr()
        duration_s = None if args.duration is None else options.seconds(args.duration)
        options.check_target(args)
        path = presets.locate(named)
        if args.watch and path is None:
            raise UsageError(
                f"--watch needs a pipeline file; '{named}' is a preset "
                f"(ior run {named} --print > mine.toml makes a file of it)"
            )
        if args.command is not None:
            resolve(args.command[0])
        from ior.cli import overrides  # noqa: PLC0415 - not for --help
        from ior.cli.prepare import prepare  # noqa: PLC0415 - not for --help
        from ior.cli.reload import PipelineFile  # noqa: PLC0415 - not for --help
        from ior.cli.session import Session, Wishes  # noqa: PLC0415 - not for --help

        file = None if path is None else PipelineFile(path, lambda: prepare(named, args)[1])
        spec, graph = prepare(named, args)
        if not args.quiet:
            say_findings(graph.warnings)
        with contextlib.ExitStack() as stack:
            command = None
            if args.command is not None:
                clean = 2 if overrides.writes_to_stdout(spec) else None
                command = stack.enter_context(Command.start(args.command, stdout=clean))
            wishes = Wishes(
                duration_s=duration_s,
                ledger=args.ledger,
                fail_on_loss=args.fail_on_loss,
                quiet=args.quiet,
                announcement=overrides.describe(spec, command, args.duration),
                status=args.status and not args.verbose,
                reports=any(node.type == "report" for node in spec.nodes.values()),
                file=file,
                watch=args.watch,
            )
            return Session(graph, command, wishes).run()


def _printed(named: str, args: Namespace) -> str:
    """Return the TOML of a preset or file as it is written."""
    changing = ("set", "where", *options.SELECTION, "sample", "pid", "tid", "replay", "output")
    given = [f"--{name}" for name in changing if getattr(args, name)]
    if given or args.command is not None:
        what = given[0] if given else "a command"
        raise UsageError(f"--print prints the pipeline as it is written; {what} cannot change it")
    path = presets.locate(named)
    if path is None:
        return presets.text(named)
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputNotFound(f"cannot read the pipeline {path}: {error}") from None


def _add_outputs(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("results")
    group.add_argument("-o", "--output", metavar="FILE", help="write there what would go to stdout")
    group.add_argument("--ledger", metavar="FILE", help="write the books of the run, as JSON")
    group.add_argument(
        "--fail-on-loss", action="store_true", help="exit with 3 when calls were lost"
    )
    group.add_argument(
        "--status",
        action="store_true",
        help="on a terminal, keep a line with the rate, what was lost and the slowest stage",
    )
    group.add_argument("--print", action="store_true", help="print the pipeline and exit")
    group.add_argument(
        "-q", "--quiet", action="store_true", help="no status and no warnings; results stay"
    )
    group.add_argument(
        "-v", "--verbose", action="store_true", help="say on stderr what ior and libbpf log"
    )
