"""The table of syscalls against the system's headers, and how a selection is made."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ior import syscalls
from ior.errors import UsageError
from ior.syscalls import select

TABLE = syscalls.table("x86_64")
ARCHES = ("x86_64", "arm64")
HEADERS = {
    "x86_64": (
        "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
        "/usr/include/asm/unistd_64.h",
    ),
    "arm64": ("/usr/include/asm-generic/unistd.h",),
}


def numbers_of_header(arch: str) -> dict[str, int]:
    """Return the numbers by name that the system's header gives, read as text."""
    path = next((Path(p) for p in HEADERS[arch] if Path(p).exists()), None)
    assert path is not None, "linux-libc-dev is missing; scripts/setup installs it"
    text = path.read_text(encoding="utf-8")
    return {name: int(number) for name, number in re.findall(r"#define __NR_(\w+)\s+(\d+)\s", text)}


def nrs(*names: str) -> set[int]:
    return {TABLE.by_name[name].nr for name in names}


def of_family(family: str) -> set[int]:
    return {call.nr for call in TABLE.by_nr.values() if call.family == family}


@pytest.mark.parametrize("arch", ARCHES)
def test_numbers_are_those_of_the_system_header(arch: str) -> None:
    header = numbers_of_header(arch)
    table = syscalls.table(arch)
    compared = {
        call.name: (call.nr, header[call.name])
        for call in table.by_nr.values()
        if call.name in header
    }
    assert len(compared) > 250
    assert {name: pair for name, pair in compared.items() if pair[0] != pair[1]} == {}


def test_every_number_of_the_x86_header_is_known() -> None:
    header = numbers_of_header("x86_64")
    never_called = {"_sysctl", "create_module", "get_kernel_syms", "query_module", "nfsservctl"}
    never_called |= {"getpmsg", "putpmsg", "afs_syscall", "tuxcall", "security", "vserver"}
    never_called |= {"epoll_ctl_old", "epoll_wait_old", "uselib", "set_thread_area"}
    never_called |= {"get_thread_area", "lookup_dcookie"}
    unknown = {name for name, nr in header.items() if nr not in TABLE.by_nr} - never_called
    assert unknown == set()


@pytest.mark.parametrize("arch", ARCHES)
def test_names_and_numbers_are_one_to_one(arch: str) -> None:
    table = syscalls.table(arch)
    for call in table.by_nr.values():
        assert table.nr(call.name) == call.nr
        assert table.name(call.nr) == call.name
        assert table.family(call.nr) == call.family
        assert 0 <= call.nr < syscalls.NR_LIMIT
        assert call.byte_class in {"read", "write", "transfer", "-"}
    assert len({call.name for call in table.by_nr.values()}) == len(table.by_nr)


def test_either_name_is_the_same_syscall() -> None:
    assert TABLE.nr("newfstat") == TABLE.nr("fstat") == 5
    assert TABLE.name(5) == "fstat"
    assert select(syscalls=["newfstat"]) == select(syscalls=["fstat"]) == {5}


def test_number_outside_the_table() -> None:
    assert TABLE.name(500) == "syscall_500"
    assert TABLE.family(500) == "Misc"
    assert TABLE.nr("no_such_call") == -1
    assert syscalls.table("arm64").nr("open") == -1


def test_without_a_selection_it_is_the_file_system() -> None:
    assert select(arch="x86_64") == of_family("FS")
    assert nrs("openat", "read", "write", "close", "rename") <= select(arch="x86_64")
    excluded = select(exclude={"syscalls": ["read"]}, arch="x86_64")
    assert excluded == of_family("FS") - nrs("read")


def test_selections_are_a_union_minus_exclusions() -> None:
    chosen = select(["Network"], ["sleep"], ["read"], {"syscalls": ["accept"]}, arch="x86_64")
    assert chosen == (of_family("Network") | nrs("nanosleep", "clock_nanosleep", "read")) - nrs(
        "accept"
    )


def test_an_exclusion_wins_over_every_way_of_asking() -> None:
    chosen = select(["FS"], [], ["read", "socket"], {"families": ["fs"]}, arch="x86_64")
    assert chosen == nrs("socket")
    kinds = {TABLE.by_name["read"].kind}
    assert nrs("read") - select(["FS"], exclude={"kinds": list(kinds)}, arch="x86_64") == nrs(
        "read"
    )


@pytest.mark.parametrize("word", ["fs", "FS", "Fs"])
def test_families_in_any_case(word: str) -> None:
    assert select([word], arch="x86_64") == of_family("FS")


def test_regex_matches_either_name() -> None:
    assert select(syscalls=["/^p(read|write)64$/"], arch="x86_64") == nrs("pread64", "pwrite64")
    assert nrs("fstat") <= select(syscalls=["/^newf/"], arch="x86_64")


def test_kinds_select_every_call_of_the_kind() -> None:
    chosen = select(kinds=["Sleep"], arch="x86_64")
    assert chosen == {call.nr for call in TABLE.by_nr.values() if call.kind == "sleep"}
    assert nrs("nanosleep") <= chosen


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"syscalls": ["raed"]}, r"unknown syscall 'raed'; did you mean .*read"),
        ({"syscalls": ["READ"]}, r"unknown syscall 'READ'; did you mean .*read"),
        ({"syscalls": ["zzzzzzzz"]}, "unknown syscall 'zzzzzzzz'"),
        ({"families": ["Networc"]}, "unknown family 'Networc'; did you mean Network"),
        ({"families": ["qqq"]}, "unknown family 'qqq'; the choices are .*FS"),
        ({"kinds": ["slep"]}, "unknown kind 'slep'; did you mean sleep"),
        ({"syscalls": ["/nothing_like_it/"]}, "no syscall matches /nothing_like_it/"),
        ({"syscalls": ["/(/"]}, r"bad pattern /\(/: "),
        ({"syscalls": ["/"]}, "unknown syscall '/'"),
        ({"exclude": {"syscalls": ["wriet"]}}, "unknown syscall 'wriet'; did you mean .*write"),
        ({"exclude": {"families": ["FFS"]}}, "unknown family 'FFS'; did you mean FS"),
        ({"exclude": {"kinds": ["fdd"]}}, "unknown kind 'fdd'; did you mean fd"),
        ({"families": ["FS"], "exclude": {"families": ["fs"]}}, "leaves nothing to trace"),
        ({"syscalls": ["read"], "exclude": {"syscalls": ["/read/"]}}, "leaves nothing to trace"),
    ],
)
def test_refusals_name_the_nearest_valid_names(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        select(**asked, arch="x86_64")


NAMES = st.lists(st.sampled_from(sorted(TABLE.by_name)), max_size=8)
FAMILIES = st.lists(st.sampled_from(TABLE.families), max_size=3)


@given(FAMILIES, NAMES, NAMES)
def test_selection_is_set_arithmetic(
    families: list[str], named: list[str], excluded: list[str]
) -> None:
    wanted = nrs(*named).union(*map(of_family, families)) if families or named else of_family("FS")
    wanted -= nrs(*excluded)
    if wanted:
        assert select(families, (), named, {"syscalls": excluded}, arch="x86_64") == wanted
    else:
        with pytest.raises(UsageError, match="leaves nothing"):
            select(families, (), named, {"syscalls": excluded}, arch="x86_64")


def test_machine_of_an_unknown_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(UsageError, match="this machine is riscv64"):
        syscalls.architecture()
