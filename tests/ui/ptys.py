"""`ior tui` in a real pty: a shell around it that shows what the terminal is like after it."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pexpect
import pyte

ROOT = Path(__file__).parents[2]
PATIENCE_S = 30.0
PARTS, SILENCE_S = 64, 0.05  # of a picture, at the most; how long nothing follows its last one
_ESCAPES = re.compile("\x1b\\[[0-9;?]*[a-zA-Z]")


class Pty:
    """A shell in a pty that runs `ior tui ...`, and a person who looks at its screen.

    The shell prints the terminal's settings before and after, and the exit code.
    """

    def __init__(
        self, *arguments: str, columns: int = 80, rows: int = 24, within: Sequence[str] = ()
    ) -> None:
        """Run ior by the command `within`, or by itself."""
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.sent = b""
        line = shlex.join([*within, sys.executable, "-m", "ior", "tui", *arguments])
        script = f"stty -g; {line}; echo code=$?; stty -g"
        self.child = pexpect.spawn(
            "/bin/sh", ["-c", script], dimensions=(rows, columns), cwd=ROOT, echo=False
        )

    def __enter__(self) -> Pty:
        return self

    def __exit__(self, *_: object) -> None:
        self.child.close(force=True)

    @property
    def lines(self) -> list[str]:
        return list(self.screen.display)

    def wait(self, holds: Callable[[list[str]], bool]) -> list[str]:
        """Read until the screen is as wanted; fail with the screen if it never is."""
        end = time.monotonic() + PATIENCE_S
        while not holds(self.lines):
            assert time.monotonic() < end, "\n".join(self.lines)
            try:
                part = self.child.read_nonblocking(65536, timeout=0.2)
            except pexpect.TIMEOUT:
                continue
            except pexpect.EOF:
                raise AssertionError("it ended:\n" + "\n".join(self.lines)) from None
            # A picture is more than the terminal's buffer holds: it is whole when nothing follows.
            with contextlib.suppress(pexpect.TIMEOUT, pexpect.EOF):
                for _ in range(PARTS):
                    part += self.child.read_nonblocking(65536, timeout=SILENCE_S)
            self.sent += part
            self._stream.feed(part)
        return self.lines

    def see(self, words: str) -> list[str]:
        """Wait for words anywhere on the screen."""
        return self.wait(lambda lines: any(words in line for line in lines))

    def resize(self, columns: int, rows: int) -> None:
        self.screen.resize(rows, columns)
        self.child.setwinsize(rows, columns)

    def pid(self) -> int:
        """Return the process id of ior itself."""
        shell = self.child.pid
        children = Path(f"/proc/{shell}/task/{shell}/children").read_text(encoding="ascii")
        return int(children.split()[0])

    def read_out(self) -> None:
        """Read until the shell has ended."""
        end = time.monotonic() + PATIENCE_S
        while True:
            assert time.monotonic() < end, self.sent[-2000:]
            try:
                self.sent += self.child.read_nonblocking(65536, timeout=0.2)
            except pexpect.TIMEOUT:
                continue
            except (pexpect.EOF, OSError):
                return

    def leave(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and what was written beside the screen.

        Fails if the terminal is not what it was before.
        """
        self.read_out()
        before, _, rest = self.sent.partition(b"\r\n")
        text, _, ending = rest.rpartition(b"code=")
        code, after = ending.split(b"\r\n")[:2]
        assert before.count(b":") > 10
        assert after == before, "the terminal is not what it was"
        if b"\x1b[?1049h" in text:
            assert text.rfind(b"\x1b[?25h") > text.rfind(b"\x1b[?25l"), "no cursor"
            text = text.rpartition(b"\x1b[?1049l")[2]
        return int(code), _ESCAPES.sub("", os.fsdecode(text)).strip()
