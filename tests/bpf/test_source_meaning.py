"""Bytes and names where the return value alone would mislead."""

from __future__ import annotations

from pathlib import Path

import pytest
from tracing import MODES, program

from ior import syscalls
from ior.sources.bpf import selection

pytestmark = pytest.mark.kernel

BYTES = r"""
int main(int argc, char **argv) {
	int pair[2], stream[2];
	char buffer[64];
	must(chdir(argv[1]) == 0, "chdir");
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0, "socketpair");
	must(setxattr("file", "user.ior", "12345", 5, 0) == 0, "setxattr");
	mark();
	syscall(SYS_sendto, pair[0], "123456789", 9, 0, NULL, 0);
	syscall(SYS_recvfrom, pair[1], buffer, 64, MSG_PEEK, NULL, NULL);
	syscall(SYS_recvfrom, pair[1], buffer, 4, MSG_TRUNC, NULL, NULL);
	syscall(SYS_getxattr, "file", "user.ior", NULL, 0);
	syscall(SYS_getxattr, "file", "user.ior", buffer, 64);
	syscall(SYS_listxattr, "file", NULL, 0);
	syscall(SYS_listxattr, "file", buffer, 64);
	return 0;
}
"""


@pytest.mark.parametrize("pairing", MODES)
def test_what_is_only_looked_at_or_asked_for_moves_nothing(tmp_path: Path, pairing: str) -> None:
    (tmp_path / "file").touch()
    names = ["access", "sendto", "recvfrom", "getxattr", "listxattr"]
    traced = program(BYTES, str(tmp_path), pairing=pairing, syscalls=names)
    assert [(r["syscall"], r["ret"], r["bytes"]) for r in traced.after()] == [
        ("sendto", 9, 9),
        ("recvfrom", 9, 0),
        ("recvfrom", 9, 4),
        ("getxattr", 5, 0),
        ("getxattr", 5, 5),
        ("listxattr", 9, 0),
        ("listxattr", 9, 9),
    ]


NAMES = r"""
int main(int argc, char **argv) {
	struct { struct file_handle head; char bytes[128]; } handle = {};
	int id;
	must(chdir(argv[1]) == 0, "chdir");
	int where = open(".", O_RDONLY);
	handle.head.handle_bytes = 128;
	must(name_to_handle_at(AT_FDCWD, "file", &handle.head, &id, 0) == 0, "handle");
	mark();
	syscall(SYS_name_to_handle_at, where, "file", &handle, &id, 0);
	syscall(SYS_open_by_handle_at, where, &handle, O_RDONLY);
	syscall(SYS_openat, 99, "file", O_RDONLY);
	syscall(SYS_openat, 99, argv[2], O_RDONLY);
	return 0;
}
"""


@pytest.mark.parametrize("pairing", MODES)
def test_handles_are_named_by_their_file_and_a_bad_directory_adds_nothing(
    tmp_path: Path, pairing: str
) -> None:
    (tmp_path / "file").touch()
    file = str(tmp_path / "file")
    names = ["access", "name_to_handle_at", "open_by_handle_at", "openat"]
    traced = program(NAMES, str(tmp_path), file, pairing=pairing, syscalls=names)
    rows = [(r["syscall"], r["file"], r["errno"], r["fd"] == r["ret"]) for r in traced.after()]
    assert rows == [
        ("name_to_handle_at", file, "", False),
        ("open_by_handle_at", file, "", True),
        ("openat", "file", "EBADF", False),
        ("openat", file, "", True),
    ]


REST = r"""
#include <linux/perf_event.h>
/* None of these does anything: their files or flags are no good. */
static void said(const char *name, int fd) {
	char link[64], file[PATH_MAX] = "";
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	readlink(link, file, PATH_MAX - 1);
	printf("%s %d %s\n", name, fd, file);
}
int main(int argc, char **argv) {
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .config = 1 };
	unsigned long rights[2] = { 1 };
	int file = open(argv[1], O_RDONLY), pidfd = syscall(SYS_pidfd_open, getpid(), 0), fd;
	mark();
	syscall(SYS_process_madvise, pidfd, NULL, 0, 0, 0), said("process_madvise", pidfd);
	syscall(SYS_process_mrelease, pidfd, 1), said("process_mrelease", pidfd);
	syscall(SYS_finit_module, file, "", 3), said("finit_module", file);
	syscall(SYS_kexec_file_load, file, -1, 0, "", 0), said("kexec_file_load", file);
	fd = syscall(SYS_landlock_create_ruleset, rights, 8, 0), said("landlock_create_ruleset", fd);
	syscall(SYS_landlock_add_rule, fd, 99, NULL, 0), said("landlock_add_rule", fd);
	syscall(SYS_landlock_restrict_self, fd, ~0U), said("landlock_restrict_self", fd);
	fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0), said("perf_event_open", fd);
	syscall(SYS_acct, "/no/such"), printf("acct -1 /no/such\n");
	return 0;
}
"""
COMPARED = ("FS", "Network", "Process", "IPC", "Polling")  # with strace, in test_strace.py
ELSEWHERE = ("mmap", "io_uring_setup", "io_uring_enter", "io_uring_register")  # in other tests here


@pytest.mark.parametrize("pairing", MODES)
def test_syscalls_that_are_not_compared_with_strace_name_their_files(
    tmp_path: Path, pairing: str
) -> None:
    (tmp_path / "file").touch()
    how = selection.descriptions()
    with_files = {
        call.name
        for nr, call in syscalls.table().by_nr.items()
        if call.family not in COMPARED
        and (how[nr]["fd"] >= 0 or how[nr]["path"] >= 0 or how[nr]["how"] & selection.RETURNS_FD)
    }
    traced = program(
        REST, str(tmp_path / "file"), pairing=pairing, syscalls=[*with_files, "access"]
    )
    rows = {r["syscall"]: f"{r['fd']} {r['file']}" for r in traced.after()}
    truth = traced.facts()
    assert with_files == truth.keys() | set(ELSEWHERE)
    assert {name: rows.get(name) for name in truth} == truth


BREAK = r"""
int main(void) {
	mark();
	unsigned long at = syscall(SYS_brk, 0);
	syscall(SYS_brk, at + 10000);
	syscall(SYS_brk, at);
	syscall(SYS_brk, 0);
	return 0;
}
"""


@pytest.mark.parametrize("pairing", MODES)
def test_asking_where_the_break_is_takes_no_memory(pairing: str) -> None:
    traced = program(BREAK, pairing=pairing, syscalls=["brk", "access"])
    assert [r["address_space_bytes"] for r in traced.after()] == [0, 12288, 12288, 0]
    first = traced.of("brk")[0]
    assert first["address_space_bytes"] == 0, "the first of a new program"
