// SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0)
/* Two raw tracepoints record every wanted syscall. sys_enter parks the arguments and names
 * the file, sys_exit sends one record with both halves (or, with user_pairing, each sends its
 * half). Nothing here decides that a half has no partner: that is the pairing stage's. */
#include "filter.bpf.h"
#include "rates.bpf.h"
#include "sockets.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Bits of `wanted`. */
#define WANT_ROWS 1  /* make records of this syscall */
#define WANT_MOVES 2 /* its success may change the path of any file */
#define WANT_ARMED 4 /* execve: the first one of an armed task begins its trace */
#define WANT_ALWAYS 8 /* restart_syscall: it may be the restart of a wanted call */
#define WANT_NONE_NOW 16 /* the filter leaves this syscall out, whoever makes it */
#define WANT_TASKS 32 /* the filter asks about the task */
#define WANT_RETURNS 64 /* the filter asks about the return; not with user_pairing */
#define WANT_EXECED 128 /* as this one returns an execve that began a 32-bit program */

/* How to read one syscall's arguments; a number is an argument's index, -1 for none. */
struct ior_syscall {
	__u32 how; /* HOW_* */
	__s8 fd;
	__s8 fd2;
	__s8 dir; /* directory descriptor of `path` */
	__s8 path;
	__s8 dir2;
	__s8 path2;
	__s8 words[5];
	__s8 memory;	  /* with HOW_MEMORY: the argument that points to a structure */
	__u8 memory_word; /* the first of the two words that its first bytes go to */
	__u8 memory_size; /* how many: 8 or 16 */
	__s8 address;	  /* with ADDRESS_*: the argument that points to it, or to the two descriptors */
	__u8 address_how; /* ADDRESS_* */
};

#define HOW_RETURNS_FD 1     /* the return is a new descriptor */
#define HOW_OPENS 2	     /* the new descriptor's file is `file`, the path is what was asked */
#define HOW_NO_RETURN 4	     /* never returns to its caller */
#define HOW_RAW_PATH2 8	     /* path2 is relative to nothing */
#define HOW_MEMORY 16	     /* the first bytes of a structure go to the words */
#define HOW_CREAT 32
#define HOW_DUPS 64	     /* fcntl: with F_DUPFD the return is a new descriptor */
#define HOW_RETURNS_CWD 128
#define HOW_ANONYMOUS 256    /* mmap: no descriptor with MAP_ANONYMOUS */
#define HOW_EXECS 512	     /* after its success the old program's memory is gone */
#define HOW_BREAK 1024	     /* word 1 is where the program break was */
#define HOW_CLOCK 2048	     /* word 4 is boot_offset_ns */
#define HOW_FUTEX 4096	     /* only some operations have a timeout */
#define HOW_LEFT 8192	     /* the kernel puts the time that is left in place of the timeout */

#define HOW_RING_ENTER 16384 /* argument 3 may say that the descriptor is a registered ring's index */
#define HOW_RING_REGISTER 32768 /* the same of argument 1 */

#define ADDRESS_GIVEN 1	  /* a sockaddr and its length: what is asked for */
#define ADDRESS_TAKEN 2	  /* a sockaddr that the kernel fills, and where its length is: the other end */
#define ADDRESS_MESSAGE 4 /* both are in a msghdr */
#define ADDRESS_NAMES 8	  /* the call changes the socket's name: it is named at exit, too */
#define ADDRESS_PAIR 16	  /* two new descriptors in memory */

const volatile struct ior_syscall syscalls[NR_LIMIT] = {};
const volatile __u8 user_pairing = 0; /* send halves */
const volatile __u8 selective = 0;    /* only marked tasks */
const volatile __u8 follow_forks = 0;
const volatile __u8 follow_threads = 1;

__u8 wanted[NR_LIMIT] = {};
__u32 selection_epoch = 1; /* even while user space changes the selection */
__u32 wanted_since[NR_LIMIT] = {}; /* the epoch from which on, ~0 for what is not wanted */
__u32 target_tid = 0; /* for mark_tasks */
__u8 ending = 0; /* for list_in_flight: nothing is recorded any more */

/* CLOCK_BOOTTIME - CLOCK_MONOTONIC, which only a suspend changes; user space keeps it true. */
__s64 boot_offset_ns = 0;

/* CLOCK_BOOTTIME; bpf_ktime_get_boot_ns goes through two more calls, twice for each syscall. */
static __always_inline __u64 boot_ns(void)
{
	return bpf_ktime_get_ns() + boot_offset_ns;
}

#define MARK_FOLLOWED 1
#define MARK_ARMED 2 /* the launcher: followed from its first execve on */
#define MARK_EXCLUDED 3

#define EFAULT 14
#define FUTEX_CMD_MASK 0x7f
/* FUTEX_WAIT, LOCK_PI, WAIT_BITSET, WAIT_REQUEUE_PI, LOCK_PI2 */
#define FUTEX_WITH_TIMEOUT (1 << 0 | 1 << 6 | 1 << 9 | 1 << 11 | 1 << 13)
#define F_DUPFD 0
#define F_DUPFD_CLOEXEC 1030

#define PARKED_NONE 0
#define PARKED_CALL 1	     /* entered, not returned */
#define PARKED_INTERRUPTED 2 /* returned a restart code; the signal's verdict is awaited */

#define RESTART_NONE 0
#define RESTART_HANDLER 1 /* a handler runs; its return would prove the restart */
#define RESTART_PROVEN 2

