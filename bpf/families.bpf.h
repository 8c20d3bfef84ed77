/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0) */
/* Addresses of the socket families that are no protocols of the internet and no paths: how each is
 * kept in two words of a socket's key, and written as the sockaddr that getsockname would give.
 * Where a family is a module the kernel's BTF does not have it, and its sockets have no addresses. */
#ifndef IOR_FAMILIES_BPF_H
#define IOR_FAMILIES_BPF_H

#include "core.h"

#define AF_NETLINK 16
#define AF_PACKET 17
#define AF_VSOCK 40

#define TCP_CLOSE 7
#define VSOCK_ANY 0xffffffff

/* Port, and groups as getsockname and getpeername show them: a mask of the first 32. */
static __always_inline void look_at_netlink(__u64 sk, __u64 *local, __u64 *peer)
{
	__u64 groups = LOAD_ADDRESS(struct netlink_sock, sk, groups);
	__u32 group = LOAD(struct netlink_sock, sk, dst_group);

	*local = LOAD(struct netlink_sock, sk, portid);
	if (groups)
		*local |= LOAD_WORD(groups) << 32;
	*peer = LOAD(struct netlink_sock, sk, dst_portid);
	if (group)
		*peer |= 1ULL << (32 + ((group - 1) & 31));
}

static __always_inline __u32 write_netlink(char *to, __u64 end)
{
	if (!end)
		return 0;
	*(__u32 *)to = AF_NETLINK;
	*(__u32 *)(to + 4) = end;
	*(__u32 *)(to + 8) = end >> 32;
	return 12;
}

/* The protocol, in network order, and the interface. */
static __always_inline void look_at_packet(__u64 sk, __u64 *local)
{
	*local = LOAD(struct packet_sock, sk, num) |
		 (__u64)(__u32)LOAD(struct packet_sock, sk, ifindex) << 32;
}

static __always_inline __u32 write_packet(char *to, __u64 end)
{
	if (!end)
		return 0;
	*(__u16 *)to = AF_PACKET;
	*(__u16 *)(to + 2) = end;
	*(__u32 *)(to + 4) = end >> 32;
	return 8;
}

/* ~ of port and context, so that what is bound to nothing is 0. A peer is one of a connection. */
static __always_inline void look_at_vsock(__u64 sk, __u64 *local, __u64 *peer)
{
	*local = ~(LOAD(struct vsock_sock, sk, local_addr.svm_port) |
		   (__u64)LOAD(struct vsock_sock, sk, local_addr.svm_cid) << 32);
	if (LOAD(struct sock, sk, __sk_common.skc_state) != TCP_CLOSE)
		*peer = ~(LOAD(struct vsock_sock, sk, remote_addr.svm_port) |
			  (__u64)LOAD(struct vsock_sock, sk, remote_addr.svm_cid) << 32);
}

static __always_inline __u32 write_vsock(char *to, __u64 end)
{
	if (!end)
		return 0;
	*(__u32 *)to = AF_VSOCK;
	*(__u32 *)(to + 4) = ~end;
	*(__u32 *)(to + 8) = ~end >> 32;
	return 12;
}

#endif
