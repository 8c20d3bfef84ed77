"""Calls and signals: what is one row, what is two, and what is none."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from tracing import MARK, MODES, WAITING, Traced, compiled, program, trace

from ior.pipeline.run import Run
from ior.syscalls import table

pytestmark = [pytest.mark.kernel, pytest.mark.core]

PAUSE = table().nr("pause")

SIGNALLER = (
    WAITING
    + r"""
/* Have this process get SIGALRM, so many times, when it has been in a call for a while. */
static void alarm_in(int nr, int times, volatile int *handled) {
	pid_t self = getpid();
	if (fork())
		return;
	for (int i = 1; i <= times; i++) {
		until_in(self, nr);
		usleep(20000);
		kill(self, SIGALRM);
		while (i < times && *handled < i)
			usleep(1000);
	}
	_exit(0);
}
"""
)

HANDLED = (
    SIGNALLER
    + r"""
static int ends[2];
static char byte;
static void nothing(int sig) { getppid(); syscall(SYS_access, "/in-handler", 0); }
static void feeds(int sig) { syscall(SYS_access, "/feeds", 0); write(ends[1], "x", 1); }
static void handle(int sig, void (*handler)(int), int flags) {
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };
	sigaction(sig, &action, NULL);
}
int main(int argc, char **argv) {
	stack_t stack = { .ss_sp = malloc(65536), .ss_size = 65536 };
	sigaltstack(&stack, NULL);
	must(pipe(ends) == 0, "pipe");
	mark(); /* 1: ends in EINTR */
	handle(SIGALRM, nothing, 0);
	alarm_in(SYS_read, 1, NULL);
	printf("eintr %ld\n", syscall(SYS_read, ends[0], &byte, 1));
	mark(); /* 2: restarted by the kernel */
	handle(SIGALRM, feeds, SA_RESTART);
	alarm_in(SYS_read, 1, NULL);
	printf("restarted %ld\n", syscall(SYS_read, ends[0], &byte, 1));
	mark(); /* 3: the same on another stack */
	handle(SIGALRM, feeds, SA_RESTART | SA_ONSTACK);
	alarm_in(SYS_read, 1, NULL);
	printf("restarted %ld\n", syscall(SYS_read, ends[0], &byte, 1));
	mark(); /* 4: a sleep has no restart with a handler */
	handle(SIGALRM, nothing, SA_RESTART);
	struct timespec long_ = { 1000, 0 };
	alarm_in(SYS_nanosleep, 1, NULL);
	syscall(SYS_nanosleep, &long_, NULL);
	return 0;
}
"""
)


def own(traced: Traced, mark: int = 1) -> list[dict[str, Any]]:
    """Return the rows behind a mark, of the process that set it."""
    pid = traced.of("access", file=MARK)[0]["pid"]
    return [row for row in traced.after(mark) if row["pid"] == pid]


@pytest.mark.parametrize("pairing", MODES)
def test_handlers(pairing: str) -> None:
    traced = program(HANDLED, pairing=pairing, syscalls=["read", "write", "access", "nanosleep"])

    def rows(part: int) -> list[tuple[Any, ...]]:
        wanted = [r for r in own(traced, part) if r["fd"] != 1]
        return [(r["syscall"], r["ret"], r["errno"], r["restarts"]) for r in wanted]

    assert rows(1) == [("read", -4, "EINTR", 0), ("access", -2, "ENOENT", 0)]
    for part in (2, 3):
        # In the order of their returns; the read began first.
        assert rows(part) == [
            ("access", -2, "ENOENT", 0),
            ("write", 1, "", 0),
            ("read", 1, "", 1),
        ]
        access, _, read = (r for r in own(traced, part) if r["fd"] != 1)
        assert read["time_ns"] < access["time_ns"]
        assert read["latency_ns"] > 15_000_000
    assert rows(4) == [("nanosleep", -4, "EINTR", 0), ("access", -2, "ENOENT", 0)]
    assert not traced.unmatched


NESTED = (
    SIGNALLER
    + r"""
