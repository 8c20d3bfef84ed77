"""What a run says of itself at its end, as JSON.

That is the books, everybody's time, the slow stage, and the calls that have not returned.
"""

from __future__ import annotations

from typing import Final

import msgspec

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


class Statement(Ledger, kw_only=True):
    """The books, with the times of all nodes and the stage that set the pace.

    `in_flight` is None where no source knows which calls have not returned.
    """

    times: dict[str, NodeTimes]
    slowest: Slowest | None
    in_flight: Unreturned | None


def statement(run: Run) -> Statement:
    """Return the statement of a run as it stands."""
    books = msgspec.structs.asdict(run.ledger())
    waiting = _unreturned(run.in_flight())
    return Statement(**books, times=run.times(), slowest=run.slowest(), in_flight=waiting)


def _unreturned(found: InFlight | None) -> Unreturned | None:
    if found is None:
        return None
    return Unreturned(found.calls[:_MOST], max(len(found.calls) - _MOST, 0))


def write_statement(run: Run, path: str) -> None:
    """Write the statement as indented JSON, a newline at the end. Raises OutputError."""
    text = msgspec.json.format(msgspec.json.encode(statement(run)), indent=2) + b"\n"
    with Output.open(path) as output:
        output.write(text)
