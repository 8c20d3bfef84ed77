/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0) */
/* The kernel's fields that ior reads, and how it reads them. Relocated by libbpf (CO-RE), so
 * that only names matter here, not offsets; no vmlinux.h is needed.
 *
 * The rule of reading, by which every program loads on Linux 6.1 as well as on the newest:
 * - Through what the verifier knows as a pointer (an argument of a program, what
 *   bpf_get_current_task_btf() returns, and what is reached from these by `->`): `->`.
 * - Through any other address (kept in a variable, a map or a record, or computed): LOAD,
 *   LOAD_WORD and LOAD_ADDRESS below, and nothing else. They are a direct load where the kernel
 *   has bpf_rdonly_cast and bpf_probe_read_kernel where it has not; IOR_PROBE_READS=1 in the
 *   environment takes the second way on any kernel, so the tests run on both.
 * - Through an address that may be wrong at run time, or of bytes and strings:
 *   bpf_probe_read_kernel and bpf_probe_read_kernel_str, whose result is looked at.
 * - A loaded pointer never enters arithmetic or a hash: LOAD_ADDRESS gives it as a number.
 * - A loop is a bpf_loop, or unrolled with a constant number of turns. */
#ifndef IOR_CORE_H
#define IOR_CORE_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define NR_LIMIT 512 /* a number from here on is not a syscall of ours */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct qstr {
	union {
		__u64 hash_len;
	};
	const unsigned char *name;
};

struct hlist_bl_node {
	struct hlist_bl_node **pprev;
};

struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};

struct super_block {
	__u32 s_dev;
	unsigned long s_magic;
};

struct inode {
	unsigned short i_mode;
	unsigned long i_ino;
	__u32 i_generation;
	struct super_block *i_sb;
	void *i_private;
};

struct proc_ns_operations {
	const char *name;
};

