"""What is proposed while a filter is typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ior.expr import compile_filter
from ior.expr.completing import MOST, proposals

SEEN = {
    "comm": ("nginx", "dd", "a b", 'say "x"', "it's"),
    "path": ("/usr/share/doc/x", "/usr/lib/y", "/etc/passwd"),
    "syscall": ("read", "readv", "write"),
    "errno": ("ENOENT",),
}


def proposed(before: str) -> list[str]:
    return [one.text for one in proposals(before, lambda field: SEEN.get(field, ()))]


@pytest.mark.parametrize(
    ("before", "texts"),
    [
        ("lat", ["latency"]),
        ("latency >", [">="]),
        ("comm == ", ['"nginx"', '"dd"', '"a b"', '"say \\"x\\""', '"it\'s"']),
        ("comm == 'd", ["'dd'"]),
        ('comm == "nginx" ', ["and", "or"]),
        ('comm == "nginx" an', ["and"]),
        ("is_error ", ["and", "or", "==", "!="]),
        ("path un", ["under"]),
        ("path directly ", ["under"]),
        ("syscall not ", ["in"]),
        ('path under "/us', ['"/usr/']),
        ('path under "/usr/', ['"/usr/share/', '"/usr/lib/']),
        ('path == "/etc/pa', ['"/etc/passwd"']),
        ('path under "/etc/pa', []),
        ("syscall in [rea", ["read", "readv"]),
        ("syscall in [read, wr", ["write"]),
        ("syscall in [read] ", ["and", "or"]),
        ('not (comm == "a" or errno == E', ["ENOENT"]),
        ('comm == "a and b" and sysc', ["syscall"]),
        ("nonsense ", []),
        ("latency >= 1ms 5 ", []),
    ],
)
def test_what_may_come_next(before: str, texts: list[str]) -> None:
    assert [one for one in proposed(before) if one not in ('"/etc"',)] == texts


def test_at_the_begin_of_a_term_every_field_is_proposed_by_the_name_without_its_unit() -> None:
    for before in ("", "(", "not ", "is_error and ", "is_error or ("):
        found = proposed(before)
        assert {"latency", "path", "comm", "family"} <= set(found)
        assert "latency_ns" not in found


@pytest.mark.parametrize("before", ["comm == ", "path ~ ", "syscall in [", "errno != "])
def test_a_proposal_makes_a_filter_that_compiles(before: str) -> None:
    for one in proposals(before, lambda field: SEEN.get(field, ())):
        text = before[: len(before) - one.replaces] + one.text
        compile_filter(text + ('x"' if one.text.endswith("/") else "]" if "[" in text else ""))


def test_proposals_are_few_however_many_values_there_are() -> None:
    found = proposals("comm == ", lambda field: (f"{field}{i}" for i in range(10**9)))
    assert len(found) == MOST


@given(st.text(alphabet="abcomm path=~!<>\"'\\()[], andornotinunder/0x", max_size=60))
def test_any_text_gets_proposals_for_its_end(before: str) -> None:
    for one in proposals(before, lambda field: SEEN.get(field, ())):
        assert 0 <= one.replaces <= len(before)
        assert one.text
