"""Control groups in filters: by the path and all below it, in the kernel as in the stage."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pushing import check
from tracing import KINDS, MARK, compiled

from ior.errors import UsageError
from ior.host import cgroups

pytestmark = pytest.mark.kernel

PLACES = ("a", "a/b", "a/b/c", "ab", "b", "ba")

IN_PLACES = r"""
/* A process in each of the groups that the arguments name, below the first; one moves on. */
static void put(const char *root, const char *group) {
	char path[4096];
	snprintf(path, sizeof path, "%s/%s/cgroup.procs", root, group);
	int fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY);
	must(fd >= 0 && write(fd, "0", 1) == 1, path);
	syscall(SYS_close, fd);
}
static void calls(void) {
	char byte;
	for (int i = 0; i < 5; i++) {
		int fd = syscall(SYS_openat, AT_FDCWD, "/dev/zero", O_RDONLY);
		syscall(SYS_read, fd, &byte, 1);
		syscall(SYS_access, "/no/such", 0);
		syscall(SYS_close, fd);
	}
}
int main(int argc, char **argv) {
	int status;
	calls();
	for (int i = 2; i < argc; i++) {
		if (!fork()) {
			put(argv[1], argv[i]);
			calls();
			put(argv[1], argv[2]);
			calls();
			_exit(0);
		}
		must(wait(&status) > 0 && !status, argv[i]);
	}
	return 0;
}
"""


@pytest.fixture
def places(groups: Path) -> Path:
    """Return a new control group with those of `PLACES` below it."""
    for place in PLACES:
        (groups / place).mkdir(parents=True)
    return groups


def named(where: str, places: Path) -> str:
    return where.replace("G/", f"/{places.name}/")


@pytest.mark.parametrize(("pairing", "probe_reads"), KINDS)
@pytest.mark.parametrize(
    ("where", "seen"),
    [
        ('cgroup under "G/a"', {"/a", "/a/b", "/a/b/c"}),
        ('cgroup == "G/a/b"', {"/a/b"}),
        pytest.param(
            'not cgroup under "G/a/b" and syscall == read',
            {"", "/a", "/ab", "/b", "/ba"},
            marks=pytest.mark.core,
        ),
        ('cgroup in ["G/ab", "G/a/b/c"] or cgroup == "/"', {"", "/ab", "/a/b/c"}),
        (
            'cgroup under "G/" and not cgroup under "G/a/b" and cgroup != "G/b"',
            {"/a", "/ab", "/ba"},
        ),
        ('cgroup under "G/a/b" or cgroup == "G/a/"', {"/a/b", "/a/b/c"}),
    ],
)
def test_a_filter_of_groups_is_the_same_in_the_kernel(
    places: Path, where: str, seen: set[str], pairing: str, *, probe_reads: bool
) -> None:
    both = check(
        named(where, places),
        [compiled(IN_PLACES), str(places), *PLACES],
        syscalls=["openat", "read", "access", "close"],
        pairing=pairing,
        probe_reads=probe_reads,
    )
    rows = both.pushed.rows()
    prefix = f"/{places.name}"
    assert {row["cgroup"].removeprefix(prefix) for row in rows if row["cgroup"] != "/"} == seen - {
        ""
    }
    assert ("/" in {row["cgroup"] for row in rows}) == ("" in seen)
    assert both.kernel["filtered_in_kernel"] > 20
    assert both.ledger.stages["pushed-where"].filtered == 0, "none is left to the stage"
    assert len({row["cgroup_id"] for row in both.plain.rows()}) == len(seen)


def test_a_pattern_of_groups_stays_with_the_stage(places: Path) -> None:
    where = f'cgroup ~ "{places.name}/a"'
    both = check(where, [compiled(IN_PLACES), str(places), *PLACES], syscalls=["read"])
    assert {Path(row["cgroup"]).name for row in both.pushed.rows()} == {"a", "b", "c", "ab"}
    assert both.kernel["filtered_in_kernel"] == 0


PIPELINE = """
version = 1
[stage]
kernel = { type = "bpf", syscalls = ["openat"] }
pair = { type = "pair", inputs = "kernel" }
rows = { type = "csv", inputs = "pair", path = "rows.csv" }
"""


@pytest.mark.parametrize("pairing", ["kernel", "user"])
def test_a_service_is_followed_with_all_below_it_and_when_it_is_made_again(
    places: Path, tmp_path: Path, pairing: str
) -> None:
    """Trace the host, and of it what `--cgroup` says: as path of a row, and as place on disk."""
    (tmp_path / "p.toml").write_text(PIPELINE)
    given = ("--cgroup", f"{places}/a/", "--cgroup", f"{places.name}/b")
    line = [sys.executable, "-m", "ior", "run", "p.toml", *given, "--pairing", pairing]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [*line, "--ledger", "l.json"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE
    ) as tracer:
        assert tracer.stderr is not None
        assert b"of every process" in tracer.stderr.readline()
        for place in PLACES:
            work(places / place)
        old = (places / "b").stat().st_ino
        os.rmdir(places / "b")
        (places / "b").mkdir()
        assert (places / "b").stat().st_ino != old
        work(places / "b")
        tracer.send_signal(signal.SIGINT)
        assert tracer.wait(60) == 0, tracer.stderr.read()
    with (tmp_path / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    cats = [row["cgroup"] for row in rows if row["file"] == MARK]
    assert cats == [f"/{places.name}/{place}" for place in ("a", "a/b", "a/b/c", "b", "b")]
    assert {row["cgroup"] for row in rows} == set(cats)
    assert len({row["cgroup_id"] for row in rows}) == 5


def work(group: Path) -> None:
    """Run a process in a group until it is gone from there."""
    text = f"echo $$ > {group}/cgroup.procs; exec cat {MARK}"
    subprocess.run(["sh", "-c", text], check=False, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while (group / "cgroup.procs").read_text() and time.monotonic() < deadline:
        time.sleep(0.001)


def test_a_group_by_its_path_or_its_place(places: Path) -> None:
    path = f"/{places.name}/a/b"
    for given in (path, path[1:], f"{path}/", str(places / "a/b"), f"{places.name}//a/../a/b"):
        assert cgroups.path_of(given) == path
    assert cgroups.path_of("/") == cgroups.path_of(str(places.parent)) == "/"
    with pytest.raises(UsageError, match=r"no control group 'nginx.service': .*: No such file"):
        cgroups.path_of("nginx.service")
