"""The ring reader on records of the running kernel."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from ior.sources.bpf.loader import Object, ObjectSpec
from ior.sources.bpf.ring import (
    RingCorruptError,
    RingReader,
)

pytestmark = pytest.mark.kernel

Open = Callable[[str], ObjectSpec]

RINGS = """
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

struct record {
	__u64 number;
	__u8 rest[PAYLOAD - 8];
};

__u64 attempted;
__u64 lost;
__u64 discard_every;
__u64 stretch;
__u32 hold;
__u32 holding;
char scratch[512];

static int wait_for_release(__u32 index, void *unused)
{
	return !*(volatile __u32 *)&hold;
}

static int wait_longer(__u32 index, void *unused)
{
	return bpf_loop(1 << 20, wait_for_release, NULL, 0) < (1 << 20);
}

/* One record of a fixed size for each getppid; some are discarded, some kept busy. */
SEC("tp_btf/sys_enter")
int BPF_PROG(fixed, struct pt_regs *regs, long nr)
{
	struct record *record;
	__u64 number;

	if (!is_wanted(nr))
		return 0;
	number = attempted++;
	record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
	if (!record) {
		lost++;
		return 0;
	}
	record->number = number;
	__builtin_memset(record->rest, number & 0xff, sizeof(record->rest));
	if (hold) {
		*(volatile __u32 *)&holding = 1;
		bpf_loop(4096, wait_longer, NULL, 0);
	}
	if (discard_every && number % discard_every == 0)
		bpf_ringbuf_discard(record, 0);
	else
		bpf_ringbuf_submit(record, 0);
	return 0;
}

