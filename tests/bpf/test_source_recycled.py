"""A thread id that is given again, and clocks that are moved: nothing of another task is shown."""

from __future__ import annotations

import time

import pytest
from tracing import MODES, program

pytestmark = pytest.mark.kernel

RECYCLED = r"""
#include <linux/sched.h>
static pid_t born_as(pid_t pid) {
	struct clone_args how = { .exit_signal = SIGCHLD, .set_tid = (long)&pid, .set_tid_size = 1 };
	return syscall(SYS_clone3, &how, sizeof(how));
}
int main(int argc, char **argv) {
	int ends[2];
	char byte;
	must(pipe(ends) == 0, "pipe");
	pid_t first = fork();
	if (first == 0) {
		prctl(PR_SET_NAME, "first");
		syscall(SYS_access, "/by-the-first", 0);
		syscall(SYS_read, ends[0], &byte, 1); /* killed in here */
		_exit(1);
	}
	usleep(30000);
	kill(first, SIGKILL);
	waitpid(first, NULL, 0);
	pid_t second = born_as(first);
	if (second == 0) {
		syscall(SYS_access, "/by-the-second", 0);
		syscall(SYS_access, "/by-the-second", 0);
		_exit(0);
	}
	must(second == first, "clone3");
	waitpid(second, NULL, 0);
	printf("pid %d\n", first);
	return 0;
}
"""


@pytest.mark.parametrize("pairing", MODES)
def test_a_recycled_thread_id_inherits_nothing(pairing: str) -> None:
    traced = program(RECYCLED, pairing=pairing, syscalls=["access", "read"])
    pid = int(traced.facts()["pid"])
    rows = traced.of("access", "read", tid=pid)
    assert [(row["file"], row["comm"] == "first") for row in rows] == [
        ("/by-the-first", True),
        ("/by-the-second", False),
        ("/by-the-second", False),
    ]
    assert [row["gap_ns"] is None for row in rows] == [True, True, False]
    assert rows[1]["latency_ns"] < 10_000_000
    assert len(traced.unmatched) == 1


MOVED_CLOCKS = r"""
int main(int argc, char **argv) {
	must(unshare(CLONE_NEWTIME) == 0, "unshare");
	int fd = open("/proc/self/timens_offsets", O_WRONLY);
	must(write(fd, "boottime 1000000 0", 18) == 18, "offsets");
	if (fork() == 0) {
		struct timespec now;
		clock_gettime(CLOCK_BOOTTIME, &now);
		printf("moved %ld\n", now.tv_sec);
		fflush(stdout);
		syscall(SYS_access, "/in-another-time", 0);
		_exit(0);
	}
	wait(NULL);
	return 0;
}
"""


@pytest.mark.parametrize("pairing", MODES)
def test_times_are_the_hosts_inside_a_time_namespace(pairing: str) -> None:
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    source = "#ifndef CLONE_NEWTIME\n#define CLONE_NEWTIME 0x80\n#endif\n" + MOVED_CLOCKS
    traced = program(source, pairing=pairing, syscalls=["access"])
    after = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert int(traced.facts()["moved"]) * 10**9 > after
    (row,) = traced.of("access", file="/in-another-time")
    assert before < row["time_ns"] < after
