/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0) */
/* The part of a filter that is applied where calls happen. User space has two sieves and writes
 * the one that is not in use, so no program ever reads half of a change. What passes here may
 * still be left out by the filter's stage; what does not pass is counted and gone. */
#ifndef IOR_FILTER_H
#define IOR_FILTER_H

#include "groups.bpf.h"

#define SIEVE_MOST 8

/* Holds for a value within any range; those not in use hold for none. */
struct ior_ranges {
	__s64 low[SIEVE_MOST];
	__s64 high[SIEVE_MOST];
};

struct ior_sieve {
	__u8 asks_pid, asks_tid, asks_uid, asks_cgroup, asks_comm, asks_ret, asks_latency;
	__u8 others; /* whether names that are not in `comm` pass; those in it do not, then */
	struct ior_ranges pid, tid, uid, cgroup, ret, latency;
	__u64 comm[SIEVE_MOST][2]; /* one of 16 bytes without a zero is not in use */
};

struct ior_sieve sieves[2] = {};
__u32 sieve_in_use = 0;

static __always_inline bool in_ranges(const struct ior_ranges *r, __s64 value)
{
	bool held = false;

#pragma unroll
	for (int i = 0; i < SIEVE_MOST; i++)
		held |= value >= r->low[i] && value <= r->high[i];
	return held;
}

/* Tell whether the current task may pass, whose verdict about its group is `seen`. */
__noinline int task_passes(struct group_verdict *seen)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 which = sieve_in_use & 1;
	const struct ior_sieve *f = &sieves[which];
	__u64 comm[2] = {};
	bool found = false;

	if (f->asks_pid && !in_ranges(&f->pid, task->tgid))
		return 0;
	if (f->asks_tid && !in_ranges(&f->tid, task->pid))
		return 0;
	if (f->asks_uid && !in_ranges(&f->uid, (__u32)bpf_get_current_uid_gid()))
		return 0;
	if (f->asks_cgroup && !in_ranges(&f->cgroup, bpf_get_current_cgroup_id()))
		return 0;
	if (group_sieves[which].asks && !group_passes(seen, which))
		return 0;
	if (!f->asks_comm)
		return 1;
	/* What follows the name's zero is not looked at. */
	bpf_probe_read_kernel_str(comm, sizeof(comm), task->comm);
#pragma unroll
	for (int i = 0; i < SIEVE_MOST; i++)
		found |= comm[0] == f->comm[i][0] && comm[1] == f->comm[i][1];
	return found != f->others;
}

/* Tell whether a finished call may pass; one that never returns has a latency of -1. */
__noinline int return_passes(__s64 ret, __s64 latency_ns)
{
	const struct ior_sieve *f = &sieves[sieve_in_use & 1];

	if (f->asks_ret && !in_ranges(&f->ret, ret))
		return 0;
	return !f->asks_latency || in_ranges(&f->latency, latency_ns);
}

#endif
