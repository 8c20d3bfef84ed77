"""The records of the rings as numpy sees them: bpf/ior.h, field by field.

A test holds these layouts against the object's BTF, so that the two cannot drift apart.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

HEADER = 8  # bytes of the ring's own header before each record
STRIDE = 128  # bytes from one record of the calls ring to the next
RECORD_BYTES = STRIDE - HEADER

FIELDS: Final = (
    ("enter_ns", "<u8"),
    ("exit_ns", "<u8"),
    ("ret", "<i8"),
    ("file", "<u8"),
    ("file2", "<u8"),
    ("task", "<u8"),
    ("pid", "<u4"),
    ("tid", "<u4"),
    ("fd", "<i4"),
    ("fd2", "<i4"),
    ("flags", "<u4"),
    ("fd_flags", "<u4"),
    ("nr", "<u2"),
    ("cpu", "<u2"),
    ("epoch", "<u4"),
    ("args", "<u8", (5,)),
)
"""`struct ior_record`."""

RECORD: Final = np.dtype([("ring", "<u8"), *FIELDS])
"""One record with the ring's header, 128 bytes."""

_WORD = 8  # bytes


def fields_of(words: npt.NDArray[np.uint64]) -> dict[str, npt.NDArray[Any]]:
    """Return the fields of records, views of their words (16, records) as `RingReader` gives them.

    Fields of a whole word are contiguous; `args` has the shape (records, 5), column by column.
    """
    found: dict[str, npt.NDArray[Any]] = {}
    for name, place in _PLACES.items():
        if place.words > 1:
            found[name] = words[place.word : place.word + place.words].T.view(place.dtype)
        else:
            found[name] = words[place.word].view(place.dtype)[place.part :: place.parts]
    return found


class _Place(NamedTuple):
    """Where a field is: in which words, and which part of the word of how many."""

    word: int
    words: int
    part: int
    parts: int
    dtype: np.dtype[Any]


def _place(name: str) -> _Place:
    assert RECORD.fields is not None
    whole, offset = RECORD.fields[name][:2]
    dtype, size = whole.base, whole.base.itemsize
    word, begin = divmod(offset, _WORD)
    return _Place(word, max(whole.itemsize // _WORD, 1), begin // size, _WORD // size, dtype)


_PLACES: Final = {name: _place(name) for name, *_ in FIELDS}

NAME: Final = np.dtype(
    [
        ("id", "<u8"),
        ("kind", "u1"),
        ("state", "u1"),
        ("len", "<u2"),
        ("magic", "<u4"),
        ("words", "<u8", (3,)),
    ]
)
"""`struct ior_name`, without the text that follows it."""

NAME_STRUCT: Final = "<QBBHIQQQ"  # the same for `struct.unpack_from`: names come one by one
NAME_FILE, NAME_PATH, NAME_TASK, NAME_PSEUDO, NAME_SOCKET, NAME_ADDRESS = 1, 2, 3, 4, 5, 6

COUNTERS: Final = np.dtype(
    [
        (name, "<u8")
        for name in (
            "attempted",
            "lost",
            "names",
            "names_lost",
            "storage_failed",
            "lookup_failed",
            "compat",
            "deselected",
            "filtered",
        )
    ]
)
"""`struct counters`, one per CPU."""

RANGES: Final = np.dtype([("low", "<i8", (8,)), ("high", "<i8", (8,))])
"""`struct ior_ranges`."""

SIEVE: Final = np.dtype(
    [
        *((f"asks_{name}", "u1") for name in ("pid", "tid", "uid", "cgroup", "comm")),
        *((f"asks_{name}", "u1") for name in ("ret", "latency")),
        ("others", "u1"),
        *((name, RANGES) for name in ("pid", "tid", "uid", "cgroup", "ret", "latency")),
        ("comm", "<u8", (8, 2)),
    ]
)
"""`struct ior_sieve`."""

GROUP: Final = np.dtype([("len", "<u2"), ("here", "u1"), ("below", "u1"), ("path", "u1", (256,))])
"""`struct ior_group`."""

GROUPS: Final = np.dtype(
    [("generation", "<u4"), ("asks", "u1"), ("others", "u1"), ("pad", "<u2"), ("some", GROUP, (8,))]
)
"""`struct ior_groups`."""

RATE: Final = np.dtype([("every", "<u4"), ("slot", "<u2"), ("bytes", "u1"), ("argument", "u1")])
"""`struct ior_rate`: how many of a syscall's calls are recorded."""

TOTALS: Final = np.dtype(
    [
        *((name, "<u8") for name in ("calls", "recorded", "errors", "untimed", "unmatched")),
        *((name, "<u8") for name in ("bytes", "latency_ns", "not_least", "greatest")),
        ("left", "<u4"),
        ("turn", "<u4"),
    ]
)
"""`struct ior_totals`: what is counted of one syscall, one per CPU."""

LATENCIES: Final = np.dtype([("calls", "<u8", (1024,))])
"""`struct ior_latencies`: how many of those calls are in which bucket of `ior.histogram`."""

SYSCALL: Final = np.dtype(
    [
        ("how", "<u4"),
        ("fd", "i1"),
        ("fd2", "i1"),
        ("dir", "i1"),
        ("path", "i1"),
        ("dir2", "i1"),
        ("path2", "i1"),
        ("words", "i1", (5,)),
        ("memory", "i1"),
        ("memory_word", "u1"),
        ("memory_size", "u1"),
        ("address", "i1"),
        ("address_how", "u1"),
    ]
)
"""`struct ior_syscall`: how the programs read one syscall's arguments."""
