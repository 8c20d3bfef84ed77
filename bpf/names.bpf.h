/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0) */
/* Names: which text a file, a path argument or a task has, and its announcement.
 *
 * An id is a keyed hash (SipHash-1-2) of everything that the text depends on, so an id never
 * changes its text. A name goes to the `names` ring before the first record that uses it; per
 * CPU a small cache remembers which ids have been announced since `name_epoch` last moved. */
#ifndef IOR_NAMES_BPF_H
#define IOR_NAMES_BPF_H

#include "core.h"
#include "ior.h"

#define TEXT_MAX 4096
#define COMPONENT_MAX 256
#define COMPONENTS_MAX 512 /* a deeper path is cut: the walk cannot be interrupted */

/* Random per run: a traced program cannot construct another file's id. */
const volatile __u64 hash_key[2] = {};

/* Moved by user space when it forgets names: everything in use is announced again. */
__u32 name_epoch = 1;
/* Moved by every successful rename, mount, umount, pivot_root and chroot on the host. */
__u64 rename_epoch = 1;

/* What a file's path was computed from; equal means that it still has this id. */
struct file_entry {
	__u64 dentry, mnt, inode, hash_len, parent, root;
	__u64 ino; /* of the next pipe at the same places in memory all else is the same */
	__u64 epoch; /* rename_epoch */
	__u32 generation;
	__u32 announced; /* name_epoch */
	__u64 id;
	__u32 deleted;
	__u32 socket; /* named by its addresses, which change: the id is not here */
};

struct sip {
	__u64 v0, v1, v2, v3;
};

struct walk {
	__u64 dentry, mnt;
	__u64 root_dentry, root_mnt;
	__u32 len;
	__u32 done;
	__u32 pseudo; /* the dentry hangs on no mount: a pipe, a socket, a memfd */
	__u32 pad;
};

/* A name that is being made: what goes to the ring, and the state of making it. That state is not
 * on the stack: before Linux 6.13 (private stacks) all functions on the way share 512 bytes. */
struct scratch {
	struct ior_name name;
	char text[TEXT_MAX + COMPONENT_MAX + 8];
	struct sip sip;
	struct walk walk;
	struct file_entry key;
};

/* What a callback of bpf_loop gets; the verifier wants that on the stack. */
struct turn {
	struct scratch *scratch;
};

struct counters {
	__u64 attempted;
	__u64 lost;
	__u64 names;
	__u64 names_lost;
	__u64 storage_failed;
	__u64 lookup_failed;
	__u64 compat;
	__u64 deselected;
	__u64 filtered;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 * 1024 * 1024);
} names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
} counters SEC(".maps");

/* Slot 0: the path of a file that is being named; slot 1: a path argument or a task. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

#define FILE_SLOTS 4096
#define ANNOUNCED_SLOTS 16384

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FILE_SLOTS);
	__type(key, __u32);
	__type(value, struct file_entry);
} file_cache SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ANNOUNCED_SLOTS);
	__type(key, __u32);
	__type(value, __u64);
} announced SEC(".maps");

static __always_inline struct counters *counts(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&counters, &zero);
}

#define COUNT(field)                             \
	do {                                     \
		struct counters *c_ = counts();  \
		if (c_)                          \
			c_->field++;             \
	} while (0)

static __always_inline struct scratch *scratch_of(__u32 slot)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);

	if (!scratch)
		COUNT(lookup_failed);
	return scratch;
}

#define ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))

static __always_inline void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v1 = ROTL(s->v1, 13) ^ s->v0;
	s->v0 = ROTL(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = ROTL(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = ROTL(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = ROTL(s->v1, 17) ^ s->v2;
	s->v2 = ROTL(s->v2, 32);
}

static __always_inline void sip_word(struct sip *s, __u64 word)
{
	s->v3 ^= word;
	sip_round(s);
	s->v0 ^= word;
}

static __always_inline void sip_start(struct sip *s)
{
	s->v0 = hash_key[0] ^ 0x736f6d6570736575ull;
	s->v1 = hash_key[1] ^ 0x646f72616e646f6dull;
	s->v2 = hash_key[0] ^ 0x6c7967656e657261ull;
	s->v3 = hash_key[1] ^ 0x7465646279746573ull;
}

static __always_inline __u64 sip_end(struct sip *s)
{
	s->v2 ^= 0xff;
	sip_round(s);
	sip_round(s);
	return (s->v0 ^ s->v1 ^ s->v2 ^ s->v3) | 1; /* 0 means "no name" */
}

