"""io_uring, and descriptors that come from elsewhere: the kernel knows what is behind them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tracing import MODES, program

pytestmark = pytest.mark.kernel

KINDS = [(mode, probe_reads) for mode in MODES for probe_reads in (False, True)]

RING = r"""
#include <linux/io_uring.h>
#define AT(base, offset) ((unsigned *)((char *)(base) + (offset)))
int main(int argc, char **argv) {
	struct io_uring_params p = {};
	int ring = syscall(SYS_io_uring_setup, 4, &p);
	must(ring >= 0, "io_uring_setup");
	char *rings = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, 0);
	struct io_uring_sqe *sqe = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_POPULATE, ring, 0x10000000);
	must(rings != MAP_FAILED && (void *)sqe != MAP_FAILED, "mmap");
	sqe->opcode = IORING_OP_OPENAT, sqe->fd = AT_FDCWD, sqe->addr = (unsigned long)argv[1];
	sqe->open_flags = O_RDWR;
	AT(rings, p.sq_off.array)[0] = 0;
	__atomic_store_n(AT(rings, p.sq_off.tail), 1, __ATOMIC_RELEASE);
	syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0);
	struct io_uring_cqe *cqe = (void *)AT(rings, p.cq_off.cqes);
	must(cqe->res >= 0, "openat by io_uring");
	printf("opened %d\n", cqe->res);
	syscall(SYS_pwrite64, cqe->res, "x", 1, 0);
	struct io_uring_rsrc_update update = { .offset = 3, .data = ring };
	must(syscall(SYS_io_uring_register, ring, 20, &update, 1) == 1, "register the ring");
	syscall(SYS_dup2, cqe->res, 40); /* a file of the number that the ring is registered by ... */
	syscall(SYS_dup2, 40, 3);	 /* ... which is the ring's own descriptor no more */
	syscall(SYS_io_uring_enter, 3, 0, 0, 1 << 4, NULL, 0);
	syscall(SYS_io_uring_register, 3, 20 | 1u << 31, &update, 0);
	syscall(SYS_io_uring_enter, 7, 0, 0, 1 << 4, NULL, 0);
	syscall(SYS_io_uring_enter, 99, 0, 0, 1 << 4, NULL, 0);
	syscall(SYS_io_uring_enter, 40, 0, 0, 0, NULL, 0);
	return 0;
}
"""


@pytest.mark.parametrize(("pairing", "probe_reads"), KINDS)
def test_a_registered_ring_is_named_not_the_descriptor_of_its_number(
    tmp_path: Path, pairing: str, probe_reads: bool
) -> None:
    (tmp_path / "file").touch()
    file, ring = str(tmp_path / "file"), "anon_inode:[io_uring]"
    traced = program(
        RING,
        file,
        pairing=pairing,
        probe_reads=probe_reads,
        families=["AIO"],
        syscalls=["pwrite64", "dup2"],
    )
    rows = [(r["syscall"], r["fd"], r["file"], r["errno"]) for r in traced.rows]
    opened = int(traced.facts()["opened"])
    assert rows == [
        ("io_uring_setup", 3, ring, ""),
        ("io_uring_enter", 3, ring, ""),
        ("pwrite64", opened, file, ""),
        ("io_uring_register", 3, ring, ""),
        ("dup2", 40, file, ""),
        ("dup2", 3, file, ""),
        ("io_uring_enter", -1, ring, ""),
        ("io_uring_register", -1, ring, "EINVAL"),
        ("io_uring_enter", -1, "", "EBADF"),
        ("io_uring_enter", -1, "", "EINVAL"),
        ("io_uring_enter", 40, file, "EOPNOTSUPP"),
    ]


TAKEN = r"""
static char byte;
static int only_mine(void *path) { /* shares descriptors, not memory: CLONE_FILES */
	int fd = open(path, O_RDWR);
	return dup2(fd, 50) == 50 ? 0 : 1;
}
int main(int argc, char **argv) {
	int ready[2], done[2];
	must(chdir(argv[1]) == 0 && pipe(ready) == 0 && pipe(done) == 0, "pipes");
	pid_t child = fork();
	if (child == 0) {
		int fd = open("one", O_RDWR);
		write(ready[1], &fd, sizeof fd);
		read(done[0], &byte, 1);
		_exit(0);
	}
	int theirs;
	read(ready[0], &theirs, sizeof theirs);
	mark();
	int pidfd = syscall(SYS_pidfd_open, child, 0);
	int taken = syscall(SYS_pidfd_getfd, pidfd, theirs, 0);
	must(taken >= 0, "pidfd_getfd");
	syscall(SYS_pwrite64, taken, &byte, 1, 0);
	write(done[1], &byte, 1);
	static char stack[65536];
	pid_t other = clone(only_mine, stack + sizeof stack, CLONE_FILES | SIGCHLD, "two");
	must(waitpid(other, NULL, 0) == other, "clone");
	syscall(SYS_pwrite64, 50, &byte, 1, 0);
	mark();
	printf("taken %d\n", taken);
	return 0;
}
"""


@pytest.mark.parametrize(("pairing", "probe_reads"), KINDS)
def test_descriptors_that_another_process_opened(
    tmp_path: Path, pairing: str, probe_reads: bool
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).touch()
    traced = program(
        TAKEN,
        str(tmp_path),
        pairing=pairing,
        probe_reads=probe_reads,
        syscalls=["access", "pidfd_getfd", "pwrite64"],
    )
    taken, *written = traced.after()
    assert (taken["file"], taken["fd"]) == (str(tmp_path / "one"), int(traced.facts()["taken"]))
    assert taken["old_file"].startswith("pidfd:") or taken["old_file"] == "anon_inode:[pidfd]"
    assert [r["file"] for r in written] == [str(tmp_path / "one"), str(tmp_path / "two")]