struct task_state {
	__u8 mark; /* first: user space writes it alone, by pidfd */
	__u8 parked;
	__u8 unbroken; /* the last record of this thread was delivered */
	__u8 seen;     /* a record of this thread has been made, and perhaps lost */
	__u8 restart;
	__u8 memory_unread; /* the structure that an argument points to could not be read yet */
	__u8 address_unread;
	__u8 rejected; /* the filter left out the call that was entered last */
	__u8 left_out; /* calls were left out since the last record of this thread */
	/* Of the parked call, chosen at its entry for both sides and all its restarts: */
	__u8 counted;	 /* it is counted */
	__u8 unrecorded; /* it makes no records */
	/* Of the interrupted one before it whose restart is awaited: */
	__u8 held, held_counted, held_unrecorded;
	__u16 counted_nr, held_nr; /* that of the call which restart_syscall goes on with */
	__u8 pad[6];
	struct ior_record rec;
	__u64 raw[8]; /* six arguments; eight so that an index can be masked */
	struct path_argument paths[2];
	__u64 entered_ns; /* the parked call with what it restarts, if it is counted */
	__u64 held_entered_ns, held_exit_ns;
	__s64 held_ret;
	__u64 restart_ip;
	__u64 restart_sp;
	__u32 restart_nr;
	__u32 restart_epoch;
	__u32 last_epoch;
	/* what the task's name id was made from */
	__u64 comm[2];
	__u64 cred, parent, cgroups;
	__u64 task_id;
	__u32 task_epoch;
	struct group_verdict group;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_state);
} tasks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024 * 1024);
} calls SEC(".maps");

/* Send the parked record with the sides that it has, and remember whether it went. */
static __always_inline void send(struct task_state *s)
{
	struct counters *c = counts();
	struct ior_record *r = &s->rec, *out;

	if (sampling && s->unrecorded)
		return;
	if (!s->unbroken || s->last_epoch != r->epoch)
		r->flags |= IOR_F_BREAK;
	if (!s->seen)
		r->flags |= IOR_F_FRESH;
	if (s->left_out && r->flags & IOR_F_ENTER)
		r->flags |= IOR_F_LEFT_OUT;
	s->seen = 1;
	r->cpu = bpf_get_smp_processor_id();
	if (c)
		c->attempted++;
	out = bpf_ringbuf_reserve(&calls, sizeof(*out), 0);
	if (!out) {
		s->unbroken = 0;
		if (c)
			c->lost++;
		return;
	}
	__builtin_memcpy(out, r, sizeof(*out)); /* in line: cheaper than bpf_ringbuf_output's */
	bpf_ringbuf_submit(out, 0);
	s->unbroken = 1;
	s->last_epoch = r->epoch;
	if (r->flags & IOR_F_LEFT_OUT)
		s->left_out = 0;
	r->flags &= ~(IOR_F_BREAK | IOR_F_FRESH | IOR_F_LEFT_OUT);
}

/* Announce the current task's name and remember what it was made from. */
__noinline int name_changed_task(struct task_state *s)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct scratch *scratch = scratch_of(1);
	struct ior_name *name;
	struct sip sip;
	__u32 len;

	if (!s || !scratch)
		return 0;
	s->task_epoch = 0; /* until it is announced, whatever comes in between */
	s->comm[0] = *(__u64 *)task->comm;
	s->comm[1] = *(__u64 *)(task->comm + 8);
	name = &scratch->name;
	name->kind = IOR_NAME_TASK;
	name->magic = 0;
	name->words[0] = (__u64)task->tgid << 32 | (__u32)task->real_parent->tgid;
	name->words[1] = (__u32)bpf_get_current_uid_gid();
	name->words[2] = bpf_get_current_cgroup_id();
	len = bpf_probe_read_kernel_str(scratch->text, 16, s->comm);
	if (len > 16)
		return 0;
	if (!len) /* the NUL behind it parts it from what follows */
		scratch->text[len++] = 0;
	len = append_cgroup(scratch, len, task, &name->state);
	sip_start(&sip);
	sip_word(&sip, s->comm[0]);
	sip_word(&sip, s->comm[1]);
	sip_word(&sip, name->words[0]);
	sip_word(&sip, name->words[1]);
	sip_word(&sip, name->words[2]);
	name->id = sip_end(&sip);
	if (!announce_once(scratch, len)) {
		s->task_id = 0;
		s->rec.flags |= IOR_F_TASK_LOST;
		return 0;
	}
	s->cred = (__u64)task->cred;
	s->parent = (__u64)task->real_parent;
	s->cgroups = (__u64)task->cgroups;
	s->task_id = name->id;
	s->task_epoch = name_epoch;
	return 0;
}

/* Fill the task's name id, announcing it if it has changed. */
static __always_inline void name_task(struct task_state *s, struct task_struct *task)
{
	if (*(__u64 *)task->comm != s->comm[0] || *(__u64 *)(task->comm + 8) != s->comm[1] ||
	    (__u64)task->cred != s->cred || (__u64)task->real_parent != s->parent ||
	    (__u64)task->cgroups != s->cgroups || s->task_epoch != name_epoch)
		name_changed_task(s);
	s->rec.task = s->task_id;
}

/* Read the structure behind an argument into its words; `again` at exit, when its memory was not
 * resident at enter. The second word says what the first one is where there is no structure: all
 * bits of it alone are set without one, all bits of both where it cannot be read. */
__noinline int fill_memory(struct task_state *s, int again)
{
	const volatile struct ior_syscall *d;
	__u64 words[4] = {};
	__u64 address;
	__u32 first;

	if (!s)
		return 0;
	d = &syscalls[s->rec.nr & (NR_LIMIT - 1)];
	if (d->how & HOW_FUTEX && ((s->raw[1] & FUTEX_CMD_MASK) > 31 ||
				   !(FUTEX_WITH_TIMEOUT & 1u << (s->raw[1] & 31))))
		return 0;
	address = s->raw[d->memory & 7];
	if (!address) {
		words[1] = ~0ULL;
	} else if ((again && d->how & HOW_LEFT) ||
		   bpf_probe_read_user(words, d->memory_size & 31, (void *)address)) {
		words[0] = words[1] = again ? ~0ULL : 0;
		s->memory_unread = !again;
	} else {
		s->memory_unread = 0;
	}
	first = d->memory_word;
	if (first > 3)
		return 0;
	s->rec.args[first] = words[0];
	s->rec.args[first + 1] = words[1];
	return 0;
}

