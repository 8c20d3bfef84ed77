"""What the BPF binding raises: one error with the call, errno, a hint and the verifier's log.

    BpfError             69   a libbpf call failed (IorError, OSError)
    ├── VerifierError    69   the kernel's verifier rejected a program
    └── BpfPermissionError  77   the kernel does not let this user do it (also NotPermitted)

`str()` is always one line, fit for a terminal; the verifier's whole log, which may have
thousands of lines, stays in `verifier_log`.
"""

from __future__ import annotations

import errno as errno_codes
import os

from ior.errors import IorError, NotPermitted

CAPABILITIES = (
    "this needs root, or the capabilities CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN) "
    "in the initial user namespace"
)


class BpfError(IorError, OSError):
    """A libbpf call failed.

    `call` is the C name of the function, `errno` the positive error number, `hint` what is
    known beyond that (may be empty), `verifier_log` the verifier's log (empty for most).
    """

    exit_code = 69

    def __init__(self, call: str, errno: int, hint: str = "", verifier_log: str = "") -> None:
        super().__init__(errno, os.strerror(errno))
        self.call = call
        self.hint = hint
        self.verifier_log = verifier_log

    def __str__(self) -> str:
        name = errno_codes.errorcode.get(self.errno or 0, str(self.errno))
        line = f"{self.call}: {self.strerror} ({name})"
        return f"{line}: {' '.join(self.hint.split())}" if self.hint else line

    def __reduce__(self) -> tuple[type[BpfError], tuple[str, int, str, str]]:
        return type(self), (self.call, self.errno or 0, self.hint, self.verifier_log)


class VerifierError(BpfError):
    """The verifier rejected a program; `hint` has the program's name and the verdict."""


class BpfPermissionError(BpfError, NotPermitted):
    """The kernel does not let this user make the call; the hint names the capabilities."""

    exit_code = 77


def verdict(log: str) -> str:
    """Return the line of a verifier log that says why, empty for an empty log.

    The verifier ends its log with statistics ("processed 12 insns ..."); the reason is the
    line above.
    """
    lines = [line.strip() for line in log.splitlines()]
    reasons = [line for line in lines if line and not line.startswith(("processed ", "--"))]
    return reasons[-1] if reasons else ""


def failure(
    call: str, errno: int, hint: str = "", *, program: str = "", verifier_log: str = ""
) -> BpfError:
    """Return the error that fits a failed call.

    EPERM becomes `BpfPermissionError`, whose hint is the capabilities alone: libbpf's guesses
    (a limit of locked memory, a kernel without BPF) lead astray, and are in the log. A log
    from `program` becomes `VerifierError`.
    """
    if errno == errno_codes.EPERM:
        return BpfPermissionError(call, errno, CAPABILITIES, verifier_log)
    if reason := verdict(verifier_log):
        lines = len(verifier_log.splitlines())
        told = f"the verifier rejects program '{program}': {reason} (of {lines} lines of log)"
        return VerifierError(call, errno, told, verifier_log)
    return BpfError(call, errno, hint, verifier_log)
