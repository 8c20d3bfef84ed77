"""What a run says of itself as JSON: what has not returned, and what was counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from graph_nodes import Keeping

from ior.counted import Counted, KernelSnapshot, Standing, Totals
from ior.histogram import Histogram, HistogramSnapshot
from ior.pipeline.run import Run
from ior.pipeline.running.statement import write_statement
from ior.testing import ListSource, graph
from ior.waiting import InFlight, Waiting


class Stuck(ListSource):
    """A source that knows some calls that have not returned, the longest waiting last."""

    count = 0

    def snapshot(self) -> InFlight | None:
        if self.count < 0:
            raise OSError("no such thing")
        waits = [Waiting(n, 7, n, "sh", "read", 0, "pipe:[1]") for n in range(self.count)]
        return InFlight(tuple(waits))


@pytest.mark.parametrize("count", [0, 1, 100, 101, 250])
def test_the_longest_waiting_are_listed_and_the_others_counted(tmp_path: Path, count: int) -> None:
    source = Stuck([])
    source.count = count
    found = stated(source, tmp_path)["in_flight"]
    assert found["left_out"] == max(count - 100, 0)
    ages = [call["age_ns"] for call in found["calls"]]
    assert ages == list(range(count))[::-1][:100]
    if count:
        assert found["calls"][0] == {
            "age_ns": count - 1,
            "pid": 7,
            "tid": count - 1,
            "comm": "sh",
            "syscall": "read",
            "fd": 0,
            "file": "pipe:[1]",
        }


def test_where_nobody_knows_there_is_nothing(tmp_path: Path) -> None:
    assert stated(ListSource([]), tmp_path)["in_flight"] is None
    source = Stuck([])
    source.count = -1
    assert stated(source, tmp_path)["in_flight"] is None


def latencies(*values: int) -> HistogramSnapshot:
    histogram = Histogram()
    histogram.add(np.array(values, np.int64))
    return histogram.snapshot()


class Counting(ListSource):
    """A source that has counted some calls."""

    standing = Standing.EXACT
    counted: tuple[Counted, ...] = (
        Counted("read", 0, 5, 0, 2, 40, 1_000_115, 1, 3, latencies(0, 15, 100, 1_000_000)),
        Counted("futex", 10, 0, 0, 0, 0, 0, 0, 4, latencies()),
    )

    def snapshot(self) -> KernelSnapshot | None:
        return KernelSnapshot((), totals=Totals(self.counted, self.standing))


@pytest.mark.parametrize("standing", [Standing.EXACT, Standing.AT_LEAST])
def test_what_was_counted_is_listed_with_its_latencies(tmp_path: Path, standing: Standing) -> None:
    source = Counting([])
    source.standing = standing
    (name, found), *others = stated(source, tmp_path)["totals"].items()
    assert (name, others) == ("a", [])
    assert found["standing"] == {"": "exact"}.get(standing.value, standing.value)
    read, futex = found["syscalls"]
    buckets = read.pop("latency")
    assert read == {
        "syscall": "read",
        "rate": 0,
        "calls": 5,
        "recorded": 0,
        "errors": 2,
        "bytes": 40,
        "untimed": 1,
        "unmatched": 3,
        "latency_ns": 1_000_115,
        "least_ns": 0,
        "greatest_ns": 1_000_000,
    }
    assert [bucket["calls"] for bucket in buckets] == [1, 1, 1, 1]
    for bucket, took_ns in zip(buckets, (0, 15, 100, 1_000_000), strict=True):
        assert bucket["from_ns"] <= took_ns < bucket["below_ns"] <= took_ns * 1.07 + 1
    assert futex["unmatched"] == 4
    assert (futex["least_ns"], futex["greatest_ns"], futex["latency"]) == (None, None, [])


def test_counts_that_are_not_of_what_is_asked_for_are_not_given(tmp_path: Path) -> None:
    source = Counting([])
    source.standing = Standing.UNAVAILABLE
    found = stated(source, tmp_path)["totals"]
    assert found == {"a": {"standing": "unavailable", "syscalls": None}}


def test_where_nothing_was_counted_there_are_no_totals(tmp_path: Path) -> None:
    source = Counting([])
    source.counted = ()
    assert stated(source, tmp_path)["totals"] == {}
    assert stated(Stuck([]), tmp_path)["totals"] == {}


def stated(source: ListSource, folder: Path) -> dict[str, Any]:
    run = Run(graph({"a": source, "b": Keeping()}, {"b": "a"}))
    anyio.run(run.run)
    write_statement(run, str(folder / "l.json"))
    found: dict[str, Any] = json.loads((folder / "l.json").read_text())
    return found
