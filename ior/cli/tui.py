"""`ior tui`: trace and look at the results while they grow."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from ior.cli import options
from ior.cli.abc import Subcommand
from ior.errors import UsageError
from ior.host.command import Command, resolve
from ior.host.memory import keep_freed_memory


class Tui(Subcommand):
    """Look at the calls live, in the terminal.

    Without a pipeline it is the preset `tui`. A COMMAND reads nothing and its output is
    thrown away: the screen is the view's. It is asked to end (SIGTERM) when you quit.
    """

    takes_command = True

    def configure(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.usage = "ior tui [PIPELINE.toml] [options] [-- COMMAND ...]"
        parser.add_argument("pipeline", nargs="?", default=None, metavar="PIPELINE")
        options.add_target(parser)
        parser.add_argument("--all", action="store_true", help="every process (the default)")
        parser.add_argument("--demo", action="store_true", help="show made-up calls; needs no root")
        parser.add_argument("--ledger", metavar="FILE", help="write the books of the run, as JSON")
        options.add_selection(parser)
        options.add_changes(parser)

    def run(self, args: Namespace) -> int:
        """Check everything, then show the view until it is left."""
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise UsageError("ior tui needs a terminal; ior run writes to files and pipes")
        check(args)
        from ior.cli import overrides  # noqa: PLC0415 - not for --help
        from ior.cli.prepare import prepare  # noqa: PLC0415 - not for --help
        from ior.ui.app import run_tui  # noqa: PLC0415 - not for --help

        spec, _ = prepare(args.pipeline or "tui", args)
        with contextlib.ExitStack() as stack:
            command = None
            if args.command is not None:
                null = os.open(os.devnull, os.O_RDWR)
                stack.callback(os.close, null)
                command = stack.enter_context(
                    Command.start(args.command, stdin=null, stdout=null, stderr=null)
                )
            keep_freed_memory()
            title = "demo" if args.demo else overrides.whom(spec, command)
            ledger = None if args.ledger is None else Path(args.ledger)
            code = run_tui(spec, command=command, title=title, ledger_path=ledger)
            return code or status_of(command)


def status_of(command: Command | None) -> int:
    """Return the command's own status; 0 for one that was ended because the view was left."""
    if command is None or not command.released:
        return 0
    status = command.end()
    command.check()
    return 0 if status in (None, 128 + signal.SIGTERM) else status


def check(args: Namespace) -> None:
    """Raise UsageError where options contradict each other, and for a command that is missing."""
    options.check_target(args)
    if args.command is not None:
        resolve(args.command[0])
    targets = [args.pid is not None, args.tid is not None, args.command is not None]
    if args.all and any(targets):
        raise UsageError("--all does not go together with --pid, --tid and a command")
    if args.demo and (any(targets) or args.all or args.replay is not None):
        raise UsageError("--demo shows made-up calls: it takes no target, command or capture")
