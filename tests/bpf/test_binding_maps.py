"""Maps: hash, array, per CPU and task storage, against the running kernel."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
from collections.abc import Callable

import numpy as np
import pytest

from ior.sources.bpf.errors import BpfError
from ior.sources.bpf.lib import possible_cpus
from ior.sources.bpf.loader import ObjectSpec
from ior.sources.bpf.maps import Flag

pytestmark = pytest.mark.kernel

Open = Callable[[str], ObjectSpec]

MAPS = """
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} hash SEC(".maps");

struct pair { __u64 id; __u32 kind; __u32 pad; };
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, struct pair);
	__type(value, __u8);
} wide SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u16);
} array SEC(".maps");

struct odd { __u32 hits; __u32 misses; __u32 more; };
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct odd);
} percpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} marks SEC(".maps");

SEC("tp_btf/sys_enter")
int BPF_PROG(count, struct pt_regs *regs, long nr)
{
	struct odd *odd;
	__u32 key = 1;

	if (!is_wanted(nr))
		return 0;
	odd = bpf_map_lookup_elem(&percpu, &key);
	if (odd) {
		odd->hits++;
		odd->more += 3;
	}
	return 0;
}
"""


def test_a_hash_takes_ints_and_bytes(open_bpf: Open) -> None:
    with open_bpf(MAPS).load() as loaded:
        table = loaded.maps["hash"]
        table.set(7, 2**64 - 1)
        table.set(struct.pack("I", 8), b"12345678")
        assert table.get(7) == b"\xff" * 8
        assert table.get_int(8) == int.from_bytes(b"12345678", "little")
        assert table.get(9) is None
        assert sorted(table.keys()) == [struct.pack("I", 7), struct.pack("I", 8)]
        assert dict(table.items())[struct.pack("I", 8)] == b"12345678"
        assert (table.delete(7), table.delete(7)) == (True, False)
        table.set(9, -1)
        assert table.get_int(9, signed=True) == -1
        wide = loaded.maps["wide"]
        wide.set(struct.pack("QII", 1, 2, 0), 3)
        assert wide.get(struct.pack("QII", 1, 2, 0)) == b"\3"


def test_flags_and_limits_are_the_kernels(open_bpf: Open) -> None:
    with open_bpf(MAPS) as spec:
        spec.maps["hash"].max_entries = 2
        spec.maps["array"].max_entries = 1000
        with spec.load() as loaded:
            table, array = loaded.maps["hash"], loaded.maps["array"]
            assert (table.max_entries, array.max_entries) == (2, 1000)
            array.set(999, 5)
            assert array.get_int(999) == 5
            for key, flag, number in (
                (1, Flag.EXIST, errno.ENOENT),
                (1, Flag.ANY, 0),
                (1, Flag.NOEXIST, errno.EEXIST),
                (2, Flag.NOEXIST, 0),
                (3, Flag.ANY, errno.E2BIG),
            ):
                if not number:
                    table.set(key, 1, flag)
                    continue
                with pytest.raises(BpfError, match="map 'hash'") as raised:
                    table.set(key, 1, flag)
                assert (raised.value.errno, raised.value.call) == (number, "bpf_map_update_elem")


def test_a_key_or_value_of_the_wrong_size_never_reaches_the_kernel(open_bpf: Open) -> None:
    with open_bpf(MAPS).load() as loaded:
        with pytest.raises(ValueError, match="key of map 'hash': 8 bytes where 4 are needed"):
            loaded.maps["hash"].get(b"12345678")
        with pytest.raises(ValueError, match="value of map 'array': 65536 does not fit into 2"):
            loaded.maps["array"].set(0, 65536)
        with pytest.raises(TypeError, match="get_per_cpu"):
            loaded.maps["percpu"].get(0)
        with pytest.raises(TypeError, match=r"use get\(\)"):
            loaded.maps["array"].get_per_cpu(0)


def test_a_per_cpu_value_is_an_array_of_one_row_per_cpu(open_bpf: Open) -> None:
    with open_bpf(MAPS).load() as loaded:
        percpu = loaded.maps["percpu"]
        raw = percpu.get_per_cpu(1)
        assert raw is not None
        assert raw.shape == (possible_cpus(), 12)
        loaded.attach()
        allowed = os.sched_getaffinity(0)
        try:
            for cpu in sorted(allowed):
                os.sched_setaffinity(0, {cpu})
                for _ in range(cpu + 1):
                    os.getppid()
        finally:
            os.sched_setaffinity(0, allowed)
        values = percpu.get_per_cpu(1, np.uint32)
        assert values is not None
        for cpu in allowed:
            assert values[cpu].tolist() == [cpu + 1, 0, 3 * (cpu + 1)]
        other = percpu.get_per_cpu(0, np.uint32)
        assert other is not None
        assert not other.any()


def test_a_per_cpu_value_is_set_alike_or_row_by_row(open_bpf: Open) -> None:
    with open_bpf(MAPS).load() as loaded:
        percpu = loaded.maps["percpu"]
        percpu.set(0, struct.pack("III", 1, 2, 3))
        rows = np.arange(possible_cpus() * 3, dtype=np.uint32).reshape(-1, 3)
        percpu.set(1, rows)
        alike, apart = percpu.get_per_cpu(0, np.uint32), percpu.get_per_cpu(1, np.uint32)
        assert alike is not None
        assert apart is not None
        assert alike.tolist() == [[1, 2, 3]] * possible_cpus()
        assert np.array_equal(apart, rows)
        with pytest.raises(ValueError, match="rows"):
            percpu.set(1, rows[:, :2])


def test_task_storage_is_set_by_pidfd_and_dies_with_the_task(open_bpf: Open) -> None:
    with open_bpf(MAPS).load() as loaded:
        marks = loaded.maps["marks"]
        child = subprocess.Popen(["sleep", "60"])
        pidfd = os.pidfd_open(child.pid)
        try:
            assert marks.get(pidfd) is None
            marks.set(pidfd, 42)
            assert marks.get_int(pidfd) == 42
            assert marks.delete(pidfd)
            assert marks.get(pidfd) is None
        finally:
            child.kill()
            child.wait()
        with pytest.raises(BpfError) as raised:
            marks.set(pidfd, 1)
        os.close(pidfd)
        assert raised.value.errno in (errno.ENOENT, errno.ESRCH)  # reaped, or a zombie


def test_a_closed_map_is_no_other_descriptor(open_bpf: Open) -> None:
    with open_bpf(MAPS).load() as loaded:
        table = loaded.maps["hash"]
    with pytest.raises(BpfError) as raised:
        table.get(1)
    assert raised.value.errno == errno.EBADF