/* Choose the words of the few syscalls for which arguments alone do not do. */
__noinline int fill_special_words(struct task_state *s)
{
	const volatile struct ior_syscall *d;

	if (!s)
		return 0;
	d = &syscalls[s->rec.nr & (NR_LIMIT - 1)];
	if (d->how & HOW_CREAT) {
		s->rec.args[1] = s->rec.args[0];
		s->rec.args[0] = 01101; /* O_WRONLY | O_CREAT | O_TRUNC */
	}
	if (d->how & HOW_BREAK)
		s->rec.args[1] = bpf_get_current_task_btf()->mm->brk;
	if (d->how & HOW_CLOCK)
		s->rec.args[4] = boot_offset_ns;
	if (d->how & HOW_MEMORY)
		fill_memory(s, 0);
	return 0;
}

/* Find a socket address among the arguments; false where it cannot be read. */
static __always_inline bool find_address(struct task_state *s, __u8 how, __u32 at, __u64 *user,
					 __u32 *len)
{
	struct {
		__u64 name;
		__u32 len;
		__u32 pad;
	} message = {};

	*user = s->raw[at & 7];
	*len = s->raw[(at + 1) & 7];
	if (!*user)
		return true;
	if (how & ADDRESS_MESSAGE) {
		if (bpf_probe_read_user(&message, sizeof(message), (void *)*user))
			return false;
		*user = message.name;
		*len = message.len;
		return true;
	}
	return !(how & ADDRESS_TAKEN) ||
	       !bpf_probe_read_user(len, sizeof(*len), (void *)s->raw[(at + 1) & 7]);
}

/* Name the address that a call on a socket gives, or at exit the one that it took. */
__noinline int name_address(struct task_state *s, int at_exit)
{
	const volatile struct ior_syscall *d;
	__u32 len = 0, unreadable = 0;
	__u64 what, user = 0, id = 0;

	if (!s)
		return 0;
	d = &syscalls[s->rec.nr & (NR_LIMIT - 1)];
	what = socket_what(file_of(bpf_get_current_task_btf(), (int)s->raw[0]));
	if (!what)
		return 0;
	if (find_address(s, d->address_how, d->address, &user, &len))
		id = address_id(what, user, len, &unreadable);
	else
		unreadable = IOR_F_UNREADABLE;
	s->address_unread = unreadable & IOR_F_UNREADABLE && !at_exit;
	s->rec.flags |= s->address_unread ? 0 : unreadable;
	if (!id)
		return 0;
	s->rec.file2 = id;
	if (d->address_how & ADDRESS_GIVEN)
		s->rec.flags |= IOR_F_ASKED;
	return 0;
}

/* Name both ends of a new pipe or pair of sockets, whose numbers are in the program's memory. */
static __always_inline void name_pair(struct task_state *s, __u32 at)
{
	struct ior_record *r = &s->rec;
	__s32 fds[2];

	if (bpf_probe_read_user(fds, sizeof(fds), (void *)s->raw[at & 7]))
		return;
	r->fd = fds[0];
	r->fd2 = fds[1];
	r->file = fd_id(r->fd, &r->fd_flags, &r->flags, IOR_F_FILE_LOST);
	r->file2 = fd_id(r->fd2, NULL, &r->flags, IOR_F_FILE2_LOST);
}

/* Fill what a call with socket addresses, or with two new descriptors, tells at its return. */
__noinline int fill_address_exit(struct task_state *s)
{
	const volatile struct ior_syscall *d;
	struct ior_record *r;
	__u64 file;
	__u8 how;

	if (!s)
		return 0;
	r = &s->rec;
	d = &syscalls[r->nr & (NR_LIMIT - 1)];
	how = d->address_how;
	if (s->address_unread || (how & ADDRESS_TAKEN && r->ret >= 0))
		name_address(s, 1);
	if (how & ADDRESS_NAMES) {
		file = fd_id((int)s->raw[0], &r->fd_flags, &r->flags, IOR_F_FILE_LOST);
		if (file) {
			r->fd = s->raw[0];
			r->file = file;
		}
	}
	if (how & ADDRESS_PAIR && !r->ret)
		name_pair(s, d->address);
	return 0;
}

/* Choose the argument words, and read those that are behind a pointer. */
static __always_inline void fill_words(struct task_state *s, const volatile struct ior_syscall *d)
{
#pragma unroll
	for (int i = 0; i < 5; i++) {
		int word = d->words[i];

		s->rec.args[i] = word < 0 ? 0 : s->raw[word & 7];
	}
	s->memory_unread = 0;
	if (d->how & (HOW_CREAT | HOW_MEMORY | HOW_BREAK))
		fill_special_words(s);
}

static __always_inline void start_path(struct path_argument *p, struct task_state *s, int path,
				       int dirfd)
{
	p->user = path < 0 ? 0 : s->raw[path & 7];
	p->directory = 0;
	p->dirfd = dirfd;
	p->kernel = p->unread = p->empty = 0;
}

static __always_inline int dir_of(struct task_state *s, int index)
{
	return index < 0 ? AT_FDCWD : (int)s->raw[index & 7];
}

/* Note where the path arguments are, and which bit says that a name was lost. */
static __always_inline void start_paths(struct task_state *s, const volatile struct ior_syscall *d)
{
	start_path(&s->paths[0], s, d->path, dir_of(s, d->dir));
	start_path(&s->paths[1], s, d->path2,
		   d->how & HOW_RAW_PATH2 ? PATH_RAW : dir_of(s, d->dir2));
	s->paths[0].lost = d->how & HOW_OPENS ? IOR_F_FILE2_LOST : IOR_F_FILE_LOST;
	s->paths[1].lost = IOR_F_FILE2_LOST;
}

/* Name the path arguments; at exit again those that could not be read at enter. An empty path
 * is its directory's own descriptor. */
