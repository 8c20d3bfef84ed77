"""The stage that keeps the calls for which an expression holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ior.calls import Batch, Schema
from ior.expr import Predicate, compile_filter
from ior.expr.syntax import parse
from ior.pipeline import abc


class Filter(abc.Stage):
    """Keeps the rows for which `where` holds; the others are booked as filtered.

    Its syntax is checked when it is made, its fields when it is connected, against the
    columns that arrive. A batch whose rows are all kept passes as the same object.
    """

    class Config(abc.Config, frozen=True):
        """`where` is the expression, in the filter language."""

        where: str

    takes: ClassVar[Schema | None] = None

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        parse(config.where)
        self.predicate: Predicate | None = None

    def connect(self, takes: Schema) -> Mapping[str, Schema]:
        """Compile the expression for the columns that arrive. Raises FilterError."""
        self.predicate = compile_filter(self.config.where, takes.columns)
        self.keeps = self.predicate.tree
        return super().connect(takes)

    def process(self, batch: Batch) -> Batch | None:
        """Return the kept rows, or None when none is."""
        if self.predicate is None:  # used without a graph
            self.connect(batch.schema)
            assert self.predicate is not None
        kept = batch.select(self.predicate(batch))
        if len(kept) < len(batch):
            self.ctx.book(filtered=len(batch) - len(kept))
        return kept if len(kept) else None
