from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ior.errors import SpecError
from ior.sinks.folded import Folded, FoldedConfig, escape_frame
from ior.stages.flamegraph import WEIGHTS, Flamegraph, FlamegraphConfig
from ior.stages.stats import Stats
from ior.testing import calls
from ior.text import escape, unescape

pytestmark = pytest.mark.anyio


def flame(batch, stack=("comm", "path", "syscall")):
    stage = Flamegraph(FlamegraphConfig(stack=list(stack)))
    stage.process(batch)
    return stage.snapshot()


async def fold(ctx, **config) -> None:
    sink = Folded(FoldedConfig(**config))
    await sink.start(ctx)
    await sink.tick(0)
    await sink.drain()
    await sink.close()


def parse(text: str) -> list[tuple[list[bytes], int]]:
    stacks = []
    for line in text.split("\n")[:-1]:
        stack, _, weight = line.rpartition(" ")
        stacks.append(([unescape(frame) for frame in stack.split(";")], int(weight)))
    return stacks


async def test_every_stack_once_with_its_calls(node_context, tmp_path):
    batch = calls(
        comm=["dd", "dd", "cat"], file=["/dev/zero", "/dev/zero", "/etc/x"], syscall="read"
    )
    await fold(node_context(snapshots={"flame": flame(batch)}), path="o")
    assert sorted(parse((tmp_path / "o").read_text())) == [
        ([b"cat", b"/etc", b"x", b"read"], 1),
        ([b"dd", b"/dev", b"zero", b"read"], 2),
    ]


@pytest.mark.parametrize("weight", sorted(WEIGHTS))
async def test_the_numbers_sum_to_the_total_of_each_weight(node_context, tmp_path, weight):
    batch = calls(
        comm=["a", "b", "c", "d"],
        ret=[0, 10, 20, -2],
        latency_ns=[1, 2, 3, -1],
        gap_ns=[-1, 0, 7, 9],
    )
    stats = Stats(Stats.Config())
    stats.process(batch)
    totals = stats.snapshot().totals
    sums = {"calls": totals.calls, "bytes": totals.bytes, "latency": totals.latency_ns}
    sums |= {"gap": totals.gap_ns, "errors": totals.errors}
    await fold(node_context(snapshots={"flame": flame(batch)}), path="o", weight=weight)
    weights = [n for _, n in parse((tmp_path / "o").read_text())]
    assert sum(weights) == sums[weight] > 0
    assert 0 not in weights


async def test_hostile_frames_keep_the_form_and_read_back(node_context, tmp_path):
    names = [b"a;b", b"new\nline", b"\x1b[31m", b"\xff", b"sp ace 7", "\u2028\x85".encode(), b"\\"]
    batch = calls(comm=[escape(name) for name in names])
    await fold(node_context(snapshots={"flame": flame(batch, ["comm"])}), path="o")
    text = (tmp_path / "o").read_text()
    assert len(text.splitlines()) == len(names)
    assert sorted(parse(text)) == sorted(([name], 1) for name in names)
    assert "a\\x3bb 1\n" in text


@given(raw=st.binary(max_size=30))
def test_any_frame_reads_back(raw):
    frame = escape_frame(escape(raw))
    assert unescape(frame) == raw
    assert ";" not in frame
    assert len(frame.splitlines()) <= 1


async def test_an_empty_flamegraph_is_an_empty_file(node_context, tmp_path):
    empty = Flamegraph(FlamegraphConfig()).snapshot()
    await fold(node_context(snapshots={"flame": empty}), path="o")
    assert (tmp_path / "o").read_bytes() == b""


async def test_no_control_byte_reaches_a_terminal(node_context):
    controller, terminal = os.openpty()
    batch = calls(comm=[escape(b"\x1b[31mred"), "bidi \u202e"])
    snapshots = {"flame": flame(batch, ["comm"])}
    await fold(node_context(snapshots=snapshots), path=os.ttyname(terminal))
    seen = os.read(controller, 10_000).decode()
    assert seen.count("\r\n") == 2
    assert "red 1" in seen
    assert "\x1b" not in seen
    assert "\u202e" not in seen
    os.close(controller)
    os.close(terminal)


async def test_what_is_no_flamegraph_is_refused_early(node_context, tmp_path):
    stats = Stats(Stats.Config()).snapshot()
    picture = flame(calls())
    with pytest.raises(SpecError, match="one flamegraph"):
        await fold(node_context(snapshots={"a": picture, "b": picture}), path="o")
    for snapshots, weight in (({"a": stats}, None), ({"a": picture}, "nosuch")):
        sink = Folded(FoldedConfig(path="o", weight=weight))
        await sink.start(node_context(snapshots=snapshots))
        with pytest.raises(SpecError, match="'a'"):
            await sink.tick(0)
        await sink.close()
    assert os.listdir(tmp_path) == []