struct ns_common {
	const struct proc_ns_operations *ops;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	struct path f_path;
	unsigned int f_flags;
	void *private_data;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct fs_struct {
	struct path root;
	struct path pwd;
};

struct thread_info {
	__u32 status; /* x86 */
	unsigned long flags;
};

struct cred;

struct kernfs_node {
	const char *name;
	struct kernfs_node *parent;   /* before Linux 6.15, commit 633488947ef6 */
	struct kernfs_node *__parent; /* since */
};

struct cgroup {
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

/* Stands for any word in memory: see LOAD_WORD. */
struct timespec64 {
	__u64 tv_sec;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[];
};

struct mm_struct {
	unsigned long brk;
};

struct io_uring_task {
	struct file *registered_rings[16]; /* Linux 5.18, commit e7a6c00dc77a */
};

struct task_struct {
	struct thread_info thread_info;
	unsigned int __state;
	unsigned int flags;
	int pid;
	int tgid;
	int exit_state;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct mm_struct *mm;
	struct pid *thread_pid;
	const struct cred *cred;
	char comm[16];
	struct fs_struct *fs;
	struct files_struct *files;
	struct css_set *cgroups;
	struct io_uring_task *io_uring;
};

struct in6_addr {
	union {
		__u8 u6_addr8[16];
	} in6_u;
};

struct sock_common {
	__u32 skc_daddr;
	__u32 skc_rcv_saddr;
	__u16 skc_dport; /* network order */
	__u16 skc_num;	 /* host order */
	unsigned short skc_family;
	unsigned char skc_state;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_type;
	__u16 sk_protocol;
	struct socket *sk_socket;
};

struct inet_sock {
	__u16 inet_sport; /* network order */
};

struct socket {
	struct file *file;
	struct sock *sk;
};

struct socket_alloc {
	struct socket socket;
	struct inode vfs_inode;
};

struct sockaddr_un {
	unsigned short sun_family;
};

struct unix_address {
	int len;
	struct sockaddr_un name[];
};

struct unix_sock {
	struct unix_address *addr;
	struct sock *peer;
};

struct netlink_sock {
	__u32 portid;
	__u32 dst_portid;
	__u32 dst_group;
	unsigned long *groups;
};

struct packet_sock {
	int ifindex;
	__u16 num; /* network order */
};

struct sockaddr_vm {
	unsigned int svm_port;
	unsigned int svm_cid;
};

struct vsock_sock {
	struct sockaddr_vm local_addr;
	struct sockaddr_vm remote_addr;
};

typedef void (*sighandler_t)(int);

struct sigaction {
	sighandler_t sa_handler;
	unsigned long sa_flags;
};

struct k_sigaction {
	struct sigaction sa;
};

struct linux_binprm {
	const char *filename;
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r10, r9, r8, ax, dx, si, di, orig_ax, ip, sp;
};
#define SYSCALL_NR(regs) ((long)(regs)->orig_ax)
#define REGS_RETURN(regs) ((long)(regs)->ax)
#define REGS_IP(regs) ((regs)->ip)
#define REGS_SP(regs) ((regs)->sp)
#define RESTART_SYSCALL 219
#define SYSCALL_INSN 2 /* bytes of the syscall instruction */
#define COMPAT_TASK(task) ((task)->thread_info.status & 2) /* TS_COMPAT */
#define LOAD_ARGUMENTS(raw, regs)     \
	do {                          \
		(raw)[0] = (regs)->di; \
		(raw)[1] = (regs)->si; \
		(raw)[2] = (regs)->dx; \
		(raw)[3] = (regs)->r10; \
		(raw)[4] = (regs)->r8; \
		(raw)[5] = (regs)->r9; \
	} while (0)
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	__u64 regs[31];
	__u64 sp;
	__u64 pc;
};
struct pt_regs {
	struct user_pt_regs user_regs;
	__u64 orig_x0;
	__s32 syscallno;
};
#define SYSCALL_NR(regs) ((long)(regs)->syscallno)
#define REGS_RETURN(regs) ((long)(regs)->user_regs.regs[8])
#define REGS_IP(regs) ((regs)->user_regs.pc)
#define REGS_SP(regs) ((regs)->user_regs.sp)
#define RESTART_SYSCALL 128
#define SYSCALL_INSN 4
#define COMPAT_TASK(task) ((task)->thread_info.flags & (1 << 22)) /* TIF_32BIT */
#define LOAD_ARGUMENTS(raw, regs)                    \
	do {                                         \
		(raw)[0] = (regs)->orig_x0;           \
		(raw)[1] = (regs)->user_regs.regs[1]; \
		(raw)[2] = (regs)->user_regs.regs[2]; \
		(raw)[3] = (regs)->user_regs.regs[3]; \
		(raw)[4] = (regs)->user_regs.regs[4]; \
		(raw)[5] = (regs)->user_regs.regs[5]; \
	} while (0)
#else
#error "ior knows x86 and arm64"
#endif

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

#define CLONE_NEWNS 0x00020000
#define CLONE_THREAD 0x00010000
#define SA_RESTART 0x10000000
#define PF_EXITING 0x00000004
#define TASK_INTERRUPTIBLE 1
#define TASK_UNINTERRUPTIBLE 2

/* Direct loads through a pointer that was a scalar need this kfunc (Linux 6.2, commit
 * a35b9af4ec2c); before it, and under `probe_reads`, every load is a bpf_probe_read_kernel. */
extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym __weak;

const volatile __u8 probe_reads = 0;

/* `from_` is a local because BPF_CORE_READ would relocate the fields of our own structs too. */
#define LOAD(type, pointer, field)                                                             \
	({                                                                                     \
		__u64 from_ = (__u64)(pointer);                                                \
		__typeof__(((type *)0)->field) value_;                                         \
		if (bpf_rdonly_cast && !probe_reads)                                           \
			value_ = ((type *)bpf_rdonly_cast((void *)from_,                       \
							  bpf_core_type_id_kernel(type)))      \
					 ->field;                                              \
		else                                                                           \
			value_ = BPF_CORE_READ((type *)from_, field);                          \
		value_;                                                                        \
	})

/* Load the word at an address. What is loaded as a pointer may not enter arithmetic or a hash. */
#define LOAD_WORD(address)                                                                       \
	({                                                                                       \
		__u64 from_ = (__u64)(address), value_ = 0;                                      \
		if (bpf_rdonly_cast && !probe_reads)                                             \
			value_ = ((struct timespec64 *)bpf_rdonly_cast(                          \
					  (void *)from_, bpf_core_type_id_kernel(struct timespec64))) \
					 ->tv_sec;                                               \
		else                                                                             \
			bpf_probe_read_kernel(&value_, sizeof(value_), (void *)from_);           \
		value_;                                                                          \
	})

/* Load a pointer that is a field, as a number. */
#define LOAD_ADDRESS(type, pointer, field) \
	LOAD_WORD((__u64)(pointer) + bpf_core_field_offset(type, field))

#endif
