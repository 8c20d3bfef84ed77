"""The stage that keeps the calls for which an expression holds."""

from __future__ import annotations

from ior.calls import Batch
from ior.expr import compile_filter
from ior.pipeline import abc


class Filter(abc.Stage):
    """Keeps the rows for which `where` holds; the others are booked as filtered.

    Raises FilterError when it is made with a wrong expression. A batch whose rows are all
    kept passes as the same object.
    """

    class Config(abc.Config, frozen=True):
        """`where` is the expression, in the filter language."""

        where: str

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.predicate = compile_filter(config.where)

    def process(self, batch: Batch) -> Batch | None:
        """Return the kept rows, or None when none is."""
        kept = batch.select(self.predicate(batch))
        if len(kept) < len(batch):
            self.ctx.book(filtered=len(batch) - len(kept))
        return kept if len(kept) else None
