"""Times are CLOCK_BOOTTIME, also after the programs' offset to it has gone wrong."""

from __future__ import annotations

import time

import pytest
from tracing import MARK, MODES, program, python, trace

from ior.pipeline.run import Run
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


def test_the_offset_is_put_right_while_tracing() -> None:
    """As after a suspend, when the boot clock has moved and the monotonic one has not."""
    seen: list[int] = []

    def disturb(run: Run) -> None:
        source = run._crew.workers["kernel"].node
        assert isinstance(source, BpfSource)
        assert source._object is not None
        seen.append(int(source._object.globals["boot_offset_ns"]))
        source._object.globals["boot_offset_ns"] = seen[0] - HOUR_NS

    text = f"import os, time; time.sleep(1); os.access({MARK!r}, 0); time.sleep(0.1)"
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    traced = trace(python(text), on_start=disturb, syscalls=["access"])
    (row,) = traced.of("access", file=MARK)
    assert abs(seen[0] - boot_offset_ns()) < READING_NS
    assert before < row["time_ns"] < time.clock_gettime_ns(time.CLOCK_BOOTTIME)
