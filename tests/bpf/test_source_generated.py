"""Random files, duplicates, forks, renames and directories: every row is called what is true.

Four actors (`actors.c`: threads that share descriptors and ones that do not, in two processes)
do a generated script step by step. At a probe the actor asks /proc for the name before and
after its call, and prints it with what the call returned: that is the truth. Again beside a
process that makes calls as fast as it can, and through a ring that is too small.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tracing import MODES, Traced, compiled, trace

pytestmark = pytest.mark.kernel

ACTORS = (Path(__file__).parent / "actors.c").read_text("utf-8")
PROBES = ("pwrite64", "access")

Truth = dict[str, tuple[int, int, int, str]]  # by probe: return, pid, tid, name
Step = tuple[int, str, int, int]

_actors, _slots = st.integers(0, 3), st.integers(0, 4)
_changes = st.one_of(
    st.tuples(_actors, st.just("open"), _slots, st.integers(0, 5)),
    st.tuples(_actors, st.just("near"), _slots, st.just(0)),
    st.tuples(_actors, st.just("dup"), _slots, _slots),
    st.tuples(_actors, st.just("close"), _slots, st.just(0)),
    st.tuples(_actors, st.just("move"), st.integers(0, 5), st.integers(0, 5)),
    st.tuples(_actors, st.just("swap"), st.integers(0, 2), st.integers(0, 2)),
    st.tuples(_actors, st.just("unlink"), st.just(0), st.integers(0, 5)),
    st.tuples(_actors, st.just("chdir"), st.just(0), st.integers(0, 3)),
    st.tuples(_actors, st.just("send"), _slots, st.just(0)),
    st.tuples(_actors, st.just("receive"), _slots, st.just(0)),
)
_probes = st.one_of(
    st.tuples(_actors, st.sampled_from(["probe", "fork"]), _slots, st.just(0)),
    st.tuples(_actors, st.just("look"), st.just(0), st.just(0)),
)
scripts = st.lists(st.one_of(_changes, _probes), min_size=20, max_size=250).map(
    # Every actor begins with five files, and at the end looks at all it has.
    lambda steps: [
        *((actor, "open", slot, slot) for actor in (0, 2, 3) for slot in range(5)),
        *steps,
        *((actor, "probe", slot, 0) for actor in range(4) for slot in range(5)),
        *((actor, "look", 0, 0) for actor in range(4)),
    ]
)


def played(script: list[Step], busy: int = 0, **options: Any) -> tuple[Truth, Traced]:
    """Trace the actors; return what they say, and the rows."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name, "root")
        for folder in ("d0/sub", "d1"):
            (root / folder).mkdir(parents=True)
        text = "".join(" ".join(map(str, step)) + "\n" for step in script)
        Path(name, "script").write_text(text, "ascii")
        argv = [compiled(ACTORS), str(root), str(Path(name, "script")), str(busy)]
        traced = trace(argv, only=PROBES, **options)
    assert traced.status == 0, traced.stdout
    truth = {}
    for key, said in traced.facts().items():
        if key.startswith("busy"):
            continue
        ret, pid, tid, file = said.split(" ", 3)
        # Of a relative path whose directory is gone a row says where that was.
        truth[key] = (int(ret), int(pid), int(tid), file.replace(" (deleted)/", "/"))
    return truth, traced


def shown(traced: Traced) -> list[tuple[str, tuple[int, int, int, str]]]:
    """Return what rows say of the probes, in the form of the truth."""
    found = []
    for row in traced.rows:
        key = f"fd-{row['offset']}"
        if row["syscall"] == "access":
            name = os.path.basename(row["file"] or "")
            if not name.startswith("probe-"):
                continue  # the loader's
            key = f"cwd-{name.removeprefix('probe-')}"
        file = (row["file"] or "") + (" (deleted)" if row["file_state"] == "deleted" else "")
        found.append((key, (row["ret"], row["pid"], row["tid"], file)))
    return found


def examples(count: int) -> settings:
    # Half a second each: a failing script is not made smaller.
    phases = [Phase.generate]
    return settings(max_examples=count, phases=phases, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("pairing", MODES)
def test_every_probe_is_one_row_that_is_true(pairing: str) -> None:
    @examples(8)
    @given(scripts)
    def check(script: list[Step]) -> None:
        truth, traced = played(script, pairing=pairing)
        found = shown(traced)
        assert len(found) == len(truth)
        assert dict(found) == truth
        assert not traced.unmatched

    check()


@pytest.mark.parametrize("pairing", MODES)
def test_the_same_beside_a_process_that_calls_without_end(pairing: str) -> None:
    probes, calls, busy = [], [], []

    @examples(4)
    @given(scripts)
    def check(script: list[Step]) -> None:
        truth, traced = played(script, busy=2, pairing=pairing)
        found = dict(shown(traced))
        if traced.ledger.kernel["lost"] == 0:
            assert found == truth
        assert found.items() <= truth.items()
        probes.extend(found)
        calls.append(traced.ledger.kernel["attempted"])
        facts = traced.facts().items()
        busy.extend([int(n) for n in said.split()] for key, said in facts if key[:4] == "busy")

    check()
    assert len(probes) > 50
    assert sum(calls) > 100_000
    # About a million calls in each second of a processor; how many of those it gets is not ours.
    made, cpu_us = (sum(column) for column in zip(*busy, strict=True))
    assert made / cpu_us > 0.5


@pytest.mark.parametrize("pairing", MODES)
def test_the_same_through_a_ring_that_is_too_small_while_its_reader_sleeps(pairing: str) -> None:
    probes, lost = [], []

    @examples(5)
    @given(scripts)
    def check(script: list[Step]) -> None:
        page = os.sysconf("SC_PAGESIZE")
        truth, traced = played(
            script + script[-24:] * 8,
            pairing=pairing,
            syscalls=PROBES,
            ring_size=page,
            on_start=lambda _: time.sleep(0.05),
        )
        found = shown(traced)
        assert len(dict(found)) == len(found)
        for key, row in found:
            assert row[:3] == truth[key][:3]
            assert row[3] == truth[key][3] or row[3].startswith("unknown")
        assert set(traced.causes) <= {"lost", "in flight at end"}
        probes.extend(found)
        lost.append(traced.ledger.kernel["lost"])

    check()
    assert all(lost)
    assert probes
