"""Addresses of several messages at once, and of families that are no protocols of the internet.

What the kernel says of a socket, and what the program gave, is the truth.
"""

from __future__ import annotations

import re

import pytest
from tracing import KINDS, program

pytestmark = pytest.mark.kernel

MESSAGES = r"""
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <netinet/in.h>
static struct sockaddr_in here(int fd) {
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(a);
	must(bind(fd, (void *)&a, size) == 0 && getsockname(fd, (void *)&a, &size) == 0, "bind");
	return a;
}
static void many(void) {
	struct iovec part = {"hello", 5};
	char one[8], two[8];
	struct iovec places[] = {{one, 8}, {two, 8}};
	int to = socket(AF_INET, SOCK_DGRAM, 0), from = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in a = here(to), b = here(from), got[2];
	struct mmsghdr sent[2] = {{{&a, sizeof(a), &part, 1}}, {{&b, sizeof(b), &part, 1}}};
	struct mmsghdr taken[2] = {{{&got[0], sizeof(a), &places[0], 1}}, {{&got[1], sizeof(b)}}};
	printf("to udp 127.0.0.1:%d\nfrom udp 127.0.0.1:%d\n", ntohs(a.sin_port), ntohs(b.sin_port));
	must(syscall(SYS_sendmmsg, from, sent, 2, 0) == 2, "sendmmsg");
	must(syscall(SYS_recvmmsg, to, taken, 2, MSG_DONTWAIT, NULL) == 1, "recvmmsg");
	sent[0].msg_hdr.msg_name = NULL;
	must(syscall(SYS_sendmmsg, from, sent, 1, 0) == -1, "nowhere");
}
static void packets(void) {
	struct sockaddr_ll own = {AF_PACKET, htons(ETH_P_802_EX1), if_nametoindex("lo")};
	struct sockaddr_ll frame = {AF_PACKET, own.sll_protocol, own.sll_ifindex, 0, 0, 6, {2, 1}};
	struct sockaddr_ll got;
	struct ifreq lo = {.ifr_name = "lo"};
	socklen_t size = sizeof(got);
	char bytes[64];
	int udp = socket(AF_INET, SOCK_DGRAM, 0);
	must(ioctl(udp, SIOCGIFFLAGS, &lo) == 0 && lo.ifr_flags & IFF_UP, "the loopback interface");
	int raw = syscall(SYS_socket, AF_PACKET, SOCK_DGRAM, 0);
	must(raw >= 0, "AF_PACKET");
	printf("lo %d\n", own.sll_ifindex);
	must(syscall(SYS_bind, raw, &own, sizeof(own)) == 0, "bind");
	must(syscall(SYS_sendto, raw, "frame", 5, 0, &frame, sizeof(frame)) == 5, "sendto");
	must(syscall(SYS_recvfrom, raw, bytes, 64, 0, &got, &size) >= 5, "recvfrom");
	close(raw);
}
static void routes(void) {
	struct sockaddr_nl mine = {AF_NETLINK, 0, 0, 5}, peer = {AF_NETLINK, 0, 0, 1 << 2}, name;
	socklen_t size = sizeof(name);
	int fd = syscall(SYS_socket, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	must(syscall(SYS_bind, fd, &mine, sizeof(mine)) == 0, "bind");
	must(getsockname(fd, (void *)&name, &size) == 0, "name");
	printf("port %d\n", name.nl_pid);
	must(syscall(SYS_connect, fd, &peer, sizeof(peer)) == 0, "connect");
	must(getpeername(fd, (void *)&name, &size) == 0 && name.nl_groups == 1 << 2, "peer");
	close(fd);
}
static void machines(void) {
	struct sockaddr_vm mine = {AF_VSOCK, 0, VMADDR_PORT_ANY, VMADDR_CID_ANY};
	struct sockaddr_vm nobody = {AF_VSOCK, 0, 77, 1 << 20};
	socklen_t size = sizeof(mine);
	int fd = syscall(SYS_socket, AF_VSOCK, SOCK_STREAM, 0);
	if (fd < 0)
		return; /* the family is a module that is not there */
	fcntl(fd, F_SETFL, O_NONBLOCK);
	must(syscall(SYS_bind, fd, &mine, size) == 0 || errno == EADDRNOTAVAIL, "bind");
	must(getsockname(fd, (void *)&mine, &size) == 0, "name");
	printf("vsock %u\n", mine.svm_port);
	int error = syscall(SYS_connect, fd, &nobody, sizeof(nobody)) ? errno : 0;
	printf("under_way %d\n", error == EINPROGRESS);
	close(fd);
}
int main(void) {
	mark(); many();
	mark(); packets();
	mark(); routes();
	mark(); machines();
	return 0;
}
"""
CALLS = ("sendmmsg", "recvmmsg", "socket", "bind", "sendto", "recvfrom", "connect")


@pytest.mark.core
@pytest.mark.parametrize(("pairing", "probe_reads"), KINDS)
def test_many_messages_and_other_families_show_addresses(pairing: str, probe_reads: bool) -> None:
    keys = {"pairing": pairing, "probe_reads": probe_reads}
    traced = program(MESSAGES, families=["Network"], syscalls=["access"], **keys)
    fact = traced.facts()

    def rows(part: int) -> list[tuple[str, ...]]:
        names = ("syscall", "file", "old_file", "asked")
        return [
            tuple(re.sub(r"\[\d+\]", "[N]", r[name]) for name in names)
            for r in traced.after(part)
            if r["syscall"] in CALLS and (part > 1 or "mmsg" in r["syscall"])
        ]

    assert rows(1) == [
        ("sendmmsg", fact["from"], "", fact["to"]),
        ("recvmmsg", fact["to"], fact["from"], ""),
        ("sendmmsg", fact["from"], "", ""),
    ]
    own = f"packet 0x88b5 interface {fact['lo']}"
    assert [row for row in rows(2) if "packet" in row[1]] == [
        ("socket", "packet socket:[N]", "", ""),
        ("bind", own, "", ""),  # what it asked for
        ("sendto", own, "", f"{own} 02:01:00:00:00:00"),
        ("recvfrom", own, f"{own} 00:00:00:00:00:00", ""),
    ]
    mine = f"netlink route pid {fact['port']} groups 0x5"
    assert rows(3) == [
        ("socket", "netlink route socket:[N]", "", ""),
        ("bind", mine, "", "netlink route pid 0 groups 0x5"),
        ("connect", f"{mine} → pid 0 groups 0x4", "", "netlink route pid 0 groups 0x4"),
    ]
    if "vsock" not in fact:
        assert rows(4) == [("socket", "", "", "")]
        return
    mine, peer = f"vsock any:{fact['vsock']}", "1048576:77"
    assert rows(4) == [
        ("socket", "vsock socket:[N]", "", ""),
        ("bind", mine, "", "vsock any:any"),
        ("connect", f"{mine} → {peer}" if fact["under_way"] == "1" else mine, "", f"vsock {peer}"),
    ]
