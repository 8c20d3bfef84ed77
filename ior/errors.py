"""The errors that ior raises on purpose, each with the exit code that it becomes.

    IorError                     1   a stage or sink failed, calls were abandoned
    ├── UsageError               2   the command line asks for something that cannot be
    │   └── NoSuchTarget         2   the pid or tid to trace is gone
    ├── LossError                3   calls were lost and --fail-on-loss was given
    ├── InputNotFound           66   no such pipeline, preset or capture
    ├── MissingExtra            69   an optional library is not installed
    ├── UnsupportedHost         69   this kernel or machine cannot trace
    ├── OutputError             73   an output cannot be created
    ├── NotPermitted            77   the kernel does not let this user trace
    ├── SpecError               78   the pipeline does not check
    │   └── FilterError         78   a filter expression is wrong, with the place
    ├── CommandNotExecutable   126   the command cannot be executed
    ├── CommandNotFound        127   the command does not exist
    ├── ReloadRefused            1   a run cannot go on with a changed pipeline
    └── StageFailed              1   a node of the graph raised

Every message says what is wrong, where, and what to do about it; `ior.cli` prints it as
one line and exits with `exit_code`. The binding's own `BpfError` lives beside the binding.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path as FilePath

from ior.findings import Code, Finding, Path, Problem, dotted


class IorError(Exception):
    """Something that the user can understand and act on."""

    exit_code = 1


class UsageError(IorError, ValueError):
    """The command line asks for something that does not exist or does not combine."""

    exit_code = 2


class NoSuchTarget(UsageError, ProcessLookupError):
    """The process or thread to trace does not exist (any more)."""


class LossError(IorError):
    """Calls were lost and the user asked for that to be a failure."""

    exit_code = 3


class InputNotFound(IorError, FileNotFoundError):
    """A file, preset or capture to read from does not exist."""

    exit_code = 66


class MissingExtra(IorError, ImportError):
    """An optional library is not installed; the message names the extra that brings it."""

    exit_code = 69


class UnsupportedHost(IorError, OSError):
    """This machine cannot trace; the message names the feature that it lacks."""

    exit_code = 69


class OutputError(IorError, OSError):
    """An output cannot be created or written."""

    exit_code = 73


class NotPermitted(IorError, PermissionError):
    """The kernel refuses; the message names the missing capability and the remedy."""

    exit_code = 77


_EXIT = {Code.OUTPUT: OutputError.exit_code, Code.INPUT: InputNotFound.exit_code}


class SpecError(IorError, ValueError):
    """The pipeline does not check.

    Whoever looks at one part raises it with a message and, where they are known, a `code`, a
    `hint` what to do, and the `keys` of the table that it looked at; `problems` are these. What
    the checker raises has `findings`: all that was found, with their places.
    """

    exit_code = 78
    findings: tuple[Finding, ...] = ()

    def __init__(
        self, message: str, *, code: Code = Code.REFUSED, hint: str = "", keys: Path = ()
    ) -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.problems: tuple[Problem, ...] = (Problem(code, message, hint, keys),)

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> SpecError:
        """Return the error that says the first of `problems` and carries all."""
        first = problems[0]
        where = f"key '{dotted(first.keys)}': " if first.keys and not first.at_key else ""
        error = cls(where + first.message, hint=first.help)
        error.problems = tuple(problems)
        return error

    @classmethod
    def found(cls, findings: Sequence[Finding]) -> SpecError:
        """Return the error that says the first finding that is no warning and carries all.

        Its exit code is that of outputs or inputs where nothing else is wrong.
        """
        errors = [finding for finding in findings if not finding.is_warning]
        error = cls(str(errors[0]))
        error.findings = tuple(findings)
        codes = {_EXIT.get(finding.code, cls.exit_code) for finding in errors}
        error.exit_code = codes.pop() if len(codes) == 1 else cls.exit_code
        return error


class FilterError(SpecError):
    """A filter expression is wrong.

    `source` is the expression, `start` and `end` the half-open range of characters that
    the message is about.
    """

    def __init__(
        self, message: str, source: str, start: int, end: int, code: Code = Code.FILTER_SYNTAX
    ) -> None:
        super().__init__(message, code=code)
        self.source, self.start, self.end = source, start, max(end, start + 1)

    def caret(self) -> str:
        """Return the line of the expression that is wrong, and carets under the place."""
        begin = self.source.rfind("\n", 0, self.start) + 1
        stop = self.source.find("\n", self.start)
        stop = len(self.source) if stop < 0 else stop
        begin = max(begin, self.start - 60)
        stop = min(stop, max(self.start + 60, begin + 80))
        carets = "^" * max(min(self.end, stop) - self.start, 1)
        return f"{self.source[begin:stop]}\n{' ' * (self.start - begin)}{carets}"


class CommandNotExecutable(IorError, PermissionError):
    """The command to trace exists and cannot be executed."""

    exit_code = 126


class CommandNotFound(IorError, FileNotFoundError):
    """The command to trace does not exist."""

    exit_code = 127


class StageFailed(IorError, RuntimeError):
    """A node of the graph raised; `__cause__` is what it raised."""


class ReloadRefused(IorError):
    """A run cannot go on with a changed pipeline; it goes on with the old one.

    `reasons` are all that stand against it, a sentence each.
    """

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = tuple(reasons)


class Retold(RuntimeError):
    """What was raised elsewhere, in the words of `raised` there."""


_NOT_THEIRS = (f"{FilePath(__file__).parent}/", f"{FilePath(traceback.__file__).parent}/", "<")


def raised(error: BaseException) -> str:
    """Return one line for the user: what was raised, and the last place in their code where.

    That is neither ior's nor the standard library's. An error of ior's own, or one retold, says
    all in its message.
    """
    said = " ".join(str(error).split())
    if isinstance(error, (IorError, Retold)):
        return said
    said = f"{type(error).__name__}: {said}" if said else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not frame.filename.startswith(_NOT_THEIRS)]
    if not theirs:
        return said
    return f"{said} ({theirs[-1].filename.rpartition('/')[2]}:{theirs[-1].lineno})"
