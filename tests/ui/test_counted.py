"""What the kernel counts, in the table of syscalls: whose numbers, and with which sign."""

from __future__ import annotations

import numpy as np
import pytest

from ior.calls import CALLS
from ior.counted import Counted, Standing, Totals
from ior.expr import Predicate, compile_filter
from ior.histogram import Histogram
from ior.snapshots import Table
from ior.stages.stats import Stats, StatsConfig, StatsSnapshot
from ior.testing import calls
from ior.ui.columns import detailed
from ior.ui.grid import Sort, arrange
from ior.ui.parts import Detailed, parts_of
from ior.ui.sums import sums_of
from ior.ui.tabs.counted import signed, with_counted
from ior.ui.terms import term_of


def snapshot() -> StatsSnapshot:
    stats = Stats(StatsConfig(max_keys=2))
    stats.connect(CALLS)
    latency_ns = [100, 200, 300, 10, 20, 5]
    stats.process(
        calls(syscall=["read"] * 3 + ["close"] * 2 + ["openat"], latency_ns=latency_ns, ret=8)
    )
    return stats.snapshot()


def shown(totals: Totals, *, known: bool, where: Predicate | None = None) -> Detailed:
    found = snapshot()
    table, detail = with_counted(
        found.by["syscall"], found.details["syscall"], totals, known=known, where=where
    )
    return signed(detailed(table, detail, {}, {}), totals, known=known)


def counted(syscall: str, rate: int, number: int) -> Counted:
    latency = Histogram()
    latency.add(np.full(number, 1000))
    return Counted(syscall, rate, number, 0, 1, 512, 1000 * number, 0, 0, latency.snapshot())


TOTALS = Totals((counted("futex", 0, 50), counted("read", 10, 31), counted("clock_gettime", 0, 2)))


def column(found: Table, name: str) -> list[object]:
    at = [field.name for field in found.fields].index(name)
    return [row[at] for row in found.rows]


def test_without_rates_the_table_is_as_it_was() -> None:
    plain = snapshot().by["syscall"]
    assert with_counted(plain, None, Totals(()), known=True) == (plain, None)
    whole = detailed(plain, None, {}, {})
    assert signed(whole, Totals(()), known=True) is whole


def test_the_kernel_s_numbers_stand_for_what_is_not_recorded_whole() -> None:
    found = shown(TOTALS, known=True)
    assert column(found, "syscall") == ["futex", "read", "close", "clock_gettime"]
    assert column(found, "calls") == [50, 31, 2, 2]
    assert column(found, "sampled") == ["counted only", "1 in 10", "", "counted only"]
    assert column(found, "read")[:3] == [0, 512, 0]
    assert column(found, "written") == [0, 0, 0, 0]
    assert column(found, "p99")[:3] == [1000, 1000, 20]
    assert found.rest is not None
    assert found.rest[:3] == ("(other)", "", 1)
    assert {len(row) for row in (*found.rows, found.rest)} == {len(found.fields)}


def test_through_a_filter_the_kernel_has_nothing_to_say() -> None:
    unavailable = Totals(TOTALS.counted, Standing.UNAVAILABLE)
    for found in (
        shown(TOTALS, known=False),
        shown(unavailable, known=False),
    ):
        assert column(found, "syscall") == ["read", "close", "futex", "clock_gettime"]
        assert column(found, "calls") == [3, 2, None, None]
        assert column(found, "read") == [24, 0, None, None]
        assert column(found, "sampled") == ["1 in 10", "", "unavailable", "unavailable"]
        assert {len(row) for row in found.rows} == {len(found.fields)}
        assert arrange(found, Sort("calls", reverse=True)).rows[0][0] == "close"


@pytest.mark.parametrize(
    ("where", "listed"),
    [
        ('syscall != "futex"', {"clock_gettime"}),
        ("family == FS", set()),
        ("latency > 1ms and syscall in [futex, read]", {"futex"}),
        ("pid == 1 or syscall == futex", {"futex", "clock_gettime"}),
        ("not (pid == 1 and syscall == futex)", {"futex", "clock_gettime"}),
        ("pid == 1 and family == FS or syscall == futex and tid == 1", {"futex"}),
        ("not (syscall == futex or pid == 1)", {"clock_gettime"}),
        ("is_error", {"futex", "clock_gettime"}),
    ],
)
def test_what_the_filter_lets_no_call_through_of_is_not_listed(
    where: str, listed: set[str]
) -> None:
    found = shown(TOTALS, known=False, where=compile_filter(where))
    assert {*column(found, "syscall")} == {"read", "close", *listed}


def test_calls_that_could_not_be_counted_make_it_at_least() -> None:
    found = shown(Totals(TOTALS.counted, Standing.AT_LEAST), known=True)
    assert column(found, "sampled")[:2] == ["at least; counted only", "at least; 1 in 10"]


def test_a_row_is_a_filter_by_its_syscall() -> None:
    grid = arrange(shown(TOTALS, known=True), Sort())
    assert [term_of(grid, row) for row in (0, 1)] == ['syscall == "futex"', 'syscall == "read"']


@pytest.mark.parametrize("known", [True, False])
def test_families_sum_up_what_is_counted_too(known: bool) -> None:
    found = shown(TOTALS, known=known)
    parts = parts_of("syscall", "family", found)
    sums = sums_of(parts, 2)
    rows = {parts.label(node): sums.row(node) for node in range(1, len(parts.tree.name))}
    names = [field.name for field in sums.fields]

    def value(name: str, key: str) -> object:
        return rows[name][names.index(key)]

    assert value("FS", "calls") == (33 if known else 5)
    assert value("FS", "max") == (1000 if known else 300)
    assert value("FS", "p50") == (1000 if known else 101)  # the middle of a bucket
    assert value("(other)", "p50") == 5
    assert value("futex", "calls") == (50 if known else None)
    assert value("futex", "p99") == (1000 if known else None)
