"""What calls ask for: the columns that arguments fill, against programs that say them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tracing import MODES, Traced, program

from ior import kinds, syscalls
from ior.kinds import COLUMNS, INFINITE_NS
from ior.sources.bpf import selection

pytestmark = pytest.mark.kernel

ALL = {"families": list(syscalls.table().families)}
MS, S = 1_000_000, 1_000_000_000
O_RDWR, O_CREAT, O_NONBLOCK, O_CLOEXEC = 2, 0o100, 0o4000, 0o2000000


def said(traced: Traced) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each call behind the mark, and the columns that its arguments fill."""
    empty = {"address_space_bytes": 0}
    for row in traced.after():
        filled = {n: row[n] for n in COLUMNS if row[n] != empty.get(n)}
        yield row["syscall"], filled


def test_words_are_the_arguments_that_the_table_says() -> None:
    table, described = syscalls.table(), selection.descriptions()
    for row in kinds.table():
        nr = table.nr(row.syscall)
        made_up = row.argument < 0 or row.syscall == "creat"
        if nr < 0 or made_up:
            continue
        how = described[nr]
        if how["how"] & selection.MEMORY and row.argument == how["memory"]:
            size = 2 if how["memory_size"] == 16 else 1
            assert how["memory_word"] <= row.word < how["memory_word"] + size, row
        else:
            assert how["words"][row.word] == row.argument, row
            if how["how"] & selection.MEMORY:
                assert row.word not in (how["memory_word"], how["memory_word"] + 1), row


FILES = r"""
int main(int argc, char **argv) {
	char buf[64];
	must(chdir(argv[1]) == 0, "chdir");
	mark();
	int fd = syscall(SYS_open, "file", O_RDWR | O_CREAT, 0640);
	syscall(SYS_openat, AT_FDCWD, "file", O_RDONLY | O_CLOEXEC, 0777);
	syscall(SYS_creat, "made", 0604);
	struct open_how how = { .flags = O_WRONLY | O_CREAT, .mode = 0600 };
	syscall(SYS_openat2, AT_FDCWD, "file", &how, sizeof(how));
	pwrite(fd, "hello", 5, 1L << 33);
	pread(fd, buf, 7, 1L << 33);
	lseek(fd, -3, SEEK_END);
	lseek(fd, -1, SEEK_SET);
	write(fd, "ab", 2);
	ftruncate(fd, 1L << 32);
	fallocate(fd, 1, 4096, 8192);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(fd, F_GETFD);
	syscall(SYS_ioctl, fd, 0x5413, buf);
	flock(fd, 2 | 4);
	fchmod(fd, 0600);
	mkdir("sub", 0750);
	unlinkat(AT_FDCWD, "sub", AT_REMOVEDIR);
	syscall(SYS_access, "file", R_OK | W_OK);
	syscall(SYS_faccessat2, AT_FDCWD, "file", X_OK, AT_EACCESS);
	renameat2(AT_FDCWD, "file", AT_FDCWD, "moved", 1);
	copy_file_range(fd, NULL, fd, NULL, 12, 0);
	syscall(SYS_close_range, 40, ~0U, 4);
	fsetxattr(fd, "user.a", "abc", 3, XATTR_CREATE);
	return 0;
}
"""


@pytest.mark.core
@pytest.mark.parametrize("pairing", MODES)
def test_files(tmp_path: Path, pairing: str) -> None:
    traced = program(FILES, str(tmp_path), pairing=pairing, **ALL)
    assert list(said(traced))[:25] == [
        ("open", {"call_flags": O_RDWR | O_CREAT, "mode": 0o640}),
        ("openat", {"call_flags": O_CLOEXEC}),  # makes no file: its mode means nothing
        ("creat", {"call_flags": 0o1101, "mode": 0o604}),
        ("openat2", {"call_flags": 0o101, "mode": 0o600}),
        ("pwrite64", {"requested_bytes": 5, "offset": 1 << 33}),
        ("pread64", {"requested_bytes": 7, "offset": 1 << 33}),
        ("lseek", {"offset": -3, "op": 2}),
        ("lseek", {"offset": -1, "op": 0}),
        ("write", {"requested_bytes": 2}),
        ("ftruncate", {"requested_bytes": 1 << 32}),
        ("fallocate", {"call_flags": 1, "offset": 4096, "requested_bytes": 8192}),
        ("fcntl", {"op": 4, "call_flags": O_NONBLOCK}),
        ("fcntl", {"op": 2, "call_flags": 1}),
        ("fcntl", {"op": 1}),
        ("ioctl", {"op": 0x5413}),
        ("flock", {"op": 6}),
        ("fchmod", {"mode": 0o600}),
        ("mkdir", {"mode": 0o750}),
        ("unlinkat", {"call_flags": 0x200}),
        ("access", {"mode": 6}),
        ("faccessat2", {"mode": 1, "call_flags": 0x200}),
        ("renameat2", {"call_flags": 1}),
        ("copy_file_range", {"requested_bytes": 12, "call_flags": 0}),
        ("close_range", {"first_fd": 40, "last_fd": 2**32 - 1, "call_flags": 4}),
        ("fsetxattr", {"requested_bytes": 3, "call_flags": 1}),
    ]