__noinline int fill_paths(struct task_state *s, int again)
{
	const volatile struct ior_syscall *d;
	struct ior_record *r;
	__u64 id;

	if (!s)
		return 0;
	r = &s->rec;
	d = &syscalls[r->nr & (NR_LIMIT - 1)];
	if (d->path >= 0 && (!again || s->paths[0].unread)) {
		id = path_id(&s->paths[0], &r->flags);
		if (d->how & HOW_OPENS) {
			r->file2 = id;
			r->flags |= IOR_F_ASKED;
		} else {
			r->file = id;
			if (s->paths[0].empty && s->paths[0].dirfd >= 0 && r->fd < 0) {
				r->fd = s->paths[0].dirfd;
				r->file = fd_id(r->fd, &r->fd_flags, &r->flags, IOR_F_FILE_LOST);
			}
		}
	}
	if (d->path2 >= 0 && (!again || s->paths[1].unread)) {
		r->file2 = path_id(&s->paths[1], &r->flags);
		if (s->paths[1].empty && s->paths[1].dirfd >= 0)
			r->fd2 = s->paths[1].dirfd;
	}
	return 0;
}

#define IORING_ENTER_REGISTERED_RING (1u << 4)
#define IORING_REGISTER_USE_REGISTERED_RING (1u << 31)

/* Name the ring where its number is not a descriptor but the index of a registered ring. */
__noinline int name_registered_ring(struct task_state *s)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 rings, index, file = 0;
	struct ior_record *r;

	if (!s || !bpf_core_field_exists(struct io_uring_task, registered_rings))
		return 0;
	r = &s->rec;
	if (syscalls[r->nr & (NR_LIMIT - 1)].how & HOW_RING_ENTER ?
		    !(s->raw[3] & IORING_ENTER_REGISTERED_RING) :
		    !(s->raw[1] & IORING_REGISTER_USE_REGISTERED_RING))
		return 0;
	rings = (__u64)task->io_uring;
	index = (__u32)r->fd;
	if (rings && index < 16)
		file = LOAD_WORD(rings + bpf_core_field_offset(struct io_uring_task, registered_rings) +
				 index * 8);
	r->fd = -1;
	r->file = opened_id(task, file, &r->fd_flags, &r->flags, IOR_F_FILE_LOST);
	return 0;
}

static __always_inline void fill_enter(struct task_state *s, struct task_struct *task,
				       struct pt_regs *regs, __u32 nr)
{
	const volatile struct ior_syscall *d = &syscalls[nr & (NR_LIMIT - 1)];
	struct ior_record *r = &s->rec;

	LOAD_ARGUMENTS(s->raw, regs);
	if (r->tid != task->pid) /* new, or its execve made it the leader, whose past is not its own */
		s->unbroken = 0;
	r->exit_ns = 0;
	r->ret = 0;
	r->file = r->file2 = 0;
	r->pid = task->tgid;
	r->tid = task->pid;
	r->flags = IOR_F_ENTER;
	r->fd_flags = 0;
	r->nr = nr;
	r->epoch = selection_epoch;
	r->fd = d->fd < 0 ? -1 : (int)s->raw[d->fd & 7];
	r->fd2 = d->fd2 < 0 ? -1 : (int)s->raw[d->fd2 & 7];
	fill_words(s, d);
	name_task(s, task);
	if (d->how & HOW_ANONYMOUS && s->raw[3] & 0x20)
		r->fd = -1;
	if (d->how & (HOW_RING_ENTER | HOW_RING_REGISTER))
		name_registered_ring(s);
	if (r->fd >= 0)
		r->file = open_file_id(task, r->fd, &r->fd_flags, &r->flags, IOR_F_FILE_LOST);
	if (r->fd2 >= 0)
		r->file2 = fd_id(r->fd2, NULL, &r->flags, IOR_F_FILE2_LOST);
	s->paths[0].unread = s->paths[1].unread = 0;
	if (d->path >= 0) {
		start_paths(s, d);
		fill_paths(s, 0);
	}
	s->address_unread = 0;
	if (d->address_how & ADDRESS_GIVEN)
		name_address(s, 0);
}

/* Tell whether a call of that epoch may have gone on unseen, as it was not wanted for a while. */
static __always_inline bool overtaken(__u32 nr, __u32 epoch)
{
	return epoch < wanted_since[nr & (NR_LIMIT - 1)];
}

/* Forget the parked call if what became of it may not have been seen. */
static __always_inline bool forget_overtaken(struct task_state *s)
{
	if (s->parked == PARKED_NONE || !overtaken(s->rec.nr, s->rec.epoch))
		return false;
	s->parked = PARKED_NONE;
	COUNT(deselected);
	return true;
}

/* Count the interrupted call that was awaited: it is a row of its own. */
__noinline int give_up_held(struct task_state *s)
{
	__s64 latency_ns;

	if (!s || !s->held)
		return 0;
	s->held = 0;
	latency_ns = s->held_exit_ns - s->held_entered_ns;
	if (s->held_counted && return_passes(s->held_ret, latency_ns))
		count_call(rates[s->held_nr & (NR_LIMIT - 1)].slot, s->held_ret, latency_ns, 0,
			   !s->held_unrecorded);
	return 0;
}

/* Keep what is counted of an interrupted call until its restart. `pair` does the same with rows. */
static __always_inline void hold(struct task_state *s)
{
	if (!sampling)
		return;
	if (s->held) {
		if (s->unrecorded && !s->held_unrecorded)
			s->unbroken = 0; /* `pair` gives it up, too */
		give_up_held(s);
	}
	s->held = 1;
	s->held_counted = s->counted;
	s->held_unrecorded = s->unrecorded;
	s->held_nr = s->counted_nr;
	s->held_entered_ns = s->entered_ns;
	s->held_exit_ns = s->rec.exit_ns;
	s->held_ret = s->rec.ret;
}

