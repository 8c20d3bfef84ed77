"""The seam of the command line: what a command promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from argparse import ArgumentParser, Namespace


class Subcommand(ABC):
    """One command of `ior`: its name is the class's in lower case, its help the docstring.

    The first line of the docstring is the line in `ior --help`, all of it the description
    in `ior COMMAND --help`. Modules of commands are imported for `ior --help`, so they
    import numpy, lark, prompt_toolkit and what needs them inside `run`.
    """

    takes_command = False
    """Whether `-- COMMAND ...` may follow; it arrives as `args.command`, a list or None."""

    @property
    def name(self) -> str:
        """The word on the command line."""
        return type(self).__name__.lower()

    @abstractmethod
    def configure(self, parser: ArgumentParser) -> None:
        """Add the command's options to its parser."""

    @abstractmethod
    def run(self, args: Namespace) -> int:
        """Do it and return the exit code. Raises IorError for what the user can act on."""