WAITS = r"""
#include <poll.h>
#include <time.h>
#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/select.h>
static struct timespec *fresh(int fd) {
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
}
int main(int argc, char **argv) {
	struct timespec ms2 = { 0, 2000000 }, left = ms2, now, none = { 0, 0 };
	struct timespec bad = { -1, 0 };
	struct timeval ms3 = { 0, 3000 };
	struct epoll_event event = { .events = EPOLLIN | EPOLLPRI }, events[4];
	struct pollfd p = { .fd = 0 };
	int words[4] = { 0 }, times = open(argv[1], O_RDONLY);
	int ep = epoll_create1(EPOLL_CLOEXEC), ev = eventfd(1, EFD_NONBLOCK);
	fd_set set;
	FD_ZERO(&set);
	clock_gettime(CLOCK_MONOTONIC, &now);
	now.tv_sec += 1;
	struct timespec *before = fresh(times), *later = fresh(times), *last = fresh(times);
	mark();
	syscall(SYS_nanosleep, &ms2, NULL);
	syscall(SYS_nanosleep, &bad, NULL);
	syscall(SYS_nanosleep, NULL, NULL);
	syscall(SYS_nanosleep, before, NULL);
	syscall(SYS_clock_nanosleep, CLOCK_REALTIME, 0, &ms2, NULL);
	syscall(SYS_poll, &p, 0, 5);
	syscall(SYS_poll, NULL, 0, 0);
	syscall(SYS_ppoll, NULL, 0, &left, NULL, 8);
	syscall(SYS_ppoll, NULL, 0, (void *)8, NULL, 8);
	syscall(SYS_ppoll, NULL, 0, later, NULL, 8);
	syscall(SYS_epoll_pwait2, ep, events, 1, last, NULL, 8);
	syscall(SYS_select, 0, NULL, NULL, NULL, &ms3);
	syscall(SYS_pselect6, 0, NULL, NULL, NULL, &none, NULL);
	syscall(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, ev, &event);
	syscall(SYS_epoll_wait, ep, events, 4, -1);
	syscall(SYS_epoll_pwait, ep, events, 3, 7, NULL, 8);
	syscall(SYS_epoll_pwait2, ep, events, 2, NULL, NULL, 8);
	syscall(SYS_epoll_pwait2, ep, events, 2, &ms2, NULL, 8);
	syscall(SYS_epoll_ctl, ep, EPOLL_CTL_DEL, ev, NULL);
	syscall(SYS_futex, words, FUTEX_WAIT_PRIVATE, 0, &ms2);
	syscall(SYS_futex, words, FUTEX_WAIT, 1, NULL);
	syscall(SYS_futex, words, FUTEX_WAKE, 1, 5);
	syscall(SYS_futex, words, FUTEX_WAIT_BITSET, 1, &now, NULL, -1);
	syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &now, NULL);
	return 0;
}
"""


