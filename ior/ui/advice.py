"""What helps where a run could not begin: the lines that stand in the tab's place then."""

from __future__ import annotations

from ior.errors import NotPermitted, UnsupportedHost

_ELSEWHERE = (
    ("ior tui --demo", "made-up calls, on any machine, without privileges"),
    ("ior tui FILE.ior", "what was recorded where tracing works"),
)
_ADVICE: dict[int, tuple[tuple[str, str], ...]] = {
    NotPermitted.exit_code: (
        ("sudo ior tui ...", "trace as root, or with CAP_BPF and CAP_PERFMON"),
        ("ior doctor", "what else is missing on this host"),
        *_ELSEWHERE,
    ),
    UnsupportedHost.exit_code: (
        ("ior doctor", "what this host lacks, with the remedy for each"),
        *_ELSEWHERE,
    ),
}


def advice(error: BaseException | None) -> tuple[tuple[str, str], ...]:
    """Return commands that help after an error, each with what it is for."""
    return _ADVICE.get(getattr(error, "exit_code", 0), ())
