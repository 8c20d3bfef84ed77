"""Numbers and places in memory that the kernel uses again: nothing old is shown."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tracing import MODES, program

pytestmark = pytest.mark.kernel

PIPES = r"""
int main(void) {
	for (int i = 0; i < 300; i++) {
		struct stat st;
		int ends[2];
		must(pipe(ends) == 0 && fstat(ends[0], &st) == 0, "pipe");
		printf("%d pipe:[%lu]\n", i, st.st_ino);
		fflush(stdout);
		syscall(SYS_pwrite64, ends[1], "x", 1, i);
		close(ends[0]);
		close(ends[1]);
	}
	return 0;
}
"""


@pytest.mark.parametrize("pairing", MODES)
def test_a_pipe_where_another_was_has_its_own_number(pairing: str) -> None:
    traced = program(PIPES, pairing=pairing)
    facts = traced.facts()
    assert len(facts) == 300
    named = {str(row["offset"]): row["file"] for row in traced.of("pwrite64")}
    assert named == facts


SOCKETS = r"""
int main(void) {
	for (int i = 0; i < 300; i++) {
		struct stat st;
		int fd = socket(i % 2 ? AF_UNIX : AF_INET, SOCK_DGRAM, 0);
		must(fd >= 0 && fstat(fd, &st) == 0, "socket");
		printf("%d %s socket:[%lu]\n", i, i % 2 ? "unix" : "udp", st.st_ino);
		fflush(stdout);
		syscall(SYS_pwrite64, fd, "x", 1, i);
		close(fd);
	}
	return 0;
}
"""


@pytest.mark.parametrize("pairing", MODES)
def test_a_socket_where_another_was_has_its_own_number(pairing: str) -> None:
    traced = program(SOCKETS, pairing=pairing, families=["FS", "Network"])
    facts = traced.facts()
    assert len(facts) == 300
    named = {str(row["offset"]): row["file"] for row in traced.of("pwrite64")}
    assert named == facts
    made = [row["file"] for row in traced.of("socket")]
    assert made == list(facts.values())


REPLACED = r"""
int main(int argc, char **argv) {
	char *arguments[] = { "true", NULL }, *nothing[] = { NULL };
	syscall(SYS_execveat, AT_FDCWD, "/no/such", arguments, nothing, 0);
	syscall(SYS_execveat, AT_FDCWD, "/bin/true", arguments, nothing, 0);
	return 1;
}
"""


@pytest.mark.parametrize("selection", [{"syscalls": ["execveat"]}, {"families": ["Process"]}])
@pytest.mark.parametrize("pairing", MODES)
def test_a_successful_execveat_is_a_row(pairing: str, selection: dict[str, list[str]]) -> None:
    """On x86 it returns with the number of execve."""
    traced = program(REPLACED, pairing=pairing, **selection)
    rows = [(row["file"], row["ret"], row["latency_ns"] > 0) for row in traced.of("execveat")]
    assert rows == [("/no/such", -2, True), ("/bin/true", 0, True)]
    assert not traced.unmatched


BEGINS_32_BIT = r"""
int main(int argc, char **argv) {
	char *arguments[] = { argv[1], NULL }, *nothing[] = { NULL };
	if (fork() == 0)
		syscall(SYS_execveat, AT_FDCWD, argv[1], arguments, nothing, 0);
	wait(NULL);
	return execve(argv[1], arguments, nothing);
}
"""
ENDS_AT_ONCE = ".globl _start\n_start: movl $1, %eax\nxorl %ebx, %ebx\nint $0x80\n"


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="32-bit programs of x86")
@pytest.mark.parametrize("pairing", MODES)
def test_an_execve_that_begins_a_32_bit_program_is_a_row(tmp_path: Path, pairing: str) -> None:
    """It returns with the number of a 32-bit execve; the program's own calls are not shown."""
    small = str(tmp_path / "small")
    subprocess.run(["as", "--32", "-o", f"{small}.o"], input=ENDS_AT_ONCE.encode(), check=True)
    subprocess.run(["ld", "-m", "elf_i386", "-o", small, f"{small}.o"], check=True)
    traced = program(BEGINS_32_BIT, small, pairing=pairing, families=["Process"])
    rows = [r for r in traced.of("execve", "execveat") if r["file"] == small]
    assert sorted((r["syscall"], r["ret"]) for r in rows) == [("execve", 0), ("execveat", 0)]
    assert traced.causes == {"child": 1}


NAMESPACES = r"""
int main(void) {
	const char *names[] = { "net", "mnt", "uts", "pid", "user", "ipc", "cgroup" };
	for (int i = 0; i < 7; i++) {
		char path[64], link[64];
		snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		int n = readlink(path, link, sizeof(link) - 1);
		must(n > 0, path);
		link[n] = 0;
		printf("%d %s\n", i, link);
		close(open(path, O_RDONLY));
	}
	return 0;
}
"""


@pytest.mark.parametrize("pairing", MODES)
@pytest.mark.parametrize("probe_reads", [False, True])
def test_namespaces_are_called_by_their_kind(pairing: str, probe_reads: bool) -> None:
    traced = program(NAMESPACES, pairing=pairing, probe_reads=probe_reads)
    named = [r["file"] for r in traced.of("openat") if Path(r["asked"]).parent.name == "ns"]
    assert named == list(traced.facts().values())
