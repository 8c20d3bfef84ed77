"""Rates by name: which syscalls have which."""

from __future__ import annotations

import pytest

from ior import sampling, syscalls
from ior.errors import UsageError
from ior.testing import calls

TABLE = syscalls.table()


def test_the_more_exact_name_decides() -> None:
    rates = sampling.rates({"default": 7, "fs": 10, "openat": 1, "read": 0, "newfstat": 3})
    assert rates[TABLE.nr("read")] == 0
    assert rates[TABLE.nr("fstat")] == 3
    assert TABLE.nr("openat") not in rates
    for call in TABLE.by_nr.values():
        if call.name not in ("openat", "read", "fstat"):
            assert rates[call.nr] == (10 if call.family == "FS" else 7)


def test_the_order_of_names_is_all_one() -> None:
    some = {"read": 1, "default": 0, "FS": 5}
    assert sampling.rates(some) == sampling.rates(dict(reversed(some.items())))


def test_a_syscall_goes_before_a_family_of_its_name() -> None:
    assert TABLE.nr("time") in sampling.rates({"time": 4})
    assert len(sampling.rates({"time": 4})) == 1
    assert len(sampling.rates({"Time": 4})) > 10


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        ({"futx": 0}, "unknown syscall or family 'futx'; did you mean futex?"),
        ({"read": -1}, "the rate of 'read' is -1; it is 0 (count only) to 1,000,000,000"),
        ({"read": 2_000_000_000}, "the rate of 'read' is 2000000000; it is 0"),
        ({"fs": 1, "FS": 2}, "'FS' and 'fs' are the same"),
        ({"fstat": 1, "newfstat": 2}, "'newfstat' and 'fstat' are the same"),
        ({"defaults": 1}, "did you mean default"),
    ],
)
def test_what_is_no_rate(sample: dict[str, int], said: str) -> None:
    (objection,) = sampling.objections(sample)
    assert said in objection.message


def test_every_mistake_is_said() -> None:
    wrong = {"a-": 0, "b-": -1, "read": -1, "write": 0}
    assert [one.name for one in sampling.objections(wrong)] == ["a-", "b-", "b-", "read"]


def test_name_and_number_on_the_command_line() -> None:
    assert sampling.parse("futex=0") == ("futex", 0)
    assert sampling.parse(" FS = 10 ") == ("FS", 10)
    for text in ("futex", "futex=", "=3", "read=-1", "read=1.5", "read=٣", "read=0x10"):
        with pytest.raises(UsageError, match="is not NAME=N"):
            sampling.parse(text)
    with pytest.raises(UsageError, match="did you mean read"):
        sampling.parse("raed=3")


def test_new_rates_replace_those_of_the_same_thing() -> None:
    old = {"fs": 2, "newfstat": 3, "default": 0}
    assert sampling.merged(old, {"FS": 5, "fstat": 1}) == {"default": 0, "FS": 5, "fstat": 1}


def test_rows_tell_the_rate_of_their_syscall() -> None:
    batch = calls(syscall=["read", "write", "read"])
    assert batch["sample_rate"].tolist() == [1, 1, 1]
    origin = batch.origin._replace(rates=((TABLE.nr("read"), 10),))
    sampled = calls(syscall=["read", "write", "read"], origin=origin)
    assert sampled["sample_rate"].tolist() == [10, 1, 10]
    assert sampled["sample_rate"].dtype == "uint32"
