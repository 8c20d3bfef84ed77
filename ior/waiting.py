"""Calls that have not returned at a moment, as sources answer them when they are looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

import msgspec

from ior.snapshots import Field, Table


class Waiting(msgspec.Struct, frozen=True):
    """One call that has not returned. Texts are in text-column form; `fd` is -1 without one."""

    age_ns: int
    pid: int
    tid: int
    comm: str
    syscall: str
    fd: int
    file: str


class Earlier(msgspec.Struct, frozen=True):
    """A call that a thread slept in when tracing began, and still does; since when is not known.

    `deaf` is True where no signal wakes it: its thread is in an uninterruptible sleep.
    """

    pid: int
    tid: int
    comm: str
    syscall: str
    fd: int
    file: str
    deaf: bool


class InFlight(msgspec.Struct, frozen=True):
    """The calls that had not returned at one moment, the one that has waited longest first.

    `earlier` are those from before the trace, which no books count: of one that returns, nothing
    is known but that.
    """

    calls: tuple[Waiting, ...]
    earlier: tuple[Earlier, ...] = ()

    def tables(self) -> Sequence[Table]:
        """Return one table; none when every call has returned."""
        if not self.calls:
            return ()
        fields = (
            *(Field("comm", "text"), Field("pid", "int"), Field("tid", "int")),
            *(Field("syscall", "text"), Field("fd", "text"), Field("file", "text")),
            Field("age", "duration"),
        )
        rows = [
            (c.comm, c.pid, c.tid, c.syscall, str(c.fd) if c.fd >= 0 else "", c.file, c.age_ns)
            for c in self.calls
        ]
        return (Table("In flight", fields, rows),)


def in_flight(snapshots: Iterable[object]) -> InFlight | None:
    """Return all calls in flight that sources have answered; None where none of them knows."""
    known = [found for found in snapshots if isinstance(found, InFlight)]
    calls = sorted(chain(*(found.calls for found in known)), key=lambda call: -call.age_ns)
    earlier = tuple(chain(*(found.earlier for found in known)))
    return InFlight(tuple(calls), earlier) if known else None
