"""The command `ior`: parse the line, run one command, turn errors into exit codes."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import textwrap
import traceback
from collections.abc import Sequence
from typing import NoReturn

from ior.cli.abc import Subcommand
from ior.cli.console import say, say_findings
from ior.cli.doctor import Doctor
from ior.cli.graph import Graph
from ior.cli.presets import Presets
from ior.cli.run import Run
from ior.cli.schema import Schema
from ior.cli.stages import Stages
from ior.cli.tap import Tap
from ior.cli.test import Test
from ior.cli.tui import Tui
from ior.cli.validate import Validate
from ior.cli.version import version
from ior.errors import FilterError, IorError, SpecError, UsageError
from ior.host.threads import import_numpy_alone

COMMANDS: tuple[Subcommand, ...] = (
    Run(),
    Tui(),
    Presets(),
    Validate(),
    Graph(),
    Tap(),
    Test(),
    Stages(),
    Schema(),
    Doctor(),
)

_INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """A parser that raises instead of printing the usage and leaving."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = _Parser(
        prog="ior",
        description="Show what the processes of this host ask of the kernel.",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="store_true", help="print versions and exit")
    commands = top.add_subparsers(dest="name", metavar="COMMAND", title="commands")
    for command in COMMANDS:
        text = type(command).__doc__ or ""
        sub = commands.add_parser(
            command.name,
            help=text.partition("\n")[0].rstrip("."),
            description=_description(text),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.configure(sub)
    return top


def _description(docstring: str) -> str:
    """Return a docstring's paragraphs, filled to the width that argparse uses itself."""
    width = shutil.get_terminal_size().columns - 2
    return "\n\n".join(textwrap.fill(" ".join(p.split()), width) for p in docstring.split("\n\n"))


def _dispatch(argv: Sequence[str]) -> int:
    line, command = list(argv), None
    if "--" in line:
        cut = line.index("--")
        line, command = line[:cut], line[cut + 1 :]
        if not command:
            raise UsageError("there is no command after --")
    top = parser()
    if not line and command is None:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            top.print_help(sys.stderr)
            return UsageError.exit_code
        line = ["tui"]
    args, unknown = top.parse_known_args(line)
    if args.version:
        print(version())
        return 0
    if args.name is None:
        top.error("a command is missing")
    chosen = next(candidate for candidate in COMMANDS if candidate.name == args.name)
    if unknown:
        hint = "; a command to trace goes after --" if chosen.takes_command else ""
        raise UsageError(f"ior {chosen.name} does not know {' '.join(unknown)}{hint}")
    if command is not None and not chosen.takes_command:
        raise UsageError(f"ior {chosen.name} takes no command after --")
    args.command = command
    import_numpy_alone()
    return chosen.run(args)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `ior` with `argv` (by default the process's own) and return the exit code."""
    try:
        code = _dispatch(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except Exception as error:
        return _report(error)
    except KeyboardInterrupt:
        return _INTERRUPTED
    return code


def _report(error: Exception) -> int:
    """Say on stderr what went wrong and return the exit code that it becomes."""
    if isinstance(error, BrokenPipeError) and not isinstance(error, IorError):
        # Whoever read our output has seen enough. The interpreter flushes once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    found = _known(error)
    if os.environ.get("IOR_DEBUG"):
        traceback.print_exception(error)
    if found is None:
        say(f"{type(error).__name__}: {error}; run with IOR_DEBUG=1 for the traceback")
        return 1
    if isinstance(found, SpecError) and found.findings:
        say_findings(found.findings)
        return found.exit_code
    say(str(found))
    if isinstance(found, FilterError):
        for line in found.caret().split("\n"):
            say(line, prefix="  ")
    return found.exit_code


def _known(error: BaseException) -> IorError | None:
    """Return the error if it is ours, or the first such of a group."""
    if isinstance(error, IorError):
        return error
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(_known, error.exceptions)), None)
    return None
