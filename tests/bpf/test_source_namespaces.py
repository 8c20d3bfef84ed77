"""Mount namespaces and roots of others: a file is called what it is called there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tracing import KINDS, MODES, compiled, program, trace

pytestmark = pytest.mark.kernel

FOREIGN = r"""
/* A child in a mount namespace of its own passes a file of a file system that only it has. The
 * two take turns, on one CPU, so that both find what the other has left in the kernel's cache. */
static int pair[2];
static char byte = 'x';
static void look(int fd, long at) { syscall(SYS_pwrite64, fd, &byte, 1, at); }
static void turn(int end) {
	must(write(end, &byte, 1) == 1 && read(end, &byte, 1) == 1, "turn");
}
static void pass(int to, int fd) {
	char space[CMSG_SPACE(sizeof(int))] = {};
	struct iovec part = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = space,
		.msg_controllen = sizeof(space) };
	struct cmsghdr *control = CMSG_FIRSTHDR(&message);
	control->cmsg_level = SOL_SOCKET;
	control->cmsg_type = SCM_RIGHTS;
	control->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(control), &fd, sizeof(int));
	must(sendmsg(to, &message, 0) == 1, "sendmsg");
}
static int taken(int from) {
	char space[CMSG_SPACE(sizeof(int))];
	struct iovec part = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = space,
		.msg_controllen = sizeof(space) };
	int fd;
	must(recvmsg(from, &message, 0) == 1, "recvmsg");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
	return fd;
}
static void child(const char *dir) {
	char path[PATH_MAX];
	must(unshare(CLONE_NEWNS) == 0, "unshare");
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private");
	must(mount("tmpfs", "hidden", "tmpfs", 0, NULL) == 0, "tmpfs");
	mkdir("hidden/deep", 0755);
	int fd = open("hidden/deep/file", O_CREAT | O_RDWR, 0600);
	look(fd, 1);
	pass(pair[1], fd);
	turn(pair[1]);
	must(chroot("hidden") == 0, "chroot");
	turn(pair[1]);
	look(fd, 5);
	turn(pair[1]);
	look(fd, 7);
	snprintf(path, sizeof(path), "%s/hidden/deep/file", dir);
	syscall(SYS_openat, AT_FDCWD, path, O_RDONLY);
	syscall(SYS_openat, AT_FDCWD, "/deep/file", O_RDONLY);
	turn(pair[1]);
	_exit(0);
}
int main(int argc, char **argv) {
	struct stat st, other;
	char path[PATH_MAX];
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	must(sched_setaffinity(0, sizeof(one), &one) == 0, "affinity");
	must(chdir(argv[1]) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "begin");
	pid_t pid = fork();
	if (pid == 0)
		child(argv[1]);
	int fd = taken(pair[0]);
	int own = open("hidden/deep/file", O_RDWR);
	must(read(pair[0], &byte, 1) == 1, "turn");
	look(fd, 2);
	look(own, 3);
	must(fstat(fd, &st) == 0 && fstat(own, &other) == 0 && st.st_dev != other.st_dev, "two files");
	turn(pair[0]);
	look(fd, 4);
	turn(pair[0]);
	look(fd, 6);
	turn(pair[0]);
	look(fd, 8);
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
	must(setns(open(path, O_RDONLY), CLONE_NEWNS) == 0, "setns");
	must(chdir(argv[1]) == 0, "chdir");
	own = syscall(SYS_openat, AT_FDCWD, "hidden/deep/file", O_RDWR);
	must(fstat(own, &other) == 0 && st.st_dev == other.st_dev, "one file system");
	look(own, 9);
	must(write(pair[0], &byte, 1) == 1 && waitpid(pid, NULL, 0) == pid, "end");
	return 0;
}
"""


@pytest.mark.parametrize(("pairing", "probe_reads"), KINDS)
def test_a_file_of_another_mount_namespace_shows_its_path_there(
    tmp_path: Path, pairing: str, probe_reads: bool
) -> None:
    (tmp_path / "hidden/deep").mkdir(parents=True)
    (tmp_path / "hidden/deep/file").touch()
    traced = program(FOREIGN, str(tmp_path), pairing=pairing, probe_reads=probe_reads)
    there = f"{tmp_path}/hidden/deep/file"
    named = {r["offset"]: r["file"] for r in traced.of("pwrite64")}
    assert named == {
        1: there,  # in the namespace
        2: there,  # passed out of it
        3: there,  # another file that has this path outside
        4: there,  # now the other one is in a chroot,
        5: "/deep/file",  # and sees it like this,
        6: there,  # which changes nothing here
        7: "/deep/file",
        8: there,
        9: there,  # in the namespace that was entered
    }
    opened = [(r["file"], r["errno"]) for r in traced.of("openat") if r["file"].endswith("p/file")]
    assert opened[-3:] == [(there, "ENOENT"), ("/deep/file", ""), (there, "")]


OLDER = r"""
/* Runs before the trace, in a namespace and a directory of its own. */
int main(int argc, char **argv) {
	struct stat st;
	char byte;
	must(chdir(argv[1]) == 0 && unshare(CLONE_NEWNS) == 0, "unshare");
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private");
	must(mount("tmpfs", "hidden", "tmpfs", 0, NULL) == 0, "tmpfs");
	must(mkdir("hidden/work", 0755) == 0 && chdir("hidden/work") == 0, "work");
	int fd = open("open", O_CREAT | O_RDWR, 0600);
	if (argc > 2)
		must(chroot("..") == 0, "chroot");
	must(puts("ready") && fflush(stdout) == 0 && read(0, &byte, 1) == 0, "wait");
	syscall(SYS_pwrite64, fd, &byte, 1, 0);
	syscall(SYS_stat, "relative", &st);
	syscall(SYS_stat, "/absolute", &st);
	return 0;
}
"""


@pytest.mark.parametrize("pairing", MODES)
@pytest.mark.parametrize("chroot", [False, True])
def test_paths_of_a_process_that_is_older_than_the_trace(
    tmp_path: Path, pairing: str, chroot: bool
) -> None:
    (tmp_path / "hidden").mkdir()
    line = [compiled(OLDER), str(tmp_path), *["chroot"][:chroot]]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        stdin = child.stdin
        traced = trace(pid=child.pid, on_start=lambda _: stdin.close(), pairing=pairing)
    assert child.returncode == 0
    work = "/work" if chroot else f"{tmp_path}/hidden/work"
    assert [(r["syscall"], r["file"]) for r in traced.of("pwrite64", "stat")] == [
        ("pwrite64", f"{work}/open"),
        ("stat", f"{work}/relative"),
        ("stat", "/absolute"),
    ]


MOVED = r"""
#define MOVE_MOUNT_F_EMPTY_PATH 4
#define OPEN_TREE_CLONE 1
static const char *proc = "/proc";
static void look(int fd, long at) {
	char link[64], name[PATH_MAX];
	snprintf(link, sizeof(link), "%s/self/fd/%d", proc, fd);
	int n = readlink(link, name, PATH_MAX - 1);
	must(n > 0, link);
	name[n] = 0;
	syscall(SYS_pwrite64, fd, "x", 1L, at);
	printf("%ld %s\n", at, name);
}
int main(int argc, char **argv) {
	must(chdir(argv[1]) == 0 && unshare(CLONE_NEWNS) == 0, "unshare");
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private");
	must(mount("tmpfs", "one", "tmpfs", 0, NULL) == 0, "tmpfs");
	int fd = open("one/file", O_CREAT | O_RDWR, 0600);
	look(fd, 1);
	must(syscall(SYS_move_mount, AT_FDCWD, "one", AT_FDCWD, "two", 0) == 0, "move_mount");
	look(fd, 2);
	must(mount("two", "one", NULL, MS_MOVE, NULL) == 0, "move");
	look(fd, 3);
	int tree = syscall(SYS_open_tree, AT_FDCWD, "one", OPEN_TREE_CLONE);
	int there = syscall(SYS_openat, tree, "file", O_RDWR);
	look(there, 4);
	int moved = syscall(SYS_move_mount, tree, "", AT_FDCWD, "two", MOVE_MOUNT_F_EMPTY_PATH);
	must(moved == 0, "attach");
	look(there, 5);
	look(fd, 6);
	must(umount2("one", MNT_DETACH) == 0, "umount2");
	look(fd, 7);
	must(mkdir("two/old", 0755) == 0, "mkdir");
	must(syscall(SYS_pivot_root, "two", "two/old") == 0, "pivot_root");
	proc = "/old/proc";
	look(there, 8);
	return 0;
}
"""


@pytest.mark.parametrize(("pairing", "probe_reads"), KINDS)
def test_a_mount_that_moves_takes_the_paths_in_it_along(
    tmp_path: Path, pairing: str, probe_reads: bool
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    traced = program(MOVED, str(tmp_path), pairing=pairing, probe_reads=probe_reads)
    truth = traced.facts()
    assert truth["2"] == truth["5"] == f"{tmp_path}/two/file"
    assert truth["3"] == truth["6"] == f"{tmp_path}/one/file"
    assert truth["7"] == truth["8"] == "/file"
    assert {str(r["offset"]): r["file"] for r in traced.of("pwrite64")} == truth
