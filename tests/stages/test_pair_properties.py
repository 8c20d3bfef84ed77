"""`pair` against the model, for any halves and any cutting of them into batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import anyio
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pair_model import Half, Model, row
from pair_programs import WHATS, Programs

from ior.calls import Batch, Flag
from ior.names import Names
from ior.stages.pair import Pair, PairConfig
from ior.testing import context, halves

TEXTS = ("comm", "file", "old_file", "asked")
COLUMNS = (
    *("enter_ns", "exit_ns", "ret", "pid", "tid", "nr", "fd", "fd2", "flags", "fd_flags"),
    *("epoch", "args", *TEXTS),
)

SCRIPTS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(WHATS), st.integers(0, 30)), max_size=80
)
CUTS = st.lists(st.integers(0, 120), max_size=6)
BITS = st.lists(st.booleans(), max_size=120)
STREAMS = st.builds(
    lambda script, lost, user: Programs(user=user, lost=lost).run(script),
    SCRIPTS,
    BITS,
    st.booleans(),
)
TEXT = st.sampled_from(["", "", "/a", "/b", "pipe:[1]"])
WILD = st.builds(
    Half,
    tid=st.integers(1, 3),
    flags=st.builds(
        lambda side, rare: side | rare,
        st.sampled_from([Flag.ENTER, Flag.EXIT, Flag.ENTER | Flag.EXIT]),
        st.sampled_from(
            [
                *(0, 0, 0, 0, 0, Flag.BREAK, Flag.FRESH | Flag.BREAK, Flag.FRESH, Flag.SKIPPED),
                *(Flag.CHANGED, Flag.CHANGED | Flag.BREAK),
                *(Flag.INTERRUPTED, Flag.INTERRUPTED, Flag.RESTARTED, Flag.RESTARTED),
                *(Flag.INTERRUPTED | Flag.RESTARTED, Flag.RESTARTED | Flag.BREAK),
            ]
        ),
    ),
    nr=st.sampled_from(["read", "read", "write", "clone", "exit", "rt_sigreturn"]),
    ret=st.sampled_from([0, 0, 5, -11, -512]),
    fd=st.integers(-1, 3),
    fd2=st.integers(-1, 3),
    file=TEXT,
    old_file=TEXT,
    asked=TEXT,
    comm=st.sampled_from(["dd", "sh"]),
    fd_flags=st.integers(0, 2),
    args=st.tuples(*[st.integers(0, 2)] * 5),
)


def timed(wild: Sequence[Half]) -> list[Half]:
    """Give each half its times: a side at the time of its record, a whole one ends there."""
    made = []
    for number, half in enumerate(wild):
        now = 1000 + 10 * number
        enter = now - 5 if half.side == Flag.ENTER | Flag.EXIT else now
        times = {"enter_ns": enter * half.has(Flag.ENTER), "exit_ns": now * half.has(Flag.EXIT)}
        made.append(Half(**{**vars(half), **times}))
    return made


class Outcome(NamedTuple):
    calls: list[dict[str, Any]]
    unmatched: Counter[tuple[Any, ...]]
    snapshot: dict[str, int]


def batch_of(part: Sequence[Half], names: Names) -> Batch:
    columns: dict[str, Any] = {name: [getattr(half, name) for half in part] for name in COLUMNS}
    return halves(names=names, **{**columns, "flags": [int(flag) for flag in columns["flags"]]})


def cut(stream: Sequence[Half], cuts: Sequence[int], dictionaries: int = 1) -> list[Batch]:
    """Return the stream in batches; their texts are in so many dictionaries in turn."""
    edges = sorted({0, len(stream), *(c for c in cuts if c < len(stream))})
    names = [Names() for _ in range(dictionaries)]
    for number, one in enumerate(names):  # so that a code means something else in each
        for text in range(number):
            one.intern(f"text {text}")
    return [
        batch_of(stream[a:b], names[i % len(names)]) for i, (a, b) in enumerate(pairwise(edges))
    ]


def ident(half: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(str(half[name]) for name in COLUMNS if name not in ("flags", "nr"))


def run(batches: Sequence[Batch], **config: Any) -> Outcome:
    """Run `pair`; check after every batch that each half went somewhere, once."""
    stage, ctx = Pair(PairConfig(**config)), context()
    anyio.run(stage.start, ctx)
    calls: list[dict[str, Any]] = []
    unmatched: Counter[tuple[Any, ...]] = Counter()
    seen = 0
    for batch in [*batches, None]:
        seen += 0 if batch is None else len(batch)
        output = stage.drain() if batch is None else stage.process(batch)
        assert output is None or isinstance(output, dict)
        for port, rows in (output or {}).items():
            assert len(rows)
            if port == "out":
                calls += rows.rows()
            else:
                unmatched.update((*ident(half), half["cause"]) for half in rows.rows())
        books = ctx.books
        assert seen == len(calls) + unmatched.total() + books.joined + books.held
        assert stage.snapshot().pending == books.held
    assert ctx.books.held == 0
    return Outcome(calls, unmatched, stage.snapshot().unmatched)


def check(stream: Sequence[Half], batches: Sequence[Batch], **config: Any) -> Outcome:
    """Run `pair`, and compare what it gives with the model's."""
    model = Model(fold=config.get("fold_restarts", True), limit=config.get("max_pending", 1 << 30))
    ends = set(np.cumsum([len(batch) for batch in batches]).tolist())
    for number, half in enumerate(stream, 1):
        model.feed(half)
        if number in ends:
            model.end_batch()
    model.end()
    outcome = run(batches, **config)
    assert [
        {name: given[name] for name in wanted}
        for given, wanted in zip(outcome.calls, map(row, model.calls), strict=True)
    ] == [row(call) for call in model.calls]
    assert [call["seq"] for call in outcome.calls] == list(range(len(model.calls)))
    causes = Counter(cause.value for _, cause in model.unmatched)
    assert outcome.snapshot == dict(causes)
    assert outcome.unmatched == Counter(
        (*ident({n: as_cell(n, half) for n in COLUMNS}), cause.value)
        for half, cause in model.unmatched
    )
    return outcome


