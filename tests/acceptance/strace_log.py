"""What strace says of a run: its logs, one per thread (`-ff`), read into calls.

strace prints numbers (`-X raw`) and what is behind a descriptor (`--decode-fds`). Nothing of
ior is imported here.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

OPTIONS = ("-ff", "--decode-fds=path,socket", "-T", "-X", "raw")

LINE = re.compile(
    r"(\w+)\((.*)\) += (-?\d+|0x[0-9a-f]+|\?)(<.*>(?:\(deleted\))?)?"
    r"(?: (E[A-Z0-9_]+) \(.*\)| \(.*\))? <(\d+\.\d+)>"
)
WITHOUT_RETURN = re.compile(r"(\w+)\((.*)\) += \?")
STRING = re.compile(r'"(?:[^"\\]|\\.)*"(?:\.\.\.)?')
BEHIND = re.compile(r"<(?:[A-Z][\w-]+:\[.*?\]|[^>]*)>")
DESCRIPTOR = re.compile(r"(-?\d+)<(.*)>(\(deleted\))?")
NUMBER = re.compile(r"-?(?:0x[0-9a-f]+|0[0-7]*|[1-9]\d*)")
NEVER_RETURN = ("exit", "exit_group")
OPENER, CLOSER = "([{", ")]}"


class Call(NamedTuple):
    """One call as strace shows it."""

    name: str
    arguments: list[str]
    ret: int | None  # None: it never returned
    errno: str
    behind: str  # the file of a returned descriptor
    took_s: float | None  # strace's own stops included

    def __str__(self) -> str:
        return f"{self.name}({', '.join(self.arguments)}) = {self.ret} {self.errno}"


def split(text: str) -> list[str]:
    """Split arguments at the commas that stand outside strings, files and structures."""
    found, depth, i, start = [], 0, 0, 0
    while i < len(text):
        character = text[i]
        pattern = {'"': STRING, "<": BEHIND}.get(character)
        if pattern is not None and (match := pattern.match(text, i)):
            i = match.end()
            continue
        if text.startswith("/*", i):
            i = text.index("*/", i) + 1
        elif character in OPENER:
            depth += 1
        elif character in CLOSER:
            depth -= 1
        elif character == "," and not depth:
            found.append(text[start:i].strip())
            start = i + 1
        i += 1
    return [*found, text[start:].strip()] if text else []


def number(text: str) -> int | None:
    """Return an argument's number, None for anything else."""
    found = NUMBER.match(text)
    if found is None:
        return None
    if not re.fullmatch(r"(?:<.*>(?:\(deleted\))?|\s*/\*.*\*/)?", text[found.end() :]):
        return None
    digits = found[0].lstrip("-")
    value = int(digits, 16 if "x" in digits else 8 if digits.startswith("0") else 10)
    return -value if found[0].startswith("-") else value


def member(text: str, name: str) -> int | None:
    """Return the number of a structure's member, None where it does not stand there."""
    found = re.search(rf"[{{ ]{name}=([^,}}]+)", text)
    return number(found[1]) if found else None


def descriptor(text: str) -> tuple[int, str] | None:
    """Return a descriptor and the file behind it; None where strace shows no file."""
    found = DESCRIPTOR.fullmatch(text)
    if found is None:
        return None
    return int(found[1]), found[2] + (" (deleted)" if found[3] else "")


def string(text: str) -> str | None:
    """Return what stands between quotes, None for NULL and for addresses."""
    return text[1:-1] if STRING.fullmatch(text) and text.endswith('"') else None


def _call(line: str) -> Call | None:
    """Return the call of a line, None for what is none: signals, the end."""
    if line.startswith(("---", "+++")):
        return None
    found = LINE.fullmatch(line)
    if found is None:
        never = WITHOUT_RETURN.match(line)
        assert never, line
        if never[1] not in NEVER_RETURN:  # killed inside it
            return None
        return Call(never[1], split(never[2]), None, "", "", None)
    failed = found[5] or ""
    if found[3] == "?":
        return Call(found[1], split(found[2]), None, failed, "", None)
    ret = -getattr(errno, failed) if failed else number(found[3])
    return Call(found[1], split(found[2]), ret, failed, found[4] or "", float(found[6]))


def _folded(calls: list[Call]) -> list[Call]:
    """Join the parts of a call that a signal interrupted and the kernel restarted.

    What strace shows of a first part is a return of ERESTART*. It goes on where the same call
    comes again; where rt_sigreturn gives EINTR instead, that is what the program got.
    """
    folded: list[Call] = []
    open_at: int | None = None
    for call in calls:
        if open_at is not None:
            first = folded[open_at]
            if call.name == "rt_sigreturn" and call.errno == "EINTR":
                folded[open_at] = first._replace(ret=-errno.EINTR, errno="EINTR")
                open_at = None
            elif call.name in (first.name, "restart_syscall"):
                folded[open_at] = call._replace(
                    name=first.name, arguments=first.arguments, took_s=None
                )
                open_at = None if not call.errno.startswith("ERESTART") else open_at
                continue
        if call.errno.startswith("ERESTART"):
            open_at = len(folded)
        folded.append(call)
    return folded


def read(folder: Path, newer: Mapping[int, str]) -> dict[int, list[Call]]:
    """Return each thread's calls, by its id, from logs named `log.TID`.

    A syscall that strace does not know it calls `syscall_0x1c4`; `newer` has its name by number.
    """
    threads = {}
    for log in sorted(folder.glob("log.*"), key=lambda path: int(path.suffix[1:])):
        lines = log.read_text(encoding="utf-8").splitlines()
        calls = [call for line in lines if (call := _call(line)) is not None]
        called = [(call, call.name.partition("syscall_")[2]) for call in calls]
        calls = [call._replace(name=newer[int(nr, 16)]) if nr else call for call, nr in called]
        threads[int(log.suffix[1:])] = _folded(calls)
    return threads