/* Tell whether this enter is the restart of the call that a signal interrupted. */
static __always_inline bool is_restart(struct task_state *s, struct pt_regs *regs, __u32 nr)
{
	bool same = REGS_IP(regs) == s->restart_ip && REGS_SP(regs) == s->restart_sp &&
		    (nr == s->restart_nr || nr == RESTART_SYSCALL);

	if (s->restart != RESTART_NONE && overtaken(s->restart_nr, s->restart_epoch)) {
		s->restart = RESTART_NONE;
		if (sampling)
			give_up_held(s);
	}
	if (s->parked == PARKED_INTERRUPTED) {
		if (forget_overtaken(s))
			return false;
		s->parked = PARKED_NONE;
		hold(s);
		send(s); /* no handler ran: the next call tells */
		return same;
	}
	if (s->restart == RESTART_PROVEN) {
		/* Not the same: another handler runs in between, and its return proves it anew. */
		s->restart = same ? RESTART_NONE : RESTART_HANDLER;
		return same;
	}
	if (s->restart == RESTART_HANDLER && same) {
		s->restart = RESTART_NONE; /* the handler was left by a jump: nothing restarts */
		s->unbroken = 0;
		if (sampling)
			give_up_held(s);
	}
	return false;
}

/* Return the state of a task whose call is to be recorded, NULL otherwise. */
static __always_inline struct task_state *traced(struct task_struct *task, __u8 want)
{
	struct task_state *s;

	if (selective) {
		s = bpf_task_storage_get(&tasks, task, 0, 0);
		if (!s)
			return NULL;
		if (s->mark == MARK_ARMED && want & WANT_ARMED)
			s->mark = MARK_FOLLOWED;
		if (s->mark != MARK_FOLLOWED)
			return NULL;
	} else {
		s = bpf_task_storage_get(&tasks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
		if (!s) {
			COUNT(storage_failed);
			return NULL;
		}
		if (s->mark == MARK_EXCLUDED)
			return NULL;
	}
	return s;
}

static __always_inline void leave_out(struct task_state *s)
{
	s->left_out = 1;
	COUNT(filtered);
}

/* Leave out a call that is entered if the filter says so now; its return then is, too. */
static __always_inline bool rejects_enter(struct task_state *s, __u8 want)
{
	s->rejected = want & WANT_NONE_NOW || (want & WANT_TASKS && !task_passes(&s->group));
	if (s->rejected)
		leave_out(s);
	return s->rejected;
}

/* Leave out the parked call, which has returned or never will, if the filter says so. Of one
 * that was restarted only `pair` knows the whole latency. */
static __always_inline bool rejects_return(struct task_state *s)
{
	struct ior_record *r = &s->rec;

	if (r->flags & IOR_F_RESTARTED ||
	    return_passes(r->ret, r->exit_ns ? (__s64)(r->exit_ns - r->enter_ns) : -1))
		return false;
	leave_out(s);
	return true;
}

/* Choose, once for both sides and all restarts of a call, whether it is counted and recorded. */
static __always_inline void choose(struct task_state *s, __u32 nr, bool restart)
{
	const volatile struct ior_rate *rate = &rates[nr & (NR_LIMIT - 1)];

	if (restart && s->held) {
		s->held = 0;
		s->counted = s->held_counted;
		s->unrecorded = s->held_unrecorded;
		s->counted_nr = s->held_nr;
		s->entered_ns = s->held_entered_ns;
		return;
	}
	s->entered_ns = s->rec.enter_ns;
	s->counted_nr = nr;
	s->counted = rate->every != 1;
	s->unrecorded = s->counted && !takes_turn(rate);
	if (s->unrecorded && rate->every) /* those of rate 0 are as if they were not wanted */
		s->left_out = 1;
}

/* Fill what is needed of a call that makes no records: to count it, and to say who is in it. */
static __always_inline void fill_unrecorded(struct task_state *s, struct task_struct *task,
					    struct pt_regs *regs, __u32 nr)
{
	struct ior_record *r = &s->rec;

	if (rates[nr & (NR_LIMIT - 1)].bytes > BYTES_RETURN)
		LOAD_ARGUMENTS(s->raw, regs);
	if (r->tid != task->pid)
		s->unbroken = 0;
	r->exit_ns = 0;
	r->ret = 0;
	r->file = r->file2 = 0;
	r->pid = task->tgid;
	r->tid = task->pid;
	r->fd = r->fd2 = -1;
	r->flags = IOR_F_ENTER;
	r->nr = nr;
	r->epoch = selection_epoch;
	name_task(s, task);
	s->paths[0].unread = 0; /* for on_exec */
}

/* Return how many bytes the parked call, which has returned, has moved. */
static __always_inline __u64 bytes_moved(struct task_state *s, const volatile struct ior_rate *rate)
{
	__u64 argument = s->raw[rate->argument & 7], moved = s->rec.ret;
	__u8 rule = rate->bytes;

	if (rule == BYTES_NONE || s->rec.ret <= 0)
		return 0;
	if (rule == BYTES_SIZED && !argument)
		return 0;
	if (rule >= BYTES_PEEKED && argument & MSG_PEEK)
		return 0;
	if (rule == BYTES_RECEIVED && s->raw[(rate->argument - 1) & 7] < moved)
		return s->raw[(rate->argument - 1) & 7];
	return moved;
}

__noinline int count_parked(struct task_state *s)
{
	const volatile struct ior_rate *rate;
	__s64 latency_ns = -1;

	if (!s)
		return 0;
	rate = &rates[s->counted_nr & (NR_LIMIT - 1)];
	if (s->rec.exit_ns)
		latency_ns = s->rec.exit_ns - s->entered_ns;
	if (s->rec.flags & IOR_F_RESTARTED && !return_passes(s->rec.ret, latency_ns)) {
		if (s->unrecorded)
			leave_out(s);
		return 0;
	}
	return count_call(rate->slot, s->rec.ret, latency_ns, bytes_moved(s, rate), !s->unrecorded);
}

/* Count the parked call, which has returned or never will, and send it. */
static __always_inline void finish(struct task_state *s)
{
	if (sampling && s->counted)
		count_parked(s);
	send(s);
}

SEC("tp_btf/sys_enter")
int BPF_PROG(on_sys_enter, struct pt_regs *regs, long id)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *s;
	bool restart;
	__u8 want;

	if (id < 0 || id >= NR_LIMIT)
		return 0;
	want = wanted[id & (NR_LIMIT - 1)];
	if (!(want & (WANT_ROWS | WANT_ARMED | WANT_ALWAYS)))
		return 0;
	s = traced(task, want);
	if (!s)
		return 0;
	if (COMPAT_TASK(task)) {
		COUNT(compat);
		return 0;
	}
	if (rejects_enter(s, want))
		return 0;
	restart = is_restart(s, regs, id);
	if (!(want & WANT_ROWS) && !(restart && id == RESTART_SYSCALL))
		return 0;
	if (s->parked == PARKED_CALL && !user_pairing) {
		if (s->rec.epoch == selection_epoch)
			send(s);
		else
			COUNT(deselected);
	}
	s->rec.enter_ns = boot_ns();
	if (sampling)
		choose(s, id, restart);
	if (sampling && s->unrecorded)
		fill_unrecorded(s, task, regs, id);
	else
		fill_enter(s, task, regs, id);
	if (restart)
		s->rec.flags |= IOR_F_RESTARTED;
	if (id == RESTART_SYSCALL)
		s->rec.args[0] = s->restart_nr; /* whose restart it is */
	s->parked = PARKED_CALL;
	if (user_pairing)
		send(s);
	if (syscalls[id & (NR_LIMIT - 1)].how & HOW_NO_RETURN) {
		s->parked = PARKED_NONE;
		if (user_pairing && sampling && s->counted)
			count_parked(s);
		if (!user_pairing && !(want & WANT_RETURNS && rejects_return(s)))
			finish(s);
	}
	return 0;
}

