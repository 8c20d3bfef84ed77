/* Every call of the family Network. */
#include "raw.h"
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

static char buffer[4096];

/* Call `connect`, exchange over whatever socket it is, and shut down. */
static void stream(int family, void *address, socklen_t size)
{
	socklen_t length = sizeof(buffer);
	struct iovec part = {"hello", 5}, place = {buffer, 64};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	struct mmsghdr many[2] = {{{.msg_iov = &part, .msg_iovlen = 1}}, {{.msg_iov = &part, .msg_iovlen = 1}}};
	struct mmsghdr got[2] = {{{.msg_iov = &place, .msg_iovlen = 1}}, {{.msg_iov = &place, .msg_iovlen = 1}}};
	struct timespec wait = {0, 1000000};
	int one = 1;

	int listener = CALL(SYS_socket, family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CALL(SYS_setsockopt, listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	CALL(SYS_bind, listener, address, size);
	CALL(SYS_bind, listener, address, size);
	CALL(SYS_listen, listener, 3);
	CALL(SYS_getsockname, listener, address, &size);
	int client = CALL(SYS_socket, family, SOCK_STREAM, 0);
	CALL(SYS_getpeername, client, buffer, &length);
	CALL(SYS_connect, client, address, size);
	length = sizeof(buffer);
	int server = CALL(SYS_accept, listener, buffer, &length);
	CALL(SYS_getpeername, server, buffer, &length);
	CALL(SYS_getsockopt, client, SOL_SOCKET, SO_TYPE, buffer, &length);
	CALL(SYS_sendto, client, "abc", 3, MSG_NOSIGNAL, NULL, 0);
	CALL(SYS_recvfrom, server, buffer, 100, MSG_PEEK, NULL, NULL);
	CALL(SYS_recvfrom, server, buffer, 100, 0, NULL, NULL);
	CALL(SYS_recvfrom, server, buffer, 100, MSG_DONTWAIT, NULL, NULL);
	CALL(SYS_sendmsg, client, &message, MSG_NOSIGNAL);
	message.msg_iov = &place;
	CALL(SYS_recvmsg, server, &message, MSG_DONTWAIT);
	CALL(SYS_sendmmsg, client, many, 2, MSG_NOSIGNAL);
	CALL(SYS_recvmmsg, server, got, 1, MSG_DONTWAIT, NULL);
	CALL(SYS_recvmmsg, server, got, 2, MSG_DONTWAIT, &wait);
	CALL(SYS_write, server, "xyz", 3);
	CALL(SYS_read, client, buffer, 10);
	int second = CALL(SYS_socket, family, SOCK_STREAM, 0);
	CALL(SYS_connect, second, address, size);
	CALL(SYS_accept4, listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	CALL(SYS_accept4, listener, NULL, NULL, 0x123);
	CALL(SYS_shutdown, client, SHUT_WR);
	CALL(SYS_read, server, buffer, 10);
	CALL(SYS_close, server);
	CALL(SYS_close, client);
	CALL(SYS_close, listener);
}

static void datagrams(void)
{
	struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(here), length = sizeof(buffer);

	int receiver = CALL(SYS_socket, AF_INET, SOCK_DGRAM, IPPROTO_UDP);
	CALL(SYS_bind, receiver, &here, sizeof(here));
	CALL(SYS_getsockname, receiver, &here, &size);
	int sender = CALL(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	CALL(SYS_sendto, sender, "datagram", 8, 0, &here, sizeof(here));
	CALL(SYS_recvfrom, receiver, buffer, 4, MSG_TRUNC, buffer + 64, &length);
	CALL(SYS_connect, sender, &here, sizeof(here));
	int route = CALL(SYS_socket, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	CALL(SYS_close, route);
	CALL(SYS_socket, 99, SOCK_STREAM, 0);
	CALL(SYS_connect, 999, &here, sizeof(here));
	CALL(SYS_recvfrom, 0, buffer, 1, 0, NULL, NULL);
}

static void transfers(void)
{
	struct iovec part = {buffer, 16};
	int pair[2], none[2], ends[2], others[2];
	long offset = 3;

	CALL(SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair);
	CALL(SYS_socketpair, 99, SOCK_STREAM, 0, none);
	CALL(SYS_socketpair, AF_UNIX, SOCK_STREAM, 6, none);
	int file = CALL(SYS_open, "sent", O_RDWR | O_CREAT, 0600);
	CALL(SYS_write, file, "0123456789", 10);
	CALL(SYS_pipe, ends);
	CALL(SYS_pipe, others);
	CALL(SYS_sendfile, pair[0], file, &offset, 4);
	CALL(SYS_sendfile, pair[0], 999, NULL, 4);
	CALL(SYS_read, pair[1], buffer, 64);
	offset = 0;
	CALL(SYS_splice, file, &offset, ends[1], NULL, 10, 1);
	CALL(SYS_tee, ends[0], others[1], 10, 2);
	CALL(SYS_splice, ends[0], NULL, pair[0], NULL, 10, 0);
	CALL(SYS_vmsplice, ends[1], &part, 1, 2);
	CALL(SYS_splice, 998, NULL, ends[1], NULL, 1, 0);
}

int main(void)
{
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_un path = {.sun_family = AF_UNIX, .sun_path = "socket"};

	stream(AF_INET, &four, sizeof(four));
	stream(AF_INET6, &six, sizeof(six));
	stream(AF_UNIX, &path, sizeof(path.sun_family) + 7);
	datagrams();
	transfers();
	return 0;
}
