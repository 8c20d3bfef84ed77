"""Rates of a capture are of the time that its calls took, not of the time that reading it took."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from emulated import ledger
from test_state import after
from test_window import SECOND, STAGES, Still, made, rates_of

from ior.calls import Batch
from ior.expr import compile_filter
from ior.pipeline.spec import parse
from ior.stages.stats import Totals
from ior.testing import calls
from ior.ui import frame
from ior.ui.events import Ended, Picture, Started, Tick
from ior.ui.kept import Kept
from ior.ui.nodes import Nodes
from ior.ui.sight import Chosen, Sight
from ior.ui.state import State
from ior.ui.tabs.overview import OverviewTab
from ior.ui.tabs.overviewlines import Overview
from ior.ui.trend import Trend

CAPTURE = STAGES.replace('type = "synthetic"', 'type = "replay"\npath = "x.ior"')


def sight_of(
    run: Still, *, stages: str = CAPTURE, took_ns: int = 0, kept: Kept | None = None
) -> Sight:
    nodes = Nodes(run, parse(stages, directory=Path(), label="still"))
    return Sight(run, nodes, 9 * SECOND, Chosen(took_ns=took_ns), Trend(), kept=kept)


def overview(sight: Sight) -> Overview:
    seen = OverviewTab("stats").look(sight, OverviewTab.begin)
    assert seen is not None
    return seen


def drawn(seen: Overview) -> list[str]:
    """The lines with the rates."""
    tab, size = OverviewTab("stats"), State(title="x").size
    _, layout = tab.arrange(tab.begin, seen, size, None)
    lines = (tab.line(tab.begin, layout, row) for row in range(5))
    return ["".join(text for _, text in line) for line in lines]


def test_seconds_that_come_after_the_last_rows_are_shown_too() -> None:
    kept, run = Kept(), Still(batches=gapped())
    late = Still(batches=gapped()[:1]).answers["history"]
    last, run.answers["history"] = run.answers["history"], late
    assert sight_of(run, kept=kept).rates()["calls"] == (10,)
    run.answers["history"] = last
    assert sight_of(run, kept=kept).rates()["calls"] == (10, 10, 0, 0, 10)


def gapped() -> list[Batch]:
    """Ten calls in each of the seconds 100, 101 and 104, one of each second failed."""
    times = [second * SECOND + np.arange(10) * 1000 for second in (100, 101, 104)]
    return [calls(time_ns=at, latency_ns=0, ret=[-2, *[512] * 9]) for at in times]


def test_the_rates_of_its_rows_are_means_over_its_time() -> None:
    rates = rates_of(sight_of(Still(batches=made()[:11])))
    assert rates == pytest.approx({"/file0": 10, "/file1": 1}, rel=1e-4)


def test_the_overview_shows_its_seconds_and_one_without_a_call_too() -> None:
    seen = overview(sight_of(Still(batches=gapped())))
    assert seen.rates["calls"] == (10, 10, 0, 0, 10)
    assert seen.rates["errors"] == (1, 1, 0, 0, 1)
    assert seen.rates["bytes_read"] == (9 * 512, 9 * 512, 0, 0, 9 * 512)
    said = drawn(seen)
    assert said[0].rstrip().endswith("last 5 s")
    assert said[1].split()[:4] == ["calls", "30", "7.5", "/s"]
    assert said[1].split()[-1].count("█") == 3


def test_when_a_run_is_over_the_rates_of_its_rows_are_of_all_of_it() -> None:
    over = sight_of(Still(batches=made()[:10]), stages=STAGES, took_ns=5 * SECOND)
    assert rates_of(over) == {"/file0": 20}
    assert drawn(overview(over))[1].split()[:4] == ["calls", "100", "20", "/s"]
    live = sight_of(Still(batches=made()[:10]), stages=STAGES)
    assert rates_of(live) == {"/file0": None}


def test_what_a_filter_chooses_is_a_mean_over_the_rows_that_it_chooses_from() -> None:
    run = Still(rows=50, batches=made()[:20])  # the rows of the last 5 seconds
    nodes = Nodes(run, parse(CAPTURE, directory=Path(), label="still"))
    chosen = Chosen(compile_filter("latency >= 500ns"))
    rates = rates_of(Sight(run, nodes, 9 * SECOND, chosen, Trend()))
    assert rates == pytest.approx({"/file1": 25 / 4}, rel=1e-4)  # from the first to the last


def test_the_head_shows_its_time_and_rates_over_that() -> None:
    def shown(seconds: float, calls_: int, recorded_s: int | None) -> Picture:
        totals = Totals(calls=calls_, errors=calls_ // 10, bytes=calls_ * 1024)
        recorded_ns = None if recorded_s is None else recorded_s * SECOND
        at = int(seconds * SECOND)
        return Picture(None, ledger(calls_), at, totals, recorded_ns=recorded_ns)

    state = after(Started(0, ()), Tick(shown(0.1, 4000, 40)), state=State(title="capture x"))
    running = ["".join(text for _, text in line) for line in frame.head(state)]
    assert running[0].endswith("running 0:40 ")
    assert running[1].rstrip() == " calls 4,000 (100 /s)  lost 0  bytes 100.0 KiB/s  errors 10 /s"
    state = after(Ended(shown(0.3, 12_000, 60)), state=state)
    over = ["".join(text for _, text in line) for line in frame.head(state)]
    assert over[0].endswith("ended 1:00 ")
    assert " calls 12,000 (200 /s) " in over[1]
    live = after(Started(0, ()), Tick(shown(2, 4000, None)), Ended(shown(4, 4000, None)))
    assert live.rates.calls == 1000