@pytest.mark.parametrize("pairing", MODES)
def test_waits(tmp_path: Path, pairing: str) -> None:
    path = tmp_path / "times"
    path.write_bytes((0).to_bytes(8, "little") + (4 * MS).to_bytes(8, "little"))
    traced = program(WAITS, str(path), pairing=pairing, **ALL)
    found = list(said(traced))[:24]
    until = found.pop()
    assert found == [
        ("nanosleep", {"requested_sleep_ns": 2 * MS}),
        ("nanosleep", {}),
        ("nanosleep", {}),
        ("nanosleep", {"requested_sleep_ns": 4 * MS}),  # was not resident at enter
        ("clock_nanosleep", {"op": 0, "call_flags": 0, "requested_sleep_ns": 2 * MS}),
        ("poll", {"nfds": 0, "timeout_ns": 5 * MS}),
        ("poll", {"nfds": 0, "timeout_ns": 0}),
        ("ppoll", {"nfds": 0, "timeout_ns": 2 * MS}),
        ("ppoll", {"nfds": 0}),  # cannot be read: unknown
        ("ppoll", {"nfds": 0}),  # at exit it would be what is left
        ("epoll_pwait2", {"nfds": 1, "timeout_ns": 4 * MS}),
        ("select", {"nfds": 0, "timeout_ns": 3 * MS}),
        ("pselect6", {"nfds": 0, "timeout_ns": 0}),
        ("epoll_ctl", {"epoll_op": 1, "epoll_target_fd": 5, "epoll_events": 3}),
        ("epoll_wait", {"nfds": 4, "timeout_ns": INFINITE_NS}),
        ("epoll_pwait", {"nfds": 3, "timeout_ns": 7 * MS}),
        ("epoll_pwait2", {"nfds": 2, "timeout_ns": INFINITE_NS}),
        ("epoll_pwait2", {"nfds": 2, "timeout_ns": 2 * MS}),
        ("epoll_ctl", {"epoll_op": 2, "epoll_target_fd": 5}),
        ("futex", {"op": 128, "timeout_ns": 2 * MS}),
        ("futex", {"op": 0, "timeout_ns": INFINITE_NS}),
        ("futex", {"op": 1}),
        ("futex", {"op": 9}),  # until a point in time
    ]
    assert until[0] == "clock_nanosleep"
    assert until[1].pop("requested_sleep_ns") == pytest.approx(0.96 * S, rel=0.05)
    assert until[1] == {"op": 1, "call_flags": 1}


MEMORY = r"""
int main(void) {
	char *p, *old = sbrk(0);
	mark();
	p = mmap(NULL, 5000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(p, 8192, PROT_READ);
	p = mremap(p, 5000, 9000, MREMAP_MAYMOVE);
	madvise(p, 100, MADV_DONTNEED);
	munmap(p, 9000);
	syscall(SYS_brk, 0);
	syscall(SYS_brk, old + 10000);
	syscall(SYS_brk, old + 10001);
	syscall(SYS_brk, old);
	syscall(SYS_brk, 8);
	return 0;
}
"""


@pytest.mark.core
@pytest.mark.parametrize("pairing", MODES)
def test_memory(pairing: str) -> None:
    traced = program(MEMORY, pairing=pairing, **ALL)
    assert list(said(traced))[:11] == [
        ("mmap", {"address_space_bytes": 8192, "prot": 3, "call_flags": 0x22, "offset": 0}),
        ("mmap", {"prot": 1, "call_flags": 0x22, "offset": 0}),
        ("mprotect", {"requested_bytes": 8192, "prot": 1}),
        ("mremap", {"address_space_bytes": 12288, "call_flags": 1}),
        ("madvise", {"requested_bytes": 100, "op": 4}),
        ("munmap", {"address_space_bytes": 12288}),
        ("brk", {}),
        ("brk", {"address_space_bytes": 12288}),
        ("brk", {}),  # within the same page
        ("brk", {"address_space_bytes": 12288}),
        ("brk", {}),  # not granted
    ]


