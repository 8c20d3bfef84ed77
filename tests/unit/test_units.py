from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ior import units


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1ns", 1),
        ("1us", 1_000),
        ("1µs", 1_000),
        ("1 ms", 1_000_000),
        ("1.5s", 1_500_000_000),
        ("2m", 120_000_000_000),
        ("1h", 3_600_000_000_000),
        ("250", 250),
        ("1_000us", 1_000_000),
        ("-3ms", -3_000_000),
    ],
)
def test_durations(text: str, ns: int) -> None:
    assert units.parse_duration(text) == ns


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("65536", 65536),
        ("4KiB", 4096),
        ("1.5 MiB", 1_572_864),
        ("2GiB", 2**31),
        ("1kB", 1000),
        ("1MB", 10**6),
        ("7B", 7),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert units.parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"), [("5", 5.0), ("1.5", 1.5), ("2m", 120.0), ("500ms", 0.5), ("1h", 3600.0)]
)
def test_seconds(text: str, seconds: float) -> None:
    assert units.parse_seconds(text) == seconds


@pytest.mark.parametrize(
    ("parse", "text", "said"),
    [
        (units.parse_duration, "", "not a number"),
        (units.parse_duration, "fast", "not a number"),
        (units.parse_duration, "1.2.3s", "not a number"),
        (units.parse_duration, "1__0s", "not a number"),
        (units.parse_duration, "0.5ns", "whole number of nanoseconds"),
        (units.parse_duration, "3MiB", "the units are ns, us, ms, s, m, h"),
        (units.parse_duration, "1MS", "did you mean ms?"),
        (units.parse_duration, "9" * 5000, "not a number"),
        (units.parse_size, "1KB", "did you mean kB or KiB?"),
        (units.parse_size, "4kib", "did you mean KiB?"),
        (units.parse_size, "0.3B", "whole number of bytes"),
        (units.parse_size, "-1", "not negative"),
        (units.parse_seconds, "-1", "not negative"),
        (units.parse_seconds, "nan", "not a number"),
        (units.parse_seconds, "1e9", "not a number"),
    ],
)
def test_refusals_say_why(parse: Callable[[str], float], text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("?", r"\?")):
        parse(text)


def test_a_quantity_may_need_its_unit() -> None:
    assert units.parse_quantity("0", units.DURATION) == 0
    with pytest.raises(ValueError, match="needs a unit"):
        units.parse_quantity("5", units.DURATION)


@given(st.text(max_size=12) | st.text("0123456789.-_ kKMmGiBns", max_size=12))
def test_any_text_is_a_number_or_a_value_error(text: str) -> None:
    for parse, kind in (
        (units.parse_duration, int),
        (units.parse_size, int),
        (units.parse_seconds, float),
    ):
        try:
            assert isinstance(parse(text), kind)
        except ValueError as error:
            assert str(error)  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    ("ns", "shown"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (1_000, "1.00 us"),
        (1_234_567, "1.23 ms"),
        (45_600, "45.6 us"),
        (999_499, "999 us"),
        (999_500, "1.00 ms"),
        (9_994_999, "9.99 ms"),
        (9_995_000, "10.0 ms"),
        (1_500_000_000, "1.50 s"),
        (1_234_000_000_000, "1,234 s"),
        (-5_000, "-5.00 us"),
    ],
)
def test_duration_shown(ns: int, shown: str) -> None:
    assert units.format_duration(ns) == shown


@given(st.integers(0, 10**12 - 10**9))
def test_a_shown_duration_can_be_typed_again(ns: int) -> None:
    typed = units.parse_duration(units.format_duration(ns).replace(",", ""))
    assert abs(typed - ns) <= max(0, ns * 0.0051)


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (4096, "4.0 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (3 * 2**30, "3.0 GiB"),
        (5000 * 2**40, "5,000.0 TiB"),
    ],
)
def test_size_shown(size: int, shown: str) -> None:
    assert units.format_size(size) == shown


def test_counts_and_rates_shown() -> None:
    assert units.format_count(1_000_000) == "1,000,000"
    shown = [units.format_rate(rate) for rate in (0, 0.5, 9.96, 850, 1_000, 999_960, 1.2e6, 3e9)]
    assert shown == [
        "0.0 /s", "0.5 /s", "10 /s", "850 /s", "1.0 k/s", "1.0 M/s", "1.2 M/s", "3.0 G/s",
    ]  # fmt: skip