static long sip_text_word(__u32 i, struct turn *turn)
{
	struct scratch *scratch = turn->scratch;
	__u64 at = ((__u64)i * 8) & (TEXT_MAX * 2 - 8);

	if (at > TEXT_MAX + COMPONENT_MAX)
		return 1;
	sip_word(&scratch->sip, *(__u64 *)(scratch->text + at));
	return 0;
}

/* Hash `len` bytes of the text; the 8 bytes behind them must be zero. */
static __always_inline void sip_text(struct scratch *scratch, __u32 len)
{
	struct turn turn = { scratch };

	bpf_loop((len + 7) / 8, sip_text_word, &turn, 0);
	sip_word(&scratch->sip, len);
}

static __always_inline void end_text(struct scratch *scratch, __u32 len)
{
	/* So that clang keeps the check: Linux 6.1 follows branches that bounds exclude. */
	asm volatile("" : "+r"(len));
	if (len > TEXT_MAX + COMPONENT_MAX)
		return;
	__builtin_memset(scratch->text + len, 0, 8);
}

/* Write a name with its text to the ring. */
static __always_inline bool announce(struct scratch *scratch, __u32 len)
{
	scratch->name.len = len;
	asm volatile("" : "+r"(len));
	if (len > TEXT_MAX + COMPONENT_MAX)
		return false;
	if (bpf_ringbuf_output(&names, scratch, sizeof(scratch->name) + len, 0)) {
		COUNT(names_lost);
		return false;
	}
	COUNT(names);
	return true;
}

/* Announce a path or task unless this CPU has done so in this epoch. */
static __always_inline bool announce_once(struct scratch *scratch, __u32 len)
{
	__u64 id = scratch->name.id, mark = id + name_epoch;
	__u32 slot = (id >> 8) & (ANNOUNCED_SLOTS - 1);
	__u64 *entry = bpf_map_lookup_elem(&announced, &slot);

	if (entry && *entry == mark)
		return true;
	if (!announce(scratch, len))
		return false;
	if (entry)
		*entry = mark;
	else
		COUNT(lookup_failed);
	return true;
}

#define NSFS_MAGIC 0x6e736673

/* One step from a file to the root: over a mount point, or one component up. */
static long walk_step(__u32 i, struct turn *turn)
{
	struct scratch *scratch = turn->scratch;
	struct walk *w = &scratch->walk;
	__u64 parent, mount, mount_root;
	__u32 len = w->len;
	const unsigned char *name;
	long n;

	w->done = 1;
	if (w->dentry == w->root_dentry && w->mnt == w->root_mnt)
		return 1;
	parent = (__u64)LOAD(struct dentry, w->dentry, d_parent);
	mount_root = (__u64)LOAD(struct vfsmount, w->mnt, mnt_root);
	if (w->dentry == mount_root) {
		mount = w->mnt - bpf_core_field_offset(struct mount, mnt);
		parent = (__u64)LOAD(struct mount, mount, mnt_parent);
		if (parent == mount || !parent)
			return 1;
		w->dentry = (__u64)LOAD(struct mount, mount, mnt_mountpoint);
		w->mnt = parent + bpf_core_field_offset(struct mount, mnt);
		w->done = 0;
		return 0;
	}
	name = LOAD(struct dentry, w->dentry, d_name.name);
	if (len > TEXT_MAX - 1) {
		w->done = 0;
		return 1;
	}
	n = bpf_probe_read_kernel_str(scratch->text + len, COMPONENT_MAX, name);
	if (n > 0)
		w->len = len + n;
	if (parent == w->dentry) {
		w->pseudo = 1;
		return 1;
	}
	w->dentry = parent;
	w->done = 0;
	return 0;
}

/* A namespace's file is called by its kind, `uts`, which only its operations know. */
static __always_inline __u32 namespace_text(struct scratch *scratch, __u64 inode)
{
	__u64 ns = (__u64)LOAD(struct inode, inode, i_private);
	__u64 ops = (__u64)LOAD(struct ns_common, ns, ops);
	long n = bpf_probe_read_kernel_str(scratch->text, COMPONENT_MAX,
					   LOAD(struct proc_ns_operations, ops, name));

	return n > 0 ? n : 0;
}

