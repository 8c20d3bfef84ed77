"""The stage that keeps the calls for which an expression holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from ior.calls import Batch, Column, Schema
from ior.expr import Predicate, compile_filter
from ior.expr.sieve import joined
from ior.expr.syntax import parse
from ior.pipeline import abc
from ior.pipeline.selective import SelectiveStage


class Filter(SelectiveStage):
    """Keeps the rows for which `where` holds; the others are booked as filtered.

    While it runs it can be asked for more (`also`). Its syntax is checked when it is made, its
    fields when it is connected, against the columns that arrive. A batch whose rows are all
    kept passes as the same object.
    """

    class Config(abc.Config, frozen=True):
        """`where` is the expression, in the filter language."""

        where: str

    takes: ClassVar[Schema | None] = None

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        parse(config.where)
        self.predicate: Predicate | None = None  # of `where`
        self._more: Predicate | None = None  # of `also`
        self._columns: Sequence[Column] = ()

    def connect(self, takes: Schema) -> Mapping[str, Schema]:
        """Compile the expression for the columns that arrive. Raises FilterError."""
        self.predicate = compile_filter(self.config.where, takes.columns)
        self.keeps = self.predicate.tree
        self._columns = takes.columns
        return super().connect(takes)

    def also(self, where: str) -> None:
        """Keep only rows for which `where` holds as well."""
        assert self.predicate is not None
        self._more = compile_filter(where, self._columns) if where else None
        more = None if self._more is None else self._more.tree
        self.keeps = joined([self.predicate.tree, more])

    def wanted(self, batch: Batch) -> Batch:
        """Return the rows that are kept now."""
        if self.predicate is None:  # used without a graph
            self.connect(batch.schema)
            assert self.predicate is not None
        mask = self.predicate(batch)
        if self._more is not None:
            mask = mask & self._more(batch)
        return batch.select(mask)

    def process(self, batch: Batch) -> Batch | None:
        """Return the kept rows, or None when none is."""
        kept = self.wanted(batch)
        if len(kept) < len(batch):
            self.ctx.book(filtered=len(batch) - len(kept))
        return kept if len(kept) else None