def as_cell(name: str, half: Half) -> Any:
    value = getattr(half, name)
    if name in ("enter_ns", "exit_ns"):
        return value or None
    return list(value) if name == "args" else value


@given(STREAMS, CUTS, st.integers(1, 3), st.booleans())
@settings(max_examples=300)
def test_what_programs_send_becomes_the_model_s_calls_for_every_cutting(
    stream: list[Half], cuts: list[int], dictionaries: int, fold: bool
) -> None:
    whole = check(stream, cut(stream, []), fold_restarts=fold)
    assert check(stream, cut(stream, cuts, dictionaries), fold_restarts=fold) == whole
    every = range(len(stream))
    assert check(stream, cut(stream, every, dictionaries), fold_restarts=fold) == whole


@given(st.lists(WILD, max_size=40), CUTS, st.integers(1, 3), st.booleans())
@settings(max_examples=500)
def test_any_halves_become_the_model_s_calls_for_every_cutting(
    wild: list[Half], cuts: list[int], dictionaries: int, fold: bool
) -> None:
    stream = timed(wild)
    whole = check(stream, cut(stream, []), fold_restarts=fold)
    assert check(stream, cut(stream, cuts, dictionaries), fold_restarts=fold) == whole


@given(st.lists(WILD, max_size=40), CUTS, st.integers(1, 2))
@settings(max_examples=200)
def test_no_more_than_allowed_wait(wild: list[Half], cuts: list[int], limit: int) -> None:
    stream = timed(wild)
    check(stream, cut(stream, cuts), max_pending=limit)


def by_thread(calls: Sequence[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    """Return each thread's calls in their order, without the number among all threads'."""
    threads: dict[int, list[dict[str, Any]]] = {}
    for call in calls:
        threads.setdefault(call["tid"], []).append({**call, "seq": None})
    return threads


@given(SCRIPTS, CUTS)
@settings(max_examples=300)
def test_both_pairing_modes_give_the_same_calls(script: Any, cuts: list[int]) -> None:
    """An enter that is in flight at the end is known in user mode only, so all return first."""
    ends = [(thread, what, 1) for thread in range(4) for what in ("return", "call")]
    kernel, user = (Programs(user=mode).run([*script, *ends]) for mode in (False, True))
    calls = run(cut(kernel, cuts)).calls
    assert by_thread(calls) == by_thread(run(cut(user, cuts)).calls)
    assert len(calls) >= 4


@given(SCRIPTS, BITS, CUTS)
@settings(max_examples=200)
def test_loss_never_makes_a_call_that_was_not_made(
    script: Any, lost: list[bool], cuts: list[int]
) -> None:
    def made(call: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(call[name] for name in ("tid", "time_ns", "latency_ns", "syscall", "ret"))

    for mode in (False, True):
        true = {
            made(c)
            for c in run(cut(Programs(user=mode).run(script), []), fold_restarts=False).calls
        }
        stream = Programs(user=mode, lost=lost).run(script)
        assert {made(c) for c in run(cut(stream, cuts), fold_restarts=False).calls} <= true
