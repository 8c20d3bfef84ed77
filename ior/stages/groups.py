"""Calls added up by what they have in common: a second's worth in a few hundred rows.

A group is all calls of one command, process, syscall, error and file. Every table, frame and
histogram of a span of time follows from its groups, and so does the same under a filter that
asks for nothing else. `Groups` is frozen; what makes it is in `grouped` and `grouping`.

Groups fold to stay few: first their files are forgotten, then their processes. What is left
is still exact; only what was forgotten cannot be told any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ior.calls import CALLS, Array, Batch, Column, Origin, Schema
from ior.expr import Predicate
from ior.names import Names
from ior.stages.keys import Combinations, Numbers

OTHER = "[other]"  # the text of what was forgotten
NEVER = 9  # a level that no group folds to
LEVELS = {
    "comm": 2,
    "pid": 2,
    "syscall": NEVER,
    "errno": NEVER,
    "file": 1,
    "old_file": 1,
    "asked": 1,
}
"""The columns that make a group; each is forgotten in groups folded to that level or further."""

SUMS = ("calls", "bytes", "timed", "latency_ns", "gapped", "gap_ns")
"""What is added up, int64: `timed` and `gapped` count the calls that have a latency, a gap."""

_FOLDED = Column("folded", "u1", "int", "how far the group is folded: 0, 1 or 2")
_BY_NAME = {column.name: column for column in CALLS.columns}
TEXTS = tuple(name for name in LEVELS if _BY_NAME[name].kind == "text")
KEYS = Schema(
    "groups",
    (*(_BY_NAME[name] for name in LEVELS), _BY_NAME["is_error"], _BY_NAME["family"], _FOLDED),
)
"""The columns of the batch that says what each group is."""

MADE_OF = (*LEVELS, "folded")
_DERIVED = {"is_error": ("errno",), "family": ("syscall",)}
NO_BOUNDS = (int(np.iinfo(np.int64).max), -1)  # of a group in which no call has a latency
BUCKET_BITS = 16


class Spread(NamedTuple):
    """The histograms of many groups: how many values of which group fell into which bucket.

    Three columns of one length: group number (uint32), bucket (uint16), count.
    """

    groups: Array
    buckets: Array
    counts: Array

    @property
    def nbytes(self) -> int:
        """The memory that the columns take."""
        return self.groups.nbytes + self.buckets.nbytes + self.counts.nbytes

    def renumbered(self, numbers: Numbers) -> Spread:
        """Give the groups other numbers; those that become one are added up."""
        cells = (numbers[self.groups] << BUCKET_BITS) | self.buckets
        distinct, inverse = np.unique(cells, return_inverse=True)
        counts = np.zeros(len(distinct), np.int64)
        np.add.at(counts, inverse, self.counts)
        groups = (distinct >> BUCKET_BITS).astype(np.uint32)
        return Spread(groups, (distinct & ((1 << BUCKET_BITS) - 1)).astype(np.uint16), counts)

    def chosen(self, mask: Array) -> Spread:
        """Keep the groups where `mask` holds, numbered anew without gaps."""
        kept = mask[self.groups]
        numbers = np.cumsum(mask) - 1
        groups = numbers[self.groups[kept]].astype(np.uint32)
        return Spread(groups, self.buckets[kept], self.counts[kept])


class Adds(Protocol):
    """A stage that adds up calls by the values of some columns."""

    @property
    def columns(self) -> frozenset[str]:
        """The names of those columns."""


class Groups:
    """Calls of a span of time, added up by group. Nothing in it ever changes.

    `keys` says what each group is (`KEYS`); `sums` has shape (len(SUMS), groups), `bounds`
    the least and the greatest latency of each (2, groups), meaningless where `timed` is 0.
    `first_ns` is the earliest entry, `last_ns` the latest entry or return. `by_last` are the
    groups in the order of their last calls.
    """

    __slots__ = ("bounds", "by_last", "first_ns", "gap", "keys", "last_ns", "latency", "sums")

    def __init__(
        self, keys: Batch, sums: Array, bounds: Array, spreads: tuple[Spread, Spread],
        span_ns: tuple[int, int], *, by_last: Array,
    ) -> None:  # fmt: skip
        self.keys, self.sums, self.bounds, self.by_last = keys, sums, bounds, by_last
        self.latency, self.gap = spreads
        self.first_ns, self.last_ns = span_ns
        for array in (sums, bounds, by_last, *self.latency, *self.gap):
            array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, name: str) -> Array:
        """Return one of `SUMS`, by group."""
        return self.sums[SUMS.index(name)]  # type: ignore[no-any-return]  # an Array is Any inside

    @property
    def calls(self) -> int:
        """How many calls were added up."""
        return int(self["calls"].sum())

    @property
    def nbytes(self) -> int:
        """The memory that the columns take."""
        spreads = self.latency.nbytes + self.gap.nbytes
        own = self.sums.nbytes + self.bounds.nbytes + self.by_last.nbytes
        return self.keys.nbytes() + own + spreads

    def unknown(self, columns: Sequence[str] | frozenset[str]) -> Array | None:
        """Return which groups have forgotten one of `columns`, None where none has."""
        level = min((LEVELS[name] for name in _sources(columns)), default=NEVER)
        mask = self.keys["folded"] >= level
        return mask if mask.any() else None

    def matching(self, where: Predicate) -> tuple[Groups, int]:
        """Return the groups that a filter means, and the calls of which it cannot be told.

        Raises KeyError for a filter that asks for more than `can_tell` allows.
        """
        unknown = self.unknown(where.columns)
        mask = where(self.keys)
        if unknown is None:
            return self.chosen(mask), 0
        return self.chosen(mask & ~unknown), int(self["calls"][unknown].sum())

    def chosen(self, mask: Array) -> Groups:
        """Return the groups where `mask` holds."""
        if mask.all():
            return self
        spreads = (self.latency.chosen(mask), self.gap.chosen(mask))
        span = (self.first_ns, self.last_ns)
        numbers, some = np.cumsum(mask) - 1, self.by_last[mask[self.by_last]]
        by_last = numbers[some].astype(self.by_last.dtype)
        keys, sums, bounds = self.keys.select(mask), self.sums[:, mask], self.bounds[:, mask]
        return Groups(keys, sums, bounds, spreads, span, by_last=by_last)

    def folded(self, keep: int) -> Groups:
        """Return the same calls in fewer groups.

        Of those with a file the `keep` of most calls stay, then of those with a process alone;
        those without either are at most one a syscall and error.
        """
        groups = self
        for level in (1, 2):
            rows = np.flatnonzero(groups.keys["folded"] == level - 1)
            if len(rows) > keep:
                order = np.argsort(-groups["calls"][rows], kind="stable")
                groups = groups._forget(rows[order[keep:]], level)
        return groups

    def _forget(self, rows: Array, level: int) -> Groups:
        columns = {name: self.keys[name].copy() for name in MADE_OF}
        columns["folded"][rows] = level
        for name, at in LEVELS.items():
            if at <= level:
                columns[name][rows] = self.keys.names.intern(OTHER) if name in TEXTS else 0
        keys = keys_of(columns, self.keys.names, self.keys.origin)
        return _merged(keys, self)

    def recoded(self, codes: Array, names: Names) -> Groups:
        """Return the same with text `i` of its dictionary as text `codes[i]` of `names`."""
        columns = {name: self.keys[name] for name in MADE_OF}
        columns |= {name: codes[columns[name]] for name in TEXTS}
        keys = keys_of(columns, names, self.keys.origin)
        spreads, span = (self.latency, self.gap), (self.first_ns, self.last_ns)
        return Groups(keys, self.sums, self.bounds, spreads, span, by_last=self.by_last)


def can_tell(where: Predicate) -> bool:
    """Return whether groups say enough for a filter."""
    return _sources(where.columns) <= LEVELS.keys()


def can_add(stage: Adds) -> bool:
    """Return whether groups have the columns by which a stage adds up."""
    return _sources(stage.columns) <= LEVELS.keys()


def _sources(columns: Sequence[str] | frozenset[str]) -> set[str]:
    """Return the columns from which `columns` follow."""
    return {source for name in columns for source in _DERIVED.get(name, (name,))}


def are_alike(one: Groups, other: Groups) -> bool:
    """Return whether two are of one host and one dictionary of names."""
    return one.keys.names is other.keys.names and one.keys.origin == other.keys.origin


def _merged(keys: Batch, groups: Groups) -> Groups:
    """Add up groups whose `keys` are equal."""
    made = 0

    def number(rows: Array) -> range:
        nonlocal made
        made += len(rows)
        return range(made - len(rows), made)

    numbers = Combinations(MADE_OF).resolve(keys, number)
    _, first = np.unique(numbers, return_index=True)
    sums = np.zeros((len(SUMS), made), np.int64)
    for total, values in zip(sums, groups.sums, strict=True):
        np.add.at(total, numbers, values)
    bounds = no_bounds(made)
    np.minimum.at(bounds[0], numbers, groups.bounds[0])
    np.maximum.at(bounds[1], numbers, groups.bounds[1])
    spreads = (groups.latency.renumbered(numbers), groups.gap.renumbered(numbers))
    columns = {name: keys[name][first] for name in MADE_OF}
    own = keys_of(columns, keys.names, keys.origin)
    seen = np.zeros(made, np.int64)
    np.maximum.at(seen, numbers[groups.by_last], np.arange(len(groups)))
    by_last = np.argsort(seen).astype(groups.by_last.dtype)
    span = (groups.first_ns, groups.last_ns)
    return Groups(own, sums, bounds, spreads, span, by_last=by_last)


def keys_of(columns: dict[str, Array], names: Names, origin: Origin) -> Batch:
    """Return what the groups are of which `MADE_OF` is known."""
    made = {**columns, "is_error": columns["errno"] != 0}
    return Batch(KEYS, made, names, origin)


def no_bounds(groups: int) -> npt.NDArray[np.int64]:
    """Return the bounds of groups before the first call."""
    return np.repeat(np.array([[NO_BOUNDS[0]], [NO_BOUNDS[1]]], np.int64), groups, axis=1)
