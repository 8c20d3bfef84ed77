"""What is pushed into the kernel, against what the filter itself says of the same calls."""

from __future__ import annotations

import errno
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ior import syscalls
from ior.calls import CALLS
from ior.expr import compile_filter
from ior.expr.groups import GroupPath, GroupPaths
from ior.expr.sieve import MOST, CommandNames, Sieve, split, syscalls_of
from ior.expr.wording import wording
from ior.testing import calls
from ior.text import unescape

TABLE = syscalls.table("x86_64")
GROUP = next(column for column in CALLS.columns if column.name == "cgroup")
RETURNS = [-(2**63), -4096, -4095, -516, -515, -512, -13, -2, -1, 0, 1, 7, 2**63 - 1]
LATENCIES = [-1, 0, 1, 999_999, 1_000_000, 2**63 - 1]
GROUPS = ["/", "/a", "/a/b", "/a/b/c", "/ab", "/a\\xff"]
COMMS = ["", "dd", "sh", "DD", "a\\xff", "fifteen-letters"]


def passes(sieve: Sieve, row: dict[str, Any]) -> bool:
    """Decide as the programs do."""
    asked: list[bool] = []
    if sieve.syscall is not None:
        asked.append(row["nr"] in sieve.syscall)
    for name in ("pid", "tid", "ret", "latency_ns"):
        ranges = getattr(sieve, name)
        if ranges is not None:
            assert len(ranges) <= MOST
            asked.append(any(low <= row[name] <= high for low, high in ranges))
    if sieve.comm is not None:
        asked.append((unescape(row["comm"]) in sieve.comm.names) != sieve.comm.others)
    if sieve.cgroup is not None:
        asked.append(passes_group(sieve.cgroup, row["cgroup"]))
    return all(asked)


def passes_group(groups: GroupPaths, path: str) -> bool:
    """Decide about a control group by the longest path at or above it."""
    parts = tuple(part for part in unescape(path).split(b"/") if part)
    above = [known for known in groups.paths if parts[: len(known.parts)] == known.parts]
    if not above:
        return groups.others
    nearest = max(above, key=lambda known: len(known.parts))
    return nearest.here if nearest.parts == parts else nearest.below


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "nr": draw(st.sampled_from([0, 1, 3, 202, 257, 334, 511])),
        "pid": draw(st.sampled_from([0, 1, 7, 2**32 - 1])),
        "tid": draw(st.sampled_from([1, 8])),
        "ret": draw(st.sampled_from(RETURNS)),
        "latency_ns": draw(st.sampled_from(LATENCIES)),
        "comm": draw(st.sampled_from(COMMS)),
        "cgroup": draw(st.sampled_from(GROUPS)),
    }


def compared(name: str, values: list[Any]) -> st.SearchStrategy[str]:
    return st.builds(
        "{} {} {}".format,
        st.just(name),
        st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
        st.sampled_from(values),
    ) | st.builds(
        lambda op, some: f"{name} {op} {some}".replace("'", ""),
        st.sampled_from(["in", "not in"]),
        st.lists(st.sampled_from(values), max_size=5),
    )


TERMS = st.one_of(
    compared("pid", [0, 1, 7, 8, 2**32 - 1, 2**40, -1]),
    compared("tid", [1, 8]),
    compared("ret", [*RETURNS, 2**70]),
    compared("latency", ["-1ns", "0ns", "1ns", "1ms", "9223372036854775807ns"]),
    compared("errno", [0, errno.ENOENT, 512, 4095, 5000]),
    st.sampled_from(
        [
            *("is_error", "is_error == false", 'errno ~ "EN"', "errno in [ENOENT, EINTR]"),
            *("syscall == read", 'syscall ~ "a"', "family != FS", "syscall not in [futex, write]"),
            *('comm == "dd"', 'comm != "dd"', 'comm in ["dd", "a\\xff"]', 'comm not in ["sh"]'),
            *('comm == "more-than-fifteen-letters"', 'comm == ""', 'comm ~ "d"', "fd > 2"),
            *('cgroup under "/a"', 'cgroup == "/a/b"', 'cgroup != "/a"', 'cgroup ~ "b"'),
            *('cgroup in ["/", "/ab", "x", "/a/"]', 'cgroup under "/"', 'cgroup under "/a/b/c"'),
            *('cgroup not in ["/a\\xff"]', 'cgroup directly under "/a"', 'cgroup == "/a/../a"'),
            *('path under "/"', "true", "false", 'file directly under "/a b"', "bytes < 4KiB"),
        ]
    ),
)


