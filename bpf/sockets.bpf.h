/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0) */
/* Sockets: named by family, type, protocol and both addresses, as they are at the call.
 *
 * The addresses are announced as the sockaddrs that getsockname and getpeername would give. A
 * per-CPU cache gives the id of a socket that looks as it did; only sockets are looked at. */
#ifndef IOR_SOCKETS_BPF_H
#define IOR_SOCKETS_BPF_H

#include <bpf/bpf_endian.h>
#include "families.bpf.h"
#include "names.bpf.h"

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define SOCK_RAW 3
#define SOCK_SEQPACKET 5

#define SOCKADDR_MAX 127 /* sockaddr_storage has 128 bytes, sockaddr_un 110 */
/* The verifier has to see a length's bound right where the length is used. */
#define BOUND(len)                            \
	do {                                  \
		asm volatile("" : "+r"(len)); \
		len &= SOCKADDR_MAX;          \
	} while (0)

#define SOCKET_SLOTS 1024

/* Everything that a socket's name depends on; of a unix socket's addresses, which never change
 * while they are in use, where they are. */
struct socket_key {
	__u64 sk;
	__u64 what;   /* family | type << 16 | protocol << 32 */
	__u64 inode;  /* and so no two sockets at one place in memory are the same */
	__u64 ports;  /* local | peer << 16; unix: the peer's inode */
	__u64 local[2];
	__u64 peer[2];
};

struct socket_entry {
	struct socket_key key;
	__u64 announced; /* name_epoch */
	__u64 id;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SOCKET_SLOTS);
	__type(key, __u32);
	__type(value, struct socket_entry);
} socket_cache SEC(".maps");

/* The key of the socket that is looked at now; not on the stack, as in `struct scratch`. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct socket_key);
} socket_keys SEC(".maps");

static __always_inline bool connection_oriented(__u64 what)
{
	__u16 type = what >> 16;

	return type == SOCK_STREAM || type == SOCK_SEQPACKET;
}

/* Return the socket behind an open file, 0 if it is none. */
static __always_inline __u64 socket_of(__u64 file)
{
	__u64 socket = LOAD_ADDRESS(struct file, file, private_data);

	return socket && LOAD_ADDRESS(struct socket, socket, file) == file ? socket : 0;
}

static __always_inline __u64 what_is(__u64 sk)
{
	return LOAD(struct sock, sk, __sk_common.skc_family) |
	       (__u64)LOAD(struct sock, sk, sk_type) << 16 |
	       (__u64)LOAD(struct sock, sk, sk_protocol) << 32;
}

static __always_inline __u64 socket_inode(__u64 socket)
{
	__u64 inode = socket + bpf_core_field_offset(struct socket_alloc, vfs_inode);

	return LOAD(struct inode, inode, i_ino);
}

static __always_inline void look_at_inet(struct socket_key *key, __u64 sk, bool v6)
{
	__u16 local = LOAD(struct sock, sk, __sk_common.skc_num);
	__u16 peer = bpf_ntohs(LOAD(struct sock, sk, __sk_common.skc_dport));

	if (!v6) {
		key->local[0] = LOAD(struct sock, sk, __sk_common.skc_rcv_saddr);
		key->peer[0] = LOAD(struct sock, sk, __sk_common.skc_daddr);
	} else if (bpf_core_field_exists(struct sock_common, skc_v6_daddr)) {
		__u64 from = sk + bpf_core_field_offset(struct sock, __sk_common.skc_v6_rcv_saddr);
		__u64 to = sk + bpf_core_field_offset(struct sock, __sk_common.skc_v6_daddr);

		key->local[0] = LOAD_WORD(from);
		key->local[1] = LOAD_WORD(from + 8);
		key->peer[0] = LOAD_WORD(to);
		key->peer[1] = LOAD_WORD(to + 8);
	}
	if ((__u16)(key->what >> 16) == SOCK_RAW)
		local = peer = 0; /* the number is its protocol */
	else if (connection_oriented(key->what) && !peer)
		key->peer[0] = key->peer[1] = 0; /* left over from a connection that failed */
	else if (!local && peer) /* the port was given back when the connection ended */
		local = bpf_ntohs(LOAD(struct inet_sock, sk, inet_sport));
	key->ports = local | (__u64)peer << 16;
}

