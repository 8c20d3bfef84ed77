"""Which syscalls are switched on: those that the run traces, but for what a person switched.

Syscalls go by the names that people know. Everything here is a value or a function of values.
"""

from __future__ import annotations

import functools

import msgspec
from msgspec.structs import replace

from ior import syscalls


class Switches(msgspec.Struct, frozen=True):
    """The names of the syscalls that are off: now, and when the run began."""

    off: frozenset[str] = frozenset()
    at_first: frozenset[str] = frozenset()

    @classmethod
    def tracing(cls, numbers: frozenset[int]) -> Switches:
        """Return the switches of a run that traces the syscalls of these numbers."""
        calls = syscalls.table().by_nr.values()
        off = frozenset(call.name for call in calls if call.nr not in numbers)
        return cls(off, off)

    def toggled(self, names: frozenset[str]) -> Switches:
        """Switch all of `names` off if one is on, else on: those that were so when the run began.

        If none of them was, all.
        """
        if names - self.off:
            return replace(self, off=self.off | names)
        return replace(self, off=self.off - (names - self.at_first or names))

    @property
    def numbers(self) -> frozenset[int]:
        """The numbers, on this machine, of the syscalls that are on."""
        return frozenset(c.nr for c in syscalls.table().by_nr.values() if c.name not in self.off)

    @property
    def where(self) -> str:
        """The filter that leaves out what was on when the run began; "" if there is nothing."""
        out = sorted(self.off - self.at_first)
        quoted = ", ".join(f'"{name}"' for name in out)
        return f"syscall not in [{quoted}]" if out else ""

    @property
    def families(self) -> tuple[str, ...]:
        """The families of which a syscall is on, in order."""
        return tuple(name for name, members in families().items() if members - self.off)

    def words(self) -> str:
        """Say what differs from when the run began: whole families by their names."""
        off = _named(self.off - self.at_first, self.at_first)
        on = _named(self.at_first - self.off, frozenset())
        return "; ".join(
            f"{what} {', '.join(names)}" for what, names in (("off", off), ("on", on)) if names
        )


def _named(names: frozenset[str], aside: frozenset[str]) -> list[str]:
    """Return the families that are in `names`, but for those `aside`, and single names."""
    found, rest = [], set(names)
    for family, members in families().items():
        some = members - aside
        if len(some) > 1 and some <= names:
            found.append(family)
            rest -= some
    return found + sorted(rest)


@functools.cache
def families() -> dict[str, frozenset[str]]:
    """Return the names of this machine's syscalls by family, families in order."""
    table = syscalls.table()
    calls = table.by_nr.values()
    return {f: frozenset(c.name for c in calls if c.family == f) for f in table.families}