TASKS = r"""
#include <linux/bpf.h>
#include <linux/kcmp.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/ptrace.h>
#include <time.h>
int main(void) {
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .config = 1 };
	struct clone_args args = { .flags = CLONE_FILES, .exit_signal = SIGCHLD };
	struct sigevent none = { .sigev_notify = SIGEV_NONE };
	struct itimerspec when = { 0 };
	int pid = getpid(), pair[2], id, child;
	char buf[8];
	signal(SIGUSR1, SIG_IGN);
	printf("pid %d\n", pid);
	mark();
	kill(pid, SIGUSR1);
	syscall(SYS_tgkill, pid, pid, 0);
	syscall(SYS_kill, -77777777, SIGTERM);
	socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 6);
	socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
	send(pair[0], "abc", 3, MSG_DONTWAIT);
	recv(pair[1], buf, 8, MSG_PEEK);
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &pid, 4);
	shutdown(pair[0], SHUT_WR);
	child = syscall(SYS_clone, CLONE_FS | SIGCHLD, 0, 0, 0, 0);
	if (!child) _exit(0);
	syscall(SYS_wait4, child, NULL, __WALL, NULL);
	child = syscall(SYS_clone3, &args, sizeof(args));
	if (!child) _exit(0);
	syscall(SYS_wait4, -1, NULL, 0, NULL);
	syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, NULL, 0);
	syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, -4, 0);
	syscall(SYS_ptrace, PTRACE_PEEKDATA, 77777777, 0, 0);
	syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	prctl(PR_GET_DUMPABLE);
	syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &pid);
	syscall(SYS_kcmp, pid, pid, KCMP_FILES, 0, 0);
	id = msgget(IPC_PRIVATE, 0600 | IPC_CREAT);
	msgctl(id, IPC_RMID, NULL);
	syscall(SYS_timer_create, CLOCK_MONOTONIC, &none, &id);
	syscall(SYS_timer_settime, id, TIMER_ABSTIME, &when, NULL);
	syscall(SYS_pidfd_open, pid, 0);
	syscall(SYS_init_module, NULL, 17, "");
	syscall(SYS_finit_module, -1, "", 2);
	syscall(SYS_delete_module, "ior-none", O_NONBLOCK);
	return 0;
}
"""


@pytest.mark.core
@pytest.mark.parametrize("pairing", MODES)
def test_tasks_sockets_and_objects(pairing: str) -> None:
    traced = program(TASKS, pairing=pairing, **ALL)
    pid = int(traced.facts()["pid"])
    mine = [row for row in traced.after() if row["pid"] == pid]
    children = [row["ret"] for row in mine if row["syscall"] in ("clone", "clone3")]
    id_ = next(row["ret"] for row in mine if row["syscall"] == "msgget")
    traced.rows = [{"syscall": "access", "file": "/ior-mark"}, *mine]
    assert list(said(traced))[:28] == [
        ("kill", {"target_pid": pid, "signal": 10}),
        ("tgkill", {"target_pid": pid, "object": pid, "signal": 0}),
        ("kill", {"target_pid": -77777777, "signal": 15}),
        (
            "socket",
            {
                "socket_family": 10,
                "socket_type": 1,
                "socket_protocol": 6,
                "call_flags": O_CLOEXEC,
            },
        ),
        (
            "socketpair",
            {"socket_family": 1, "socket_type": 2, "socket_protocol": 0, "call_flags": 0},
        ),
        ("sendto", {"requested_bytes": 3, "call_flags": 0x40}),
        ("recvfrom", {"requested_bytes": 8, "call_flags": 2}),
        ("setsockopt", {"object": 1, "op": 7}),
        ("shutdown", {"op": 1}),
        ("clone", {"call_flags": 0x200, "signal": 17}),
        ("wait4", {"target_pid": children[0], "call_flags": 0x40000000}),
        ("clone3", {"call_flags": 0x400}),
        ("wait4", {"target_pid": -1, "call_flags": 0}),
        ("bpf", {"op": 1}),
        ("keyctl", {"op": 0, "object": -4}),
        ("ptrace", {"op": 2, "target_pid": 77777777}),
        (
            "perf_event_open",
            {"op": 1, "config": 1, "target_pid": 0, "target_cpu": -1, "call_flags": 8},
        ),
        ("prctl", {"op": 3}),
        ("seccomp", {"op": 2, "call_flags": 0}),
        ("kcmp", {"target_pid": pid, "object": pid, "op": 2}),
        ("msgget", {"object": 0, "call_flags": 0o1600}),
        ("msgctl", {"object": id_, "op": 0}),
        ("timer_create", {"op": 1}),
        ("timer_settime", {"object": 0, "call_flags": 1}),
        ("pidfd_open", {"target_pid": pid, "call_flags": 0}),
        ("init_module", {"requested_bytes": 17}),
        ("finit_module", {"call_flags": 2}),
        ("delete_module", {"call_flags": O_NONBLOCK}),
    ]
