"""Descriptors: whatever way a number came to a file, the row shows what the kernel has there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tracing import KINDS, MODES, compiled, program, trace

pytestmark = [pytest.mark.kernel, pytest.mark.core]


DESCRIPTORS = r"""
static char byte;
static void number(const char *name, int fd) { printf("%s %d\n", name, fd); }
static void inode(const char *name, int fd) {
	struct stat st;
	fstat(fd, &st);
	printf("%s %lu\n", name, st.st_ino);
}
static void *thread(void *fd) { syscall(SYS_pwrite64, *(int *)fd, "t", 1, 0); return NULL; }
int main(int argc, char **argv) {
	must(chdir(argv[1]) == 0, "chdir");
	int one = open("one", O_RDWR), two = open("two", O_RDWR);
	int pipes[2], pair[2];
	must(pipe(pipes) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "pipe");
	int event = eventfd(0, 0), memory = memfd_create("my memory", 0);
	int zero = open("/dev/zero", O_RDONLY);
	number("one", one); number("two", two); number("pipe0", pipes[0]); number("pipe1", pipes[1]);
	number("pair0", pair[0]); number("event", event); number("memory", memory);
	number("zero", zero);
	inode("pipe", pipes[0]); inode("socket", pair[0]);
	fflush(stdout);
	mark(); /* 1: duplicates */
	number("dup", syscall(SYS_dup, one));
	number("dup2", syscall(SYS_dup2, one, 70));
	number("dup3", syscall(SYS_dup3, one, 71, O_CLOEXEC));
	number("fcntl", syscall(SYS_fcntl, one, F_DUPFD, 72));
	number("cloexec", syscall(SYS_fcntl, one, F_DUPFD_CLOEXEC, 73));
	syscall(SYS_dup2, 99, 74);
	syscall(SYS_dup2, two, 70);
	syscall(SYS_pwrite64, 70, "2", 1, 0);
	syscall(SYS_pwrite64, 71, "1", 1, 0);
	mark(); /* 2: status flags, number reuse, closed numbers */
	syscall(SYS_fcntl, 71, F_SETFL, O_NONBLOCK);
	syscall(SYS_pwrite64, one, "1", 1, 0);
	syscall(SYS_close, 71);
	syscall(SYS_pwrite64, 71, "1", 1, 0);
	syscall(SYS_close, 71);
	syscall(SYS_dup2, two, 71);
	syscall(SYS_pwrite64, 71, "1", 1, 0);
	mark(); /* 3: not files */
	syscall(SYS_write, pipes[1], "p", 1);
	syscall(SYS_read, pipes[0], &byte, 1);
	syscall(SYS_write, pair[0], "s", 1);
	uint64_t count = 1;
	syscall(SYS_write, event, &count, 8);
	syscall(SYS_write, memory, "m", 1);
	mark(); /* 4: two descriptors */
	loff_t from = 0, to = 0;
	syscall(SYS_copy_file_range, one, &from, two, &to, 1, 0);
	from = 0;
	syscall(SYS_sendfile, pair[0], one, &from, 1);
	from = 0;
	syscall(SYS_splice, one, &from, pipes[1], NULL, 1, 0);
	syscall(SYS_splice, pipes[0], NULL, two, &to, 1, 0);
	mark(); /* 5: inherited, shared, passed */
	if (fork() == 0) {
		syscall(SYS_pwrite64, one, "c", 1, 0);
		syscall(SYS_close, two);
		syscall(SYS_openat, AT_FDCWD, "three", O_CREAT | O_RDWR, 0600);
		syscall(SYS_pwrite64, two, "c", 1, 0);
		_exit(0);
	}
	wait(NULL);
	syscall(SYS_pwrite64, two, "p", 1, 0);
	pthread_t other;
	pthread_create(&other, NULL, thread, &one);
	pthread_join(other, NULL);
	int received = open("/dev/null", O_RDWR);
	if (fork() == 0) { /* passes a descriptor that only it has */
		int mine = open("one", O_RDWR);
		char control[CMSG_SPACE(sizeof(int))] = {};
		struct iovec data = { &byte, 1 };
		struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
			.msg_controllen = sizeof control };
		struct cmsghdr *head = CMSG_FIRSTHDR(&message);
		head->cmsg_level = SOL_SOCKET, head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(head), &mine, sizeof mine);
		sendmsg(pair[0], &message, 0);
		_exit(0);
	}
	wait(NULL);
	char control[CMSG_SPACE(sizeof(int))], text[8];
	struct iovec data = { text, 8 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof control };
	recvmsg(pair[1], &message, 0); /* the bytes that were written before */
	if (!CMSG_FIRSTHDR(&message)) {
		message.msg_controllen = sizeof control;
		recvmsg(pair[1], &message, 0);
	}
	must(CMSG_FIRSTHDR(&message) != NULL, "no descriptor");
	memcpy(&received, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof received);
	number("received", received);
	syscall(SYS_pwrite64, received, "r", 1, 0);
	return 0;
}
"""


@pytest.fixture(scope="module", params=KINDS, ids=str)
def traced(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("descriptors")
    (folder / "one").write_text("11")
    (folder / "two").write_text("22")
    pairing, probe_reads = request.param
    result = program(
        DESCRIPTORS,
        str(folder),
        pairing=pairing,
        probe_reads=probe_reads,
        families=["FS"],
        kinds=["fd"],
    )
    facts = {key: int(value) for key, value in result.facts().items()}
    return result, facts, f"{folder}/one", f"{folder}/two"


def test_duplicates_show_new_and_old(traced: Any) -> None:
    result, fact, one, two = traced
    rows = [
        (r["syscall"], r["fd"], r["file"], r["fd2"], r["old_file"], r["errno"])
        for r in result.after(1)
        if r["syscall"] != "write"
    ]
    old = fact["one"]
    assert rows == [
        ("dup", fact["dup"], one, old, one, ""),
        ("dup2", 70, one, old, one, ""),
        ("dup3", 71, one, old, one, ""),
        ("fcntl", fact["fcntl"], one, old, one, ""),
        ("fcntl", fact["cloexec"], one, old, one, ""),
        ("dup2", -1, "", 99, "", "EBADF"),
        ("dup2", 70, two, fact["two"], two, ""),
        ("pwrite64", 70, two, -1, "", ""),
        ("pwrite64", 71, one, -1, "", ""),
    ]
    assert fact["fcntl"] == 72


def test_numbers_show_what_is_behind_them_now(traced: Any) -> None:
    result, fact, one, two = traced
    rows = result.after(2)
    assert [(r["syscall"], r["fd"], r["file"], r["errno"]) for r in rows] == [
        ("fcntl", 71, one, ""),
        ("pwrite64", fact["one"], one, ""),
        ("close", 71, one, ""),
        ("pwrite64", 71, "", "EBADF"),
        ("close", 71, "", "EBADF"),
        ("dup2", 71, two, ""),
        ("pwrite64", 71, two, ""),
    ]
    assert not rows[0]["fd_flags"] & os.O_NONBLOCK
    assert rows[1]["fd_flags"] & os.O_NONBLOCK, "set through a duplicate"
    assert rows[2]["fd_flags"] & os.O_NONBLOCK
    assert not rows[6]["fd_flags"] & os.O_NONBLOCK


def test_what_is_not_a_file_says_what_it_is(traced: Any) -> None:
    result, fact, _, _ = traced
    rows = [(r["syscall"], r["file"], r["bytes"], r["file_state"]) for r in result.after(3)]
    assert rows == [
        ("write", f"pipe:[{fact['pipe']}]", 1, ""),
        ("read", f"pipe:[{fact['pipe']}]", 1, ""),
        ("write", f"unix socket:[{fact['socket']}]", 1, ""),
        ("write", "anon_inode:[eventfd]", 8, ""),
        ("write", "memfd:my memory", 1, ""),
    ]


def test_calls_with_two_descriptors_show_both_ends(traced: Any) -> None:
    result, fact, one, two = traced
    pipe, socket = f"pipe:[{fact['pipe']}]", f"unix socket:[{fact['socket']}]"
    rows = [
        (r["syscall"], r["fd"], r["file"], r["fd2"], r["old_file"], r["bytes"])
        for r in result.after(4)
    ]
    assert rows == [
        ("copy_file_range", fact["two"], two, fact["one"], one, 1),
        ("sendfile", fact["pair0"], socket, fact["one"], one, 1),
        ("splice", fact["pipe1"], pipe, fact["one"], one, 1),
        ("splice", fact["two"], two, fact["pipe0"], pipe, 1),
    ]


def test_inherited_shared_and_passed_descriptors(traced: Any) -> None:
    result, fact, one, two = traced
    rows = [r for r in result.after(5) if r["syscall"] == "pwrite64"]
    parent = rows[-1]["pid"]
    three = os.path.join(os.path.dirname(one), "three")
    assert [(r["pid"] == parent, r["fd"], r["file"]) for r in rows] == [
        (False, fact["one"], one),
        (False, fact["two"], three),
        (True, fact["two"], two),
        (True, fact["one"], one),
        (True, fact["received"], one),
    ]
    assert rows[3]["tid"] != parent


WAITS = r"""
int main(int argc, char **argv) {
	char byte;
	int fd = open(argv[1], O_RDWR);
	must(fd == 3, argv[1]);
	syscall(SYS_write, 1, "ready", 5);
	syscall(SYS_read, 0, &byte, 1); /* in flight when the trace begins */
	for (int i = 0; i < 5; i++)
		syscall(SYS_pwrite64, fd, "x", 1, 0);
	return 0;
}
"""


@pytest.mark.parametrize(("pairing", "probe_reads"), KINDS)
def test_what_was_open_before_the_trace_is_named(
    tmp_path: Path, pairing: str, probe_reads: bool
) -> None:
    file = tmp_path / "file"
    file.touch()
    with subprocess.Popen(
        [compiled(WAITS), str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.read(5)
        stdin = child.stdin
        traced = trace(
            pid=child.pid,
            on_start=lambda _: stdin.close(),
            pairing=pairing,
            probe_reads=probe_reads,
        )
    rows = [(r["syscall"], r["fd"], r["file"], r["pid"]) for r in traced.rows]
    assert rows == [("pwrite64", 3, str(file), child.pid)] * 5
    assert traced.causes == {"in flight at start": 1}


@pytest.mark.parametrize("pairing", MODES)
def test_descriptor_3_of_two_processes_is_two_files(tmp_path: Path, pairing: str) -> None:
    for name in ("one", "two"):
        (tmp_path / name).touch()
    text = "for f in one two; do (for i in 1 2 3 4 5; do echo $i >&3; done) 3>$f & done; wait"
    traced = trace(["sh", "-c", text], cwd=tmp_path, pairing=pairing, syscalls=["write"])
    files = {(r["pid"], r["file"]) for r in traced.rows}
    assert sorted(file for _, file in files) == [f"{tmp_path}/one", f"{tmp_path}/two"]
    assert len({pid for pid, _ in files}) == 2
    assert len(traced.rows) == 10
