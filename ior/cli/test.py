"""`ior test`: run the tests that a pipeline's TOML holds."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from ior.cli import presets
from ior.cli.abc import Subcommand
from ior.cli.console import say
from ior.errors import SpecError, UsageError

if TYPE_CHECKING:
    from ior.pipeline.spec import PipelineSpec
    from ior.testing.trials import Outcome

_RED = 1


class Test(Subcommand):
    """Run the [[test]] tables of a pipeline.

    Sources give what a test feeds, sinks only take, and time is virtual: no privileges, no
    network, no waiting, no file written. What does not hold is printed, rows as a diff, and
    the exit code is 1. With --update the `rows` and numbers in the file become what came.
    """

    def configure(self, parser: ArgumentParser) -> None:
        """Take the files."""
        parser.add_argument("pipeline", nargs="+", metavar="PIPELINE.toml")
        parser.add_argument(
            "--update", action="store_true", help="write what came into the file, then look at it"
        )

    def run(self, args: Namespace) -> int:
        """Print a line for each test, and what is wrong under it."""
        from ior.cli.prepare import read  # noqa: PLC0415 - not for --help

        code = 0
        for named in args.pipeline:
            spec = read(named)
            if not spec.tests:
                raise UsageError(f"{named} has no tests; a table [[test]] is one")
            outcomes = _outcomes(spec)
            if args.update:
                outcomes = _update(named, outcomes)
            for trial, outcome in zip(spec.tests.values(), outcomes, strict=True):
                code = _say(f"{spec.label}: {trial.name}", outcome) or code
        return code


def _outcomes(spec: PipelineSpec) -> list[Outcome]:
    import anyio  # noqa: PLC0415 - not for --help

    from ior.pipeline.graph import build  # noqa: PLC0415 - not for --help
    from ior.testing.trials import findings, run_trial  # noqa: PLC0415 - not for --help

    wrong = findings(spec, build(spec).members)
    if wrong:
        raise SpecError.found(wrong)
    return [anyio.run(run_trial, spec, trial) for trial in spec.tests.values()]


def _say(title: str, outcome: Outcome) -> int:
    from ior.text import sanitise  # noqa: PLC0415 - not for --help

    print(f"{'FAIL' if outcome.wrong else 'ok  '} {sanitise(title)}")
    for block in outcome.wrong:
        for line in block.split("\n"):
            print(f"     {sanitise(line)}")
    return _RED if outcome.wrong else 0


def _update(named: str, outcomes: list[Outcome]) -> list[Outcome]:
    """Write what came into the file; return the outcomes of the file as it is then."""
    from ior.cli.prepare import read  # noqa: PLC0415 - not for --help
    from ior.testing.trials.rewriting import rewritten  # noqa: PLC0415 - not for --help

    path = presets.locate(named)
    if path is None:
        raise UsageError(f"{named} is a preset: it cannot be changed")
    changes: dict[tuple[str | int, ...], str] = {
        ("test", number, "expect", place, key): text
        for number, outcome in enumerate(outcomes)
        for (place, key), text in outcome.came.items()
    }
    if changes:
        before = path.read_text("utf-8")
        Path(path).write_text(rewritten(before, changes), "utf-8")
        say(f"{named}: {len(changes)} expectations rewritten")
    return _outcomes(read(named))