/* Turn the parked enter into the template of an exit half. */
static __always_inline void forget_enter(struct task_state *s, struct task_struct *task, __u32 nr)
{
	struct ior_record *r = &s->rec;

	r->enter_ns = 0;
	r->file = r->file2 = 0;
	r->flags &= IOR_F_TASK_LOST; /* the task's name is the one of the enter */
	r->fd_flags = 0;
	r->fd = r->fd2 = -1;
	r->nr = nr;
	__builtin_memset(r->args, 0, sizeof(r->args));
	if (nr == RESTART_SYSCALL)
		r->args[0] = s->restart_nr;
	if (s->parked != PARKED_CALL) {
		r->flags = 0;
		r->pid = task->tgid;
		r->tid = task->pid;
		r->epoch = selection_epoch;
	}
}

/* Read what was not resident at enter. After a successful execve it is another program's. */
static __always_inline void fill_unread(struct task_state *s, __u32 how, long ret)
{
	if (s->memory_unread)
		fill_memory(s, 1);
	if (!s->paths[0].unread && !s->paths[1].unread)
		return;
	if (how & HOW_EXECS && ret == 0) {
		if (s->paths[0].kernel)
			s->rec.file = s->paths[0].directory;
		else
			s->rec.flags |= IOR_F_UNREADABLE;
		return;
	}
	fill_paths(s, 1);
	if (s->paths[0].unread || s->paths[1].unread)
		s->rec.flags |= IOR_F_UNREADABLE;
}

/* Name what only the return tells: a new descriptor's file, a path that was not resident. */
static __always_inline void fill_exit(struct task_state *s, __u32 nr, long ret)
{
	const volatile struct ior_syscall *d = &syscalls[nr & (NR_LIMIT - 1)];
	struct ior_record *r = &s->rec;
	__u32 how = d->how;

	if (s->memory_unread || s->paths[0].unread || s->paths[1].unread)
		fill_unread(s, how, ret);
	if (d->address_how)
		fill_address_exit(s);
	if (ret == -EFAULT && d->path >= 0 && !s->paths[0].user)
		r->flags |= IOR_F_UNREADABLE; /* no path where one is needed */
	if (how & HOW_RETURNS_CWD && ret > 0)
		r->file = cwd_id(&r->flags, IOR_F_FILE_LOST);
	if (how & HOW_DUPS && (s->raw[1] == F_DUPFD || s->raw[1] == F_DUPFD_CLOEXEC) && ret >= 0) {
		r->fd2 = (int)s->raw[0];
		r->file2 = fd_id(r->fd2, NULL, &r->flags, IOR_F_FILE2_LOST);
		how |= HOW_RETURNS_FD;
	}
	if (how & HOW_RETURNS_FD && ret >= 0) {
		__u64 file;

		r->fd = ret;
		file = fd_id(ret, &r->fd_flags, &r->flags, IOR_F_FILE_LOST);
		if (d->path < 0 || how & HOW_OPENS)
			r->file = file;
	}
}

/* rt_sigreturn has no number at its exit; it shows where the program goes on. */
static __always_inline void after_sigreturn(struct task_struct *task, struct pt_regs *regs)
{
	struct task_state *s = bpf_task_storage_get(&tasks, task, 0, 0);

	if (!s || s->restart != RESTART_HANDLER)
		return;
	if (REGS_IP(regs) == s->restart_ip - SYSCALL_INSN && REGS_SP(regs) == s->restart_sp &&
	    REGS_RETURN(regs) == s->restart_nr)
		s->restart = RESTART_PROVEN;
}

static __always_inline void count_unmatched(__u32 nr)
{
	__u32 slot = rates[nr & (NR_LIMIT - 1)].slot;
	struct ior_totals *t = bpf_map_lookup_elem(&totals, &slot);

	if (t)
		t->unmatched++;
	else
		COUNT(lookup_failed);
}

