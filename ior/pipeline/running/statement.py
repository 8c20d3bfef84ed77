"""What a run says of itself at its end, as JSON.

That is the books, everybody's time, the slow stage, the calls that have not returned, and the
totals of those that were counted in the kernel.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ior.counted import Counted, Standing, Totals
from ior.host.output import Output
from ior.pipeline.ledger import Ledger
from ior.pipeline.pace import NodeTimes, Slowest
from ior.pipeline.run import Run
from ior.waiting import InFlight, Waiting

_MOST: Final = 100  # calls in flight, one by one


class Unreturned(msgspec.Struct, frozen=True):
    """The calls that have waited longest, and how many more there were."""

    calls: tuple[Waiting, ...]
    left_out: int


class Bucket(msgspec.Struct, frozen=True):
    """How many calls took at least `from_ns` and less than `below_ns`."""

    from_ns: int
    below_ns: int
    calls: int


class Total(msgspec.Struct, frozen=True):
    """A syscall's calls, as in `Counted`; extremes are None, and buckets none, without a return."""

    syscall: str
    rate: int
    calls: int
    recorded: int
    errors: int
    bytes: int
    untimed: int
    unmatched: int
    latency_ns: int
    least_ns: int | None
    greatest_ns: int | None
    latency: tuple[Bucket, ...]


class KernelTotals(msgspec.Struct, frozen=True):
    """What a source has counted, and how far it can be trusted.

    `standing` is `exact`, `at least` or `unavailable`; `syscalls` is None where unavailable.
    """

    standing: str
    syscalls: tuple[Total, ...] | None


class Statement(Ledger, kw_only=True):
    """The books, with the times of all nodes and the stage that set the pace.

    `in_flight` is None where no source knows which calls have not returned. `totals` has, by
    name, the sources that have counted calls of rates.
    """

    times: dict[str, NodeTimes]
    slowest: Slowest | None
    in_flight: Unreturned | None
    totals: dict[str, KernelTotals]


def statement(run: Run) -> Statement:
    """Return the statement of a run as it stands."""
    books = msgspec.structs.asdict(run.ledger())
    return Statement(
        **books,
        times=run.times(),
        slowest=run.slowest(),
        in_flight=_unreturned(run.in_flight()),
        totals={name: _totals(found) for name, found in run.totals().items()},
    )


def _unreturned(found: InFlight | None) -> Unreturned | None:
    if found is None:
        return None
    return Unreturned(found.calls[:_MOST], max(len(found.calls) - _MOST, 0))


def _totals(found: Totals) -> KernelTotals:
    standing = found.standing.value or "exact"
    if found.standing is Standing.UNAVAILABLE:
        return KernelTotals(standing, None)
    return KernelTotals(standing, tuple(map(_total, found.counted)))


def _total(one: Counted) -> Total:
    latency = one.latency
    return Total(
        syscall=one.syscall,
        rate=one.rate,
        calls=one.calls,
        recorded=one.recorded,
        errors=one.errors,
        bytes=one.bytes,
        untimed=one.untimed,
        unmatched=one.unmatched,
        latency_ns=one.latency_ns,
        least_ns=latency.least,
        greatest_ns=latency.greatest,
        latency=tuple(Bucket(*bucket) for bucket in latency.buckets()),
    )


def write_statement(run: Run, path: str) -> None:
    """Write the statement as indented JSON, a newline at the end. Raises OutputError."""
    text = msgspec.json.format(msgspec.json.encode(statement(run)), indent=2) + b"\n"
    with Output.open(path) as output:
        output.write(text)
