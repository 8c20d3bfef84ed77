"""When a filter is pushed into its source: when nobody would miss what the source leaves out."""

from __future__ import annotations

from pathlib import Path

import pytest

from ior.expr.wording import wording
from ior.pipeline.graph import build
from ior.pipeline.pushing import Pushed, pushed
from ior.pipeline.spec import PipelineSpec, add_filter, parse

LINE = """
version = 1
[stage.kernel]
type = "bpf"
{keys}
[stage.pair]
type = "pair"
inputs = "kernel"
[stage.slow]
type = "filter"
inputs = "pair"
where = '{where}'
[stage.stats]
type = "stats"
inputs = "slow"
{more}
"""

THREE = '[stage.three]\ntype = "stats"\ninputs = "two"'


def spec(text: str) -> PipelineSpec:
    return parse(text, directory=Path.cwd(), label="p.toml")


def plan(where: str = "latency >= 1ms", *, more: str = "", keys: str = "") -> Pushed:
    (found,) = pushed(build(spec(LINE.format(where=where, more=more, keys=keys)))).values()
    return found


def said(found: Pushed) -> str | None:
    return None if found.split.pushed is None else wording(found.split.pushed)


def test_the_only_filter_behind_pair_is_pushed() -> None:
    found = plan('latency >= 1ms and path ~ "x"')
    assert said(found) == "latency >= 1ms"
    assert found.filters == ("slow",)
    assert not found.complete
    assert plan().complete


@pytest.mark.parametrize(
    "more",
    [
        '[stage.all]\ntype = "stats"\ninputs = "pair"',
        '[stage.odd]\ntype = "csv"\ninputs = "pair.unmatched"\npath = "odd.csv"',
        '[stage.raw]\ntype = "capture"\ninputs = "kernel"\npath = "t.ior"',
        '[stage.show]\ntype = "report"\nof = ["pair"]',
        '[stage.two]\ntype = "filter"\ninputs = "pair"\nwhere = "fd > 2"\n' + THREE,
    ],
)
def test_nothing_is_pushed_where_somebody_else_takes_the_rows(more: str) -> None:
    found = plan(more=more)
    assert said(found) is None
    assert not found.complete


def test_who_shows_what_the_source_answers_misses_nothing() -> None:
    found = plan(more='[stage.show]\ntype = "report"\nof = ["stats", "kernel"]')
    assert said(found) == "latency >= 1ms"
    assert found.complete


def test_a_filter_of_another_source_makes_nothing_incomplete() -> None:
    other = LINE.replace("version = 1", "").format(where='path ~ "x"', more="", keys="")
    for name in ("kernel", "pair", "slow", "stats"):
        other = other.replace(f"[stage.{name}]", f"[stage.{name}2]").replace(
            f'"{name}"\n', f'"{name}2"\n'
        )
    other = other.replace('type = "pair2"', 'type = "pair"').replace('"stats2"', '"stats"')
    found = pushed(build(spec(LINE.format(where="latency >= 1ms", more=other, keys=""))))
    assert found["kernel"].complete
    assert not found["kernel2"].complete


def test_filters_in_a_row_are_pushed_together() -> None:
    filtered = add_filter(spec(LINE.format(where="latency >= 1ms", more="", keys="")), "is_error")
    (found,) = pushed(build(filtered)).values()
    assert said(found) == "is_error and latency >= 1ms"


@pytest.mark.parametrize("where", ["latency >= 1ms and gap > 1ms", "pid == 3 and seq > 1000"])
def test_nothing_is_pushed_where_a_filter_asks_what_was_before(where: str) -> None:
    assert said(plan(where)) is None
    later = '[stage.late]\ntype = "filter"\ninputs = "slow"\nwhere = "gap > 1ms"\n'
    assert said(plan(more=later + '[stage.s]\ntype = "stats"\ninputs = "late"')) is None


def test_a_key_turns_it_off_and_user_pairing_leaves_returns_to_the_stage() -> None:
    assert said(plan(keys="push_down = false")) is None
    assert said(plan("pid == 3 and latency >= 1ms", keys='pairing = "user"')) == "pid == 3"


def test_paths_of_control_groups_are_pushed_and_patterns_are_not() -> None:
    found = plan('(cgroup under "/a" or cgroup == "/b") and cgroup ~ "x"')
    assert said(found) == 'cgroup under "/a" or cgroup == "/b"'
    assert plan('cgroup under "/a"', keys='pairing = "user"').complete


def test_without_a_filter_all_is_known() -> None:
    text = LINE.format(where="true", more="", keys="")
    text = text.replace('"slow"', '"pair"').replace("[stage.slow]", "[stage.slow]\nenabled = false")
    (found,) = pushed(build(spec(text))).values()
    assert found.complete