static __always_inline void look_at_unix(struct socket_key *key, __u64 sk)
{
	__u64 peer = LOAD_ADDRESS(struct unix_sock, sk, peer), socket;

	key->local[0] = LOAD_ADDRESS(struct unix_sock, sk, addr);
	key->peer[0] = peer;
	if (!peer)
		return;
	key->peer[1] = LOAD_ADDRESS(struct unix_sock, peer, addr);
	socket = LOAD_ADDRESS(struct sock, peer, sk_socket);
	key->ports = socket ? socket_inode(socket) : 0;
}

static __always_inline void look_at_socket(struct socket_key *key, __u64 socket)
{
	__u64 sk = LOAD_ADDRESS(struct socket, socket, sk);
	__u16 family;

	key->inode = socket_inode(socket);
	key->sk = sk;
	if (!sk)
		return;
	key->what = what_is(sk);
	family = key->what;
	if (family == AF_INET || family == AF_INET6)
		look_at_inet(key, sk, family == AF_INET6);
	else if (family == AF_UNIX && bpf_core_type_exists(struct unix_sock))
		look_at_unix(key, sk);
	else if (family == AF_NETLINK && bpf_core_type_exists(struct netlink_sock))
		look_at_netlink(sk, key->local, key->peer);
	else if (family == AF_PACKET && bpf_core_type_exists(struct packet_sock))
		look_at_packet(sk, key->local);
	else if (family == AF_VSOCK && bpf_core_type_exists(struct vsock_sock))
		look_at_vsock(sk, key->local, key->peer);
}

/* Write a sockaddr for one end of an IP socket; return its length, 0 for no address. */
static __always_inline __u32 write_inet(char *to, __u16 family, __u16 port, const __u64 *address)
{
	if (!port && !address[0] && !address[1])
		return 0;
	*(__u16 *)to = family;
	*(__u16 *)(to + 2) = bpf_htons(port);
	if (family == AF_INET) {
		*(__u32 *)(to + 4) = address[0];
		return 8;
	}
	*(__u32 *)(to + 4) = 0;
	*(__u64 *)(to + 8) = address[0];
	*(__u64 *)(to + 16) = address[1];
	return 24;
}

static __always_inline __u32 write_unix(char *to, __u64 address)
{
	__u32 len;

	if (!address)
		return 0;
	len = LOAD(struct unix_address, address, len);
	BOUND(len);
	if (bpf_probe_read_kernel(to, len,
				  (void *)(address + bpf_core_field_offset(struct unix_address, name))))
		return 0;
	return len;
}

static __always_inline __u32 write_end(char *to, struct socket_key *key, const __u64 *end,
				       __u16 port, __u64 unix_address)
{
	__u16 family = key->what;

	if (family == AF_INET || family == AF_INET6)
		return write_inet(to, family, port, end);
	if (family == AF_UNIX)
		return write_unix(to, unix_address);
	if (family == AF_NETLINK)
		return write_netlink(to, end[0]);
	if (family == AF_PACKET)
		return write_packet(to, end[0]);
	if (family == AF_VSOCK)
		return write_vsock(to, end[0]);
	return 0;
}

/* Announce a socket by its addresses, by its inode if it has none; return its id, 0 if lost. */
__noinline __u64 new_socket_id(struct socket_key *key)
{
	struct scratch *scratch = scratch_of(0);
	__u32 local, peer;

	if (!scratch || !key)
		return 0;
	local = write_end(scratch->text, key, key->local, key->ports, key->local[0]);
	BOUND(local);
	peer = write_end(scratch->text + local, key, key->peer, key->ports >> 16, key->peer[1]);
	BOUND(peer);
	end_text(scratch, local + peer);
	scratch->name.kind = IOR_NAME_SOCKET;
	scratch->name.state = 0;
	scratch->name.magic = SOCKFS_MAGIC;
	scratch->name.words[0] = key->what;
	scratch->name.words[1] = local + peer ? 0 : key->inode;
	scratch->name.words[2] = local;
	sip_start(&scratch->sip);
	sip_word(&scratch->sip, key->what | (__u64)IOR_NAME_SOCKET << 56);
	sip_word(&scratch->sip, scratch->name.words[1]);
	sip_word(&scratch->sip, local);
	sip_text(scratch, local + peer);
	scratch->name.id = sip_end(&scratch->sip);
	return announce_once(scratch, local + peer) ? scratch->name.id : 0;
}