/* The handler makes the call that it has interrupted, by the same instruction, deeper down. */
static int ends[2];
static char byte;
static void again(int sig) {
	write(ends[1], "xy", 2);
	syscall(SYS_read, ends[0], &byte, 1);
}
int main(int argc, char **argv) {
	struct sigaction action = { .sa_handler = again, .sa_flags = SA_RESTART };
	sigaction(SIGALRM, &action, NULL);
	must(pipe(ends) == 0, "pipe");
	mark();
	alarm_in(SYS_read, 1, NULL);
	must(syscall(SYS_read, ends[0], &byte, 1) == 1 && byte == 'y', "read");
	return 0;
}
"""
)


@pytest.mark.parametrize("pairing", MODES)
def test_the_same_call_in_a_handler_is_a_row_of_its_own(pairing: str) -> None:
    traced = program(NESTED, pairing=pairing, syscalls=["read", "write", "access"])
    rows = [(r["syscall"], r["ret"], r["restarts"]) for r in own(traced)]
    assert rows == [("write", 2, 0), ("read", 1, 0), ("read", 1, 1)]
    _, inner, outer = own(traced)
    assert inner["latency_ns"] < outer["latency_ns"]
    assert outer["latency_ns"] > 15_000_000
    assert not traced.unmatched


JUMP = (
    SIGNALLER
    + r"""
static sigjmp_buf place;
static int ends[2];
static char byte;
static volatile int jumped;
static void jumps(int sig) { if (!jumped++) siglongjmp(place, 1); }
int main(int argc, char **argv) {
	struct sigaction action = { .sa_handler = jumps, .sa_flags = SA_RESTART };
	sigaction(SIGALRM, &action, NULL);
	must(pipe(ends) == 0, "pipe");
	mark();
	alarm_in(SYS_read, 1, NULL);
	if (sigsetjmp(place, 1))
		write(ends[1], "x", 1);
	/* After the jump this is the same call from the same place: not its restart. */
	printf("%ld\n", syscall(SYS_read, ends[0], &byte, 1));
	return 0;
}
"""
)


@pytest.mark.parametrize("pairing", MODES)
def test_a_jump_out_of_a_handler_is_no_restart(pairing: str) -> None:
    traced = program(JUMP, pairing=pairing, syscalls=["read", "write", "access"])
    rows = [r for r in own(traced) if r["fd"] != 1]
    assert [(r["syscall"], r["ret"], r["restarts"]) for r in rows] == [
        ("write", 1, 0),
        ("read", -512, 0),
        ("read", 1, 0),
    ]
    assert rows[2]["time_ns"] > rows[0]["time_ns"]
    assert not rows[1]["is_error"]
    assert rows[1]["latency_ns"] > 15_000_000


TWICE = (
    SIGNALLER
    + r"""
static int ends[2];
static char byte;
static volatile int *handled;
static void nothing(int sig) { if (++*handled == 3) write(ends[1], "x", 1); }
int main(int argc, char **argv) {
	struct sigaction action = { .sa_handler = nothing, .sa_flags = SA_RESTART };
	handled = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	sigaction(SIGALRM, &action, NULL);
	must(pipe(ends) == 0, "pipe");
	mark();
	alarm_in(SYS_read, 3, handled);
	printf("%ld\n", syscall(SYS_read, ends[0], &byte, 1));
	return 0;
}
"""
)


@pytest.mark.parametrize("pairing", MODES)
def test_restarts_are_counted(pairing: str) -> None:
    traced = program(TWICE, pairing=pairing, syscalls=["read", "access"])
    (read,) = own(traced)
    assert (read["ret"], read["restarts"]) == (1, 3)
    assert read["latency_ns"] > 55_000_000


STOPPED = (
    SIGNALLER
    + r"""
static void stop_in(pid_t pid, int nr) {
	until_in(pid, nr);
	kill(pid, SIGSTOP);
	until(pid, "stat", ") T ");
	usleep(20000);
	kill(pid, SIGCONT);
}
int main(int argc, char **argv) {
	struct timespec time = { 2, 0 };
	int ends[2];
	char byte;
	must(pipe(ends) == 0, "pipe");
	pid_t self = getpid();
	if (fork() == 0) {
		stop_in(self, SYS_nanosleep);
		stop_in(self, SYS_read);
		write(ends[1], "x", 1);
		_exit(0);
	}
	mark();
	syscall(SYS_nanosleep, &time, NULL);
	syscall(SYS_read, ends[0], &byte, 1);
	return 0;
}
"""
)


@pytest.mark.parametrize("pairing", MODES)
def test_a_stop_in_a_call_makes_no_second_row(pairing: str) -> None:
    traced = program(STOPPED, pairing=pairing, syscalls=["nanosleep", "read", "access"])
    sleep, read = own(traced)
    assert (sleep["syscall"], sleep["ret"], sleep["restarts"]) == ("nanosleep", 0, 1)
    assert sleep["latency_ns"] >= 2_000_000_000
    assert (read["syscall"], read["ret"], read["restarts"]) == ("read", 1, 1)
    assert not traced.unmatched


KILLED = (
    SIGNALLER
    + r"""
