/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0) */
/* How many of a syscall's calls make records: all, one in N, or none. Where it is not all, every
 * call is counted here as well, so that its totals are exact whatever becomes of the records.
 * Counters are one set a CPU: nothing is shared, and user space adds them up. */
#ifndef IOR_RATES_H
#define IOR_RATES_H

#include "names.bpf.h"

/* What a positive return says about bytes: as in ior/transfers.py. */
#define BYTES_NONE 0
#define BYTES_RETURN 1
#define BYTES_SIZED 2	/* none where the argument, a size, is 0: only the size is asked for */
#define BYTES_PEEKED 3	/* none where the argument, flags, has MSG_PEEK */
#define BYTES_RECEIVED 4 /* that, and at most the buffer, which is the argument before it */

#define MSG_PEEK 2

struct ior_rate {
	__u32 every; /* one call in so many makes records; 1: all, and none is counted; 0: none */
	__u16 slot;  /* where they are counted */
	__u8 bytes;  /* BYTES_* */
	__u8 argument;
};

/* Of one syscall on one CPU. */
struct ior_totals {
	__u64 calls; /* that returned, or never do */
	__u64 recorded;
	__u64 errors;
	__u64 untimed; /* they never return */
	__u64 unmatched; /* returns whose entry was not seen: no calls */
	__u64 bytes;
	__u64 latency_ns;
	__u64 not_least; /* ~ of the least latency, so that 0 is none */
	__u64 greatest;
	__u32 left; /* how many of the present N calls are still to come ... */
	__u32 turn; /* ... when the one that is recorded comes */
};

#define BUCKETS 1024 /* those of ior/histogram.py, and a few that stay empty */

struct ior_latencies {
	__u64 calls[BUCKETS];
};

const volatile __u8 sampling = 0; /* some rate is not 1 */
const volatile struct ior_rate rates[NR_LIMIT] = {};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ior_totals);
} totals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ior_latencies);
} latencies SEC(".maps");

static __always_inline bool is_restart_code(long ret)
{
	return ret == -512 || ret == -513 || ret == -514 || ret == -516;
}

/* Tell whether a call is the one of its CPU's present N that makes records: it stands at a
 * random place among them, so that no rhythm of a program hides behind that of the choice. */
static __always_inline bool takes_turn(const volatile struct ior_rate *rate)
{
	__u32 slot = rate->slot, every = rate->every;
	struct ior_totals *t;

	if (!every)
		return false;
	t = bpf_map_lookup_elem(&totals, &slot);
	if (!t) {
		COUNT(lookup_failed);
		return false;
	}
	if (!t->left) {
		t->left = every;
		t->turn = bpf_get_prandom_u32() % every;
	}
	t->left--;
	return t->left == t->turn;
}

/* The bucket of ior/histogram.py: 16 to a power of two. */
static __always_inline __u32 bucket_of(__u64 value)
{
	__u32 exponent = 0;
	__u64 rest = value;

	if (!value)
		return 0;
#pragma unroll
	for (int bits = 32; bits; bits >>= 1) {
		if (rest >> bits) {
			rest >>= bits;
			exponent += bits;
		}
	}
	rest = exponent < 4 ? value << (4 - exponent) : value >> ((exponent - 4) & 63);
	return 1 + exponent * 16 + (rest & 15);
}

/* Count a call that has returned; one that never does has a latency of -1. */
__noinline int count_call(__u32 slot, __s64 ret, __s64 latency_ns, __u64 bytes, int recorded)
{
	struct ior_totals *t = bpf_map_lookup_elem(&totals, &slot);
	struct ior_latencies *l = bpf_map_lookup_elem(&latencies, &slot);

	if (!t || !l) {
		COUNT(lookup_failed);
		return 0;
	}
	t->calls++;
	t->bytes += bytes;
	if (recorded)
		t->recorded++;
	if (ret < 0 && ret >= -4095 && !is_restart_code(ret))
		t->errors++;
	if (latency_ns < 0) {
		t->untimed++;
		return 0;
	}
	t->latency_ns += latency_ns;
	if (~(__u64)latency_ns > t->not_least)
		t->not_least = ~(__u64)latency_ns;
	if (latency_ns > t->greatest)
		t->greatest = latency_ns;
	l->calls[bucket_of(latency_ns) & (BUCKETS - 1)]++;
	return 0;
}

#endif
