"""What flows through every stage and edge of a run, and where the time goes, as a table."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ior.pipeline.ledger import Ledger
from ior.pipeline.pace import NodeTimes, between, slowest
from ior.snapshots import Field, Table

SPAN_NS = 1_000_000_000  # rates and shares of time are means over about this
FIELDS = (
    Field("stage or edge", "text"),
    Field("rows/s", "count"),
    Field("in", "count"),
    Field("out", "count"),
    Field("lost", "count"),
    Field("fill", "ratio"),
    Field("busy", "ratio"),
    Field("starved", "ratio"),
    Field("blocked", "ratio"),
)


class _Seen(NamedTuple):
    now_ns: int
    ledger: Ledger
    times: Mapping[str, NodeTimes]


class Flow:
    """Makes the table: the stages and, under each, the edges that leave it.

    Before them stands the kernel's ring where there is one, as that is where a trace loses.

    It remembers what it saw of late: rates and shares are of about the last second. At the first
    look, or the first after a while, there are no rates, and shares are of the whole run. The
    stage that sets the pace is marked `slow`.
    """

    def __init__(self, *, ring: bool = True) -> None:
        """Begin; `ring` is False where calls come from a capture."""
        self._ring = ring
        self._seen: deque[_Seen] = deque()

    def table_of(
        self,
        now_ns: int,
        ledger: Ledger,
        times: Mapping[str, NodeTimes],
        lately_ns: int | None = None,
    ) -> Table:
        """Return the table of a moment, with rates since the moments before.

        If the last of these was before `lately_ns` it is forgotten: this is a first look.
        """
        now = _Seen(now_ns, ledger, times)
        if lately_ns is not None and self._seen and self._seen[-1].now_ns < lately_ns:
            self._seen.clear()
        while len(self._seen) > 1 and self._seen[1].now_ns <= now_ns - SPAN_NS:
            self._seen.popleft()
        before = self._seen[0] if self._seen else now
        self._seen.append(now)
        late = between(before.times, times) if before is not now else times
        slow = slowest(late, ledger.edges)
        rows = list(_kernel(before, now)) if self._ring else []
        for name in ledger.stages:
            mark = " (slow)" if slow is not None and slow.stage == name else ""
            rows.append(_stage(name, mark, before, now, late))
            rows += [_edge(edge, before, now, late) for edge in ledger.edges if _of(edge) == name]
        return Table("Pipeline", FIELDS, tuple(rows))


def _of(edge: str) -> str:
    """Return the stage that an edge `A.port->B` leaves."""
    return edge.partition("->")[0].rpartition(".")[0]


def _rate(before: _Seen, now: _Seen, rows: int) -> int | None:
    seconds = (now.now_ns - before.now_ns) / 1e9
    return round(rows / seconds) if seconds > 0 else None


def _kernel(before: _Seen, now: _Seen) -> Iterator[tuple[Any, ...]]:
    """Yield the kernel's ring, and what the programs did not see if there is any of that."""
    books, old = now.ledger.kernel, before.ledger.kernel
    none = (None, None, None, None)
    if tried := books.get("attempted", 0):
        rate = _rate(before, now, tried - old.get("attempted", 0))
        yield ("kernel ring", rate, tried, books.get("read", 0), books.get("lost", 0), *none)
    if skipped := books.get("skipped", 0):
        yield ("skipped probes", None, None, None, skipped, *none)


def _stage(
    name: str, mark: str, before: _Seen, now: _Seen, late: Mapping[str, NodeTimes]
) -> tuple[Any, ...]:
    books, old = now.ledger.stages[name], before.ledger.stages[name]
    rows = books.in_ + books.made - old.in_ - old.made
    out = sum(books.out.values())
    counts = (_rate(before, now, rows), books.in_ + books.made, out, books.failed, None)
    times = late.get(name)
    whole = times.elapsed_ns if times is not None else 0
    if times is None or not whole:
        return (name + mark, *counts, None, None, None)
    blocked = sum(times.blocked_ns.values()) / whole
    return (name + mark, *counts, times.busy, times.starved_ns / whole, blocked)


def _edge(edge: str, before: _Seen, now: _Seen, late: Mapping[str, NodeTimes]) -> tuple[Any, ...]:
    books, old = now.ledger.edges[edge], before.ledger.edges[edge]
    rate = _rate(before, now, books.offered - old.offered)
    fill = books.waiting / books.batches if books.batches else None
    times = late.get(_of(edge))
    blocked = None
    if times is not None and times.elapsed_ns:
        blocked = times.blocked_ns.get(edge, 0) / times.elapsed_ns
    counts = (rate, books.offered, books.delivered, books.dropped, fill)
    return (f"  {edge}", *counts, None, None, blocked)
