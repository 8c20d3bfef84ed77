from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ior.histogram import BUCKETS, EDGES, Histogram, Histograms, bucket_of

VALUE = st.one_of(st.integers(0, 64), st.integers(0, 10**6), st.integers(0, 2**62))
VALUES = st.lists(VALUE, max_size=60)
Q = st.sampled_from([0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 1.0])


def of(values: list[int]) -> Histogram:
    histogram = Histogram()
    histogram.add(np.array(values, np.int64))
    return histogram


def nearest_rank(values: list[int], q: float) -> int:
    return sorted(values)[max(math.ceil(q * len(values)), 1) - 1]


@given(st.lists(VALUE, min_size=1, max_size=60), Q)
def test_a_quantile_is_within_a_thirtysecond_of_the_exact_one(values: list[int], q: float) -> None:
    exact = nearest_rank(values, q)
    found = of(values).snapshot().quantile(q)
    assert found is not None
    assert abs(found - exact) <= exact / 32


@given(st.lists(st.integers(0, 31), min_size=1), Q)
def test_small_integers_are_exact(values: list[int], q: float) -> None:
    assert of(values).snapshot().quantile(q) == nearest_rank(values, q)


@given(st.lists(st.integers(0, 2**53), max_size=60))
def test_every_value_lies_in_the_range_of_its_bucket(values: list[int]) -> None:
    at = bucket_of(np.array(values, np.int64))
    assert (EDGES[at] <= values).all()
    assert (EDGES[at + 1] > values).all()


def test_ranges_join_without_gaps_up_to_the_largest_number() -> None:
    assert len(EDGES) == BUCKETS + 1
    assert (np.diff(EDGES) >= 0).all()
    assert bucket_of(np.array([0, 1, 2**63 - 1])).tolist() == [0, 1, BUCKETS - 1]


@given(VALUES)
def test_buckets_hold_every_value_once(values: list[int]) -> None:
    snapshot = of(values).snapshot()
    buckets = snapshot.buckets()
    assert sum(count for _, _, count in buckets) == snapshot.total == len(values)
    assert all(low < high and count > 0 for low, high, count in buckets)
    assert buckets == sorted(buckets)


@given(VALUES, VALUES, VALUES)
def test_merging_is_adding_in_any_order_and_grouping(
    a: list[int], b: list[int], c: list[int]
) -> None:
    left, right = of(a), of(b)
    left.merge(right)
    left.merge(of(c))
    right = of(c)
    right.merge(of(b))
    right.merge(of(a))
    assert left.snapshot() == right.snapshot() == of(a + b + c).snapshot()


def test_an_empty_histogram_has_no_quantile() -> None:
    empty = of([]).snapshot()
    assert (empty.quantile(0.5), empty.total, empty.buckets()) == (None, 0, [])


def test_a_snapshot_does_not_change_and_cannot_be_written() -> None:
    histogram = of([5, 7])
    before = histogram.snapshot()
    histogram.add(np.array([5, 900], np.int64))
    assert before == of([5, 7]).snapshot()
    assert before != histogram.snapshot()
    with pytest.raises(ValueError, match="read-only"):
        before.counts[0] = 1


KEYED = st.lists(st.tuples(st.integers(0, 200), VALUE), max_size=60)


def many(pairs: list[tuple[int, int]]) -> Histograms:
    histograms = Histograms()
    numbers = np.array([number for number, _ in pairs], np.intp)
    values = np.array([value for _, value in pairs], np.int64)
    histograms.add(numbers, bucket_of(values))
    return histograms


@given(KEYED, st.integers(0, 60))
def test_many_histograms_are_each_like_one(pairs: list[tuple[int, int]], cut: int) -> None:
    merged, rest = many(pairs[:cut]), many(pairs[cut:])
    merged.merge(rest)
    for histograms in (many(pairs), merged):
        numbers = np.arange(202)
        found = histograms.quantiles(numbers, (0.5, 0.99))
        for number in {number for number, _ in pairs}:
            values = [value for other, value in pairs if other == number]
            one = histograms.snapshot(number, min(values), max(values))
            assert one == of(values).snapshot()
            clipped = np.clip(found[number], min(values), max(values)).tolist()
            assert clipped == [one.quantile(0.5), one.quantile(0.99)]
        assert histograms.snapshot(201, None, None).total == 0


def test_counts_beyond_32_bits_stay_exact() -> None:
    histograms = many([(1, 1000)])
    for _ in range(33):
        histograms.merge(histograms)
    histograms.add(np.array([1]), bucket_of(np.array([1000])))
    assert histograms.snapshot(1, 1000, 1000).total == 2**33 + 1
    assert histograms.quantiles(np.array([1]), (0.5,)).tolist() == [[1007]]
