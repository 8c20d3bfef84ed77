/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0) */
/* What travels through the rings: the layout that ior/sources/bpf/records.py mirrors. */
#ifndef IOR_H
#define IOR_H

#define IOR_F_ENTER (1u << 0)       /* the record has an enter side */
#define IOR_F_EXIT (1u << 1)        /* the record has an exit side */
#define IOR_F_BREAK (1u << 2)       /* something of this thread before it is missing */
#define IOR_F_FRESH (1u << 3)       /* first record of this thread */
#define IOR_F_INTERRUPTED (1u << 4) /* ret is a restart code */
#define IOR_F_RESTARTED (1u << 5)   /* proven restart of the last interrupted call */
#define IOR_F_UNREADABLE (1u << 6)  /* a path argument could not be read */
#define IOR_F_FILE_LOST (1u << 7)   /* file is (dev << 32 | inode): its name was lost */
#define IOR_F_FILE2_LOST (1u << 8)
#define IOR_F_TASK_LOST (1u << 9)
#define IOR_F_ASKED (1u << 10) /* file2 is what was asked for, not the old file */
#define IOR_F_ENDED (1u << 12) /* the thread ended in this call (11 and 14 are the source's) */
#define IOR_F_LEFT_OUT (1u << 13) /* calls of this thread before it were left out on purpose */

/* A call, or half of one. 128 bytes with the ring's 8-byte header. */
struct ior_record {
	__u64 enter_ns; /* CLOCK_BOOTTIME; 0 without an enter side */
	__u64 exit_ns;  /* 0 without an exit side */
	__s64 ret;
	__u64 file;  /* name ids; 0 for none */
	__u64 file2; /* old file, or what was asked for */
	__u64 task;
	__u32 pid;
	__u32 tid;
	__s32 fd; /* -1 for none */
	__s32 fd2;
	__u32 flags;    /* IOR_F_* */
	__u32 fd_flags; /* f_flags of the open file behind fd */
	__u16 nr;
	__u16 cpu;
	__u32 epoch;   /* generation of the run-time selection */
	__u64 args[5]; /* their meaning is the kind's */
};

#define IOR_NAME_FILE 1 /* text: components, leaf first, NUL after each */
#define IOR_NAME_PATH 2 /* text: as the program gave it; words[0]: name id of its directory */
#define IOR_NAME_TASK 3 /* text: comm, NUL, the cgroup's path as of a file */
#define IOR_NAME_PSEUDO 4 /* text: what the kernel calls a file without a place (pipe, socket, memfd) */
#define IOR_NAME_SOCKET 5 /* text: its own and its peer's sockaddr, each may be empty */
#define IOR_NAME_ADDRESS 6 /* text: a sockaddr as the program has it */

#define IOR_STATE_CUT 1
#define IOR_STATE_DELETED 2

/* A name, announced before the first record that uses it. */
struct ior_name {
	__u64 id;
	__u8 kind;  /* IOR_NAME_* */
	__u8 state; /* IOR_STATE_* as in ior.names.FileState */
	__u16 len;  /* bytes of text that follow */
	__u32 magic;    /* FILE, PSEUDO: the superblock's magic number */
	__u64 words[3]; /* FILE, PSEUDO: device, inode, 0. PATH: directory. TASK: tgid << 32 | ppid, uid, cgroup.
			 * SOCKET, ADDRESS: family | type << 16 | protocol << 32, inode, length of the first sockaddr */
};

#endif
