"""The builders of `ior.testing`: what is not given is filled in so that it fits."""

from __future__ import annotations

from typing import Any

import anyio
import numpy as np
import pytest

from ior.calls import CALLS, HALVES, Flag
from ior.names import Names
from ior.testing import VirtualClock, calls, halves


def test_calls_follow_from_what_is_given() -> None:
    batch = calls(comm=["dd", "ls"], syscall=["read", "openat"], ret=[512, -2], file="/etc/passwd")
    assert batch.schema is CALLS
    rows = list(batch.rows())
    assert [row["comm"] for row in rows] == ["dd", "ls"]
    assert [row["syscall"] for row in rows] == ["read", "openat"]
    assert [row["errno"] for row in rows] == ["", "ENOENT"]
    assert [row["is_error"] for row in rows] == [False, True]
    assert batch["bytes"].tolist() == [512, 0]
    assert batch.text("file") == ["/etc/passwd"] * 2
    assert batch["seq"].tolist() == [0, 1]
    assert (batch["tid"] == batch["pid"]).all()
    assert batch["args"].shape == (2, 5)
    for column in CALLS.columns:
        assert batch[column.name].dtype == np.dtype(column.dtype)
        assert not batch[column.name].flags.writeable


def test_halves_have_the_sides_that_their_flags_say() -> None:
    sides = [Flag.ENTER, Flag.EXIT, Flag.ENTER | Flag.EXIT]
    batch = halves(flags=[int(side) for side in sides], nr=["read", "write", "close"])
    assert batch.schema is HALVES
    assert (batch["enter_ns"] > 0).tolist() == [True, False, True]
    assert (batch["exit_ns"] > 0).tolist() == [False, True, True]
    assert batch["exit_ns"][2] > batch["enter_ns"][2]


def test_batches_can_share_names() -> None:
    names = Names()
    first, second = calls(comm="a", names=names), calls(comm=["a", "b"], names=names)
    assert first["comm"][0] == second["comm"][0]
    assert len(calls(rows=5)) == 5


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"colour": 1}, "calls have no column colour"),
        ({"pid": [1, 2], "tid": [1]}, r"different lengths: \[1, 2\]"),
    ],
)
def test_wrong_columns_are_refused(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        calls(**columns)


def test_an_unknown_syscall_is_refused() -> None:
    with pytest.raises(ValueError, match="no syscall 'raed' on x86_64"):
        calls(syscall="raed")


@pytest.mark.anyio
async def test_the_clock_wakes_sleepers_in_their_order() -> None:
    clock, woken = VirtualClock(), list[tuple[str, int]]()

    async def sleep(name: str, *seconds: float) -> None:
        for nap in seconds:
            await clock.sleep(nap)
            woken.append((name, clock.now_ns() // 1_000_000))

    async with anyio.create_task_group() as group:
        group.start_soon(sleep, "a", 1, 1)
        group.start_soon(sleep, "b", 0, 1.5)
        await clock.advance(1.6)
        assert woken == [("b", 0), ("a", 1000), ("b", 1500)]
        await clock.advance(0.4)
    assert woken[-1] == ("a", 2000)
    assert clock.now_ns() == 2_000_000_000
