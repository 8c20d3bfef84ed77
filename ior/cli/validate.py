"""`ior validate`: check pipelines without running them."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ior.cli import doctor
from ior.cli.abc import Subcommand
from ior.errors import SpecError
from ior.findings import Code, Finding
from ior.text import sanitise

if TYPE_CHECKING:
    from ior.pipeline.check import Checked
    from ior.pipeline.spec import PipelineSpec


class Validate(Subcommand):
    """Check pipelines and print all that is wrong with them.

    Nothing is traced and no output is written. Stages of your own are looked at, but none of
    their code runs unless you say --load. The exit code is 78 when there is something to
    correct. docs/codes.md explains each code.
    """

    def configure(self, parser: ArgumentParser) -> None:
        """Take the files."""
        parser.add_argument("pipeline", nargs="+", metavar="PIPELINE", help="a file or a preset")
        parser.add_argument(
            "--load", action="store_true", help="import the stages of your own, to check their keys"
        )
        parser.add_argument(
            "--probe",
            action="store_true",
            help="also say what this host lacks, and for which stage",
        )
        parser.add_argument(
            "--deny-warnings", action="store_true", help="exit with 78 for warnings too"
        )
        parser.add_argument(
            "--format", choices=("text", "json"), default="text", help="default: text"
        )

    def run(self, args: Namespace) -> int:
        """Print what was found in each file, or that it is right."""
        found = [(named, _checked(named, args)) for named in args.pipeline]
        every = [finding for _, checked in found for finding in checked.findings]
        if args.format == "json":
            _print_json(every)
        else:
            for named, checked in found:
                _print_text(named, checked)
        wrong = [finding for finding in every if args.deny_warnings or not finding.is_warning]
        return SpecError.exit_code if wrong else 0


def _checked(named: str, args: Namespace) -> Checked:
    from ior.cli.prepare import survey_named  # noqa: PLC0415 - not for --help
    from ior.pipeline.check import Checked, examine  # noqa: PLC0415 - not for --help
    from ior.testing.trials import findings  # noqa: PLC0415 - not for --help

    try:
        spec = survey_named(named)
    except SpecError as error:
        return Checked({}, list(error.findings), ())
    checked = examine(spec, load=args.load, files=True)
    found = [*checked.findings, *findings(spec, checked.members)]
    if args.probe:
        found += _lacking(spec)
    return checked._replace(findings=sorted(found, key=lambda one: (one.line, one.column)))


def _lacking(spec: PipelineSpec) -> list[Finding]:
    """Return what the host lacks, for each stage that traces."""
    tracing = [node.name for node in spec.nodes.values() if node.type == "bpf" and node.enabled]
    if not tracing:
        return []
    lacking = [finding for finding in doctor.findings() if finding.code]
    return [
        Finding(
            spec.label,
            *spec.places.find(("stage", name)),
            Code.HOST,
            f"stage.{name}",
            f"this host cannot trace: {one.name}: {one.said}",
            one.remedy or "`ior doctor` says more",
        )
        for name in tracing
        for one in lacking
    ]


def _print_text(named: str, checked: Checked) -> None:
    for finding in checked.findings:
        print("\n".join(map(sanitise, finding.lines())))
    warnings = sum(finding.is_warning for finding in checked.findings)
    counts = {"error": len(checked.findings) - warnings, "warning": warnings}
    said = [f"{count} {word}{'s' * (count != 1)}" for word, count in counts.items() if count]
    if checked.unseen:
        stages = ", ".join(f"'{name}'" for name in checked.unseen)
        said += [f"--load would check the keys and columns of {stages}"]
    print(sanitise(f"{named}: {'; '.join([*said] if any(counts.values()) else ['ok', *said])}"))


def _print_json(findings: Sequence[Finding]) -> None:
    rows = [
        {"severity": "warning" if finding.is_warning else "error", **finding._asdict()}
        for finding in findings
    ]
    print(json.dumps(rows, indent=2))
