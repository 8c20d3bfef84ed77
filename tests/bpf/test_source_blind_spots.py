"""What cannot be seen, as docs/fidelity.md says: how it shows, and that nothing else is claimed.

Each program says itself what it did; the rows are held to what the page promises of that.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tracing import MODES, program

pytestmark = pytest.mark.kernel

MAPPED = r"""
int main(int argc, char **argv) {
	must(chdir(argv[1]) == 0, "chdir");
	mark();
	int fd = syscall(SYS_openat, AT_FDCWD, "file", O_RDWR);
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), read;
	memcpy(p + 4096, "written", 7);
	read = p[1];
	msync(p, 8192, MS_SYNC);
	munmap(p, 8192);
	syscall(SYS_pread64, fd, p = (char[8]){}, 7, 4096L);
	mark();
	printf("read %c\nwritten %s\n", read, p);
	return 0;
}
"""


@pytest.mark.parametrize("pairing", MODES)
def test_of_mapped_memory_only_the_mapping_is_seen(tmp_path: Path, pairing: str) -> None:
    (tmp_path / "file").write_bytes(b"abc".ljust(8192, b"\0"))
    traced = program(MAPPED, str(tmp_path), pairing=pairing, families=["FS", "Memory"])
    assert traced.facts() == {"read": "b", "written": "written"}
    file = str(tmp_path / "file")
    assert [(r["syscall"], r["file"], r["bytes"]) for r in traced.after()] == [
        ("openat", file, 0),
        ("mmap", file, 0),
        ("msync", "", 0),
        ("munmap", "", 0),
        ("pread64", file, 7),
    ]


RING = r"""
#include <linux/io_uring.h>
#define AT(base, offset) ((unsigned *)((char *)(base) + (offset)))
static struct io_uring_params p;
static char *rings;
static struct io_uring_sqe *sqe;
static unsigned turn;
static int done(int ring) {
	AT(rings, p.sq_off.array)[turn & 3] = 0;
	__atomic_store_n(AT(rings, p.sq_off.tail), ++turn, __ATOMIC_RELEASE);
	int n = syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0);
	must(n == 1, "io_uring_enter");
	struct io_uring_cqe *cqe = (void *)AT(rings, p.cq_off.cqes);
	int result = cqe[(turn - 1) & (2 * p.sq_entries - 1)].res;
	__atomic_store_n(AT(rings, p.cq_off.head), turn, __ATOMIC_RELEASE);
	errno = result < 0 ? -result : 0;
	return result;
}
int main(int argc, char **argv) {
	must(chdir(argv[1]) == 0, "chdir");
	int ring = syscall(SYS_io_uring_setup, 4, &p);
	must(ring >= 0, "io_uring_setup");
	rings = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, 0);
	sqe = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, 0x10000000);
	must(rings != MAP_FAILED && (void *)sqe != MAP_FAILED, "mmap");
	mark();
	*sqe = (struct io_uring_sqe){ .opcode = IORING_OP_OPENAT, .fd = AT_FDCWD,
		.addr = (unsigned long)"old", .open_flags = O_RDWR };
	int fd = done(ring);
	must(fd >= 0, "openat");
	syscall(SYS_pwrite64, fd, "x", 1, 0L);
	*sqe = (struct io_uring_sqe){ .opcode = IORING_OP_WRITE, .fd = fd,
		.addr = (unsigned long)"hello", .len = 5, .off = 10 };
	must(done(ring) == 5, "write");
	*sqe = (struct io_uring_sqe){ .opcode = IORING_OP_RENAMEAT, .fd = AT_FDCWD,
		.addr = (unsigned long)"old", .len = AT_FDCWD, .off = (unsigned long)"new" };
	must(done(ring) == 0, "renameat");
	syscall(SYS_pwrite64, fd, "y", 1, 1L);
	must(syscall(SYS_rename, "other", "another") == 0, "rename");
	syscall(SYS_pwrite64, fd, "z", 1, 2L);
	mark();
	printf("fd %d\n", fd);
	return 0;
}
"""


@pytest.mark.parametrize("pairing", MODES)
def test_of_io_uring_only_its_own_calls_are_seen(tmp_path: Path, pairing: str) -> None:
    for name in ("old", "other"):
        (tmp_path / name).touch()
    traced = program(RING, str(tmp_path), pairing=pairing, families=["FS", "AIO"])
    assert (tmp_path / "new").read_bytes() == b"xyz".ljust(10, b"\0") + b"hello"
    fd, ring = int(traced.facts()["fd"]), "anon_inode:[io_uring]"
    rows = [(r["syscall"], Path(r["file"]).name, r["fd"] == fd) for r in traced.after()]
    assert rows[:4] == [
        ("io_uring_enter", ring, False),
        ("pwrite64", "old", True),
        ("io_uring_enter", ring, False),
        ("io_uring_enter", ring, False),
    ]
    # Seen with the next ordinary rename, which may be that of another process.
    assert rows[4] in {("pwrite64", "old", True), ("pwrite64", "new", True)}
    assert rows[5:] == [("rename", "another", False), ("pwrite64", "new", True)]
    assert {r["bytes"] for r in traced.of("io_uring_enter")} == {0}


VDSO = r"""
#include <time.h>
int main(void) {
	struct timespec now;
	mark();
	for (int i = 0; i < 100; i++)
		clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC_COARSE, &now);
	mark();
	return 0;
}
"""


@pytest.mark.parametrize("pairing", MODES)
def test_what_does_not_enter_the_kernel_is_not_seen(pairing: str) -> None:
    traced = program(VDSO, pairing=pairing, families=["Time"], syscalls=["access"])
    assert [(r["syscall"], r["op"]) for r in traced.after()] == [("clock_gettime", 6)]


CHANGED = r"""
/* Another thread changes the path all the time: "a" and "b" in turn. */
static char path[] = "a";
static volatile char *first = path;
/* Have a processor for oneself, where that is permitted. */
static void run_on(int cpu) {
	struct sched_param urgent = { 1 };
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
	sched_setscheduler(0, SCHED_FIFO, &urgent);
}
static void *changes(void *unused) {
	run_on(1);
	for (;;)
		*first ^= 'a' ^ 'b';
}
int main(int argc, char **argv) {
	static char inodes[4001];
	struct stat a, st;
	pthread_t other;
	must(chdir(argv[1]) == 0 && stat("a", &a) == 0, "chdir");
	pthread_create(&other, NULL, changes, NULL);
	run_on(0);
	mark();
	for (int i = 0; i < 4000; i++) {
		int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY);
		must(fd >= 0 && fstat(fd, &st) == 0, "open");
		inodes[i] = st.st_ino == a.st_ino ? 'a' : 'b';
		close(fd);
	}
	mark();
	printf("opened %s\n", inodes);
	return 0;
}
"""


@pytest.mark.parametrize("pairing", MODES)
def test_a_path_that_is_changed_meanwhile_is_no_other_file(tmp_path: Path, pairing: str) -> None:
    """`file` is what was opened, and `asked` what the path was when the call began."""
    for name in ("a", "b"):
        (tmp_path / name).touch()
    changed = 0
    for _ in range(10):  # both threads have to run at once
        traced = program(CHANGED, str(tmp_path), pairing=pairing, syscalls=["openat", "access"])
        rows = traced.after()
        assert [r["file"] for r in rows] == [str(tmp_path / n) for n in traced.facts()["opened"]]
        others = {(r["file"], r["asked"]) for r in rows if r["asked"]}
        a, b = (str(tmp_path / name) for name in ("a", "b"))
        assert others <= {(a, b), (b, a)}
        changed += len(others)
        if changed:
            break
    assert changed, "the path was never changed while a call read it"


DELETED = r"""
int main(int argc, char **argv) {
	struct stat st;
	must(chdir(argv[1]) == 0 && rmdir(argv[1]) == 0, "directory");
	mark();
	syscall(SYS_stat, "inside", &st);
	syscall(SYS_stat, ".", &st);
	return 0;
}
"""


@pytest.mark.parametrize("pairing", MODES)
def test_a_deleted_directory_has_its_path_without_a_mark(tmp_path: Path, pairing: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    traced = program(DELETED, str(folder), pairing=pairing, syscalls=["stat", "access"])
    rows = [(r["file"], r["file_state"], r["errno"]) for r in traced.after()]
    assert rows == [(str(folder / "inside"), "", "ENOENT"), (str(folder), "", "")]