/* One record for each getppid, 8 bytes and then up to 488 more. */
SEC("tp_btf/sys_enter")
int BPF_PROG(variable, struct pt_regs *regs, long nr)
{
	__u64 size;

	if (!is_wanted(nr))
		return 0;
	*(__u64 *)scratch = attempted;
	size = 8 + attempted * stretch % 489;
	attempted++;
	asm volatile("" : "+r"(size)); /* or clang drops the check that the verifier needs */
	if (size > sizeof(scratch))
		return 0;
	if (bpf_ringbuf_output(&ring, scratch, size, 0))
		lost++;
	return 0;
}
"""


@contextmanager
def running(
    open_bpf: Open, program: str, payload: int = 120, size: int = 4096
) -> Iterator[tuple[Object, RingReader]]:
    with open_bpf(RINGS.replace("PAYLOAD", str(payload))) as spec:
        spec.maps["ring"].max_entries = size
        with spec.load() as loaded:
            ring = loaded.maps["ring"]
            with RingReader(ring.fd, ring.max_entries) as reader:
                loaded.attach(program)
                yield loaded, reader


def events(count: int) -> None:
    for _ in range(count):
        os.getppid()


def numbers(taken: np.ndarray) -> list[int]:
    return taken[:, 8:16].copy().view(np.uint64).reshape(-1).tolist()


@pytest.mark.parametrize("payload", [16, 40, 64, 120, 248])
def test_records_of_any_size_survive_many_wraps(open_bpf: Open, payload: int) -> None:
    """4096 is no multiple of 24, 48, 72: records begin before the end and wrap around."""
    stride = payload + 8
    seen: list[int] = []
    with running(open_bpf, "fixed", payload) as (loaded, reader):
        room = 4096 // stride - 1
        while len(seen) < 20 * room:
            events(room - 1)
            taken = reader.drain_fixed(stride)
            assert taken.shape == (room - 1, stride)
            first = taken[:, 8].astype(int)
            assert (taken[:, 16:].astype(int) == first[:, None]).all()
            seen += numbers(taken)
        assert loaded.globals["lost"] == 0
        assert reader.consumer_position() == reader.producer_position() == len(seen) * stride
    assert seen == list(range(len(seen)))


def test_a_full_ring_loses_and_every_record_is_accounted_for(open_bpf: Open) -> None:
    seen: list[int] = []
    with running(open_bpf, "fixed") as (loaded, reader):
        for burst in (31, 32, 500, 1, 0, 77):
            events(burst)
            taken = reader.drain_fixed(128)
            assert len(taken) == min(burst, 31)  # one record short of the size: the kernel's rule
            seen += numbers(taken)
        attempted, lost = loaded.globals["attempted"], loaded.globals["lost"]
        assert attempted == sum((31, 32, 500, 1, 0, 77))
        assert attempted == len(seen) + int(lost)
        assert reader.pending_bytes == 0
    assert seen == sorted(set(seen))


@pytest.mark.parametrize("every", [1, 2, 7])
def test_discarded_records_are_consumed_and_left_out(open_bpf: Open, every: int) -> None:
    with running(open_bpf, "fixed") as (loaded, reader):
        loaded.globals["discard_every"] = every
        seen: list[int] = []
        for _ in range(20):
            events(20)
            seen += numbers(reader.drain_fixed(128))
        assert reader.pending_bytes == 0
        assert loaded.globals["lost"] == 0
    assert seen == [n for n in range(400) if n % every]


def test_limits_of_a_drain_leave_the_rest_for_the_next(open_bpf: Open) -> None:
    with running(open_bpf, "fixed") as (_, reader):
        events(10)
        until = reader.producer_position()
        events(10)
        assert reader.pending_bytes == 20 * 128
        assert numbers(reader.drain_fixed(128, 4)) == [0, 1, 2, 3]
        assert numbers(reader.drain_fixed(128, until=until)) == list(range(4, 10))
        assert len(reader.drain_fixed(128, until=until)) == 0
        assert len(reader.drain_fixed(128, 0)) == 0
        assert numbers(reader.drain_fixed(128)) == list(range(10, 20))


def test_what_was_drained_is_a_copy(open_bpf: Open) -> None:
    with running(open_bpf, "fixed") as (_, reader):
        events(31)
        first = reader.drain_fixed(128)
        before = first.copy()
        events(31)
        reader.drain_fixed(128)
        assert np.array_equal(first, before)
        assert first.flags.writeable
        assert first.flags.c_contiguous


def test_a_second_reader_goes_on_where_the_first_stopped(open_bpf: Open) -> None:
    with running(open_bpf, "fixed") as (loaded, reader):
        events(5)
        assert numbers(reader.drain_fixed(128, 3)) == [0, 1, 2]
        ring = loaded.maps["ring"]
        with RingReader(ring.fd, ring.max_entries) as other:
            assert numbers(other.drain_fixed(128)) == [3, 4]


def test_the_wrong_stride_is_told_and_consumes_nothing(open_bpf: Open) -> None:
    with running(open_bpf, "fixed") as (_, reader):
        events(3)
        with pytest.raises(RingCorruptError, match="record of 120 bytes in a ring of records of 5"):
            reader.drain_fixed(64)
        assert numbers(reader.drain_fixed(128)) == [0, 1, 2]


class Held:
    """A thread whose getppid keeps its record busy until it is released."""

    def __init__(self, loaded: Object) -> None:
        self._hold = loaded.globals.array("hold", np.uint32)
        holding = loaded.globals.array("holding", np.uint32)
        self._hold[0], holding[0] = 1, 0
        self._thread = threading.Thread(target=ctypes.CDLL(None).getppid)  # without the GIL
        self._thread.start()
        deadline = time.monotonic() + 10
        while not holding[0]:
            assert time.monotonic() < deadline
            os.sched_yield()

    def release(self) -> None:
        self._hold[0] = 0
        self._thread.join()


def test_a_busy_record_of_the_kernel_stops_the_drain(open_bpf: Open) -> None:
    with running(open_bpf, "fixed") as (loaded, reader):
        events(2)
        held = Held(loaded)
        try:
            assert reader.pending_bytes == 3 * 128
            assert numbers(reader.drain_fixed(128)) == [0, 1]
            assert len(reader.drain_fixed(128)) == 0
            assert reader.drain_variable() == ([], True)
            assert reader.pending_bytes == 128
        finally:
            held.release()
        events(1)
        assert numbers(reader.drain_fixed(128)) == [2, 3]


def test_patience_waits_for_a_busy_record(open_bpf: Open) -> None:
    with running(open_bpf, "fixed") as (loaded, reader):
        held = Held(loaded)
        releaser = threading.Thread(target=held.release)
        releaser.start()
        try:
            records = reader.drain_variable(patience_s=10)
        finally:
            releaser.join()
        assert not records.busy
        assert [len(payload) for payload in records.payloads] == [120]


@pytest.mark.parametrize("stretch", [0, 1, 37, 487])
def test_records_of_mixed_sizes_come_whole_and_in_order(open_bpf: Open, stretch: int) -> None:
    with running(open_bpf, "variable") as (loaded, reader):
        loaded.globals["stretch"] = stretch
        seen: list[bytes] = []
        while len(seen) < 800:
            events(7)
            payloads, busy = reader.drain_variable()
            assert len(payloads) == 7
            assert not busy
            seen += payloads
        assert loaded.globals["lost"] == 0
    assert [len(payload) for payload in seen] == [8 + n * stretch % 489 for n in range(len(seen))]
    assert [struct.unpack("Q", payload[:8])[0] for payload in seen] == list(range(len(seen)))


def test_variable_records_stop_at_a_position(open_bpf: Open) -> None:
    with running(open_bpf, "variable") as (loaded, reader):
        loaded.globals["stretch"] = 3
        events(4)
        until = reader.producer_position()
        events(3)
        assert len(reader.drain_variable(until=until).payloads) == 4
        assert reader.consumer_position() == until
        assert reader.drain_variable(until=until).payloads == []
        assert len(reader.drain_variable().payloads) == 3


def test_a_ring_is_rounded_up_and_closes_twice(open_bpf: Open) -> None:
    with running(open_bpf, "fixed", size=5000) as (loaded, reader):
        assert (loaded.maps["ring"].max_entries, reader.size) == (8192, 8192)
        events(63)
        assert len(reader.drain_fixed(128)) == 63
        reader.close()
        reader.close()


def test_a_reader_never_closed_warns(open_bpf: Open) -> None:
    with open_bpf(RINGS.replace("PAYLOAD", "120")).load() as loaded:
        readers = [RingReader(loaded.maps["ring"].fd, loaded.maps["ring"].max_entries)]
        with pytest.warns(ResourceWarning, match="unclosed .*RingReader"):
            readers.clear()


READ = {"x86_64": 0, "aarch64": 63}[platform.machine()]


@pytest.mark.parametrize(
    ("program", "size"), [("fixed", 4096), ("fixed", 65536), ("variable", 65536)]
)
def test_reading_while_another_process_writes(open_bpf: Open, program: str, size: int) -> None:
    """The writer runs on its own CPU at full speed: nothing is torn, doubled or missing."""
    shell = "read go; exec dd if=/dev/zero of=/dev/null bs=1 count=100000 status=none"
    writer = subprocess.Popen(["sh", "-c", shell], stdin=subprocess.PIPE)
    with open_bpf(RINGS.replace("PAYLOAD", "40")) as spec:
        spec.maps["ring"].max_entries = size
        spec.globals["target_pid"], spec.globals["target_nr"] = writer.pid, READ
        spec.globals["stretch"] = 37
        seen: list[int] = []
        with spec.load() as loaded:
            ring = loaded.maps["ring"]
            with RingReader(ring.fd, ring.max_entries) as reader:
                loaded.attach(program)
                assert writer.stdin is not None
                writer.stdin.write(b"\n")
                writer.stdin.close()
                while writer.poll() is None or reader.pending_bytes:
                    if program == "fixed":
                        taken = reader.drain_fixed(48)
                        assert (taken[:, 16:] == taken[:, 8:9]).all()
                        seen += numbers(taken)
                    else:
                        for payload in reader.drain_variable().payloads:
                            number = struct.unpack_from("Q", payload)[0]
                            assert len(payload) == 8 + number * 37 % 489
                            seen.append(number)
            attempted, lost = loaded.globals["attempted"], loaded.globals["lost"]
    assert int(attempted) >= 100_000
    assert len(seen) + int(lost) == attempted
    assert seen == sorted(set(seen))


def test_a_fork_does_not_inherit_what_is_mapped(open_bpf: Open) -> None:
    """A stage in a process of its own, forked by a reload, cannot touch rings and variables."""
    with running(open_bpf, "fixed"):
        assert "bpf-map" in Path("/proc/self/maps").read_text()
        theirs, ours = os.pipe()
        pid = os.fork()
        if not pid:
            os.write(ours, str(Path("/proc/self/maps").read_text().count("bpf-map")).encode())
            os._exit(0)
        os.waitpid(pid, 0)
        assert os.read(theirs, 10) == b"0"
        os.close(theirs)
        os.close(ours)
