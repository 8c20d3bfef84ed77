"""The keys of the source `bpf`, and what can be wrong with them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Literal

import msgspec

from ior import sampling, syscalls
from ior.errors import SpecError
from ior.findings import Code, Problem
from ior.pipeline import abc
from ior.units import parse_size


def probe_reads() -> bool:
    """Return whether $IOR_PROBE_READS asks for the reads of kernels before 6.2."""
    return os.environ.get("IOR_PROBE_READS", "") not in ("", "0")


class BpfConfig(abc.Config, frozen=True):
    """Keys of `type = "bpf"`.

    Selection: `families`, `kinds`, `syscalls` (names or `/regex/`), `exclude` (a table of the
    same three); without any it is family FS. Target: `pid` or `tid`, `follow_forks`. `pairing`
    is where halves are matched. `ring_size` and `names_ring_size` are powers of two of at
    least a page; `names_mib` bounds what names take in user space. Without `push_down` no
    filter behind `pair` is applied in the kernel. `probe_reads` makes the
    programs read as on kernels before 6.2; without the key $IOR_PROBE_READS says so.
    `sample` is how many calls are recorded, by syscall, family or `default`: 1 all, N one in N
    with exact totals, 0 none, which only counts them in the kernel.
    """

    families: list[str] = msgspec.field(default_factory=list)
    kinds: list[str] = msgspec.field(default_factory=list)
    syscalls: list[str] = msgspec.field(default_factory=list)
    exclude: dict[str, list[str]] = msgspec.field(default_factory=dict)
    pid: int | None = None
    tid: int | None = None
    follow_forks: bool = False
    pairing: Literal["kernel", "user"] = "kernel"
    ring_size: str | int = "64MiB"
    names_ring_size: str | int = "8MiB"
    names_mib: int = 64
    push_down: bool = True
    sample: dict[str, int] = msgspec.field(default_factory=dict)
    probe_reads: bool = msgspec.field(default_factory=probe_reads)


def ring_bytes(size: str | int, key: str = "ring_size") -> int:
    """Return a ring's size in bytes. Raises SpecError if the kernel would not take it."""
    try:
        size = size if isinstance(size, int) else parse_size(size)
    except ValueError as error:
        raise SpecError(f"{key}: {error}") from None
    page = os.sysconf("SC_PAGESIZE")
    if size < page or size & (size - 1) or size > 1 << 30:
        raise SpecError(
            f"{key} is {size} bytes; it must be a power of two from {page} bytes to 1 GiB"
        )
    return size


def problems(config: BpfConfig) -> Iterator[Problem]:
    """Yield what is wrong with the keys, each by itself."""
    for key in syscalls.KEYS:
        for number, word in enumerate(getattr(config, key)):
            if said := syscalls.objection(key, word):
                yield Problem(Code.REFUSED, said, keys=(key, number))
        for number, word in enumerate(config.exclude.get(key, ())):
            if said := syscalls.objection(key, word):
                yield Problem(Code.REFUSED, said, keys=("exclude", key, number))
    for name, message, of_rate in sampling.objections(config.sample):
        yield Problem(Code.REFUSED, message, keys=("sample", name), at_key=not of_rate)
    for key in ("ring_size", "names_ring_size"):
        try:
            ring_bytes(getattr(config, key), key)
        except SpecError as error:
            yield error.problems[0]._replace(keys=(key,))
    if config.pid is not None and config.tid is not None:
        yield Problem(Code.REFUSED, "pid and tid exclude each other", "remove one", ("tid",))
    if config.names_mib < 1:
        message = "names_mib must be at least 1"
        yield Problem(Code.REFUSED, message, "write names_mib = 64", ("names_mib",))
