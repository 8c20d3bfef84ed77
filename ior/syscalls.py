"""Which syscalls there are: names, families, kinds, byte classes and numbers.

The table is `ior/data/syscalls.tsv`. A syscall has the kernel's tracepoint name
(`newfstat`) and the name that users know (`fstat`); either may be written, rows show the
latter. Numbers differ between architectures; a call that one of them lacks has none.
"""

from __future__ import annotations

import difflib
import errno
import functools
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import NamedTuple

from ior.errors import UsageError

NR_LIMIT = 512  # numbers at or above are not syscalls of ours (x32, out of range)


class Syscall(NamedTuple):
    """One syscall on one architecture."""

    nr: int
    name: str
    tracepoint: str
    family: str
    kind: str
    byte_class: str  # "read", "write", "transfer" or "-"


class Table:
    """Every syscall of one architecture, by number and by either name."""

    def __init__(self, arch: str, calls: Iterable[Syscall]) -> None:
        self.arch = arch
        self.by_nr: dict[int, Syscall] = {call.nr: call for call in calls}
        self.by_name: dict[str, Syscall] = {}
        for call in self.by_nr.values():
            self.by_name[call.tracepoint] = call
        for call in self.by_nr.values():
            self.by_name[call.name] = call
        self.families: tuple[str, ...] = tuple(sorted({c.family for c in self.by_nr.values()}))
        self.kinds: tuple[str, ...] = tuple(sorted({c.kind for c in self.by_nr.values()}))

    def name(self, nr: int) -> str:
        """Return the user-visible name of a number, `syscall_NNN` where the table has none."""
        call = self.by_nr.get(nr)
        return call.name if call else f"syscall_{nr}"

    def family(self, nr: int) -> str:
        """Return the family of a number, `Misc` where the table has none."""
        call = self.by_nr.get(nr)
        return call.family if call else "Misc"

    def nr(self, name: str) -> int:
        """Return the number of a syscall by either name, or -1 where this machine has none."""
        call = self.by_name.get(name)
        return call.nr if call else -1


def errno_name(number: int) -> str:
    """Return `ENOENT` for 2, the number itself where the C library has no name, "" for 0.

    Where there are two names it is the kernel's: EOPNOTSUPP, not ENOTSUP.
    """
    if number == errno.EOPNOTSUPP:
        return "EOPNOTSUPP"
    return errno.errorcode.get(number, str(number)) if number else ""


def architecture() -> str:
    """Return this machine's architecture as the table calls it. Raises UsageError if unknown."""
    machine = platform.machine()
    arch = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
    if machine not in arch:
        raise UsageError(f"ior knows the syscalls of x86-64 and arm64; this machine is {machine}")
    return arch[machine]


@functools.cache
def table(arch: str | None = None) -> Table:
    """Return the table of `arch` (`x86_64`, `arm64`), by default this machine's."""
    arch = arch or architecture()
    text = resources.files("ior").joinpath("data/syscalls.tsv").read_text("ascii")
    header, *lines = text.splitlines()
    column = header.lstrip("# ").split("\t").index(f"nr_{arch}")
    rows = (line.split("\t") for line in lines if line)
    known = (r for r in rows if r[column] != "-")
    return Table(arch, [Syscall(int(r[column]), r[1], r[0], *r[2:5]) for r in known])


KEYS = ("families", "kinds", "syscalls")
"""The ways to choose syscalls."""


def objection(key: str, word: str) -> str | None:
    """Return what is wrong with one word of `families`, `kinds` or `syscalls`, None if nothing."""
    try:
        _union(table(), **{"families": (), "kinds": (), "syscalls": ()} | {key: (word,)})
    except UsageError as error:
        return str(error)
    return None


def _family(table_: Table, word: str) -> str:
    for family in table_.families:
        if family.lower() == word.lower():
            return family
    raise UsageError(unknown("family", word, table_.families))


def _kind(table_: Table, word: str) -> str:
    if word.lower() in table_.kinds:
        return word.lower()
    raise UsageError(unknown("kind", word, table_.kinds))


def unknown(what: str, word: str, choices: Iterable[str]) -> str:
    """Return the sentence about a word that is no `what`, with the nearest choices."""
    choices = list(choices)
    lower = {choice.lower(): choice for choice in choices}
    near = [lower[c] for c in difflib.get_close_matches(word.lower(), lower, 3, 0.6)]
    if near:
        return f"unknown {what} '{word}'; did you mean {' or '.join(near)}?"
    if len(choices) < 60:
        return f"unknown {what} '{word}'; the choices are {', '.join(choices)}"
    return f"unknown {what} '{word}'"


def _named(table_: Table, words: Iterable[str]) -> set[int]:
    numbers: set[int] = set()
    for word in words:
        if len(word) > 1 and word.startswith("/") and word.endswith("/"):
            try:
                pattern = re.compile(word[1:-1])
            except re.error as error:
                raise UsageError(f"bad pattern {word}: {error}") from None
            found = {call.nr for name, call in table_.by_name.items() if pattern.search(name)}
            if not found:
                raise UsageError(f"no syscall matches {word}")
            numbers |= found
        elif word in table_.by_name:
            numbers.add(table_.by_name[word].nr)
        else:
            raise UsageError(unknown("syscall", word, sorted(table_.by_name)))
    return numbers


def _union(
    table_: Table, families: Iterable[str], kinds: Iterable[str], syscalls: Iterable[str]
) -> set[int]:
    chosen_families = {_family(table_, word) for word in families}
    chosen_kinds = {_kind(table_, word) for word in kinds}
    calls = table_.by_nr.values()
    numbers = {c.nr for c in calls if c.family in chosen_families or c.kind in chosen_kinds}
    return numbers | _named(table_, syscalls)


def select(
    families: Sequence[str] = (),
    kinds: Sequence[str] = (),
    syscalls: Sequence[str] = (),
    exclude: Mapping[str, Sequence[str]] | None = None,
    *,
    arch: str | None = None,
) -> frozenset[int]:
    """Return the numbers of the union of what is asked for, minus what is excluded.

    Without any positive selection it is family FS. `exclude` has the keys `families`,
    `kinds` and `syscalls`. A syscall is written by either name or as `/regex/`; families in
    any case. Raises UsageError, with the nearest valid names, for an unknown name and for a
    selection that leaves nothing.
    """
    table_ = table(arch)
    if not (families or kinds or syscalls):
        families = ("FS",)
    wanted = _union(table_, families, kinds, syscalls)
    out = exclude or {}
    wanted -= _union(table_, out.get("families", ()), out.get("kinds", ()), out.get("syscalls", ()))
    if not wanted:
        raise UsageError("the selection of syscalls leaves nothing to trace")
    return frozenset(wanted)
