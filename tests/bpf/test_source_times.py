"""Times are CLOCK_BOOTTIME, also after the programs' offset to it has gone wrong."""

from __future__ import annotations

import asyncio
import time

import pytest
from tracing import MARK, MODES, program, python, trace

from ior.pipeline.run import Run
from ior.sources.bpf import waiting
from ior.sources.bpf.clock import boot_offset_ns
from ior.sources.bpf.source import BpfSource

pytestmark = pytest.mark.kernel

CLOCKED = r"""
#include <time.h>
static long long boot(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}
int main(void)
{
	long long before = boot(), after;
	mark();
	after = boot();
	printf("before %lld\nafter %lld\n", before, after);
	return 0;
}
"""
HOUR_NS = 3600 * 1_000_000_000
READING_NS = 100_000  # how far apart the two clocks can be read


@pytest.mark.parametrize("pairing", MODES)
def test_a_call_is_between_what_its_program_reads_from_the_boot_clock(pairing: str) -> None:
    traced = program(CLOCKED, pairing=pairing, syscalls=["access"])
    (row,) = traced.of("access", file=MARK)
    told = traced.facts()
    assert int(told["before"]) - READING_NS <= row["time_ns"]
    assert row["time_ns"] + row["latency_ns"] <= int(told["after"]) + READING_NS


def put_wrong(run: Run) -> int:
    """Make the programs' clock an hour late, as a suspend does; return the offset it had."""
    source = run._crew.workers["kernel"].node
    assert isinstance(source, BpfSource)
    assert source._object is not None
    offset = int(source._object.globals["boot_offset_ns"])
    source._object.globals["boot_offset_ns"] = offset - HOUR_NS
    return offset


def test_the_offset_is_put_right_while_tracing() -> None:
    """As after a suspend, when the boot clock has moved and the monotonic one has not."""
    seen: list[int] = []
    text = f"import os, time; time.sleep(1); os.access({MARK!r}, 0); time.sleep(0.1)"
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    traced = trace(
        python(text), on_start=lambda run: seen.append(put_wrong(run)), syscalls=["access"]
    )
    (row,) = traced.of("access", file=MARK)
    assert abs(seen[0] - boot_offset_ns()) < READING_NS
    assert before < row["time_ns"] < time.clock_gettime_ns(time.CLOCK_BOOTTIME)


TWICE = f"os.access({MARK!r}, 0); time.sleep(0.1); os.access({MARK!r}, 0)"
BUSY = f"""
import os, time
end = time.monotonic() + 2
while time.monotonic() < end:
    os.access({MARK!r}, 0)
    for _ in range(2000):  # a call every fiftieth of a millisecond or so
        pass
"""


def put_wrong_later(run: Run) -> None:
    """Do so when calls come, or when nothing does."""
    asyncio.get_running_loop().call_later(1, put_wrong, run)


def test_the_offset_is_put_right_though_calls_come_all_the_time() -> None:
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    traced = trace(python(BUSY), on_start=put_wrong_later, syscalls=["access"])
    rows = traced.of("access", file=MARK)
    assert rows[-1]["time_ns"] > before


def test_the_first_record_after_a_long_time_puts_the_offset_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting, "until_next_second", lambda clock: 1000.0)
    monkeypatch.setattr(waiting, "_IDLE_S", 0.2)
    text = f"import os, time; time.sleep(2); {TWICE}"
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    traced = trace(python(text), on_start=put_wrong_later, syscalls=["access"])
    first, second = (row["time_ns"] for row in traced.of("access", file=MARK))
    assert first < before < second
