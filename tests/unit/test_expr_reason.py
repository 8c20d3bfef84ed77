"""Filters that can never hold, whatever call comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ior.calls import CALLS
from ior.expr import compile_filter
from ior.expr.reason import never
from ior.testing import calls


def why(source: str) -> str | None:
    return never(compile_filter(source).tree, CALLS.columns)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("false", "it is false"),
        ("not true", "excludes every call"),
        ('comm == "sixteen-bytes-xx"', "at most 15 bytes"),
        ('comm ~ "sixteen-bytes-xx"', "at most 15 bytes"),
        ('comm in ["sixteen-bytes-xx", "sixteen-bytes-yy"]', "at most 15 bytes"),
        ('comm == "ééééééé\\xff\\xfe"', "at most 15 bytes"),
        ("pid < 0", "'pid' goes from 0 to 4294967295"),
        ("pid in []", "the list of 'pid' is empty"),
        ("latency < 0", "'latency_ns' goes from 0"),
        ("latency > 2ms and latency < 1ms", "contradict"),
        ("pid == 1 and pid == 2", "contradict"),
        ("fd > 3 and fd < 4", "contradict"),
        ('pid == 1 and comm == "sixteen-bytes-xx"', "at most 15 bytes"),
        ("pid < 0 or tid < 0", "'pid' goes from 0"),
    ],
)
def test_what_can_never_hold(source: str, said: str) -> None:
    assert said in (why(source) or "")


@pytest.mark.parametrize(
    "source",
    [
        "true",
        'comm == "fifteen-bytes-x"',
        'comm == "\\xff\\xfe\\xfd\\xfc\\xfb\\xfa\\xf9\\xf8"',
        'comm in ["sixteen-bytes-xx", "dd"]',
        'comm != "sixteen-bytes-xx"',
        'file == "/a/path/longer/than/fifteen"',
        "fd < 0",
        "ret < 0",
        "pid == 1 or pid == 2",
        "latency > 1ms and latency < 2ms",
        "fd >= 3 and fd <= 3",
        "pid < 0 or true",
        "not (pid == 1 and pid == 2)",
        "pid != 1 and pid != 2",
    ],
)
def test_what_may_hold(source: str) -> None:
    assert why(source) is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["fd", "ret", "pid", "latency_ns"]),
            st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
            st.integers(-3, 3),
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([" and ", " or "]),
    st.integers(-3, 3),
    st.integers(0, 3),
)
def test_a_row_that_passes_is_no_miracle(
    terms: list[tuple[str, str, int]], joint: str, signed: int, unsigned: int
) -> None:
    """What is said never to hold does not hold for any row."""
    source = joint.join(f"{name} {op} {value}" for name, op, value in terms)
    row = calls(rows=1, fd=signed, ret=signed, pid=unsigned, latency_ns=unsigned)
    if compile_filter(source)(row).any():
        assert why(source) is None