/* Walk to the root, hash, announce. The key is in the scratch of slot 0 and gets the id. Returns 0
 * if the name was lost. Functions that are not static are verified once, not at each call: loading
 * takes 50 ms, not 3 s. */
__noinline int name_file(__u64 root_dentry, __u64 root_mnt)
{
	struct scratch *scratch = scratch_of(0);
	struct turn turn = { scratch };
	struct file_entry *e;
	struct walk *w;
	struct sip *s;
	__u64 sb;
	__u32 len;

	if (!scratch)
		return 0;
	e = &scratch->key;
	w = &scratch->walk;
	s = &scratch->sip;
	w->dentry = e->dentry;
	w->mnt = e->mnt;
	w->root_dentry = root_dentry;
	w->root_mnt = root_mnt;
	w->len = w->done = w->pseudo = 0;
	bpf_loop(COMPONENTS_MAX, walk_step, &turn, 0);
	sb = (__u64)LOAD(struct inode, e->inode, i_sb);
	len = w->len;
	if (w->pseudo && LOAD(struct super_block, sb, s_magic) == NSFS_MAGIC)
		len = namespace_text(scratch, e->inode);
	if (len > TEXT_MAX + COMPONENT_MAX)
		return 0;
	end_text(scratch, len);

	scratch->name.kind = w->pseudo ? IOR_NAME_PSEUDO : IOR_NAME_FILE;
	scratch->name.state = !w->done			 ? IOR_STATE_CUT :
			      e->deleted && !w->pseudo ? IOR_STATE_DELETED :
							 0;
	scratch->name.magic = LOAD(struct super_block, sb, s_magic);
	scratch->name.words[0] = LOAD(struct super_block, sb, s_dev);
	scratch->name.words[1] = e->ino;
	scratch->name.words[2] = 0;

	sip_start(s);
	sip_word(s, scratch->name.words[0]);
	sip_word(s, scratch->name.words[1]);
	sip_word(s, (__u64)e->generation << 32 | scratch->name.kind << 8 | scratch->name.state);
	sip_text(scratch, len);
	e->id = scratch->name.id = sip_end(s);
	return announce(scratch, len);
}

/* dev << 32 | inode: what is shown of a file whose name was lost. */
static __always_inline __u64 nameless(__u64 inode)
{
	__u64 sb = (__u64)LOAD(struct inode, inode, i_sb);

	return (__u64)LOAD(struct super_block, sb, s_dev) << 32 |
	       (__u32)LOAD(struct inode, inode, i_ino);
}

/* Where the current task's paths begin. */
static __always_inline __u64 root_of(struct task_struct *task)
{
	struct fs_struct *fs = task->fs;

	return LOAD_ADDRESS(struct fs_struct, fs, root.dentry) ^
	       LOAD_ADDRESS(struct fs_struct, fs, root.mnt) << 1;
}

/* Fill the key of the file at (dentry, mnt) as the current task sees it; false without a file. */
static __always_inline bool look_at(struct file_entry *key, __u64 dentry, __u64 mnt,
				    struct task_struct *task)
{
	key->dentry = dentry;
	key->mnt = mnt;
	key->inode = dentry ? LOAD_ADDRESS(struct dentry, dentry, d_inode) : 0;
	if (!key->inode || !mnt)
		return false;
	key->ino = LOAD(struct inode, key->inode, i_ino);
	key->hash_len = LOAD(struct dentry, dentry, d_name.hash_len);
	key->parent = LOAD_ADDRESS(struct dentry, dentry, d_parent);
	key->root = root_of(task);
	key->epoch = rename_epoch;
	key->generation = LOAD(struct inode, key->inode, i_generation);
	key->announced = name_epoch;
	key->deleted = !LOAD_ADDRESS(struct dentry, dentry, d_hash.pprev) && key->parent != dentry;
	return true;
}

static __always_inline struct file_entry *entry_of(__u64 dentry, __u64 mnt)
{
	__u32 slot = (dentry >> 6 ^ mnt >> 5 ^ dentry >> 18) & (FILE_SLOTS - 1);

	return bpf_map_lookup_elem(&file_cache, &slot);
}

