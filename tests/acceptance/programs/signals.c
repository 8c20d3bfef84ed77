/* Calls that signals interrupt: restarted by the kernel, or given up for EINTR. */
#include "raw.h"
#include <poll.h>

static int pipes[2];

static void handler(int number) { CALL(SYS_getppid); }

static void interrupted(int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
	struct timespec nap = {0, 50000000};
	struct pollfd polled = {pipes[0], POLLIN, 0};
	char byte;

	sigaction(SIGUSR1, &action, NULL);
	int pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 3; i++) {
			nanosleep(&nap, NULL);
			kill(getppid(), SIGUSR1);
		}
		nanosleep(&nap, NULL);
		kill(getppid(), SIGCONT);
		nanosleep(&nap, NULL);
		CALL(SYS_write, pipes[1], "x", 1);
		_exit(0);
	}
	while (CALL(SYS_read, pipes[0], &byte, 1) < 0)
		;
	waitpid(pid, NULL, 0);
	pid = fork();
	if (pid == 0) {
		nanosleep(&nap, NULL);
		kill(getppid(), SIGUSR1);
		nanosleep(&nap, NULL);
		CALL(SYS_write, pipes[1], "x", 1);
		_exit(0);
	}
	while (CALL(SYS_poll, &polled, 1, -1) < 0)
		;
	CALL(SYS_read, pipes[0], &byte, 1);
	while (waitpid(pid, NULL, 0) < 0)
		;
}

int main(void)
{
	CALL(SYS_pipe, pipes);
	interrupted(SA_RESTART);
	interrupted(0);
	return 0;
}
