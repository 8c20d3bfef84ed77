"""`ior graph`: a pipeline as a picture."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ior.cli import options
from ior.cli.abc import Subcommand


class Graph(Subcommand):
    """Draw the graph of a pipeline.

    As text, as a Mermaid flowchart (GitHub shows one in a ```mermaid block), or for dot.
    The pipeline is checked first; nothing is opened. With options of `ior run` about what
    to trace it shows what becomes of them: which part of a filter the kernel applies.
    """

    def configure(self, parser: ArgumentParser) -> None:
        """Take the file and the format."""
        parser.add_argument("pipeline", metavar="PIPELINE", help="a file or a preset")
        parser.add_argument(
            "--format", choices=("text", "mermaid", "dot"), default="text", help="default: text"
        )
        parser.set_defaults(
            pid=None, tid=None, follow_forks=False
        )  # whom it traces changes nothing
        options.add_selection(parser)
        options.add_changes(parser)

    def run(self, args: Namespace) -> int:
        """Print the picture."""
        from ior.cli.pictures import FORMATS, picture  # noqa: PLC0415 - not for --help
        from ior.cli.prepare import prepare  # noqa: PLC0415 - not for --help
        from ior.text import sanitise  # noqa: PLC0415 - not for --help

        options.check_target(args)
        for line in FORMATS[args.format](picture(*prepare(args.pipeline, args, files=False))):
            print(sanitise(line))
        return 0
