"""Two rings, one of which announces what the other refers to: the order of reading them."""

from __future__ import annotations

import platform
import struct
import subprocess
from collections.abc import Callable

import numpy as np
import pytest

from ior.sources.bpf.loader import ObjectSpec
from ior.sources.bpf.ring import RingReader

READ = {"x86_64": 0, "aarch64": 63}[platform.machine()]

RINGS = """
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} names SEC(".maps");

struct call {
	__u64 number;
	__u64 name;
};

__u64 made;
__u64 calls_lost;
__u64 announced;

/* Every third call has a new name, announced before the call that is the first to use it. */
SEC("tp_btf/sys_enter")
int BPF_PROG(enter, struct pt_regs *regs, long nr)
{
	__u64 name[4] = {announced + 1};
	struct call *call;

	if (!is_wanted(nr))
		return 0;
	if (made % 3 == 0 && !bpf_ringbuf_output(&names, name, sizeof(name), 0))
		announced++;
	call = bpf_ringbuf_reserve(&calls, sizeof(*call), 0);
	made++;
	if (!call) {
		calls_lost++;
		return 0;
	}
	call->number = made;
	call->name = announced;
	bpf_ringbuf_submit(call, 0);
	return 0;
}
"""


@pytest.mark.kernel
def test_a_name_is_known_before_the_call_that_uses_it(
    open_bpf: Callable[[str], ObjectSpec],
) -> None:
    shell = "read go; exec dd if=/dev/zero of=/dev/null bs=1 count=500000 status=none"
    writer = subprocess.Popen(["sh", "-c", shell], stdin=subprocess.PIPE)
    assert writer.stdin is not None
    newest, calls_read, drains = 0, 0, 0
    with open_bpf(RINGS) as spec:
        spec.globals["target_pid"], spec.globals["target_nr"] = writer.pid, READ
        with (
            spec.load() as loaded,
            RingReader(loaded.maps["calls"].fd, 1 << 20) as calls,
            RingReader(loaded.maps["names"].fd, 1 << 20) as names,
        ):
            loaded.attach()
            writer.stdin.write(b"\n")
            writer.stdin.close()
            while writer.poll() is None or calls.pending_bytes:
                calls_end = calls.producer_position()
                names_end = names.producer_position()
                told, busy = names.drain_variable(until=names_end, patience_s=10)
                assert not busy
                for payload in told:
                    (name,) = struct.unpack_from("Q", payload)
                    assert name == newest + 1
                    newest = name
                taken = calls.drain_fixed(24, until=calls_end)
                used = taken[:, 16:24].copy().view(np.uint64)
                assert not used.size or int(used.max()) <= newest
                calls_read += len(taken)
                drains += bool(len(taken))
            assert calls_read + int(loaded.globals["calls_lost"]) == loaded.globals["made"]
    assert drains > 3
    assert newest >= 50_000
