"""Findings as they are made: whoever checks says problems, this knows where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ior.findings import Code, Finding, Path, Problem, dotted
from ior.pipeline.reading.places import Places


class Collector:
    """The findings about one document.

    `label` names the file, `places` index it. `said` names, for paths that the file does not
    say itself, who does: an option of the command line.
    """

    def __init__(self, label: str, places: Places, said: Mapping[Path, str] | None = None) -> None:
        self.found: list[Finding] = []
        self._label, self._places, self._said = label, places, said or {}

    def add(self, problem: Problem, at: Path = (), value: object = None) -> None:
        """Take a problem of the table at `at`; `value` is the text that its offset is in."""
        path = (*at, *problem.keys)
        if path and isinstance(path[-1], int) and path not in self._places:
            path = path[:-1]  # a list of one that is written as the one
        finding = Finding(
            self._label,
            *self._places.find(path, at_key=problem.at_key, offset=problem.offset, of=value),
            problem.code,
            dotted(path),
            problem.message,
            problem.help,
            problem.excerpt,
        )
        for length in range(len(path), 0, -1):
            if path[:length] in self._said:
                finding = finding._replace(file=self._said[path[:length]], line=0, column=0)
                break
        unset = any(f.code is Code.ENVIRONMENT and f.where == finding.where for f in self.found)
        if finding not in self.found and (not unset or finding.code is Code.ENVIRONMENT):
            self.found.append(finding)

    def say(self, code: Code, at: Path, message: str, hint: str = "", **more: Any) -> None:
        """Add a problem with the value at `at`."""
        self.add(Problem(code, message, hint, **more), at)

    def sorted(self) -> list[Finding]:
        """Return the findings in the order of the file."""
        return sorted(self.found, key=lambda finding: (finding.line, finding.column))
