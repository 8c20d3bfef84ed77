"""Names that others chose: exact in files, harmless on a terminal."""

from __future__ import annotations

import os
import sys
import time
import unicodedata
from pathlib import Path

import pexpect
import pyte
import pytest
from product import IOR, PATIENCE_S, environment, ior

from ior.text import unescape

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(120)]

TITLE = b"\x1b]0;pwned\x07"
NAMES = (
    b"escape\x1b[31m" + TITLE + b"\x1b[2J",
    b"line\nbreak\r\nboth",
    b'comma,quote"\'both"',
    "bidi\u202eabc\u2066def\u200f".encode(),
    b"invalid\xff\xfe\xc3",
    b"c1\xc2\x9b31m\x9b31m\xc2\x85",
    b"=cmd()|'calc'!A0",
    b"back\\slash\\x41\\",
    "separators\u2028\u2029\ufeff\u200b".encode(),
    b"tab\tdelete\x7fbell\x07",
    b" blanks ",
    "ordinary é日本".encode(),
)
COMM = b'\x1b[2J\n\xe2\x80\xae,"\xff'

# Makes, renames, opens through a link and misses each file that is named in hex.
WORK = """
import os, sys
folder = os.fsencode(sys.argv[1])
with open("/proc/self/comm", "wb") as comm:
    comm.write(bytes.fromhex(sys.argv[2]))
for name in map(bytes.fromhex, sys.argv[3:]):
    path = os.path.join(folder, name)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    os.rename(path, path + b"2")
    os.symlink(name + b"2", path)
    os.close(os.open(path, os.O_RDONLY))
    try:
        os.open(os.path.join(folder, b"gone", name), os.O_RDONLY)
    except FileNotFoundError:
        pass
"""
SELECTED = ("--syscalls", "/^open/,/^rename/")


def work(folder: Path) -> tuple[str, ...]:
    return sys.executable, "-I", "-c", WORK, str(folder), COMM.hex(), *(n.hex() for n in NAMES)


def test_hostile_names_read_back_exactly_from_csv(tmp_path: Path) -> None:
    done = ior(tmp_path, "run", "plain", *SELECTED, "--", *work(tmp_path))
    assert done.code == 0, done.err
    folder = bytes(tmp_path) + b"/"
    cells = ("file", "old_file", "asked", "comm")
    mine = [
        (row["syscall"], *(unescape(row[name]) for name in cells))
        for row in done.rows
        if unescape(row["file"]).startswith(folder)
    ]
    expected = []
    for name in NAMES:
        path = folder + name
        expected += [
            ("openat", path, b"", b"", COMM),
            ("rename", path + b"2", path, b"", COMM),
            ("openat", path + b"2", b"", path, COMM),
            ("openat", folder + b"gone/" + name, b"", b"", COMM),
        ]
    assert mine == expected


class Terminal:
    """A pty of 200 columns in which `ior` runs, and the screen that a person would see."""

    def __init__(self, folder: Path, *argv: str | bytes) -> None:
        line = [os.fsdecode(word) for word in (*IOR[1:], *argv)]
        self.screen = pyte.Screen(200, 50)
        self._stream = pyte.ByteStream(self.screen)
        self.sent = b""
        self._child = pexpect.spawn(
            IOR[0], line, cwd=folder, env=environment(), dimensions=(50, 200), echo=False
        )

    def read(self, words: str | None = None) -> None:
        """Read until words are on the screen, by default to the end."""
        end = time.monotonic() + PATIENCE_S
        while words is None or not any(words in line for line in self.screen.display):
            assert time.monotonic() < end, self.sent[-2000:]
            try:
                part = self._child.read_nonblocking(65536, timeout=0.2)
            except pexpect.TIMEOUT:
                continue
            except (pexpect.EOF, OSError):
                assert words is None, self.sent[-2000:]
                return
            self.sent += part
            self._stream.feed(part)

    def type(self, keys: str) -> None:
        self._child.send(keys)

    def settle(self) -> None:
        """Read until nothing has come for a while."""
        end = time.monotonic() + PATIENCE_S
        before = -1
        while before != len(self.sent):
            assert time.monotonic() < end, self.sent[-2000:]
            before = len(self.sent)
            try:
                part = self._child.read_nonblocking(65536, timeout=0.5)
            except pexpect.TIMEOUT:
                continue
            self.sent += part
            self._stream.feed(part)

    def close(self) -> int:
        """Return the exit code."""
        self._child.close()
        return int(self._child.exitstatus)


def dangerous(text: str) -> set[str]:
    """Return the characters that may move, hide or turn what a terminal shows."""
    hidden = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    return hidden - {"\r", "\n"}


@pytest.mark.parametrize("preset", ["plain", "flame", "summary"])
def test_no_control_byte_reaches_a_terminal(tmp_path: Path, preset: str) -> None:
    line = ("run", preset, *SELECTED, *(("--set", "report.top=99") if preset == "summary" else ()))
    terminal = Terminal(tmp_path, *line, "--", *work(tmp_path))
    terminal.read()
    assert terminal.close() == 0
    text = terminal.sent.decode("utf-8", "surrogateescape")
    assert "pwned" in text
    assert "ordinary é日本" in text
    assert dangerous(text) == set()
    assert terminal.screen.title == ""


def test_no_control_byte_reaches_the_live_view(tmp_path: Path) -> None:
    program = tmp_path / os.fsdecode(TITLE + b"\n\xe2\x80\xae\xff\x1b[31mname")
    program.write_text("#!/bin/sh\nexec true\n")
    program.chmod(0o755)
    terminal = Terminal(tmp_path, "tui", "--", os.fsencode(f"./{program.name}"))
    terminal.read(" ended ")
    screens = ["\n".join(terminal.screen.display)]
    for key in "123456789":
        terminal.type(key)
        terminal.settle()
        screens.append("\n".join(terminal.screen.display))
    assert len(set(screens)) > 6, "the digits change the tab"
    assert sum("pwned" in screen for screen in screens) > 3
    shown = "\n".join(screens)
    terminal.type("q")
    terminal.read()
    assert terminal.close() == 0
    assert "pwned" in shown
    assert dangerous(shown) == set()
    assert terminal.screen.title != "pwned"
    assert b"pwned\x07" not in terminal.sent
    assert "\u202e".encode() not in terminal.sent
    assert b"\x1b[31mname" not in terminal.sent


def test_no_control_byte_is_in_what_ior_says_of_a_command(tmp_path: Path) -> None:
    name = os.fsdecode(b"./gone" + TITLE + b"\n\xff")
    terminal = Terminal(tmp_path, "run", "--", name)
    terminal.read()
    assert terminal.close() == 127
    text = terminal.sent.decode("utf-8", "surrogateescape")
    assert "pwned" in text
    assert text.count("\n") == 1
    assert dangerous(text) == set()
