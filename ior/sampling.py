"""Rates: how many of a syscall's calls are recorded, by syscall, by family or for all.

A rate of 1 records every call, one of N one call in N, and 0 none: those are only counted. The
more exact name decides: a syscall, then its family, then `default`. A rate selects nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ior import syscalls
from ior.errors import UsageError

DEFAULT: Final = "default"
MOST: Final = 1_000_000_000


class Objection(NamedTuple):
    """What is wrong with one name or, with `of_rate`, with its rate."""

    name: str
    message: str
    of_rate: bool = False


def objections(sample: Mapping[str, int]) -> Iterator[Objection]:
    """Yield what is wrong with rates by name: each name by itself, and two for one thing."""
    known: dict[str | int, str] = {}
    for name, rate in sample.items():
        try:
            one = _named(name)
        except UsageError as error:
            yield Objection(name, str(error))
        else:
            if one in known:
                yield Objection(name, f"'{name}' and '{known[one]}' are the same")
            known[one] = name
        if not 0 <= rate <= MOST:
            message = f"the rate of '{name}' is {rate}; it is 0 (count only) to {MOST:,}"
            yield Objection(name, message, of_rate=True)


def _named(name: str, arch: str | None = None) -> str | int:
    """Return what has a rate: `default`, a family's name, or one syscall's number.

    A syscall has precedence where only the case tells it from a family, as with `time`.
    Raises UsageError for a name of nothing.
    """
    table = syscalls.table(arch)
    if name == DEFAULT:
        return name
    if name in table.by_name:
        return table.by_name[name].nr
    for family in table.families:
        if family.lower() == name.lower():
            return family
    choices = [*table.by_name, *table.families, DEFAULT]
    raise UsageError(syscalls.unknown("syscall or family", name, choices))


def rates(sample: Mapping[str, int], arch: str | None = None) -> dict[int, int]:
    """Return the rate of every syscall that has one other than 1, by number.

    Raises UsageError for a name of nothing.
    """
    default = sample.get(DEFAULT, 1)
    families: dict[str, int] = {}
    alone: dict[int, int] = {}
    for name, rate in sample.items():
        named = _named(name, arch)
        if isinstance(named, int):
            alone[named] = rate
        elif named != DEFAULT:
            families[named] = rate
    every = {
        nr: alone.get(nr, families.get(call.family, default))
        for nr, call in syscalls.table(arch).by_nr.items()
    }
    return {nr: rate for nr, rate in every.items() if rate != 1}


def merged(old: Mapping[str, int], new: Mapping[str, int]) -> dict[str, int]:
    """Return the rates of `old` where `new` has none. Raises UsageError for a name of nothing."""
    replaced = {_named(name) for name in new}
    kept = {name: rate for name, rate in old.items() if _named(name) not in replaced}
    return kept | dict(new)


def numbers(name: str) -> frozenset[int]:
    """Return which syscalls a name with a rate stands for. Raises UsageError."""
    named, table = _named(name), syscalls.table()
    if isinstance(named, int):
        return frozenset([named])
    every = table.by_nr.values()
    return frozenset(call.nr for call in every if named in (DEFAULT, call.family))


def parse(text: str) -> tuple[str, int]:
    """Return name and rate of `NAME=N`. Raises UsageError."""
    name, equals, number = text.partition("=")
    name, number = name.strip(), number.strip()
    if not equals or not name or not number.isascii() or not number.isdecimal():
        raise UsageError(f"'{text}' is not NAME=N, such as futex=0 (count only) or FS=10 (1 in 10)")
    for objection in objections({name: int(number)}):
        raise UsageError(objection.message)
    return name, int(number)


Rates = tuple[tuple[int, int], ...]
"""Number and rate of the syscalls whose rate is not 1, ascending."""


def of_calls(rates: Rates, syscall: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
    """Return the rate of each call, given the number of its syscall."""
    return _by_number(rates)[syscall] if rates else np.ones(len(syscall), np.uint32)


@functools.lru_cache(maxsize=8)
def _by_number(rates: Rates) -> npt.NDArray[np.uint32]:
    found = np.ones(1 << 16, np.uint32)
    for nr, rate in rates:
        found[nr] = rate
    return found


def label(rate: int) -> str:
    """Return a rate for people."""
    return {0: "counted only", 1: "all"}.get(rate, f"1 in {rate:,}")
