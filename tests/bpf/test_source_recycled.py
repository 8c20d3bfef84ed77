"""A thread id that is given again, and clocks that are moved: nothing of another task is shown."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from tracing import MODES, WAITING, compiled, program, trace

from ior.errors import NoSuchTarget
from ior.pipeline.run import Run
from ior.sources.bpf.targets import Target

pytestmark = pytest.mark.kernel

RECYCLED = (
    WAITING
    + r"""
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
	until_in(first, SYS_read);
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
)


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


PAUSES = "int main(void) { pause(); }"
BORN_AS = r"""
/* A child with the number that is given makes calls until there is nothing more to read. */
#include <linux/sched.h>
#include <poll.h>
int main(int argc, char **argv) {
	pid_t pid = atoi(argv[1]);
	struct clone_args how = { .exit_signal = SIGCHLD, .set_tid = (long)&pid, .set_tid_size = 1 };
	struct pollfd ended = { 0, POLLIN };
	if (syscall(SYS_clone3, &how, sizeof(how)) == 0) {
		for (int i = 0; poll(&ended, 1, 1) == 0; i++) {
			syscall(SYS_access, "/by-another", 0);
			if (i == 20)
				must(puts("called") && fflush(stdout) == 0, "called");
		}
		_exit(0);
	}
	must(wait(NULL) == pid, "clone3");
	return 0;
}
"""


class Recycled:
    """A process that waits, and on demand another one in its place and with its number."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._first = stack.enter_context(subprocess.Popen([compiled(PAUSES)]))
        self.pid = self._first.pid
        compiled(BORN_AS)

    def replace(self) -> None:
        """End the process, and return when another one has its number and makes calls."""
        self._first.kill()
        self._first.wait()
        line, pipe = [compiled(BORN_AS), str(self.pid)], subprocess.PIPE
        second = self._stack.enter_context(subprocess.Popen(line, stdin=pipe, stdout=pipe))
        assert second.stdout is not None
        assert second.stdout.readline() == b"called\n"


@pytest.fixture
def recycled() -> Iterator[Recycled]:
    with ExitStack() as stack:
        found = Recycled(stack)
        yield found
        found._first.kill()


def test_a_number_that_is_given_again_before_the_trace_is_nobody(
    recycled: Recycled, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = Target.mark_before

    def late(self: Target, loaded: object) -> None:
        recycled.replace()
        mark(self, loaded)  # type: ignore[arg-type]

    monkeypatch.setattr(Target, "mark_before", late)
    with pytest.raises(NoSuchTarget):
        trace(pid=recycled.pid)


@pytest.mark.parametrize("pairing", MODES)
@pytest.mark.parametrize("target", ["pid", "tid"])
def test_a_number_that_is_given_again_is_not_traced(
    recycled: Recycled, target: str, pairing: str
) -> None:
    def another(_: Run) -> None:
        recycled.replace()

    traced = trace(**{target: recycled.pid}, on_start=another, pairing=pairing)
    assert traced.of("access") == []


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
