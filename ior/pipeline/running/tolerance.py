"""What an error at one batch means for a stage: its end, a gap, or another way for the rows."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np

from ior.calls import Batch
from ior.errors import raised
from ior.pipeline.abc import Output
from ior.pipeline.checking.columns import ERROR
from ior.pipeline.ledger import StageBooks
from ior.pipeline.running.context import NodeContext
from ior.pipeline.spec import OnError, Route, error_port


class StoppedAfter(Exception):
    """A stage failed at as many batches as its `stop_after` allows; the cause is the last."""


class Tolerance:
    """Deals with the errors of one node as its `on_error` says, and keeps its books balanced.

    A batch at which the node failed counts as one that it never touched: what it had booked
    for it is taken back, then all rows are booked as failed, or go to the error port if
    anybody is behind it.
    """

    def __init__(self, on_error: OnError, ctx: NodeContext, taken: Callable[[str], bool]) -> None:
        """Make one; `taken` says whether anybody is behind a port."""
        self._on_error, self._ctx, self._taken = on_error, ctx, taken
        self._errors = 0

    def before(self) -> StageBooks | None:
        """Return what to come back to after an error; None where an error is the end."""
        if self._on_error == "fail":
            return None
        return msgspec.structs.replace(self._ctx.books, out={})

    def at(self, error: Exception, batch: Batch, before: StageBooks) -> Output:
        """Return what to give instead. Raises StoppedAfter where it is too much."""
        self._errors += 1
        books = self._ctx.books
        books.filtered, books.joined, books.made = before.filtered, before.joined, before.made
        books.failed, books.held = before.failed, before.held
        said = raised(error)
        route = self._on_error if isinstance(self._on_error, Route) else None
        if route is not None and route.stop_after is not None and self._errors >= route.stop_after:
            times = "time" if self._errors == 1 else "times"
            raise StoppedAfter(f"failed {self._errors} {times}, the last with {said}") from error
        if route is None or not self._taken(error_port(route) or ""):
            books.failed += len(batch)
            self._ctx.warn(f"{len(batch):,} rows left out: {said}")
            return None
        code = batch.names.intern(said)
        port = error_port(route) or ""
        self._ctx.warn(f"{len(batch):,} rows to '{route.route}': {said}")
        return {port: batch.with_columns({ERROR: np.full(len(batch), code, np.uint32)})}
