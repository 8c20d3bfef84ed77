"""User, parent and control group of each call, as they are at that call."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tracing import KINDS, MARK, program, trace

from ior.sources.replay import batches

pytestmark = pytest.mark.kernel

CONTAINER = "0123456789abcdef" * 4


MOVES = r"""
static void put(const char *group, const char *name) {
	char path[4096];
	snprintf(path, sizeof path, "%s/%s/cgroup.procs", group, name);
	int fd = open(path, O_WRONLY);
	must(fd >= 0 && write(fd, "0", 1) == 1, path);
	close(fd);
}
int main(int argc, char **argv) {
	mark();
	syscall(SYS_access, "/0", 0);
	put(argv[1], argv[2]);
	syscall(SYS_access, "/1", 0);
	must(syscall(SYS_setresuid, 1000, 1001, 0) == 0, "setresuid");
	syscall(SYS_access, "/2", 0);
	if (fork() == 0) {
		pid_t parent = getpid();
		int ends[2];
		char byte;
		must(pipe(ends) == 0, "pipe");
		if (fork() == 0) {
			syscall(SYS_access, "/3", 0);
			must(write(ends[1], "x", 1) == 1, "write");
			while (getppid() == parent) usleep(1000);
			syscall(SYS_access, "/4", 0);
			_exit(0);
		}
		must(read(ends[0], &byte, 1) == 1, "read");
		_exit(0);
	}
	wait(NULL);
	must(syscall(SYS_setresuid, 0, 0, 0) == 0, "setresuid back");
	put(argv[1], "..");
	usleep(60000);
	return 0;
}
"""


@pytest.mark.core
@pytest.mark.parametrize(("pairing", "probe_reads"), KINDS)
@pytest.mark.parametrize("name", [f"docker-{CONTAINER}.scope", "a\x1b[2J,\\deep"])
def test_a_call_shows_group_user_and_parent_of_its_moment(
    groups: Path, pairing: str, probe_reads: bool, name: str
) -> None:
    inner = groups / "outer" / name
    inner.mkdir(parents=True)
    traced = program(
        MOVES,
        str(groups),
        f"outer/{name}",
        pairing=pairing,
        probe_reads=probe_reads,
        syscalls=["access"],
    )
    found = {r["file"]: r for r in traced.rows if r["file"] in {f"/{i}" for i in range(5)}}
    path = f"/{groups.name}/outer/{name}".replace("\\", "\\\\")
    group = (inner.stat().st_ino, path, CONTAINER if CONTAINER in name else "")
    keys = ("cgroup_id", "cgroup", "container")
    assert [tuple(found[f"/{i}"][k] for k in keys) for i in range(1, 5)] == [group] * 4
    assert found["/0"]["cgroup"] != path
    assert [found[f"/{i}"]["uid"] for i in range(5)] == [0, 0, 1000, 1000, 1000]
    assert {found[f"/{i}"]["ppid"] for i in range(3)} == {os.getpid()}
    assert found["/3"]["ppid"] != found["/4"]["ppid"], "its parent has died"


def test_a_group_that_is_gone_keeps_its_name(groups: Path) -> None:
    short = groups / "short"
    short.mkdir()
    text = f"echo $$ > {short}/cgroup.procs; read x < {MARK}; echo $$ > {groups}/../cgroup.procs"
    gone = f"{text}; rmdir {short}; sleep 0.2"
    traced = trace(["sh", "-c", gone], syscalls=["openat"])
    assert traced.of(file=MARK)[0]["cgroup"] == f"/{groups.name}/short"


DEEP = r"""
/* Move into the group at which a path of any length ends, step by step. */
int main(int argc, char **argv) {
	must(chdir(argv[1]) == 0, argv[1]);
	for (int i = 0; i < atoi(argv[2]); i++)
		must(chdir(argv[3]) == 0, argv[3]);
	int fd = open("cgroup.procs", O_WRONLY);
	must(fd >= 0 && write(fd, "0", 1) == 1, "cgroup.procs");
	mark();
	fd = openat(AT_FDCWD, argv[4], O_WRONLY);
	must(fd >= 0 && write(fd, "0", 1) == 1, argv[4]);
	usleep(60000);
	return 0;
}
"""


@pytest.mark.parametrize(("pairing", "probe_reads"), KINDS)
@pytest.mark.parametrize(("name", "depth"), [("d", 120), ("d", 140), ("n" * 240, 20)])
def test_a_group_that_is_too_deep_is_the_end_of_its_path(
    groups: Path, name: str, depth: int, pairing: str, *, probe_reads: bool
) -> None:
    at = os.open(groups, os.O_PATH)
    for _ in range(depth):
        os.mkdir(name, dir_fd=at)
        at, before = os.open(name, os.O_PATH, dir_fd=at), at
        os.close(before)
    os.close(at)
    traced = program(
        DEEP,
        str(groups),
        str(depth),
        name,
        str(groups.parent / "cgroup.procs"),
        pairing=pairing,
        probe_reads=probe_reads,
        syscalls=["access"],
    )
    (marked,) = traced.of(file=MARK)
    path = f"/{groups.name}" + f"/{name}" * depth
    if depth == 120:
        assert marked["cgroup"] == path
        return
    assert path.endswith("/" + marked["cgroup"])
    assert len(marked["cgroup"]) > (3800 if len(name) > 1 else 128 * 2 - 3)


PIPELINE = """
version = 1
[stage.kernel]
type = "bpf"
[stage.pair]
type = "pair"
inputs = "kernel"
[stage.keep]
type = "filter"
inputs = "pair"
where = 'uid == 0 and cgroup ~ "NAME" and container ^~ "01234"'
[stage.stats]
type = "stats"
inputs = "keep"
by = ["cgroup", "container", "uid", "ppid"]
[stage.capture]
type = "capture"
inputs = "keep"
path = "c.ior"
[stage.report]
type = "report"
of = ["stats"]
"""


def test_what_the_group_is_can_be_filtered_counted_and_recorded(
    groups: Path, tmp_path: Path
) -> None:
    group = groups / f"cri-containerd-{CONTAINER}.scope"
    group.mkdir()
    (tmp_path / "pipeline.toml").write_text(PIPELINE.replace("NAME", groups.name))
    text = f"echo $$ > {group}/cgroup.procs; cat {MARK}"
    text += f"; echo $$ > {groups}/../cgroup.procs; cat /dev/null"
    ran = ior(tmp_path, "run", "pipeline.toml", "--", "sh", "-c", text)
    assert f"{group.name[-20:]} " in ran
    assert f"{CONTAINER[:20]}" in ran
    rows = [row for batch in batches(str(tmp_path / "c.ior")) for row in batch.rows()]
    assert {row["file"] for row in rows} >= {MARK}
    assert not {row["file"] for row in rows} & {"/dev/null"}
    keys = ("cgroup_id", "cgroup", "container", "uid")
    assert {tuple(row[key] for key in keys) for row in rows} == {
        (group.stat().st_ino, f"/{groups.name}/{group.name}", CONTAINER, 0)
    }


def ior(folder: Path, *argv: str) -> str:
    line = [sys.executable, "-m", "ior", *argv]
    done = subprocess.run(
        line,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout + done.stderr
