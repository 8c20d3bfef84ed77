"""The stage `pair`: the only maker of calls, from whole records and from halves alike.

With `pairing = "kernel"` most records arrive with both sides and pass through; with "user"
none do. The same code serves both: halves are matched per thread and across batches, what
cannot be matched goes to the port `unmatched` with its cause, interrupted calls are folded
with their restarts, and the columns that make a call are computed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
import numpy as np
import numpy.typing as npt

from ior.calls import CALLS, HALVES, Batch, Column, Schema, concat
from ior.pipeline import abc
from ior.snapshots import Field, Table
from ior.stages.gaps import Gaps
from ior.stages.joining import (
    CLONES,
    NEVER_RETURNS,
    Cause,
    detached,
    join,
    merge,
    numbers,
    prepend,
    renamed,
)
from ior.stages.restarts import Restarts, Whole
from ior.stages.rows import Rows

Array = npt.NDArray[Any]

CAUSE = Column("cause", "u4", "text", "why the half has no partner", 0)
UNMATCHED = Schema("unmatched", (*HALVES.columns, CAUSE))


class PairConfig(abc.Config, frozen=True):
    """Keys of `type = "pair"`.

    `max_pending` bounds the calls that wait for their return; the longest waiting go to
    `unmatched` beyond it. Without `fold_restarts` every part of an interrupted call is a row.
    """

    max_pending: int = 65536
    fold_restarts: bool = True


class PairSnapshot(msgspec.Struct, frozen=True):
    """Halves without a partner, counted by cause, and the calls that wait for their return."""

    unmatched: dict[str, int]
    pending: int

    def tables(self) -> Sequence[Table]:
        """Return one table of causes."""
        fields = (Field("unmatched", "text"), Field("halves", "count"))
        rows = sorted(self.unmatched.items(), key=lambda item: -item[1])
        return (Table("Halves without a partner", fields, tuple(rows)),)


class Pair(abc.Stage):
    """Makes calls of halves."""

    Config: ClassVar[type[abc.Config]] = PairConfig
    takes = HALVES
    gives: ClassVar[Mapping[str, Schema]] = {"out": CALLS, "unmatched": UNMATCHED}
    config: PairConfig

    def __init__(self, config: PairConfig) -> None:
        super().__init__(config)
        self._carried: Batch | None = None  # enters that may still return
        self._restarts = Restarts(config.max_pending)
        self._gaps, self._rows = Gaps(), Rows()
        self._causes: Counter[str] = Counter()
        self._arch = ""

    def _by_number(self, arch: str) -> None:
        if arch != self._arch:
            self._arch = arch
            self._never_returns = numbers(NEVER_RETURNS, arch)
            self._clones = numbers(CLONES, arch)

    def process(self, batch: Batch) -> abc.Output:
        """Match the halves of a batch with each other and with what earlier ones left."""
        self._by_number(batch.origin.arch)
        batch = prepend(self._carried, batch)
        joined = join(batch, self._never_returns, self._clones)
        halves = merge(batch, joined)
        gap = self._gaps.of(batch, joined)
        whole = Whole(halves, gap, np.zeros(len(halves), np.uint16))
        folded = 0
        if self.config.fold_restarts:
            whole = self._restarts.fold(whole)
            folded = self._restarts.folded
        merged = int(np.count_nonzero(joined.enters != joined.exits))
        self.ctx.book(joined=merged + folded)
        unmatched, causes = joined.unmatched, list(joined.causes)
        excess = max(0, len(joined.pending) - self.config.max_pending)
        unmatched = np.concatenate([unmatched, joined.pending[:excess]])
        causes += [Cause.OVERFLOW] * excess
        pending = joined.pending[excess:]
        self._carried = detached(batch.select(pending)) if len(pending) else None
        self._hold()
        output = {}
        if len(whole.halves):
            output["out"] = self._rows.make(whole)
        if len(unmatched):
            output["unmatched"] = self._labelled(batch.select(unmatched), causes)
        return output

    def _hold(self) -> None:
        self.ctx.hold(len(self._carried or ()) + len(self._restarts))

    def _labelled(self, halves: Batch, causes: list[Cause]) -> Batch:
        self._causes.update(cause.value for cause in causes)
        codes = [halves.names.intern(cause.value) for cause in causes]
        columns = {name: halves[name] for name in HALVES.names}
        columns["cause"] = np.array(codes, np.uint32)
        return Batch(UNMATCHED, columns, halves.names, halves.origin)

    def drain(self) -> abc.Output:
        """Give what had not returned when the trace ended to `unmatched`."""
        interrupted = self._restarts.drain()
        left = [b for b in (self._carried, interrupted) if b is not None and len(b)]
        self._carried = None
        self._hold()
        if not left:
            return None
        halves = concat([renamed(batch, left[-1]) for batch in left])
        return {"unmatched": self._labelled(halves, [Cause.ENDED] * len(halves))}

    def snapshot(self) -> PairSnapshot:
        """Return the counts by cause."""
        pending = len(self._carried or ()) + len(self._restarts)
        return PairSnapshot(dict(self._causes), pending)
