"""What a run says of itself as JSON: what has not returned, without end."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest
from graph_nodes import Keeping

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


def stated(source: ListSource, folder: Path) -> dict[str, object]:
    run = Run(graph({"a": source, "b": Keeping()}, {"b": "a"}))
    anyio.run(run.run)
    write_statement(run, str(folder / "l.json"))
    found: dict[str, object] = json.loads((folder / "l.json").read_text())
    return found
