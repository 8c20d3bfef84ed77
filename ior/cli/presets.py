"""`ior presets`, and where the packaged pipelines are found."""

from __future__ import annotations

import difflib
from argparse import ArgumentParser, Namespace
from importlib import resources
from pathlib import Path

from ior.cli.abc import Subcommand
from ior.errors import InputNotFound


class Presets(Subcommand):
    """List the packaged pipelines.

    Run one with `ior run NAME`; begin one of your own with `ior run NAME --print > mine.toml`.
    """

    def configure(self, parser: ArgumentParser) -> None:
        """Take no options."""

    def run(self, args: Namespace) -> int:
        """Print each preset's name and first line."""
        del args
        presets = names()
        width = max(map(len, presets))
        for name in presets:
            print(f"{name:{width}}  {title(name)}")
        return 0


def names() -> list[str]:
    """Return the names of the packaged pipelines, sorted."""
    folder = resources.files("ior") / "presets"
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    )


def text(name: str) -> str:
    """Return the TOML of a preset."""
    return (resources.files("ior") / "presets" / f"{name}.toml").read_text("utf-8")


def title(name: str) -> str:
    """Return what a preset is for: its first line, a comment."""
    return text(name).partition("\n")[0].lstrip("# ")


def locate(named: str) -> Path | None:
    """Return the file that a word on the command line means, None if it names a preset.

    A word with a slash or the suffix `.toml` is a file; another is a preset or, where there
    is none of the name, a file. Raises InputNotFound for a word that is neither.
    """
    if "/" in named or named.endswith(".toml"):
        return Path(named)
    if named in names():
        return None
    if Path(named).is_file():
        return Path(named)
    near = difflib.get_close_matches(named, names(), 1)
    hint = f"did you mean {near[0]}?" if near else f"the presets are {', '.join(names())}"
    raise InputNotFound(
        f"no pipeline file or preset '{named}'; {hint} (to trace a command: ior run -- {named})"
    )
