/* Every call of the family Polling, and of waiting. */
#include "raw.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

int main(void)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = 1}, found[4];
	struct timespec none = {0, 0}, some = {0, 2000000}, long_time = {1, 500000000};
	struct timeval moment = {0, 3000}, at_once = {0, 0};
	struct pollfd polled[2];
	uint64_t mask = 0;
	int pipe[2];
	fd_set set;
	struct { void *mask; size_t size; } no_mask = {NULL, 8};

	CALL(SYS_pipe, pipe);
	int queue = CALL(SYS_epoll_create, 1);
	CALL(SYS_epoll_create, 0);
	int other = CALL(SYS_epoll_create1, EPOLL_CLOEXEC);
	CALL(SYS_epoll_ctl, queue, EPOLL_CTL_ADD, pipe[0], &event);
	CALL(SYS_epoll_ctl, queue, EPOLL_CTL_ADD, pipe[0], &event);
	CALL(SYS_epoll_ctl, queue, EPOLL_CTL_ADD, other, &event);
	event.events = EPOLLIN | EPOLLOUT | EPOLLONESHOT;
	CALL(SYS_epoll_ctl, queue, EPOLL_CTL_MOD, pipe[0], &event);
	CALL(SYS_epoll_ctl, queue, EPOLL_CTL_DEL, other, NULL);
	CALL(SYS_epoll_ctl, queue, EPOLL_CTL_DEL, 999, NULL);
	CALL(SYS_epoll_wait, queue, found, 4, 0);
	CALL(SYS_epoll_pwait, queue, found, 3, 2, &mask, 8);
	CALL(SYS_epoll_pwait2, queue, found, 2, &some, NULL, 0);
	CALL(SYS_write, pipe[1], "x", 1);
	CALL(SYS_epoll_wait, queue, found, 4, -1);
	CALL(SYS_epoll_pwait2, other, found, 2, &none, NULL, 0);
	CALL(SYS_epoll_wait, 998, found, 4, 7);
	CALL(SYS_epoll_wait, queue, found, 0, 7);
	polled[0] = (struct pollfd){pipe[0], POLLIN, 0};
	polled[1] = (struct pollfd){pipe[1], POLLOUT, 0};
	CALL(SYS_poll, polled, 2, -1);
	CALL(SYS_poll, polled, 0, 2);
	CALL(SYS_poll, polled, 2, 0);
	CALL(SYS_ppoll, polled, 2, NULL, NULL, 0);
	CALL(SYS_ppoll, polled, 1, &long_time, NULL, 0);
	CALL(SYS_ppoll, polled, 0, &some, NULL, 0);
	FD_ZERO(&set);
	FD_SET(pipe[0], &set);
	CALL(SYS_select, pipe[0] + 1, &set, NULL, NULL, NULL);
	CALL(SYS_select, 0, NULL, NULL, NULL, &moment);
	CALL(SYS_select, pipe[0] + 1, &set, NULL, NULL, &at_once);
	CALL(SYS_select, -1, NULL, NULL, NULL, &at_once);
	CALL(SYS_pselect6, pipe[0] + 1, &set, NULL, NULL, NULL, NULL);
	CALL(SYS_pselect6, pipe[0] + 1, &set, NULL, NULL, &long_time, &no_mask);
	CALL(SYS_pselect6, 0, NULL, NULL, NULL, &some, NULL);
	CALL(SYS_nanosleep, &some, NULL);
	CALL(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &some, NULL);
	CALL(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &none, NULL);
	return 0;
}
