/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0) */
/* One record for each program that is executed on this host: see own_probe.py. */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct exec_record {
	__u64 time_ns; /* CLOCK_BOOTTIME */
	__u32 pid;
	__u32 uid;
	char comm[16];
};

const volatile __u32 only_uid = -1; /* -1: everybody */

__u64 attempted;
__u64 lost;
const struct exec_record *unused_exec_record; /* keeps the struct in the BTF */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} records SEC(".maps");

SEC("tp_btf/sched_process_exec")
int BPF_PROG(exec)
{
	__u32 uid = bpf_get_current_uid_gid();
	struct exec_record *record;

	if (only_uid != (__u32)-1 && uid != only_uid)
		return 0;
	__sync_fetch_and_add(&attempted, 1);
	record = bpf_ringbuf_reserve(&records, sizeof(*record), 0);
	if (!record) {
		__sync_fetch_and_add(&lost, 1);
		return 0;
	}
	record->time_ns = bpf_ktime_get_boot_ns();
	record->pid = bpf_get_current_pid_tgid() >> 32;
	record->uid = uid;
	bpf_get_current_comm(record->comm, sizeof(record->comm));
	bpf_ringbuf_submit(record, 0);
	return 0;
}
