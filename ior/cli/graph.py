"""`ior graph`: a pipeline as a picture."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ior.cli.abc import Subcommand


class Graph(Subcommand):
    """Draw the graph of a pipeline.

    As text, as a Mermaid flowchart (GitHub shows one in a ```mermaid block), or for dot.
    The pipeline is checked first; nothing is opened.
    """

    def configure(self, parser: ArgumentParser) -> None:
        """Take the file and the format."""
        parser.add_argument("pipeline", metavar="PIPELINE", help="a file or a preset")
        parser.add_argument(
            "--format", choices=("text", "mermaid", "dot"), default="text", help="default: text"
        )

    def run(self, args: Namespace) -> int:
        """Print the picture."""
        from ior.cli.pictures import FORMATS, picture  # noqa: PLC0415 - not for --help
        from ior.cli.prepare import read  # noqa: PLC0415 - not for --help
        from ior.pipeline.graph import build  # noqa: PLC0415 - not for --help
        from ior.text import sanitise  # noqa: PLC0415 - not for --help

        spec = read(args.pipeline)
        for line in FORMATS[args.format](picture(spec, build(spec))):
            print(sanitise(line))
        return 0
