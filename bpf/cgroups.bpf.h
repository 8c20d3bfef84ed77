/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0) */
/* The path of a task's control group, from the root of the unified hierarchy. */
#ifndef IOR_CGROUPS_BPF_H
#define IOR_CGROUPS_BPF_H

#include "names.bpf.h"

#define CGROUPS_MAX 128 /* deeper ones are cut */

struct cgroup_walk {
	__u64 node;
	struct scratch *scratch;
	__u32 len;
	__u32 done;
};

/* One component, up to the root, which has none. */
static long cgroup_step(__u32 i, struct cgroup_walk *w)
{
	__u32 len = w->len;
	__u64 parent;
	long n;

	if (bpf_core_field_exists(struct kernfs_node, __parent))
		parent = LOAD_ADDRESS(struct kernfs_node, w->node, __parent);
	else
		parent = LOAD_ADDRESS(struct kernfs_node, w->node, parent);
	if (!parent) {
		w->done = 1;
		return 1;
	}
	if (len > TEXT_MAX - 1)
		return 1;
	n = bpf_probe_read_kernel_str(w->scratch->text + len, COMPONENT_MAX,
				      (void *)LOAD_ADDRESS(struct kernfs_node, w->node, name));
	if (n > 0)
		w->len = len + n;
	w->node = parent;
	return 0;
}

/* Append the path of the task's cgroup, leaf first, a NUL after each component; *state says if it
 * was cut. Return the length of the whole text. */
static __always_inline __u32 append_cgroup(struct scratch *scratch, __u32 len,
					   struct task_struct *task, __u8 *state)
{
	__u64 group = LOAD_ADDRESS(struct css_set, task->cgroups, dfl_cgrp);
	struct cgroup_walk w = { .scratch = scratch, .len = len };

	w.node = LOAD_ADDRESS(struct cgroup, group, kn);
	bpf_loop(CGROUPS_MAX, cgroup_step, &w, 0);
	*state = w.done ? 0 : IOR_STATE_CUT;
	return w.len;
}

#endif
