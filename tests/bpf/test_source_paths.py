"""Path arguments of all kinds of calls: relative to what, in which order, and from which memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tracing import KINDS, MODES, program

pytestmark = [pytest.mark.kernel, pytest.mark.core]


PATHS = r"""
int main(int argc, char **argv) {
	char text[256];
	struct stat st;
	struct statx stx;
	must(chdir(argv[1]) == 0, "chdir");
	int dir = open(".", O_RDONLY | O_DIRECTORY);
	printf("dir %d\n", dir);
	mark();
	syscall(SYS_mkdir, "a", 0755);
	syscall(SYS_mkdirat, dir, "b", 0755);
	syscall(SYS_mknod, "a/fifo", S_IFIFO | 0600, 0);
	syscall(SYS_rename, "a/fifo", "b/fifo");
	syscall(SYS_renameat2, dir, "b/fifo", AT_FDCWD, "b/other", RENAME_NOREPLACE);
	syscall(SYS_link, "b/other", "b/hard");
	syscall(SYS_linkat, dir, "b/other", dir, "b/hard2", 0);
	syscall(SYS_symlink, "where/ever", "b/soft");
	syscall(SYS_symlinkat, "/else", dir, "b/soft2");
	syscall(SYS_readlink, "b/soft", text, sizeof text);
	syscall(SYS_chmod, "b/other", 0640);
	syscall(SYS_chown, "b/other", 0, 0);
	syscall(SYS_truncate, "file", 5);
	syscall(SYS_access, "file", R_OK);
	syscall(SYS_stat, "file", &st);
	syscall(SYS_lstat, "b/soft", &st);
	syscall(SYS_statx, dir, "file", 0, STATX_SIZE, &stx);
	syscall(SYS_utimensat, dir, "file", NULL, 0);
	syscall(SYS_setxattr, "file", "user.x", "1", 1, 0);
	syscall(SYS_getxattr, "file", "user.x", text, sizeof text);
	syscall(SYS_listxattr, "file", text, sizeof text);
	syscall(SYS_removexattr, "file", "user.x");
	syscall(SYS_unlink, "b/other");
	syscall(SYS_unlinkat, dir, "a", AT_REMOVEDIR);
	syscall(SYS_rmdir, "b");
	syscall(SYS_getcwd, text, sizeof text);
	syscall(SYS_mount, "nothing", "file", "no-such-type", 0, NULL);
	syscall(SYS_swapon, "file", 0);
	mark();
	syscall(SYS_newfstatat, dir, "", &st, AT_EMPTY_PATH);
	syscall(SYS_utimensat, dir, NULL, NULL, 0);
	syscall(SYS_linkat, dir, "", AT_FDCWD, "x", AT_EMPTY_PATH);
	syscall(SYS_newfstatat, AT_FDCWD, "", &st, AT_EMPTY_PATH);
	syscall(SYS_newfstatat, dir, "/etc//./passwd", &st, 0);
	syscall(SYS_newfstatat, 77, "nothing", &st, 0);
	return 0;
}
"""

ROWS = [  # (syscall, file, old_file), relative to the directory
    ("mkdir", "a", ""),
    ("mkdirat", "b", ""),
    ("mknod", "a/fifo", ""),
    ("rename", "b/fifo", "a/fifo"),
    ("renameat2", "b/other", "b/fifo"),
    ("link", "b/hard", "b/other"),
    ("linkat", "b/hard2", "b/other"),
    ("symlink", "b/soft", "where/ever"),
    ("symlinkat", "b/soft2", "/else"),
    ("readlink", "b/soft", ""),
    ("chmod", "b/other", ""),
    ("chown", "b/other", ""),
    ("truncate", "file", ""),
    ("access", "file", ""),
    ("stat", "file", ""),
    ("lstat", "b/soft", ""),
    ("statx", "file", ""),
    ("utimensat", "file", ""),
    ("setxattr", "file", ""),
    ("getxattr", "file", ""),
    ("listxattr", "file", ""),
    ("removexattr", "file", ""),
    ("unlink", "b/other", ""),
    ("unlinkat", "a", ""),
    ("rmdir", "b", ""),
    ("getcwd", ".", ""),
    ("mount", "file", "nothing"),
    ("swapon", "file", ""),
]


@pytest.mark.parametrize(("pairing", "probe_reads"), KINDS)
def test_every_path_call_shows_its_paths(tmp_path: Path, pairing: str, probe_reads: bool) -> None:
    (tmp_path / "file").touch()
    traced = program(PATHS, str(tmp_path), pairing=pairing, probe_reads=probe_reads)
    rows = [(r["syscall"], r["file"], r["old_file"]) for r in traced.after()]
    raw = {"where/ever", "/else", "nothing", ""}

    def whole(path: str) -> str:
        return os.path.normpath(tmp_path / path)

    expected = [(c, whole(f), o if o in raw else whole(o)) for c, f, o in ROWS]
    assert rows == expected
    fd = int(traced.facts()["dir"])
    here = str(tmp_path)
    seen = [(r["syscall"], r["file"], r["fd"], r["old_file"], r["fd2"]) for r in traced.after(2)]
    assert seen[:6] == [
        ("newfstatat", here, fd, "", -1),
        ("utimensat", here, fd, "", -1),
        ("linkat", f"{here}/x", -1, here, fd),
        ("newfstatat", here, -1, "", -1),
        ("newfstatat", "/etc/passwd", -1, "", -1),
        ("newfstatat", "nothing", -1, "", -1),
    ]


CWD = r"""
static void look(const char *name) { struct stat st; syscall(SYS_stat, name, &st); }
static void *thread(void *unused) { look("in-thread"); return NULL; }
int main(int argc, char **argv) {
	must(chdir(argv[1]) == 0, "chdir");
	int sub = open("sub", O_RDONLY | O_DIRECTORY);
	pthread_t other;
	mark();
	look("one");
	syscall(SYS_chdir, "sub");
	look("two");
	if (fork() == 0) {
		look("child");
		syscall(SYS_chdir, "/usr");
		look("child2");
		_exit(0);
	}
	wait(NULL);
	look("three");
	syscall(SYS_chdir, "..");
	look("four");
	syscall(SYS_fchdir, sub);
	look("five");
	look("../six");
	pthread_create(&other, NULL, thread, NULL);
	pthread_join(other, NULL);
	rename(argv[2], argv[3]);
	look("seven");
	syscall(SYS_chdir, "/");
	look("eight");
	return 0;
}
"""


@pytest.mark.parametrize("pairing", MODES)
def test_relative_paths_follow_the_current_directory(tmp_path: Path, pairing: str) -> None:
    (tmp_path / "base/sub").mkdir(parents=True)
    base, moved = f"{tmp_path}/base", f"{tmp_path}/moved"
    traced = program(CWD, base, base, moved, pairing=pairing)
    assert [r["file"] for r in traced.rows if r["syscall"] == "stat"] == [
        f"{base}/one",
        f"{base}/sub/two",
        f"{base}/sub/child",
        "/usr/child2",
        f"{base}/sub/three",
        f"{base}/four",
        f"{base}/sub/five",
        f"{base}/sub/../six",
        f"{base}/sub/in-thread",
        f"{moved}/sub/seven",
        "/eight",
    ]
    assert traced.of("chdir", ret=0)[1:-1][0]["file"] == f"{base}/sub"
    assert traced.of("fchdir")[0]["file"] == f"{base}/sub"


FRESH = r"""
/* A mapping of the file of paths that nobody has touched: its page is not in the page table. */
static char *fresh(int fd) { return mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0); }
int main(int argc, char **argv) {
	struct stat st;
	int paths = open(argv[1], O_RDONLY), hows = open(argv[2], O_RDONLY);
	must(chdir(argv[3]) == 0, "chdir");
	mark();
	syscall(SYS_openat, AT_FDCWD, fresh(paths) + 64, O_RDONLY);
	syscall(SYS_stat, fresh(paths), &st);
	syscall(SYS_rename, fresh(paths), fresh(paths) + 64);
	syscall(SYS_rename, fresh(paths) + 64, "file");
	syscall(SYS_openat2, AT_FDCWD, fresh(paths), fresh(hows), sizeof(struct open_how));
	syscall(SYS_openat2, AT_FDCWD, "file", (void *)8, sizeof(struct open_how));
	syscall(SYS_chdir, fresh(paths) + 128);
	syscall(SYS_stat, (char *)16, &st);
	char *gone = fresh(paths);
	munmap(gone, 4096);
	syscall(SYS_rename, "there", gone);
	syscall(SYS_execve, fresh(paths) + 64, argv, NULL);
	return 0;
}
"""


@pytest.mark.parametrize(("pairing", "probe_reads"), KINDS)
def test_memory_that_is_not_resident_is_read_at_exit(
    tmp_path: Path, pairing: str, probe_reads: bool
) -> None:
    work = tmp_path / "work"
    (work / "sub").mkdir(parents=True)
    (work / "file").touch()
    texts = ["file", "missing", "sub"]
    (tmp_path / "paths").write_bytes(b"".join(t.encode().ljust(64, b"\0") for t in texts))
    how = (os.O_RDONLY | os.O_NONBLOCK, 0, 0)
    (tmp_path / "hows").write_bytes(b"".join(n.to_bytes(8, "little") for n in how))
    traced = program(
        FRESH,
        str(tmp_path / "paths"),
        str(tmp_path / "hows"),
        str(work),
        pairing=pairing,
        probe_reads=probe_reads,
        families=["FS"],
        syscalls=["execve"],
    )
    rows = traced.after()[:10]
    here = str(work)
    seen = [(r["syscall"], r["file"], r["old_file"], r["file_state"], r["errno"]) for r in rows]
    assert seen == [
        ("openat", f"{here}/missing", "", "", "ENOENT"),
        ("stat", f"{here}/file", "", "", ""),
        ("rename", f"{here}/missing", f"{here}/file", "", ""),
        ("rename", f"{here}/file", f"{here}/missing", "", ""),
        ("openat2", f"{here}/file", "", "", ""),
        ("openat2", f"{here}/file", "", "", "EFAULT"),
        ("chdir", f"{here}/sub", "", "", ""),
        ("stat", "", "", "unreadable", "EFAULT"),
        ("rename", "", f"{here}/sub/there", "unreadable", "EFAULT"),
        ("execve", f"{here}/sub/missing", "", "", "ENOENT"),
    ]
    assert rows[4]["args"][:2] == [os.O_NONBLOCK, 0]
    assert rows[5]["args"][:2] == [2**64 - 1, 2**64 - 1]  # nothing could be read


EXECS = r"""
int main(int argc, char **argv) {
	char *path = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, open(argv[1], O_RDONLY), 0);
	char *arguments[] = { "true", NULL };
	must(chdir("/bin") == 0, "chdir");
	mark();
	syscall(SYS_execve, path, arguments, NULL);
	return 1;
}
"""


@pytest.mark.parametrize("pairing", MODES)
@pytest.mark.parametrize("path", ["true", "/usr/bin/true"])
def test_a_program_that_replaced_the_one_that_named_it(
    tmp_path: Path, pairing: str, path: str
) -> None:
    (tmp_path / "path").write_bytes(path.encode() + b"\0")
    traced = program(EXECS, str(tmp_path / "path"), pairing=pairing, syscalls=["execve", "access"])
    row, *later = traced.after()
    assert (row["syscall"], row["ret"], row["file_state"]) == ("execve", 0, "")
    assert row["file"] == os.path.normpath(os.path.join(os.path.realpath("/bin"), path))
    assert row["comm"] != "true"
    assert {r["comm"] for r in later} == {"true"}


LONG = r"""
int main(int argc, char **argv) {
	static char path[8192];
	char name[200];
	struct stat st;
	memset(name, 'n', sizeof name);
	name[199] = 0;
	must(chdir(argv[1]) == 0, "chdir");
	mark();
	for (int length = 4094; length <= 4097; length++) {
		memset(path, 'x', length);
		path[0] = '/';
		path[length] = 0;
		syscall(SYS_stat, path, &st);
	}
	for (int i = 0; i < 25; i++) {
		must(mkdir(name, 0755) == 0 && chdir(name) == 0, "deep");
		if (i == 18)
			syscall(SYS_openat, AT_FDCWD, "shallow", O_CREAT | O_RDWR, 0600);
	}
	syscall(SYS_openat, AT_FDCWD, "deep", O_CREAT | O_RDWR, 0600);
	syscall(SYS_stat, "deep", &st);
	return 0;
}
"""


@pytest.mark.parametrize(("pairing", "probe_reads"), KINDS)
def test_paths_to_4096_bytes(tmp_path: Path, pairing: str, probe_reads: bool) -> None:
    traced = program(LONG, str(tmp_path), pairing=pairing, probe_reads=probe_reads)
    stats = [
        (r["file"], r["file_state"], r["errno"]) for r in traced.after() if r["syscall"] == "stat"
    ]
    assert [(len(f), s) for f, s, _ in stats[:4]] == [
        (4094, ""),
        (4095, ""),
        (4096, ""),
        (4096, "cut"),
    ]
    shallow, deep = (r for r in traced.after() if r["syscall"] == "openat")
    assert shallow["file"] == f"{tmp_path}/{'/'.join(['n' * 199] * 19)}/shallow"
    assert shallow["file_state"] == ""
    assert deep["file_state"] == "cut"
    assert deep["file"].endswith(f"/{'n' * 199}/deep")
    assert not deep["file"].startswith("/")
    assert 3800 < len(deep["file"]) <= 4352
    assert stats[4][0].endswith("/deep")
    assert stats[4][1] == "cut"