#define S_IFMT 00170000
#define S_IFSOCK 0140000
#define SOCKFS_MAGIC 0x534f434b

static __always_inline bool is_socket(__u64 inode)
{
	return (LOAD(struct inode, inode, i_mode) & S_IFMT) == S_IFSOCK &&
	       LOAD(struct super_block, LOAD_ADDRESS(struct inode, inode, i_sb), s_magic) ==
		       SOCKFS_MAGIC;
}

__u64 socket_id(__u64 file, __u32 *flags, __u32 lost); /* sockets.bpf.h */

#define BY_SOCKET 2 /* no id: their lowest bit is always set */

/* Name a file that the cache does not know; `file` is where it is open, 0 for a directory that
 * is not. Return BY_SOCKET for what socket_id() has to name: its caller does, which is one call
 * less on the stack. On loss set *flags |= lost. */
__noinline __u64 new_file_id(__u64 dentry, __u64 mnt, __u64 file, __u32 *flags, __u32 lost)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct file_entry *e = entry_of(dentry, mnt);
	struct scratch *scratch = scratch_of(0);
	struct fs_struct *fs = task->fs;

	if (!flags || !scratch || !look_at(&scratch->key, dentry, mnt, task))
		return 0;
	if (!e) {
		COUNT(lookup_failed);
		return 0;
	}
	scratch->key.socket = file && is_socket(scratch->key.inode);
	if (scratch->key.socket) {
		*e = scratch->key;
		return BY_SOCKET;
	}
	if (!name_file(LOAD_ADDRESS(struct fs_struct, fs, root.dentry),
		       LOAD_ADDRESS(struct fs_struct, fs, root.mnt))) {
		*flags |= lost;
		return nameless(scratch->key.inode);
	}
	*e = scratch->key;
	return scratch->key.id;
}

/* Whether a file's entry in the cache was made of what `look_at` would see now. */
static __always_inline bool is_current(const struct file_entry *e, __u64 dentry, __u64 mnt,
				       struct task_struct *task)
{
	return e->dentry == dentry && e->mnt == mnt && e->epoch == rename_epoch &&
	       e->announced == name_epoch &&
	       e->inode == LOAD_ADDRESS(struct dentry, dentry, d_inode) &&
	       e->hash_len == LOAD(struct dentry, dentry, d_name.hash_len) &&
	       e->parent == LOAD_ADDRESS(struct dentry, dentry, d_parent) &&
	       e->root == root_of(task) &&
	       e->ino == LOAD(struct inode, e->inode, i_ino) &&
	       e->generation == LOAD(struct inode, e->inode, i_generation) &&
	       e->deleted == (!LOAD_ADDRESS(struct dentry, dentry, d_hash.pprev) &&
			      e->parent != dentry);
}

/* Return the id of the file at (dentry, mnt) as the task sees it; `file` is where it is open, 0
 * for a directory that is not. On loss set *flags |= lost. */
static __always_inline __u64 file_id(struct task_struct *task, __u64 dentry, __u64 mnt, __u64 file,
				     __u32 *flags, __u32 lost)
{
	struct file_entry *e = entry_of(dentry, mnt);
	bool known = e && dentry && is_current(e, dentry, mnt, task);
	__u64 id;

	if (known && !e->socket)
		return e->id;
	if (!known) {
		id = new_file_id(dentry, mnt, file, flags, lost);
		if (id != BY_SOCKET)
			return id;
	}
	return socket_id(file, flags, lost);
}

/* Return the open file behind a descriptor of a task, 0 without. */
static __always_inline __u64 file_of(struct task_struct *task, int fd)
{
	struct fdtable *fdt = task->files->fdt;

	if (fd < 0 || (__u32)fd >= fdt->max_fds)
		return 0;
	return LOAD_WORD(LOAD_ADDRESS(struct fdtable, fdt, fd) + fd * sizeof(struct file *));
}

/* Return the id of an open file, 0 for none; fill its status flags if asked. */
static __always_inline __u64 opened_id(struct task_struct *task, __u64 file, __u32 *fd_flags,
				       __u32 *flags, __u32 lost)
{
	if (!file)
		return 0;
	if (fd_flags)
		*fd_flags = LOAD(struct file, file, f_flags);
	return file_id(task, LOAD_ADDRESS(struct file, file, f_path.dentry),
		       LOAD_ADDRESS(struct file, file, f_path.mnt), file, flags, lost);
}

