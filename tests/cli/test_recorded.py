"""What the live view records are calls: pipelines that pair halves replay them as well."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from made import Invoke

from ior.cli import recorded
from ior.pipeline.spec import parse

SAMPLE = str(Path(__file__).parents[2] / "ior/data/sample.ior")
BOTH = """
version = 1
[stage.kernel]
type = "replay"
path = "{}"
[stage.pair]
type = "pair"
inputs = "kernel"
[stage.recording]
type = "capture"
inputs = "pair"
path = "calls.ior"
[stage.rows]
type = "csv"
inputs = "pair.out"
path = "rows.csv"
[stage.unmatched]
type = "csv"
inputs = "pair.unmatched"
path = "unmatched.csv"
"""


@pytest.fixture
def rows(ior: Invoke, folder: Path) -> str:
    """Record the calls of the sample, and return them as CSV."""
    (folder / "both.toml").write_text(BOTH.format(SAMPLE))
    assert ior("run", "both.toml", "-q").code == 0
    written = (folder / "rows.csv").read_text()
    (folder / "rows.csv").unlink()
    (folder / "unmatched.csv").unlink()
    return written


def test_calls_are_not_paired_again_and_are_the_same(ior: Invoke, folder: Path, rows: str) -> None:
    replayed = ("--replay", "calls.ior", "--ledger", "books.json", "-q")
    done = ior("run", "both.toml", *replayed, "--set", "recording.path=again.ior")
    assert (done.code, done.err) == (0, "")
    assert (folder / "rows.csv").read_text() == rows
    assert not (folder / "unmatched.csv").exists()
    books = json.loads((folder / "books.json").read_text())
    assert books["closed"]
    assert books["calls"] == books["stages"]["rows"]["in"] == len(rows.splitlines()) - 1 > 0


def test_a_filter_stands_where_the_pairing_was(ior: Invoke, rows: str) -> None:
    done = ior("run", "plain", "--replay", "calls.ior", "-q", "--where", "is_error")
    assert done.code == 0, done.err
    errors = [row for row in csv.DictReader(rows.splitlines()) if row["is_error"] == "true"]
    assert list(csv.DictReader(done.out.splitlines())) == errors != []


@pytest.mark.usefixtures("rows")
def test_which_captures_are_of_calls(folder: Path) -> None:
    (folder / "text").write_text("no capture")
    names = ("calls.ior", SAMPLE, "text", "gone")
    assert [recorded.holds_calls(name) for name in names] == [True, False, False, False]


def test_what_takes_only_halves_is_left_out_with_all_behind_it(folder: Path) -> None:
    spec = parse(
        BOTH.format(SAMPLE)
        + '[stage.odd]\ntype = "filter"\ninputs = "pair.unmatched"\nwhere = "true"\n'
        + '[stage.odds]\ntype = "csv"\ninputs = "odd"\npath = "odds.csv"\n'
        + '[stage.all]\ntype = "csv"\ninputs = ["odd", "pair"]\npath = "all.csv"\n',
        directory=folder,
        label="both",
    )
    left = {name: node.inputs for name, node in recorded.without_pairing(spec).nodes.items()}
    assert left == {
        "kernel": (),
        "recording": ("kernel",),
        "rows": ("kernel",),
        "all": ("kernel",),
    }
