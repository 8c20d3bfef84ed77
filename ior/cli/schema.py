"""`ior schema`: the JSON Schema of a pipeline.toml, for editors."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

import msgspec

from ior.cli.abc import Subcommand


class Schema(Subcommand):
    """Print the JSON Schema of a pipeline.toml, for editors.

    Write it beside your pipeline, `ior schema > ior.schema.json`, and begin the pipeline
    with the line `#:schema ./ior.schema.json`: editors with taplo (Even Better TOML in VS
    Code) then complete keys and mark mistakes as you type.
    """

    def configure(self, parser: ArgumentParser) -> None:
        """Take no options."""

    def run(self, args: Namespace) -> int:
        """Print the schema."""
        del args
        from ior.pipeline.reading.schema import json_schema  # noqa: PLC0415 - not for --help

        print(msgspec.json.format(msgspec.json.encode(json_schema()), indent=2).decode())
        return 0