/* A return whose enter is not parked: the half that it is, for `pair` to classify. */
static __always_inline void send_exit_half(struct task_state *s, struct task_struct *task, __u32 nr,
					   long ret)
{
	/* Entered when it was not wanted? */
	if (!(selection_epoch & 1) || (s->seen && s->rec.epoch != selection_epoch)) {
		s->rec.epoch = selection_epoch;
		s->parked = PARKED_NONE;
		COUNT(deselected);
		return;
	}
	if (s->parked == PARKED_CALL && !user_pairing)
		send(s);
	s->parked = PARKED_NONE;
	if (sampling && rates[nr & (NR_LIMIT - 1)].every != 1) { /* recorded if its enter was */
		count_unmatched(nr);
		return;
	}
	s->unrecorded = 0;
	forget_enter(s, task, nr);
	s->rec.flags = IOR_F_EXIT;
	s->rec.exit_ns = boot_ns();
	s->rec.ret = ret;
	name_task(s, task);
	send(s);
}

/* Return the number of the call that returns. On x86 a successful execve or execveat returns with
 * the number of the new program's own execve: set_personality_64bit() and _ia32() pretend so. */
static __always_inline long exec_number(struct task_state *s, long nr, __u8 want)
{
	if (want & (WANT_ARMED | WANT_EXECED) && s->parked == PARKED_CALL &&
	    syscalls[s->rec.nr & (NR_LIMIT - 1)].how & HOW_EXECS)
		return s->rec.nr;
	return nr;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_sys_exit, struct pt_regs *regs, long ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	long nr = SYSCALL_NR(regs), returned;
	struct task_state *s;
	__u8 want;

	if (nr < 0) {
		after_sigreturn(task, regs);
		return 0;
	}
	if (nr >= NR_LIMIT)
		return 0;
	want = wanted[nr & (NR_LIMIT - 1)];
	if (want & WANT_MOVES && ret == 0)
		__sync_fetch_and_add(&rename_epoch, 1);
	if (!(want & (WANT_ROWS | WANT_ARMED | WANT_EXECED)) && nr != RESTART_SYSCALL)
		return 0;
	if (want & WANT_NONE_NOW && !(want & (WANT_ARMED | WANT_EXECED)))
		return 0;
	s = traced(task, 0);
	if (!s)
		return 0;
	returned = exec_number(s, nr, want);
	if (COMPAT_TASK(task) && returned == nr)
		return 0;
	nr = returned;
	want = wanted[nr & (NR_LIMIT - 1)];
	if ((!(want & WANT_ROWS) && nr != RESTART_SYSCALL) || want & WANT_NONE_NOW)
		return 0;
	if (want & WANT_TASKS && s->rejected) {
		s->rejected = 0;
		return 0;
	}
	if (s->parked != PARKED_CALL || s->rec.nr != nr || overtaken(nr, s->rec.epoch)) {
		if (want & WANT_ROWS && !(want & WANT_TASKS && !task_passes(&s->group)))
			send_exit_half(s, task, nr, ret);
		return 0;
	}
	if (user_pairing && !(sampling && s->unrecorded))
		forget_enter(s, task, nr);
	s->rec.exit_ns = boot_ns();
	s->rec.ret = ret;
	s->rec.flags |= IOR_F_EXIT;
	if (want & WANT_RETURNS && !is_restart_code(ret) && rejects_return(s)) {
		s->parked = PARKED_NONE;
		return 0;
	}
	if (!(sampling && s->unrecorded))
		fill_exit(s, nr, ret);
	if (is_restart_code(ret)) {
		s->parked = PARKED_INTERRUPTED;
		s->rec.flags |= IOR_F_INTERRUPTED;
		s->restart_ip = REGS_IP(regs);
		s->restart_sp = REGS_SP(regs);
		if (nr != RESTART_SYSCALL)
			s->restart_nr = nr;
		s->restart_epoch = s->rec.epoch;
		s->restart = RESTART_NONE;
		return 0;
	}
	s->parked = PARKED_NONE;
	finish(s);
	return 0;
}

/* A handler is about to run in place of the interrupted call: does the call restart after it? */
SEC("tp_btf/signal_deliver")
int BPF_PROG(on_signal_deliver, int sig, void *info, struct k_sigaction *ka)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *s = bpf_task_storage_get(&tasks, task, 0, 0);
	__u64 handler = (__u64)ka->sa.sa_handler;

	if (!s || s->parked != PARKED_INTERRUPTED || handler <= 1 || forget_overtaken(s))
		return 0;
	s->parked = PARKED_NONE;
	if (s->rec.ret == -513 || (s->rec.ret == -512 && ka->sa.sa_flags & SA_RESTART)) {
		s->restart = RESTART_HANDLER;
		hold(s);
		send(s);
	} else {
		s->rec.ret = -4; /* EINTR is what the program gets */
		s->rec.flags &= ~IOR_F_INTERRUPTED;
		if (wanted[s->rec.nr & (NR_LIMIT - 1)] & WANT_RETURNS && rejects_return(s))
			return 0;
		finish(s);
	}
	return 0;
}

/* A thread ends: what a fatal signal interrupted can neither restart nor return any more. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_task_end, struct task_struct *task)
{
	struct task_state *s = bpf_task_storage_get(&tasks, task, 0, 0);

	if (!s || s->parked == PARKED_NONE || (s->parked == PARKED_CALL && user_pairing) ||
	    forget_overtaken(s))
		return 0;
	s->parked = PARKED_NONE;
	s->rec.flags |= IOR_F_ENDED;
	send(s);
	return 0;
}

SEC("tp_btf/task_newtask")
int BPF_PROG(on_newtask, struct task_struct *task, __u64 clone_flags)
{
	struct task_struct *parent = bpf_get_current_task_btf();
	struct task_state *s = bpf_task_storage_get(&tasks, parent, 0, 0);
	bool thread = clone_flags & CLONE_THREAD, follow;
	struct task_state *child;

	if (clone_flags & CLONE_NEWNS)
		__sync_fetch_and_add(&rename_epoch, 1);
	if (!s || !s->mark)
		return 0;
	follow = thread ? follow_threads : follow_forks;
	if (s->mark == MARK_FOLLOWED && !follow)
		return 0;
	child = bpf_task_storage_get(&tasks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (child)
		child->mark = s->mark;
	else
		COUNT(storage_failed);
	return 0;
}

/* A program is replaced: of a path that could not be read yet the kernel has a copy. Its id is
 * kept in `directory`, which nobody needs any more, until the call returns. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	struct task_state *s = bpf_task_storage_get(&tasks, task, 0, 0);
	struct path_argument *p;

	if (!s || s->parked != PARKED_CALL || !s->paths[0].unread)
		return 0;
	p = &s->paths[0];
	p->user = (__u64)bprm->filename;
	p->kernel = 1;
	p->directory = path_id(p, &s->rec.flags);
	p->unread = 1; /* so that the exit looks here */
	return 0;
}

