"""Rates of the rows of tables: what came in about the last second."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from ior.calls import CALLS
from ior.snapshots import Field, Table
from ior.stages.stats import Stats, StatsConfig
from ior.testing import calls
from ior.ui.columns import ORDER, detailed, rates
from ior.ui.grid import Sort, arrange, padded
from ior.ui.parts import Detailed

SECOND = 1_000_000_000
FIELDS = (Field("syscall", "text"), Field("calls", "count"), Field("errors", "count"))


def table(**calls: int) -> Table:
    return Table("Syscalls", FIELDS, tuple((name, n, 0) for name, n in calls.items()))


def rated(shown: Table, now_ns: int, seen: deque[tuple[int, Mapping[Any, int]]]) -> Detailed:
    return detailed(shown, None, rates(shown, now_ns, seen), {})


def test_a_row_has_the_rate_of_the_last_second() -> None:
    seen: deque[tuple[int, Mapping[Any, int]]] = deque()
    first = rated(table(read=100), 0, seen)
    assert [field.name for field in first.fields] == ["syscall", "calls", "rate", "errors"]
    assert first.rows == (("read", 100, None, 0),)
    for i in range(1, 5):
        rated(table(read=100 + 50 * i), i * SECOND // 4, seen)
    late = rated(table(read=400, write=30), 5 * SECOND // 4, seen)
    assert late.rows == (("read", 400, 250.0, 0), ("write", 30, 30.0, 0))
    assert len(seen) <= 6


def test_a_rate_is_written_as_one() -> None:
    grid = arrange(rated(table(read=5), 0, deque([(-SECOND, {"read": 0})])), Sort())
    assert padded(grid.table.fields[2], grid.rows[0][2], 10).strip() == "5.0 /s"


def test_columns_stand_in_their_order_with_bytes_read_and_written_apart() -> None:
    stage = Stats(StatsConfig(max_keys=2))
    stage.connect(CALLS)
    moves = ["read"] * 3 + ["write"] * 2 + ["splice"]
    stage.process(calls(syscall=moves, ret=[10, 20, 30, 400, 500, 7000]))
    found = stage.snapshot()
    shown = detailed(found.by["syscall"], found.details["syscall"], {}, {})
    assert tuple(field.name for field in shown.fields) == ("syscall", *ORDER)
    at = [ORDER.index(name) + 1 for name in ("calls", "read", "written", "bytes")]
    cells = {row[0]: tuple(row[i] for i in at) for row in shown.rows}
    assert cells == {"read": (3, 60, 0, 60), "write": (2, 0, 900, 900)}
    assert shown.rest is not None
    assert tuple(shown.rest[i] for i in at) == (1, 7000, 7000, 7000)
