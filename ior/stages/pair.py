"""The stage `pair`: the only maker of calls, from whole records and from halves alike.

With `pairing = "kernel"` most records arrive with both sides and pass through; with "user"
none do. The same code serves both: halves are matched per thread and across batches, what
cannot be matched goes to the port `unmatched` with its cause, interrupted calls are folded
with their restarts, and the columns that make a call are computed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
import numpy.typing as npt

from ior.calls import CALLS, HALVES, Batch, Column, Schema, concat
from ior.expr.tree import Const
from ior.pipeline import abc
from ior.pipeline.selective import HoldingStage
from ior.snapshots import Field, Table
from ior.stages.gaps import Gaps
from ior.stages.joining import (
    CAUSES,
    CLONES,
    NEVER_RETURNS,
    Cause,
    codes,
    join,
    merge,
    numbers,
    renamed,
)
from ior.stages.restarts import Folded, Restarts, Whole
from ior.stages.rows import Rows
from ior.stages.waiting import Waiting

Array = npt.NDArray[Any]

CAUSE = Column("cause", "u4", "text", "why the half has no partner", 0)
UNMATCHED = Schema("unmatched", (*HALVES.columns, CAUSE))


class PairConfig(abc.Config, frozen=True, kw_only=True):
    """Keys of `pair`.

    `max_pending` bounds the calls that wait for their return from one batch to the next, and
    the interrupted ones that wait for their restart; the longest waiting are given up. Without
    `fold_restarts` every part of an interrupted call is a row.
    """

    max_pending: Annotated[int, msgspec.Meta(ge=1)] = 65536
    fold_restarts: bool = True


class PairSnapshot(msgspec.Struct, frozen=True):
    """Halves without a partner, counted by cause, and the calls that wait now."""

    unmatched: dict[str, int]
    pending: int

    def tables(self) -> Sequence[Table]:
        """Return one table of causes, the most frequent first."""
        fields = (Field("unmatched", "text"), Field("halves", "count"))
        rows = sorted(self.unmatched.items(), key=lambda item: (-item[1], item[0]))
        return (Table("Unmatched", fields, tuple(rows)),)


class Pair(HoldingStage):
    """Makes calls of halves.

    Calls come in the order of their returns. The same halves give the same calls however
    they are cut into batches.
    """

    Config: ClassVar[type[abc.Config]] = PairConfig
    takes = HALVES
    gives: ClassVar[Mapping[str, Schema]] = {"out": CALLS, "unmatched": UNMATCHED}
    keeps = Const(True)
    config: PairConfig

    def __init__(self, config: PairConfig) -> None:
        super().__init__(config)
        self._waiting = Waiting(config.max_pending)
        self._restarts = Restarts(config.max_pending)
        self._gaps, self._rows = Gaps(), Rows()
        self._causes: Counter[str] = Counter()
        self._awaited: Callable[[Batch], Batch] | None = None
        self._arch = ""

    def heed(self, awaited: Callable[[Batch], Batch]) -> None:
        """Ask `awaited` at the end which of the halves that are left could still be completed."""
        self._awaited = awaited

    def _by_number(self, arch: str) -> None:
        if arch != self._arch:
            self._arch = arch
            self._never_returns = numbers(NEVER_RETURNS, arch)
            self._clones = numbers(CLONES, arch)

    def process(self, batch: Batch) -> abc.Output:
        """Match the halves of a batch with each other and with what earlier ones left."""
        self._by_number(batch.origin.arch)
        batch = self._waiting.before(batch)
        joined = join(batch, self._never_returns, self._clones)
        halves = merge(batch, joined)
        gap_ns = self._gaps.of(halves, joined)
        whole = Whole(halves, gap_ns, np.zeros(len(halves), np.uint16))
        causes = self._waiting.explained(batch, joined)
        given_up = self._waiting.keep(batch, joined.pending)
        self._gaps.forget(batch["tid"][given_up])
        folded = Folded(whole, None, 0)
        if self.config.fold_restarts:
            folded = self._restarts.fold(batch, joined, whole)
        merged = 0
        if joined.enters is not joined.exits:
            merged = int(np.count_nonzero(joined.enters != joined.exits))
        self.ctx.book(joined=merged + folded.joined)
        self._hold()
        unmatched = np.concatenate([joined.unmatched, given_up])
        causes = np.concatenate([causes, codes(Cause.OVERFLOW, len(given_up))])
        return self._output(folded, batch.select(unmatched), causes)

    def _output(self, folded: Folded, unmatched: Batch, causes: Array) -> abc.Output:
        output = {}
        if len(folded.rows.halves):
            output["out"] = self._rows.make(folded.rows)
        left = [self._labelled(unmatched, causes)] if len(unmatched) else []
        if folded.gone is not None:
            left.append(self._labelled(folded.gone, codes(Cause.GONE, len(folded.gone))))
        if left:
            output["unmatched"] = concat(left) if len(left) > 1 else left[0]
        return output

    def _hold(self) -> None:
        self.ctx.hold(len(self._waiting) + len(self._restarts))

    def _labelled(self, halves: Batch, causes: Array) -> Batch:
        counts = np.bincount(causes, minlength=len(CAUSES)).tolist()
        texts = np.zeros(len(CAUSES), np.uint32)
        for code, count in enumerate(counts):
            if count:
                texts[code] = halves.names.intern(CAUSES[code].value)
                self._causes[CAUSES[code].value] += count
        columns = {name: halves[name] for name in HALVES.names}
        columns["cause"] = texts[causes]
        return Batch(UNMATCHED, columns, halves.names, halves.origin)

    def drain(self) -> abc.Output:
        """Give what had not returned when the trace ended to `unmatched`.

        What was not wanted any more then may have returned unseen.
        """
        parts = (
            (self._waiting.drain(), Cause.ENDED),
            (self._restarts.drain(), Cause.INTERRUPTED),
        )
        self._hold()
        held = [(halves, cause) for halves, cause in parts if halves is not None]
        left = [
            self._labelled(renamed(halves, held[-1][0]), self._left(halves, cause))
            for halves, cause in held
        ]
        return {"unmatched": concat(left)} if left else None

    def _left(self, halves: Batch, cause: Cause) -> Array:
        """Return the causes of halves that are left at the end, of each thread one at most."""
        causes = codes(cause, len(halves))
        if self._awaited is not None:
            awaited = np.isin(halves["tid"], self._awaited(halves)["tid"])
            causes[~awaited] = codes(Cause.DESELECTED, 1)
        return causes

    def snapshot(self) -> PairSnapshot:
        """Return the counts by cause."""
        return PairSnapshot(dict(self._causes), len(self._waiting) + len(self._restarts))
