"""What a filter matches of the retained rows, added up batch by batch and kept.

Rows come in batches that stay as they are until they are let go of. So each is asked and added up
once; a look at all of them takes what has come since the last one, and takes off what has gone.
What is kept takes a third of the memory of the rows at most: where few of these have something in
common they are asked anew.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import msgspec

from ior.calls import Batch
from ior.expr import Predicate
from ior.stages.flamegraph import Flamegraph
from ior.stages.grouped import added_up
from ior.stages.groups import Groups
from ior.stages.sliding import Sliding, gathered
from ior.stages.stats import Stats

_FEW = 3  # rows a group, below which it is not worth keeping
_SMALL = 1024  # groups that always are
_LOOKS = 20  # without rows, after which everything is let go of


class Chunk(NamedTuple):
    """Rows of one batch, the number of the first, and what else tells them from others."""

    key: Hashable
    number: int
    rows: Batch


class _Piece(msgspec.Struct, frozen=True, eq=False):
    """What was made of a chunk; `groups` are of those that matched."""

    number: int
    groups: Groups


class Chunks:
    """Adds up chunks for one look after the other."""

    def __init__(self) -> None:
        self._let_go()

    def _let_go(self) -> None:
        self._where: Predicate | None = None
        self._pieces: dict[Hashable, _Piece | None] = {}  # None where nothing matches
        self._sliding = Sliding(None)
        self._idle = 0

    def looked(self) -> None:
        """Let go of everything if many looks had no use for it."""
        self._idle += 1
        if self._idle > _LOOKS:
            self._let_go()

    def add_to(
        self, stage: Stats | Flamegraph, where: Predicate | None, chunks: Sequence[Chunk]
    ) -> int | None:
        """Add to a new stage what a filter matches of chunks, and return how many rows that is.

        None where rows cannot be added up: they lack columns, or are of several hosts.
        """
        self._idle = 0
        if where is not self._where:
            self._let_go()
            self._where = where
        known, self._pieces = self._pieces, {}
        pieces: list[_Piece | None] = []
        names = chunks[0].rows.names if chunks else None
        for chunk in chunks:
            piece, batch = known.get(chunk.key), chunk.rows
            if batch.origin != chunks[0].rows.origin or batch.names is not names:
                return None
            if chunk.key not in known or (piece and piece.groups.keys.names is not names):
                some = batch if where is None else batch.select(where(batch))
                groups = added_up(some) if len(some) else None
                if len(some) and groups is None:
                    return None
                piece = None if groups is None else _Piece(chunk.number, gathered(groups))
            pieces.append(piece)
            if piece is None or len(piece.groups) <= max(len(batch) // _FEW, _SMALL):
                self._pieces[chunk.key] = piece
        found = [piece for piece in pieces if piece is not None]
        kept = [piece for piece in self._pieces.values() if piece is not None]
        kept = kept[:-1] if kept[-1:] == found[-1:] else kept  # the last one grows
        self._sliding.turn(kept)
        whole, inside = self._sliding.groups(), {id(piece) for piece in kept}
        for groups in (whole, *(one.groups for one in found if id(one) not in inside)):
            if groups is not None:
                stage.add(groups)
        return sum(piece.groups.calls for piece in found)
