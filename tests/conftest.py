"""What all tests share: the event loop, hypothesis without deadlines, signals, and the kernel.

A test marked `kernel` loads eBPF programs. It may be skipped in one case only: a developer
without privileges. Under CI it fails instead.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF = 21, 38, 39

# Two cores shared with other work: a slow example is not a failing one. No example
# database, so that a run as root leaves nothing in the clone.
settings.register_profile("ior", deadline=None, database=None, derandomize="CI" in os.environ)
settings.load_profile("ior")


# What a test starts may draw what UTF-8 has, wherever the tests run.
os.environ["LC_ALL"] = "C.UTF-8"

# What a test starts heeds the signals that end it, also where the tests run under nohup or in
# the background of a shell, which ignore them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def may_load_programs() -> bool:
    """Whether this process holds the capabilities that loading tracing programs takes."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    line = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    held = int(line.split()[1], 16)
    return bool(held >> CAP_SYS_ADMIN & 1 or (held >> CAP_BPF & 1 and held >> CAP_PERFMON & 1))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("kernel") is None or may_load_programs():
        return
    reason = "needs CAP_BPF and CAP_PERFMON, or root; run: sudo make test"
    if os.environ.get("CI"):
        pytest.fail(f"under CI the kernel tests must run; this one {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run async tests on asyncio, the backend that the command line uses."""
    return "asyncio"
