// SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0)
/* Two programs that do nothing: what any tracer of all syscalls pays at least. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tp_btf/sys_enter")
int empty_enter(void *ctx)
{
	return 0;
}

SEC("tp_btf/sys_exit")
int empty_exit(void *ctx)
{
	return 0;
}
