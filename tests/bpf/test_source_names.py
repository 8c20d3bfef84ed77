"""Names that are true at the call: renames, deletions, mounts, chroots, and hostile bytes."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tracing import KINDS, MODES, compiled, program, trace

from ior.sources.bpf import source as source_module
from ior.sources.bpf.names import NameIds
from ior.text import unescape

pytestmark = pytest.mark.kernel


MOVES = r"""
static char byte;
int main(int argc, char **argv) {
	must(chdir(argv[1]) == 0, "chdir");
	int fd = open("a/b/c/file", O_RDWR), gone = open("a/b/gone", O_RDWR);
	int over = open("a/b/over", O_RDWR);
	mark();
	syscall(SYS_pwrite64, fd, &byte, 1, 0);
	syscall(SYS_rename, "a", "x");
	syscall(SYS_pwrite64, fd, &byte, 1, 0);
	syscall(SYS_rename, "x/b/c/file", "x/new");
	syscall(SYS_pwrite64, fd, &byte, 1, 0);
	syscall(SYS_renameat2, AT_FDCWD, "x/new", AT_FDCWD, "other", RENAME_EXCHANGE);
	syscall(SYS_pwrite64, fd, &byte, 1, 0);
	syscall(SYS_unlink, "x/b/gone");
	syscall(SYS_pwrite64, gone, &byte, 1, 0);
	close(open("x/b/gone", O_CREAT | O_RDWR, 0600));
	syscall(SYS_pwrite64, gone, &byte, 1, 0);
	syscall(SYS_rename, "x/b/fresh", "x/b/over");
	syscall(SYS_pwrite64, over, &byte, 1, 0);
	syscall(SYS_close, gone);
	return 0;
}
"""


@pytest.mark.core
@pytest.mark.parametrize(("pairing", "probe_reads"), KINDS)
def test_every_row_shows_the_name_at_that_call(
    tmp_path: Path, pairing: str, probe_reads: bool
) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    for name in ("a/b/c/file", "a/b/gone", "a/b/over", "a/b/fresh", "other"):
        (tmp_path / name).touch()
    traced = program(MOVES, str(tmp_path), pairing=pairing, probe_reads=probe_reads)
    rows = [r for r in traced.after() if r["syscall"] == "pwrite64"]
    assert [(os.path.relpath(r["file"], tmp_path), r["file_state"]) for r in rows] == [
        ("a/b/c/file", ""),
        ("x/b/c/file", ""),
        ("x/new", ""),
        ("other", ""),
        ("x/b/gone", "deleted"),
        ("x/b/gone", "deleted"),
        ("x/b/over", "deleted"),
    ]
    closed = [r for r in traced.after() if r["syscall"] == "close"][-1]
    assert (closed["file"], closed["file_state"]) == (f"{tmp_path}/x/b/gone", "deleted")


MOUNTS = r"""
static char byte;
static void look(int fd) { syscall(SYS_pwrite64, fd, &byte, 1, 0); }
int main(int argc, char **argv) {
	must(unshare(CLONE_NEWNS) == 0, "unshare");
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private");
	must(chdir(argv[1]) == 0, "chdir");
	int before = open("real/file", O_RDWR);
	must(mount("real", "bound", NULL, MS_BIND, NULL) == 0, "bind");
	must(mount("real/file", "one", NULL, MS_BIND, NULL) == 0, "bind file");
	must(mount("tmpfs", "tmp", "tmpfs", 0, NULL) == 0, "tmpfs");
	mkdir("tmp/deep", 0755);
	mark();
	look(before);
	int bound = open("bound/file", O_RDWR), one = open("one", O_RDWR);
	int tmp = open("tmp/deep/file", O_CREAT | O_RDWR, 0600);
	look(bound); look(one); look(tmp);
	rename("tmp", "moved");
	must(mount("tmp", "moved", NULL, MS_MOVE, NULL) == 0, "move");
	look(tmp);
	must(chroot("moved") == 0, "chroot");
	look(tmp);
	struct stat st;
	syscall(SYS_stat, "/deep", &st);
	must(chdir("/") == 0, "chdir");
	syscall(SYS_stat, "deep", &st);
	return 0;
}
"""


@pytest.mark.core
@pytest.mark.parametrize(("pairing", "probe_reads"), KINDS)
def test_mounts_and_roots_are_part_of_the_name(
    tmp_path: Path, pairing: str, probe_reads: bool
) -> None:
    for name in ("real", "bound", "tmp", "moved"):
        (tmp_path / name).mkdir()
    for name in ("real/file", "one"):
        (tmp_path / name).touch()
    traced = program(MOUNTS, str(tmp_path), pairing=pairing, probe_reads=probe_reads)
    rows = [r["file"] for r in traced.after() if r["syscall"] in ("pwrite64", "stat")]
    here = str(tmp_path)
    assert rows == [
        f"{here}/real/file",
        f"{here}/bound/file",
        f"{here}/one",
        f"{here}/tmp/deep/file",
        f"{here}/moved/deep/file",
        "/deep/file",
        "/deep",
        "/deep",
    ]
    assert traced.of("chroot")[0]["file"] == f"{here}/moved"


HOSTILE = [
    b"new\nline",
    b"comma,quote\"'",
    b"back\\slash\\x41",
    b"\x1b[31mred\x1b[0m\x07",
    "bidi\u202eexe.txt".encode(),
    b"invalid\xff\xfe\x80utf",
    b"\xc0\xaf overlong \xed\xa0\x80",
    b"=cmd()",
    b" leading and trailing ",
    bytes(range(1, 47)),
    bytes(range(48, 128)),
    bytes(range(128, 256)),
    "日本語\U0001f600".encode(),
    b"n" * 255,
]

OPEN_ALL = r"""
int main(int argc, char **argv) {
	char byte;
	must(chdir(argv[1]) == 0, "chdir");
	mark();
	for (int i = 2; i < argc; i++) {
		int fd = syscall(SYS_openat, AT_FDCWD, argv[i], O_CREAT | O_RDWR, 0600);
		must(fd >= 0, argv[i]);
		syscall(SYS_prctl, PR_SET_NAME, argv[i]);
		syscall(SYS_read, fd, &byte, 1);
		close(fd);
	}
	return 0;
}
"""


@pytest.mark.parametrize("pairing", MODES)
def test_every_byte_of_a_name_comes_back(tmp_path: Path, pairing: str) -> None:
    argv = [compiled(OPEN_ALL), str(tmp_path), *map(os.fsdecode, HOSTILE)]
    traced = trace(argv, pairing=pairing)
    opened = [r for r in traced.after() if r["syscall"] == "openat"]
    read = [r for r in traced.after() if r["syscall"] == "read"]
    paths = [os.fsencode(tmp_path) + b"/" + name for name in HOSTILE]
    assert [unescape(r["file"]) for r in opened] == paths
    assert [unescape(r["file"]) for r in read] == paths
    assert [unescape(r["comm"]) for r in read] == [name[:15] for name in HOSTILE]


WALK = r"""
#include <ftw.h>
int fd;
static int each(const char *path, const struct stat *st, int type, struct FTW *at) {
	char byte;
	if (type == FTW_D)
		usleep(2000); /* so that there are many batches */
	syscall(SYS_newfstatat, AT_FDCWD, path, (struct stat *)st, 0);
	syscall(SYS_read, fd, &byte, 1);
	return 0;
}
static void *waits(void *ends) {
    char byte;
    prctl(PR_SET_NAME, "waits");
    syscall(SYS_read, *(int *)ends, &byte, 1);
    return 0;
}
int main(int argc, char **argv) {
	int ends[2];
	pthread_t thread;
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair");
	struct stat st;
	must(fstat(ends[0], &st) == 0, "fstat");
	printf("waited unix socket:[%lu]\n", st.st_ino);
	fd = open("/dev/zero", O_RDONLY);
	must(chdir(argv[1]) == 0, "chdir");
	pthread_create(&thread, NULL, waits, ends);
	usleep(20000);
	mark();
	for (int i = 0; i < 3; i++)
		nftw(".", each, 20, FTW_PHYS);
	write(ends[1], "", 1);
	pthread_join(thread, NULL);
	return 0;
}
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory of 3,600 files in 60 directories."""
    root = tmp_path_factory.mktemp("tree")
    for i in range(60):
        folder = root / f"directory-{i}"
        folder.mkdir()
        for j in range(60):
            (folder / f"file-{j}").touch()
    return root


@pytest.mark.parametrize("pairing", MODES)
def test_names_stay_right_when_memory_for_them_is_short(
    tree: Path, pairing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[NameIds] = []
    turns: list[int] = []

    class Short(NameIds):
        def __init__(self, budget: int) -> None:
            super().__init__(5_000)  # a few dozen names
            made.append(self)

        def turn(self, waiting: object) -> None:
            turns.append(len(self.names))
            super().turn(waiting)  # type: ignore[arg-type]

    monkeypatch.setattr(source_module, "NameIds", Short)
    # Batches are small so that a full ring is read in many.
    traced = program(WALK, str(tree), pairing=pairing, max_calls=64)
    assert len(turns) >= 3, "the budget was never exceeded"
    assert made[0].unresolved == 0
    assert traced.ledger.kernel["names_lost"] == 0
    rows = traced.after()
    truth = [str(tree), *(f"{tree}/{path.relative_to(tree)}" for path in tree.rglob("*"))]
    stats = [r["file"] for r in rows if r["syscall"] == "newfstatat" and not r["asked"]]
    for path in truth:
        assert stats.count(path) >= 3
    assert set(stats) == set(truth)
    zeros = [r for r in rows if r["syscall"] == "read" and r["bytes"] and r["fd"] == 5]
    assert {r["file"] for r in zeros} == {"/dev/zero"}
    # This one was entered before the first name was forgotten and returned after the last.
    waited = traced.of("read", file=traced.facts()["waited"])
    assert [(r["ret"], r["comm"]) for r in waited] == [(1, "waits")]


BURST = r"""
static void visit(char *path) {
	char byte;
	int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY);
	must(fd >= 0, path);
	syscall(SYS_pread64, fd, &byte, 1, 0);
	syscall(SYS_close, fd);
}
int main(int argc, char **argv) {
	char path[64];
	must(chdir(argv[1]) == 0, "chdir");
	mark();
	for (int i = 0; i < 3600; i++) {
		sprintf(path, "directory-%d/file-%d", i / 60, i % 60);
		visit(path);
	}
	for (int i = 0; i < 3600; i += 360) {
		usleep(150000); /* so that the ring of names is empty again */
		if (!i)
			mark();
		sprintf(path, "directory-%d/file-%d", i / 60, i % 60);
		visit(path);
	}
	return 0;
}
"""


@pytest.mark.parametrize("pairing", MODES)
def test_a_lost_name_is_unknown_counted_and_announced_again(tree: Path, pairing: str) -> None:
    selected = ["openat", "pread64", "close", "access"]
    traced = program(BURST, str(tree), pairing=pairing, names_ring_size="4KiB", syscalls=selected)
    truth = [f"{tree}/directory-{i}/file-{j}" for i in range(60) for j in range(60)]
    rows = traced.after()
    assert [r["syscall"] for r in rows] == ["openat", "pread64", "close"] * 3600
    assert traced.ledger.kernel["lost"] == 0
    lost = [r["file_state"] == "unknown" for r in rows]
    assert any(lost)
    assert traced.ledger.kernel["names_lost"] > 0
    assert any("names lost" in text for text in traced.warnings)
    for index, row in enumerate(rows):
        path = truth[index // 3]
        if lost[index]:
            at = os.stat(path)
            device = f"{os.major(at.st_dev)}:{os.minor(at.st_dev)}"
            named = path, f"unknown:[{device} {at.st_ino & 0xFFFFFFFF}]"
            assert row["file"] in named  # the state may be that of what was asked for
        else:
            assert row["file"] == path
    # Of the same files, with room in the ring, every name is known.
    later = traced.after(2)
    assert [r["file"] for r in later] == [p for p in truth[::360] for _ in range(3)]
    assert {r["file_state"] for r in later} == {""}
    assert {r["asked"] for r in later} == {""}, "the path that was asked for is known again, too"


def test_the_budget_of_the_configuration_holds_over_a_walk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mebibyte is not enough for these names: it is turned over, and none is wrong."""
    for i in range(60):
        folder = tmp_path / f"{i}"
        folder.mkdir()
        for j in range(200):
            (folder / f"{j:0>200}").touch()
    sizes: list[int] = []
    turn = NameIds.turn

    def counted(self: NameIds, waiting: npt.NDArray[np.uint64]) -> None:
        sizes.append(self.names.size_bytes)
        turn(self, waiting)

    monkeypatch.setattr(NameIds, "turn", counted)
    traced = program(WALK, str(tmp_path), names_mib=1)
    truth = {str(tmp_path), *(str(path) for path in tmp_path.rglob("*"))}
    assert len(sizes) >= 2, "the budget was never exceeded"
    assert max(sizes) < 16 << 20  # a batch and the margin of a turn are above the budget
    assert traced.ledger.kernel["names_lost"] == traced.ledger.kernel["lost"] == 0
    looked = Counter(
        r["file"] for r in traced.after() if r["syscall"] == "newfstatat" and not r["asked"]
    )
    assert looked.keys() == truth
    assert min(looked.values()) >= 3
    assert not [r for r in traced.rows if r["file_state"] == "unknown"]
