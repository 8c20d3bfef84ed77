"""`ior validate`: check pipelines without running them."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ior.cli.abc import Subcommand
from ior.cli.console import say
from ior.errors import FilterError, SpecError


class Validate(Subcommand):
    """Check a pipeline and print all that is wrong with it.

    Nothing is traced and no output is opened; stages of your own are imported. The exit
    code is 78 when there is something to correct.
    """

    def configure(self, parser: ArgumentParser) -> None:
        """Take the files."""
        parser.add_argument("pipeline", nargs="+", metavar="PIPELINE", help="a file or a preset")

    def run(self, args: Namespace) -> int:
        """Print a line for each finding, or that the file is right."""
        from ior.cli.prepare import read  # noqa: PLC0415 - not for --help
        from ior.pipeline.graph import build  # noqa: PLC0415 - not for --help

        code = 0
        for named in args.pipeline:
            try:
                build(read(named))
            except SpecError as error:
                code = error.exit_code
                for finding in error.findings or (str(error),):
                    say(finding, prefix="")
                if isinstance(error, FilterError):
                    for line in error.caret().split("\n"):
                        say(line, prefix="  ")
            else:
                print(f"{named}: ok")
        return code