def filters(terms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.recursive(
        terms,
        lambda inner: st.one_of(
            inner.map("not ({})".format),
            st.lists(inner, min_size=2, max_size=3).map(lambda s: f"({') and ('.join(s)})"),
            st.lists(inner, min_size=2, max_size=3).map(lambda s: f"({') or ('.join(s)})"),
        ),
        max_leaves=8,
    )


FILTERS = filters(TERMS)
OF_SYSCALLS = filters(
    st.sampled_from(["syscall == read", "syscall != futex", "family == FS", "pid == 1", "is_error"])
)


def batch_of(row: dict[str, Any]) -> Any:
    failed = -4095 <= row["ret"] < 0 and row["ret"] not in (-512, -513, -514, -516)
    return calls(
        rows=1,
        syscall=[row["nr"]],
        pid=[row["pid"]],
        tid=[row["tid"]],
        ret=[row["ret"]],
        errno=[-row["ret"] if failed else 0],
        is_error=[failed],
        latency_ns=[row["latency_ns"]],
        comm=[row["comm"]],
    ).with_columns({GROUP: [row["cgroup"]]})


@given(where=FILTERS, row=rows())
def test_the_parts_together_mean_the_whole(where: str, row: dict[str, Any]) -> None:
    """Nothing is left out that the filter keeps, and all that the pushed part leaves out."""
    whole, batch = compile_filter(where), batch_of(row)
    parts = split(whole.tree, arch="x86_64")
    held = [bool(compile_filter(wording(t))(batch)[0]) for t in (parts.pushed, parts.rest) if t]
    assert all(held) == bool(whole(batch)[0])
    if parts.pushed is not None:
        assert passes(parts.sieve, row) == held[0]
    else:
        assert parts.sieve == Sieve()


@given(where=OF_SYSCALLS, row=rows())
def test_what_a_filter_keeps_is_of_a_syscall_that_it_may_hold_for(
    where: str, row: dict[str, Any]
) -> None:
    whole = compile_filter(where)
    some = syscalls_of(whole.tree, arch="x86_64")
    if some is not None and whole(batch_of(row))[0]:
        assert row["nr"] in some


@given(where=FILTERS)
@example(where="not (is_error == false)")
def test_what_is_said_of_a_filter_means_the_same(where: str) -> None:
    said = wording(compile_filter(where).tree)
    assert wording(compile_filter(said).tree) == said


def test_what_each_subject_becomes() -> None:
    where = (
        'latency >= 1ms and is_error and pid in [7, 8] and comm != "dd"'
        ' and family == IPC and syscall ~ "sem" and path ~ "x"'
        ' and cgroup under "/a" and cgroup != "/a/b"'
    )
    parts = split(compile_filter(where).tree, arch="x86_64")
    assert parts.sieve == Sieve(
        syscall=frozenset(
            n for n, c in TABLE.by_nr.items() if c.family == "IPC" and "sem" in c.name
        ),
        pid=((7, 8),),
        cgroup=GroupPaths(
            (
                GroupPath((b"a",), here=True, below=True),
                GroupPath((b"a", b"b"), here=False, below=True),
            ),
            others=False,
        ),
        comm=CommandNames((b"", b"dd"), others=True),  # an empty cell compares as false
        ret=((-4095, -517), (-515, -515), (-511, -1)),
        latency_ns=((1_000_000, 2**63 - 1),),
    )
    assert parts.rest is not None
    assert wording(parts.rest) == 'file ~ "x" or old_file ~ "x" or asked ~ "x"'


@pytest.mark.parametrize(
    "where",
    [
        "pid == 1 or tid == 2",  # two subjects
        f"pid in [{', '.join(str(3 * n) for n in range(MOST + 1))}]",  # more than there is room for
        "comm in [{}]".format(", ".join(f"c{n}" for n in range(MOST + 1))),
        'comm ^~ "d"',
        'cgroup ~ "d"',
        'cgroup directly under "/d"',
        "cgroup in [{}]".format(", ".join(f'"/c{n}"' for n in range(MOST + 1))),
        f'cgroup under "/{255 * "x"}"',
        "fd == 3",
        "gap > 1ms",
    ],
)
def test_what_stays_with_the_stage(where: str) -> None:
    parts = split(compile_filter(where).tree, arch="x86_64")
    assert (parts.pushed, parts.sieve) == (None, Sieve())


def test_what_has_no_room_leaves_the_rest_in() -> None:
    many = " and ".join(f"ret != {3 * n}" for n in range(20))
    parts = split(compile_filter(many).tree, arch="x86_64")
    assert parts.sieve.ret is not None
    assert len(parts.sieve.ret) == MOST
    assert parts.rest is not None


def test_a_table_of_calls_is_not_needed_for_the_other_machine() -> None:
    arm = split(compile_filter("syscall == read").tree, arch="arm64").sieve
    assert arm.syscall == frozenset([syscalls.table("arm64").nr("read")])
    assert np.all(np.array(sorted(arm.syscall)) < syscalls.NR_LIMIT)
