"""Both ways to read kernel memory: the verifier takes all programs, with and without the cast."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest
from tracing import READS

from ior.sources.bpf.loader import Object, ObjectSpec
from ior.sources.bpf.source import BpfSource

BPF = Path(__file__).parents[2] / "bpf"
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
KNOBS = ("user_pairing", "selective")


def loaded(**knobs: int) -> Object:
    image = resources.files("ior").joinpath("data/ior.bpf.o").read_bytes()
    with ObjectSpec(image) as spec:
        for name, value in knobs.items():
            spec.globals[name] = value
        return spec.load()


@pytest.mark.kernel
@pytest.mark.core
@pytest.mark.parametrize("probe_reads", READS)
@pytest.mark.parametrize("values", list(itertools.product((0, 1), repeat=len(KNOBS))), ids=str)
def test_the_verifier_takes_all_programs(values: tuple[int, ...], probe_reads: bool) -> None:
    with loaded(**dict(zip(KNOBS, values, strict=True)), probe_reads=int(probe_reads)) as programs:
        assert all(program.fd >= 0 for program in programs.programs.values())


@pytest.mark.kernel
@pytest.mark.core
def test_the_switch_makes_other_programs_where_there_is_a_choice() -> None:
    sizes = []
    for probe_reads in (0, 1):
        with loaded(probe_reads=probe_reads) as programs:
            sizes.append(programs.programs["on_sys_enter"].info().xlated_prog_len)
    cast = re.search(r" bpf_rdonly_cast$", Path("/proc/kallsyms").read_text("ascii"), re.MULTILINE)
    assert (sizes[1] > sizes[0]) == bool(cast), sizes  # every read is a call then


def test_the_environment_says_how_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IOR_PROBE_READS", raising=False)
    assert not BpfSource.Config().probe_reads
    monkeypatch.setenv("IOR_PROBE_READS", "1")
    assert BpfSource.Config().probe_reads
    assert not BpfSource.Config(probe_reads=False).probe_reads
    monkeypatch.setenv("IOR_PROBE_READS", "0")
    assert not BpfSource.Config().probe_reads


def code() -> Iterator[tuple[str, str]]:
    """Yield the lines of the programs, with their places, without comments."""
    for path in sorted(BPF.glob("*.[ch]")):
        text = path.read_text(encoding="utf-8")
        text = re.sub(
            r"/\*.*?\*/", lambda found: "\n" * found[0].count("\n"), text, flags=re.DOTALL
        )
        for number, line in enumerate(text.splitlines(), 1):
            yield f"{path.name}:{number}", line


def test_memory_is_read_by_the_words_of_core_h() -> None:
    direct = re.compile(r"bpf_rdonly_cast|BPF_CORE_READ|BPF_PROBE_READ|bpf_core_read")
    assert [place for place, line in code() if direct.search(line) and "core.h:" not in place] == []


def test_no_loop_is_left_to_the_verifier() -> None:
    before, bare = "", []
    for place, line in code():
        if re.search(r"\b(for|while)\s*\(", line) and "(0)" not in line:
            bare += [place] if "unroll" not in before else []
        before = line
    assert bare == []