/* Return the number that a thread has in the pid namespace of the reader of the iterator, 0
 * where it has none there. */
static __always_inline int number_of(struct task_struct *task)
{
	struct pid *pid = task->thread_pid;
	__u32 level = bpf_get_current_task_btf()->thread_pid->level;
	int number = 0;

	if (level > pid->level)
		return 0;
	bpf_probe_read_kernel(&number, sizeof(number),
			      (void *)pid + bpf_core_field_offset(struct pid, numbers) +
				      level * bpf_core_type_size(struct upid));
	return number;
}

/* Return whether a task is the thread that the reader of the iterator calls `target_tid`. */
static __always_inline bool is_target(struct task_struct *task)
{
	return target_tid && number_of(task) == target_tid;
}

/* Mark the running threads, and with follow_forks the descendants, of what is marked; writes a
 * byte for each new one. Run it until it writes nothing. */
SEC("iter/task")
int mark_tasks(struct bpf_iter__task *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *task = ctx->task;
	struct task_state *s, *from = NULL;
	__u8 one = 1, mark = 0;

	if (!task)
		return 0;
	s = bpf_task_storage_get(&tasks, task, 0, 0);
	if (s && s->mark)
		return 0;
	if (is_target(task))
		mark = MARK_FOLLOWED;
	if (!mark && follow_threads) {
		from = bpf_task_storage_get(&tasks, task->group_leader, 0, 0);
		mark = from ? from->mark : 0;
	}
	if (!mark && follow_forks) {
		from = bpf_task_storage_get(&tasks, task->real_parent, 0, 0);
		mark = from && from->mark == MARK_FOLLOWED ? MARK_FOLLOWED : 0;
	}
	if (!mark)
		return 0;
	s = bpf_task_storage_get(&tasks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!s) {
		COUNT(storage_failed);
		return 0;
	}
	s->mark = mark;
	bpf_seq_write(seq, &one, sizeof(one));
	return 0;
}

/* Write the parked record of every call that has not returned; count, at the end, those of which
 * it is not known. */
SEC("iter/task")
int list_in_flight(struct bpf_iter__task *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *task = ctx->task;
	struct task_state *s;

	if (!task || task->flags & PF_EXITING)
		return 0;
	s = bpf_task_storage_get(&tasks, task, 0, 0);
	if (!s || s->parked == PARKED_NONE)
		return 0;
	if (selective ? s->mark != MARK_FOLLOWED : s->mark == MARK_EXCLUDED)
		return 0;
	if (!overtaken(s->rec.nr, s->rec.epoch))
		bpf_seq_write(seq, &s->rec, sizeof(s->rec));
	else if (ending && (!user_pairing || s->unrecorded)) /* of an enter that was sent `pair` says it */
		COUNT(deselected);
	return 0;
}

/* Write a record of every wanted call that a task sleeps in and whose enter was not seen, since
 * tracing began later: without times, with the task's name in the first two words, in the next its
 * number in the reader's pid namespace, and in the last whether a signal cannot wake it. A task
 * that is awake may have left its call: its registers do not say. */
SEC("iter/task")
int list_entered_before(struct bpf_iter__task *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *task = ctx->task;
	struct ior_record found = {};
	struct task_state *s;
	struct pt_regs *regs;
	__u64 raw[8] = {};
	__u8 want;
	long nr;

	if (!task || task->flags & PF_EXITING || !task->mm || COMPAT_TASK(task))
		return 0;
	if (!(task->__state & (TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE)))
		return 0;
	s = bpf_task_storage_get(&tasks, task, 0, 0);
	if (selective ? !s || s->mark != MARK_FOLLOWED : s && s->mark == MARK_EXCLUDED)
		return 0;
	if (s && (s->parked != PARKED_NONE || s->rejected))
		return 0;
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	nr = SYSCALL_NR(regs);
	if (nr < 0 || nr >= NR_LIMIT)
		return 0;
	want = wanted[nr & (NR_LIMIT - 1)];
	if (!(want & WANT_ROWS) || want & (WANT_NONE_NOW | WANT_TASKS))
		return 0;
	LOAD_ARGUMENTS(raw, regs);
	found.nr = nr;
	found.pid = task->tgid;
	found.tid = task->pid;
	found.fd = -1;
	if (syscalls[nr & (NR_LIMIT - 1)].fd >= 0)
		found.fd = raw[syscalls[nr & (NR_LIMIT - 1)].fd & 7];
	found.args[0] = *(__u64 *)task->comm;
	found.args[1] = *(__u64 *)(task->comm + 8);
	found.args[2] = number_of(task);
	found.args[3] = !(task->__state & TASK_INTERRUPTIBLE);
	bpf_seq_write(seq, &found, sizeof(found));
	return 0;
}

/* Write the thread id of every followed task that can still make calls. */
SEC("iter/task")
int list_followed(struct bpf_iter__task *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *task = ctx->task;
	struct task_state *s;
	__u32 tid;

	if (!task || task->flags & PF_EXITING)
		return 0;
	s = bpf_task_storage_get(&tasks, task, 0, 0);
	if (!s || (s->mark != MARK_FOLLOWED && s->mark != MARK_ARMED))
		return 0;
	tid = task->pid;
	bpf_seq_write(seq, &tid, sizeof(tid));
	return 0;
}
