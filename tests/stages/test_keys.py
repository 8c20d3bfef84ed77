from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ior.stages.keys import KeyIndex

KEYS = st.lists(st.lists(st.sampled_from([0, 1, 2, 3, 7, 2**63, 2**64 - 1]) | st.integers(0, 99)))


@given(KEYS, st.sampled_from([1, 8, 2**20]))
def test_every_key_has_the_number_made_for_it(batches: list[list[int]], limit: int) -> None:
    index = KeyIndex(limit)
    number_of: dict[int, int] = {}
    for batch in batches:
        keys = np.array(batch, np.uint64)

        def make(rows: np.ndarray, batch: list[int] = batch) -> list[int]:
            assert rows.tolist() == sorted(rows.tolist())
            new = [batch[row] for row in rows.tolist()]
            assert [batch.index(key) for key in new] == rows.tolist()
            return [number_of.setdefault(key, len(number_of)) for key in new]

        numbers = index.resolve(keys, make)
        assert numbers.tolist() == [number_of[key] for key in batch]


def test_a_known_key_is_never_made_again() -> None:
    index, made = KeyIndex(), []
    keys = np.arange(50_000, dtype=np.uint64) * np.uint64(2**40)

    def make(rows: np.ndarray) -> range:
        made.append(len(rows))
        return range(len(rows))

    for _ in range(3):
        assert (index.resolve(keys, make) == np.arange(50_000)).all()
    assert made == [50_000]
    assert len(index) == 50_000


def test_a_full_index_forgets_and_stays_right() -> None:
    index, calls = KeyIndex(limit=1000), []

    def make(rows: np.ndarray) -> list[int]:
        calls.append(len(rows))
        return [7] * len(rows)

    for start in range(0, 10_000, 500):
        keys = np.arange(start, start + 500, dtype=np.uint64)
        assert (index.resolve(keys, make) == 7).all()
        assert len(index) <= 1000
    assert calls == [500] * 20
