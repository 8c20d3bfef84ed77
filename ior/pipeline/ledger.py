"""The books: where every record and row went, and whether that adds up.

Kernel (records): `attempted = read + lost`; `skipped`, `in_flight`, `names_lost`, `compat` and
the calls that were left out there on purpose stand beside it. Each stage (rows):
`in + made = sum(out) + filtered + joined + failed + held + consumed`. Each edge:
`offered = out[port] = delivered + dropped`, `out[port]` being what the port gave while the
edge was there. At a clean end nothing is held.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

KERNEL = (
    *("attempted", "read", "lost", "skipped", "in_flight", "names_lost"),
    *("compat", "deselected", "filtered_in_kernel", "counted_only"),
)


class StageBooks(msgspec.Struct, rename={"in_": "in"}, kw_only=True):
    """One node's rows. A source has only `made` and `out`, a sink `in` and `consumed`."""

    in_: int = 0
    made: int = 0
    out: dict[str, int] = msgspec.field(default_factory=dict)
    filtered: int = 0
    joined: int = 0
    failed: int = 0
    held: int = 0
    consumed: int = 0

    @property
    def moved(self) -> int:
        """Rows that came, were made and went, each time that one did: it only grows."""
        went = sum(self.out.values()) + self.filtered + self.joined + self.failed
        return self.in_ + self.made + went + self.consumed

    def missing(self) -> int:
        """Return how many rows are unaccounted for; 0 when the books balance."""
        went = sum(self.out.values()) + self.filtered + self.joined + self.failed
        return self.in_ + self.made - went - self.held - self.consumed


class EdgeBooks(msgspec.Struct, kw_only=True):
    """One edge's rows, and its buffer in batches: how many wait, waited at most, fit.

    Of an edge that a reload made or cut, `since` and `until` are the rows that its port had
    given by then; `until` is None for one that was not cut.
    """

    since: int = 0
    until: int | None = None
    offered: int = 0
    delivered: int = 0
    dropped: int = 0
    waiting: int = 0
    high_water: int = 0
    batches: int = 0


class Ledger(msgspec.Struct, kw_only=True):
    """All books of a run.

    `calls` is what the pairing stages gave on their first port, and what sources of calls gave.
    `closed` is True when every law holds and nothing is held or in an edge; `open_because` then is
    empty.
    """

    closed: bool
    kernel: dict[str, int]
    calls: int
    stages: dict[str, StageBooks]
    edges: dict[str, EdgeBooks]
    open_because: list[str] = msgspec.field(default_factory=list)

    @property
    def lost(self) -> int:
        """Calls and rows that were lost anywhere: in the kernel, on edges, in failing stages."""
        kernel = self.kernel.get("lost", 0) + self.kernel.get("skipped", 0)
        return kernel + sum(edge.dropped for edge in self.edges.values()) + self.failed

    @property
    def failed(self) -> int:
        """Rows that stages failed at."""
        return sum(books.failed for books in self.stages.values())


def balance(
    *,
    kernel: Mapping[str, int],
    calls: int,
    stages: Mapping[str, StageBooks],
    edges: Mapping[str, EdgeBooks],
    because: Iterable[str] = (),
) -> Ledger:
    """Return the ledger of these books, copied, with every law checked.

    `because` are further reasons why the books are open. Edges are keyed `A.port->B`.
    """
    stages = {n: msgspec.structs.replace(b, out=dict(b.out)) for n, b in stages.items()}
    edges = {name: msgspec.structs.replace(books) for name, books in edges.items()}
    sums = dict.fromkeys(KERNEL, 0) | dict(kernel)
    reasons = list(because)
    if sums["attempted"] != sums["read"] + sums["lost"]:
        reasons.append(
            f"the kernel attempted {sums['attempted']:,} records, of which {sums['read']:,} were"
            f" read and {sums['lost']:,} lost"
        )
    for name, books in stages.items():
        reasons += _open_stage(name, books)
    for name, edge in edges.items():
        reasons += _open_edge(name, edge, stages)
    return Ledger(
        closed=not reasons,
        kernel=sums,
        calls=calls,
        stages=stages,
        edges=edges,
        open_because=reasons,
    )


def _open_stage(name: str, books: StageBooks) -> list[str]:
    reasons = []
    missing = books.missing()
    if missing > 0:
        reasons.append(f"stage '{name}': {missing:,} rows are unaccounted for")
    elif missing < 0:
        reasons.append(f"stage '{name}': {-missing:,} rows more went out than came in or were made")
    if books.held:
        reasons.append(f"stage '{name}' holds {books.held:,} rows")
    return reasons


def _open_edge(name: str, edge: EdgeBooks, stages: Mapping[str, StageBooks]) -> list[str]:
    reasons = []
    waiting = edge.offered - edge.delivered - edge.dropped
    if waiting:
        reasons.append(f"edge {name}: {waiting:,} rows are still in it")
    producer, _, port = name.partition("->")[0].rpartition(".")
    given = (stages[producer].out[port] if edge.until is None else edge.until) - edge.since
    if given != edge.offered:
        reasons.append(f"edge {name}: {edge.offered:,} rows offered of {given:,} given")
    return reasons