static __always_inline bool same_socket(const struct socket_key *a, const struct socket_key *b)
{
	return a->sk == b->sk && a->what == b->what && a->inode == b->inode &&
	       a->ports == b->ports && a->local[0] == b->local[0] && a->local[1] == b->local[1] &&
	       a->peer[0] == b->peer[0] && a->peer[1] == b->peer[1];
}

static __always_inline __u64 inode_of(__u64 file)
{
	__u64 dentry = LOAD_ADDRESS(struct file, file, f_path.dentry);

	return LOAD_ADDRESS(struct dentry, dentry, d_inode);
}

/* Return the id of the socket that is open in a file. On loss set *flags |= lost. */
__noinline __u64 socket_id(__u64 file, __u32 *flags, __u32 lost)
{
	__u32 zero = 0, slot;
	struct socket_key *key = bpf_map_lookup_elem(&socket_keys, &zero);
	struct socket_entry *e;
	__u64 socket, id, inode;

	if (!file || !flags || !key)
		return 0;
	__builtin_memset(key, 0, sizeof(*key));
	socket = socket_of(file);
	inode = inode_of(file);
	if (socket)
		look_at_socket(key, socket);
	else /* about to be closed, or not made yet */
		key->inode = LOAD(struct inode, inode, i_ino);
	slot = (socket >> 6 ^ socket >> 16) & (SOCKET_SLOTS - 1);
	e = bpf_map_lookup_elem(&socket_cache, &slot);
	if (!e) {
		COUNT(lookup_failed);
		return 0;
	}
	if (e->announced == name_epoch && same_socket(&e->key, key))
		return e->id;
	e->announced = 0;
	id = new_socket_id(key);
	if (!id) {
		*flags |= lost;
		return nameless(inode);
	}
	e->key = *key;
	e->id = id;
	/* The other end of a connection that nobody has accepted yet is not known by its inode. */
	e->announced = (__u16)key->what == AF_UNIX && key->peer[0] && !key->ports ? 0 : name_epoch;
	return id;
}

/* Return what kind of socket an open file is, 0 for none. */
static __always_inline __u64 socket_what(__u64 file)
{
	__u64 inode, socket, sk;

	if (!file)
		return 0;
	inode = inode_of(file);
	if (!inode || !is_socket(inode))
		return 0;
	socket = socket_of(file);
	sk = socket ? LOAD_ADDRESS(struct socket, socket, sk) : 0;
	return sk ? what_is(sk) : 0;
}

/* Return the id of an address in the program's memory, 0 for none. `what` is the socket that it
 * is used with. Where it cannot be read set *flags |= IOR_F_UNREADABLE, on loss FILE2_LOST. */
__noinline __u64 address_id(__u64 what, __u64 user, __u32 len, __u32 *flags)
{
	struct scratch *scratch = scratch_of(1);

	if (!scratch || !flags || !user || len < sizeof(__u16))
		return 0;
	if (len > SOCKADDR_MAX)
		len = SOCKADDR_MAX;
	BOUND(len);
	if (bpf_probe_read_user(scratch->text, len, (void *)user)) {
		*flags |= IOR_F_UNREADABLE;
		return 0;
	}
	end_text(scratch, len);
	scratch->name.kind = IOR_NAME_ADDRESS;
	scratch->name.state = 0;
	scratch->name.magic = 0;
	scratch->name.words[0] = what;
	scratch->name.words[1] = 0;
	scratch->name.words[2] = len;
	sip_start(&scratch->sip);
	sip_word(&scratch->sip, what | (__u64)IOR_NAME_ADDRESS << 56);
	sip_text(scratch, len);
	scratch->name.id = sip_end(&scratch->sip);
	if (announce_once(scratch, len))
		return scratch->name.id;
	*flags |= IOR_F_FILE2_LOST;
	return 0;
}

#endif
