"""What a run says of itself at its end, as JSON: the books, everybody's time, the slow stage."""

from __future__ import annotations

import msgspec

from ior.host.output import Output
from ior.pipeline.ledger import Ledger
from ior.pipeline.pace import NodeTimes, Slowest
from ior.pipeline.run import Run


class Statement(Ledger, kw_only=True):
    """The books, with the times of all nodes and the stage that set the pace."""

    times: dict[str, NodeTimes]
    slowest: Slowest | None


def statement(run: Run) -> Statement:
    """Return the statement of a run as it stands."""
    books = msgspec.structs.asdict(run.ledger())
    return Statement(**books, times=run.times(), slowest=run.slowest())


def write_statement(run: Run, path: str) -> None:
    """Write the statement as indented JSON, a newline at the end. Raises OutputError."""
    text = msgspec.json.format(msgspec.json.encode(statement(run)), indent=2) + b"\n"
    with Output.open(path) as output:
        output.write(text)
