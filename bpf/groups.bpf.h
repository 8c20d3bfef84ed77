/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0) */
/* The part of a filter that speaks of control groups by their paths. A group that is removed and
 * made again has another number and the same path, so paths are compared and not numbers; what was
 * found is kept by each task for as long as it stays in its group. */
#ifndef IOR_GROUPS_BPF_H
#define IOR_GROUPS_BPF_H

#include "cgroups.bpf.h"

#define GROUPS_MOST 8
#define GROUP_PATH_MAX 256

/* A path, and whether its own tasks pass, and those of the groups below it. */
struct ior_group {
	__u16 len;
	__u8 here;
	__u8 below;
	char path[GROUP_PATH_MAX]; /* components, leaf first, a NUL after each */
};

/* The deepest path at or above a task's group decides; `others` where there is none. */
struct ior_groups {
	__u32 generation; /* of the filter, never 0 */
	__u8 asks;
	__u8 others;
	__u16 pad;
	struct ior_group some[GROUPS_MOST]; /* one with a `len` of GROUP_PATH_MAX is not in use */
};

struct ior_groups group_sieves[2] = {};

/* What a task's group was found to be. */
struct group_verdict {
	__u64 id; /* of the group: it names one path, as long as the host is up */
	__u32 generation;
	__u32 passes;
};

struct comparison {
	struct scratch *scratch;
	__u32 which;
	__u32 place;
	__u32 offset;
	__u32 same;
};

static long compare_step(__u32 i, struct comparison *c)
{
	const struct ior_group *g = &group_sieves[c->which & 1].some[c->place & (GROUPS_MOST - 1)];

	c->same = c->scratch->text[(c->offset + i) & (TEXT_MAX - 1)] ==
		  g->path[i & (GROUP_PATH_MAX - 1)];
	return !c->same;
}

/* Tell whether the path of `len` bytes in `scratch` is the one at a place, or below it. */
static __always_inline bool is_within(struct scratch *scratch, __u32 len, __u32 which, __u32 place)
{
	__u32 wanted = group_sieves[which & 1].some[place & (GROUPS_MOST - 1)].len;
	struct comparison c = { .scratch = scratch, .which = which, .place = place, .same = 1 };

	if (wanted >= GROUP_PATH_MAX || wanted > len)
		return false;
	c.offset = len - wanted;
	if (c.offset && scratch->text[(c.offset - 1) & (TEXT_MAX - 1)])
		return false;
	bpf_loop(wanted, compare_step, &c, 0);
	return c.same;
}

/* Compare the current task's group with the paths; one whose path is too long passes. */
static __noinline int compare_groups(__u32 which)
{
	const struct ior_groups *f = &group_sieves[which & 1];
	struct scratch *scratch = scratch_of(1);
	__u32 len, best = 0, passes = f->others;
	__u8 state;

	if (!scratch)
		return 1;
	len = append_cgroup(scratch, 0, bpf_get_current_task_btf(), &state);
	if (state || len > TEXT_MAX)
		return 1;
#pragma unroll
	for (int i = 0; i < GROUPS_MOST; i++) {
		__u32 wanted = f->some[i].len;

		if (wanted < best || !is_within(scratch, len, which, i))
			continue;
		best = wanted;
		passes = wanted == len ? f->some[i].here : f->some[i].below;
	}
	return passes;
}

/* Tell whether the current task's group may pass; `seen` is the task's own. */
__noinline int group_passes(struct group_verdict *seen, __u32 which)
{
	__u32 generation = group_sieves[which & 1].generation;
	__u64 id = bpf_get_current_cgroup_id();

	if (!seen)
		return 1;
	if (seen->id != id || seen->generation != generation) {
		seen->passes = compare_groups(which);
		seen->id = id;
		seen->generation = generation;
	}
	return seen->passes;
}

#endif