/* Return the id of the file behind a descriptor; fill its status flags if asked. */
static __always_inline __u64 open_file_id(struct task_struct *task, int fd, __u32 *fd_flags,
					  __u32 *flags, __u32 lost)
{
	return opened_id(task, file_of(task, fd), fd_flags, flags, lost);
}

/* The same where it is rarer: not inlined. */
__noinline __u64 fd_id(int fd, __u32 *fd_flags, __u32 *flags, __u32 lost)
{
	if (!flags)
		return 0;
	return open_file_id(bpf_get_current_task_btf(), fd, fd_flags, flags, lost);
}

__noinline __u64 cwd_id(__u32 *flags, __u32 lost)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct fs_struct *fs = task->fs;

	if (!flags)
		return 0;
	return file_id(task, LOAD_ADDRESS(struct fs_struct, fs, pwd.dentry),
		       LOAD_ADDRESS(struct fs_struct, fs, pwd.mnt), 0, flags, lost);
}

#define AT_FDCWD -100
#define PATH_RAW -1000 /* a text that is not relative to anything */

/* One path argument of the call that is parked. */
struct path_argument {
	__u64 user;
	__u64 directory; /* id of what it is relative to, as it was at enter */
	__s32 dirfd;	 /* AT_FDCWD, a descriptor or PATH_RAW */
	__u32 lost;	 /* IOR_F_*_LOST: where to say that a name was lost */
	__u8 kernel;	 /* `user` points to the kernel's copy */
	__u8 unread;	 /* its memory could not be read yet */
	__u8 empty;	 /* the directory's descriptor itself is meant */
	__u8 pad[5];
};

static __always_inline __u64 directory_of(struct path_argument *p, __u32 *flags)
{
	if (!p->directory && p->dirfd != PATH_RAW)
		p->directory = p->dirfd == AT_FDCWD ? cwd_id(flags, p->lost) :
						      fd_id(p->dirfd, NULL, flags, p->lost);
	return p->directory;
}

/* Return the id of a path argument, 0 without one. An empty path is its directory, and so is
 * none with a descriptor. What cannot be read now is `unread`, to be tried again at exit; its
 * directory is looked up now, since chdir changes it. */
__noinline __u64 path_id(struct path_argument *p, __u32 *flags)
{
	struct scratch *scratch = scratch_of(1);
	__u64 directory = 0, id;
	__u32 mine = 0;
	bool cut;
	long n = 1;

	if (!scratch || !p || !flags || (!p->user && p->dirfd < 0))
		return 0;
	if (p->user) {
		n = p->kernel ? bpf_probe_read_kernel_str(scratch->text, TEXT_MAX + 2,
							  (void *)p->user) :
				bpf_probe_read_user_str(scratch->text, TEXT_MAX + 2,
							(void *)p->user);
		p->unread = n < 0;
		if (!n) /* an empty string of user memory, up to Linux 6.12 at least */
			n = 1;
	}
	cut = n > TEXT_MAX + 1;
	if (cut)
		n = TEXT_MAX + 1;
	p->empty = n == 1;
	if (n <= 1 || scratch->text[0] != '/') {
		directory = directory_of(p, &mine);
		*flags |= mine;
		if (mine) {
			p->directory = 0; /* its name may get through at the next try */
			return p->unread ? 0 : directory;
		}
	}
	if (n <= 1)
		return p->unread ? 0 : directory;
	end_text(scratch, n - 1);
	sip_start(&scratch->sip);
	sip_word(&scratch->sip, directory ^ cut); /* the lowest bit of an id is always set */
	sip_text(scratch, n);
	id = sip_end(&scratch->sip);
	scratch->name.id = id;
	scratch->name.kind = IOR_NAME_PATH;
	scratch->name.state = cut ? IOR_STATE_CUT : 0;
	scratch->name.magic = 0;
	scratch->name.words[0] = directory;
	scratch->name.words[1] = scratch->name.words[2] = 0;
	if (!announce_once(scratch, n - 1)) {
		*flags |= p->lost;
		return 0;
	}
	return id;
}

#endif
