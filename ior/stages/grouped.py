"""A batch added up by group, once for all stages that add up calls.

The tables, the flamegraph and the history of one graph look at the same batches, and most calls of
a large batch have most in common with others of it. So rows are put in order of their groups, which
costs a radix sort of 16 bits, and summed group by group; every stage then adds up groups, which are
few, and not rows.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ior.calls import CALLS, Array, Batch, Schema
from ior.histogram import BUCKETS, bucket_of
from ior.stages.groups import KEYS, LEVELS, NO_BOUNDS, SUMS, Groups, Spread

NEEDS: Final = ("time_ns", "gap_ns", "latency_ns", "bytes", *LEVELS, "is_error")
"""The columns that it takes."""

_TASK: Final = next(column for column in CALLS.columns if column.name == "task")
_SCHEMA: Final = Schema(KEYS.name, (*KEYS.columns, _TASK))
_KEYED: Final = (*LEVELS, "is_error")
_WORD_BITS: Final = 64
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: Fibonacci hashing
_TOP: Final = np.uint64(48)
_DENSE: Final = 4  # cells a row: with more, values are not counted but handed on one by one
SAMPLE: Final = 1024  # rows of which half must be alike
SMALL: Final = 2048  # rows of a batch that are added up one by one as fast


def grouped(batch: Batch) -> Groups | None:
    """Return the calls of a batch by group, in order of first appearance.

    Made once for all who ask. None where it does not pay, as the batch is small or few of its calls
    are alike, and for rows without a column that it takes. A group may occur more than once. `keys`
    has the column `task` as well: that of the group's last call.
    """
    if len(batch) < SMALL:
        return None
    groups: Groups | None = batch.once(_added_up)
    return groups


def added_up(batch: Batch) -> Groups | None:
    """Return the same of a batch with at least a row also where it does not pay at once.

    That is for who keeps it.
    """
    return _added_up(batch, always=True)


def _added_up(batch: Batch, *, always: bool = False) -> Groups | None:
    if batch.schema is not CALLS and not set(NEEDS).issubset(batch.schema.names):
        return None
    runs = _runs([batch[name] for name in _KEYED], len(batch), always=always)
    if runs is None:
        return None
    order, starts = runs
    ends = np.append(starts[1:], len(order))
    first, last = order[starts], order[ends - 1]
    by_first = np.argsort(first)
    rank = np.empty_like(by_first)
    rank[by_first] = np.arange(len(by_first))
    calls = ends - starts
    number = np.repeat(rank, calls)  # of each row's group, in `order`
    latency, gap = batch["latency_ns"][order], batch["gap_ns"][order]
    size = np.add.reduceat(batch["bytes"][order], starts)
    timed, latency_ns = _summed(latency, starts, calls)
    gapped, gap_ns = _summed(gap, starts, calls)
    sums = np.array([calls, size, timed, latency_ns, gapped, gap_ns])[:, by_first]
    assert len(sums) == len(SUMS)
    bounds = np.array([_least(latency, starts), np.maximum.reduceat(latency, starts)])
    enter, spent = batch["time_ns"].view(np.int64), batch["latency_ns"]
    returned = enter + (spent if timed is calls else np.maximum(spent, 0))
    return Groups(
        _keys(batch, first[by_first], last[by_first]),
        sums,
        bounds[:, by_first],
        (_spread(number, len(rank), latency), _spread(number, len(rank), gap)),
        (int(enter.min()), int(returned.max())),
        by_last=np.argsort(last[by_first]),
    )


def _runs(columns: list[Array], rows: int, *, always: bool) -> tuple[Array, Array] | None:
    """Return an order in which equal rows stand together, and where each run begins.

    Within a run it is the order of the batch. Rows that differ share a 16-bit key now and then:
    these may be cut into more runs than there are groups. None where there are too many
    to pay, unless `always`.
    """
    words, bits = _packed(columns)
    if not words:
        return np.arange(rows), np.zeros(1, np.intp)
    if len(words) == 1 and bits <= 16:
        short = words[0].astype(np.uint8 if bits <= 8 else np.uint16)
    else:
        mixed = words[0] * _SPREAD
        for word in words[1:]:
            mixed = (mixed ^ word) * _SPREAD
        short = (mixed >> _TOP).astype(np.uint16)
    if short.itemsize > 1 and not always:
        sample = short[:: max(rows // SAMPLE, 1)]
        if len(np.unique(sample)) > SAMPLE // 2:
            return None
    order = np.argsort(short, kind="stable")  # by radix for 8 and 16 bits
    begins = np.zeros(rows, np.bool_)
    begins[0] = True
    for word in words:
        ordered = word[order]
        begins[1:] |= ordered[1:] != ordered[:-1]
    return order, np.flatnonzero(begins)


def _packed(columns: list[Array]) -> tuple[list[npt.NDArray[np.uint64]], int]:
    """Return the values of columns side by side in as few words as hold them.

    Columns of one value are left out. The number is the bits used of the last word.
    """
    words: list[npt.NDArray[np.uint64]] = []
    used = _WORD_BITS
    for values in columns:
        low, high = int(values.min()), int(values.max())
        if low == high:
            continue
        bits = (high - low).bit_length()
        above = values.astype(np.uint64) - np.uint64(low & 2**64 - 1)
        if used + bits > _WORD_BITS:
            words.append(above)
            used = bits
        else:
            words[-1] = (words[-1] << np.uint64(bits)) | above
            used += bits
    return words, used


def _summed(values: Array, starts: Array, calls: Array) -> tuple[Array, Array]:
    """Return how many values of each run there are (-1 is none), and their sums."""
    if int(values.min()) >= 0:
        return calls, np.add.reduceat(values, starts)
    some = np.add.reduceat(values >= 0, starts, dtype=np.int64)
    return some, np.add.reduceat(np.maximum(values, 0), starts)


def _least(values: Array, starts: Array) -> Array:
    none = values < 0
    some = np.where(none, NO_BOUNDS[0], values) if none.any() else values
    least: Array = np.minimum.reduceat(some, starts)
    return least


def _spread(numbers: Array, groups: int, values: Array) -> Spread:
    """Return the histogram of each group; `numbers` are the groups of the values."""
    if values.min(initial=0) < 0:
        some = values >= 0
        numbers, values = numbers[some], values[some]
    buckets = bucket_of(values)
    low = int(buckets.min(initial=BUCKETS))
    width = max(int(buckets.max(initial=0)) - low + 1, 1)
    if groups * width > _DENSE * len(values):
        counts = np.ones(len(values), np.uint32)
        return Spread(numbers.astype(np.uint32), buckets.astype(np.uint16), counts)
    cells = numbers * width
    cells += buckets
    cells -= low
    counted = np.bincount(cells)
    used = np.flatnonzero(counted)
    number, bucket = np.divmod(used, width)
    return Spread(
        number.astype(np.uint32),
        (bucket + low).astype(np.uint16),
        counted[used].astype(np.uint32),
    )


def _keys(batch: Batch, first: Array, last: Array) -> Batch:
    """Return what the groups are of which these rows are the first and the last."""
    columns: dict[str, Any] = {name: batch[name][first] for name in _KEYED}
    columns["folded"] = np.zeros(len(columns["comm"]), np.uint8)
    if "task" in batch.schema.names:
        columns["task"] = batch["task"][last]
    return Batch(_SCHEMA, columns, batch.names, batch.origin)
