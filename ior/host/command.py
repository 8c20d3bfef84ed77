"""Run a command under trace: started stopped, released when the probes are attached."""

from __future__ import annotations


class Command:
    """A child process that has not executed its program yet."""

    pid: int

    def release(self) -> None:
        """Let the program run."""

    def poll(self) -> int | None:
        """Return the exit code (128+N for a signal), None while it runs."""