int main(int argc, char **argv) {
	int ends[2];
	char byte;
	must(pipe(ends) == 0, "pipe");
	mark();
	pid_t child = fork();
	if (child == 0) {
		write(ends[1], "r", 1);
		close(ends[1]);
		syscall(SYS_read, ends[0], &byte, 1);
		syscall(SYS_flock, ends[0], 0);
		pause();
		syscall(SYS_read, ends[0], &byte, 1);
	}
	until_in(child, SYS_pause);
	kill(child, SIGKILL);
	wait(NULL);
	return 0;
}
"""
)


@pytest.mark.parametrize("pairing", MODES)
def test_a_task_killed_inside_a_call_leaves_no_row_but_a_half(pairing: str) -> None:
    traced = program(KILLED, pairing=pairing, syscalls=["read", "pause", "flock", "access"])
    parent = traced.of("access", file=MARK)[0]["pid"]
    assert [r["syscall"] for r in traced.after() if r["pid"] != parent] == ["read", "flock"]
    assert traced.ledger.kernel["in_flight"] == 0
    (left,) = traced.unmatched
    assert (left["nr"], left["ret"], left["cause"]) == ("pause", -514, "thread ended")


def waits(pid: int) -> bool:
    """Wait until a process is inside pause; tell whether it got there."""
    for _ in range(1000):
        if Path(f"/proc/{pid}/syscall").read_text("ascii").startswith(f"{PAUSE} "):
            return True
        time.sleep(0.005)
    return False


PAUSES = r"""
static void nothing(int sig) {}
int main(void) {
	struct sigaction action = { .sa_handler = nothing };
	sigaction(SIGUSR1, &action, NULL);
	for (;;)
		syscall(SYS_pause);
}
"""


@pytest.mark.parametrize("pairing", MODES)
def test_calls_in_flight_at_the_start_and_at_the_end_make_no_rows(pairing: str) -> None:
    pid = os.posix_spawn(compiled(PAUSES), ["it"], {})

    def when_started(run: Run) -> None:
        assert waits(pid)
        os.kill(pid, signal.SIGUSR1)  # ends the call that began before; the next begins
        time.sleep(0.05)
        assert waits(pid)
        run.stop()

    try:
        assert waits(pid)
        traced = trace(pid=pid, on_start=when_started, pairing=pairing, syscalls=["pause"])
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert not traced.rows
    assert traced.ledger.kernel["in_flight"] == 1
    assert traced.causes["in flight at start"] == 1
    assert set(traced.causes) <= {"in flight at start", "in flight at end"}


SECCOMP = r"""
#include <linux/filter.h>
#include <linux/seccomp.h>
int main(int argc, char **argv) {
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_chdir, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog all = { 4, filter };
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "privileges");
	mark();
	must(syscall(SYS_chdir, "/") == 0, "chdir");
	must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all) == 0, "seccomp");
	for (int i = 0; i < 3; i++)
		must(syscall(SYS_chdir, "/") == -1, "denied");
	struct stat st;
	syscall(SYS_stat, "/", &st);
	return 0;
}
"""


@pytest.mark.parametrize("pairing", MODES)
def test_a_call_that_seccomp_denied_is_counted_and_no_row(pairing: str) -> None:
    traced = program(SECCOMP, pairing=pairing)
    assert [r["syscall"] for r in traced.after()] == ["chdir", "stat"]
    assert traced.causes == {"denied": 3}
    assert all(row["ret"] == -1 for row in traced.unmatched)


COMPAT = r"""
static long compat(long number, long a, long b, long c) {
	long result;
	asm volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c)
                 : "memory", "r8", "r9", "r10", "r11");
	return result;
}
int main(int argc, char **argv) {
	mark();
	/* 4 is write there and stat here, 6 is close there and lstat here */
	for (int i = 0; i < 5; i++)
		must(compat(4, 99, 0, 0) == -EBADF, "compat");
	must(compat(6, 99, 0, 0) == -EBADF, "compat");
	syscall(SYS_chdir, "/");
	return 0;
}
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="int 0x80 is x86's")
@pytest.mark.parametrize("pairing", MODES)
def test_32_bit_calls_are_counted_and_never_shown(pairing: str) -> None:
    traced = program(COMPAT, pairing=pairing)
    assert [r["syscall"] for r in traced.after()] == ["chdir"]
    assert traced.ledger.kernel["compat"] == 6
    assert not traced.unmatched
