"""One layout on both sides: what the programs write is what Python reads."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from ior import syscalls
from ior.calls import Flag
from ior.names import FileState
from ior.sources.bpf import records, selection, targets
from ior.sources.bpf.loader import ObjectSpec

BPF = Path(__file__).parents[2] / "bpf"

NAMES = ("FILE", "PATH", "TASK", "PSEUDO", "SOCKET", "ADDRESS")
OURS = (Flag.SKIPPED, Flag.CHANGED)  # set by the source
STRUCTS = {  # what follows the ring's own header of 8 bytes, for the record
    "ior_record": (records.RECORD, records.HEADER),
    "ior_name": (records.NAME, 0),
    "ior_syscall": (records.SYSCALL, 0),
    "counters": (records.COUNTERS, 0),
    "ior_sieve": (records.SIEVE, 0),
    "ior_group": (records.GROUP, 0),
    "ior_groups": (records.GROUPS, 0),
    "ior_rate": (records.RATE, 0),
    "ior_totals": (records.TOTALS, 0),
    "ior_latencies": (records.LATENCIES, 0),
}


@pytest.fixture(scope="module")
def spec() -> Iterator[ObjectSpec]:
    image = resources.files("ior").joinpath("data/ior.bpf.o").read_bytes()
    with ObjectSpec(image) as opened:
        yield opened


def defined(prefix: str) -> dict[str, int]:
    """Return the numbers that the C sources `#define` with a prefix, by the rest of the name."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(BPF.glob("*.[ch]")))
    found = re.findall(rf"^#define {prefix}(\w+) (?:\(1u << (\d+)\)|(\d+))", text, re.MULTILINE)
    return {name: 1 << int(shift) if shift else int(value) for name, shift, value in found}


@pytest.mark.parametrize("name", STRUCTS)
def test_a_struct_is_its_dtype(spec: ObjectSpec, name: str) -> None:
    dtype, before = STRUCTS[name]
    assert dtype.fields is not None
    fields = [(n, dtype.fields[n][1] - before, dtype.fields[n][0].itemsize) for n in dtype.names]
    mine = [field for field in fields if field[1] >= 0]
    assert [tuple(member) for member in spec.btf.struct(name)] == mine
    assert spec.btf.struct_size(name) == dtype.itemsize - before


def test_a_record_takes_128_bytes_of_the_ring(spec: ObjectSpec) -> None:
    assert records.HEADER + spec.btf.struct_size("ior_record") == records.STRIDE == 128
    assert records.RECORD.itemsize == records.STRIDE
    assert struct.calcsize(records.NAME_STRUCT) == records.NAME.itemsize


def test_fields_of_words_are_those_of_the_record() -> None:
    raw = np.random.default_rng(1).integers(0, 256, (50, records.STRIDE), np.uint8)
    rows = raw.reshape(-1).view(records.RECORD)
    found = records.fields_of(raw.view(np.uint64).T.copy())
    assert list(found) == [name for name, *_ in records.FIELDS]
    for name, column in found.items():
        assert column.dtype == rows[name].dtype
        assert np.array_equal(column, rows[name])


def test_the_limit_of_numbers_is_one(spec: ObjectSpec) -> None:
    assert len(selection.descriptions()) == syscalls.NR_LIMIT == defined("NR_")["LIMIT"]
    assert spec.btf.variables["wanted"].size == syscalls.NR_LIMIT


@pytest.mark.parametrize(
    ("prefix", "ours"),
    [
        ("IOR_F_", {flag.name: flag.value for flag in Flag if flag not in OURS}),
        ("IOR_STATE_", {s.name: int(s) for s in (FileState.CUT, FileState.DELETED)}),
        ("IOR_NAME_", {n: getattr(records, f"NAME_{n}") for n in NAMES}),
        ("MARK_", {n: getattr(targets, n) for n in ("FOLLOWED", "ARMED", "EXCLUDED")}),
        ("WANT_", {n[5:]: v for n, v in vars(selection).items() if n.startswith("WANT_")}),
    ],
)
def test_numbers_mean_the_same_on_both_sides(prefix: str, ours: dict[str, int]) -> None:
    assert ours
    assert defined(prefix) == ours


def test_how_to_read_arguments_means_the_same_on_both_sides() -> None:
    theirs = defined("HOW_")
    assert len(theirs) >= 10
    assert {name: getattr(selection, name) for name in theirs} == theirs
    addresses = defined("ADDRESS_")
    assert {name: getattr(selection, name) for name in addresses} == addresses


def test_a_flag_of_the_source_is_none_of_the_programs() -> None:
    assert not set(OURS) & set(defined("IOR_F_").values())
