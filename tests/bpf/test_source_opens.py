"""Opens and path arguments: whole names, what was asked for, and what could not be read."""

from __future__ import annotations

import os
from typing import Any

import pytest
from tracing import KINDS, program

pytestmark = [pytest.mark.kernel, pytest.mark.core]

OPENS = r"""
int main(int argc, char **argv) {
        const char *dir = argv[1];
        must(chdir(dir) == 0, "chdir");
        mark();
        int absolute = syscall(SYS_open, argv[2], O_RDONLY | O_NONBLOCK);
        int missing = syscall(SYS_openat, AT_FDCWD, "no/such", O_WRONLY);
        int relative = syscall(SYS_openat, AT_FDCWD, "./sub//file", O_RDWR | O_APPEND);
        int link = syscall(SYS_openat, AT_FDCWD, "link", O_RDONLY);
        int sub = syscall(SYS_openat, AT_FDCWD, "sub", O_RDONLY | O_DIRECTORY);
        int at = syscall(SYS_openat, sub, "file", O_RDONLY);
        struct open_how how = { .flags = O_RDONLY | O_CLOEXEC, .resolve = RESOLVE_BENEATH };
        int two = syscall(SYS_openat2, sub, "file", &how, sizeof(how));
        int made = syscall(SYS_creat, "made", 0640);
        int wrong = syscall(SYS_openat, AT_FDCWD, NULL, O_RDONLY);
        int bad = syscall(SYS_openat, AT_FDCWD, (char *)8, O_RDONLY);
        printf("absolute %d\nrelative %d\nlink %d\nsub %d\nat %d\ntwo %d\nmade %d\nwrong %d %d\n",
               absolute, relative, link, sub, at, two, made, wrong, bad);
        return 0;
}
"""


@pytest.fixture(scope="module", params=KINDS, ids=str)
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("opens")
    (folder / "sub").mkdir()
    (folder / "sub/file").write_text("hello")
    (folder / "link").symlink_to("sub/file")
    pairing, probe_reads = request.param
    traced = program(
        OPENS, str(folder), str(folder / "sub/file"), pairing=pairing, probe_reads=probe_reads
    )
    rows = traced.after()
    facts = {key: int(value.split()[0]) for key, value in traced.facts().items()}
    return folder, facts, [row for row in rows if row["syscall"] not in ("fstat", "write")]


def test_opens_show_path_flags_and_descriptor(opened: Any) -> None:
    folder, facts, rows = opened
    file = f"{folder}/sub/file"
    seen = [
        (r["syscall"], r["file"], r["asked"], r["fd"], r["ret"], r["args"][0]) for r in rows[:8]
    ]
    assert seen == [
        ("open", file, "", facts["absolute"], facts["absolute"], os.O_NONBLOCK),
        ("openat", f"{folder}/no/such", "", -1, -2, os.O_WRONLY),
        ("openat", file, "", facts["relative"], facts["relative"], os.O_RDWR | os.O_APPEND),
        ("openat", file, f"{folder}/link", facts["link"], facts["link"], os.O_RDONLY),
        ("openat", f"{folder}/sub", "", facts["sub"], facts["sub"], os.O_DIRECTORY),
        ("openat", file, "", facts["at"], facts["at"], os.O_RDONLY),
        ("openat2", file, "", facts["two"], facts["two"], os.O_CLOEXEC),
        ("creat", f"{folder}/made", "", facts["made"], facts["made"], 0o1101),
    ]
    assert rows[1]["errno"] == "ENOENT"
    assert rows[6]["args"][1] == 0  # mode
    assert rows[7]["args"][1] == 0o640


def test_status_flags_are_those_of_the_open_file(opened: Any) -> None:
    _, _, rows = opened
    access = os.O_ACCMODE | os.O_NONBLOCK | os.O_APPEND
    assert [r["fd_flags"] & access for r in rows[:3]] == [
        os.O_NONBLOCK,
        0,
        os.O_RDWR | os.O_APPEND,
    ]


def test_a_bad_pointer_is_unreadable(opened: Any) -> None:
    _, _, rows = opened
    for row in rows[8:10]:
        assert (row["syscall"], row["ret"], row["errno"]) == ("openat", -14, "EFAULT")
        assert (row["file"], row["file_state"], row["fd"]) == ("", "unreadable", -1)
