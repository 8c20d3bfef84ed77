"""A row of the stream in full: every column, decoded, and what the other rows know of it.

It is lines of a label and a text. A line may have a filter, and may lead to another row.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from ior import kinds
from ior.calls import NONE_NS, RAW, Batch
from ior.ui.stream.columns import COLUMNS, asked_terms, dated, of_kind, results, when
from ior.ui.stream.life import Life, descriptors, life_of
from ior.ui.stream.partners import meanwhile, neighbour, now
from ior.ui.stream.rows import Place, Rows, grouped
from ior.units import format_count, format_duration, format_size
from ior.waiting import Waiting

_BRIEF = ("time", "tid", "syscall", "result", "latency", "asked for")
AROUND = 100  # rows of a descriptor's life that are listed on either side
_TITLES = {column.reads[0]: column for column in COLUMNS}
_PLAIN = (
    *("file", "file_state", "old_file", "asked", "fd", "fd2", "fd_flags", "bytes"),
    *("comm", "pid", "tid", "ppid", "uid", "container", "cgroup"),
)
"""Columns that are shown as the list shows them, in this order."""
_SAYS_NOTHING = {("filter_epoch", "0"), ("filter_epoch", "1")}  # the selection at the start
_ELSEWHERE = {
    *("seq", "time_ns", "latency_ns", "gap_ns", "restarts", "ret", "errno", "is_error"),
    *("syscall", "family"),
}


class Entry(msgspec.Struct, frozen=True):
    """One line: `term` is its filter, `row` the number of the row that it leads to, -1 for none."""

    label: str
    text: str
    term: str = ""
    row: int = -1
    heading: bool = False
    bad: bool = False


def entries(rows: Rows, place: Place) -> tuple[Entry, ...]:
    """Return the lines of a row."""
    one = place.batch.select(np.array([place.index]))
    return (
        _title(one, place),
        *_times(one),
        *_result(one),
        *_columns(one),
        *_asked(one),
        *_thread(rows, place),
        *_meanwhile(rows, place),
        *(line for fd in descriptors(place) for line in _life(life_of(rows.parts, place, fd))),
    )


def _title(one: Batch, place: Place) -> Entry:
    known = one.schema.names
    name = one.text("syscall")[0] if "syscall" in known else ""
    family = f"{one.text('family')[0]}  " if "family" in known else ""
    seq = f", call {format_count(int(one['seq'][0]))}" if "seq" in known else ""
    text = f"{family}row {format_count(place.number)} of the stream{seq}"
    term = f"syscall == {name}" if name else ""
    return Entry(name or one.schema.name, text, term, heading=True)


def _times(one: Batch) -> Iterator[Entry]:
    known, offset_ns = one.schema.names, one.origin.wall_offset_ns
    if "time_ns" not in known:
        return
    begun = int(one["time_ns"][0])
    since = f"{dated(begun, offset_ns)}, {begun / 1e9:.9f} s after boot"
    yield Entry("entered", since, f"time >= {begun}ns")
    if "latency_ns" in known:
        latency = int(one["latency_ns"][0])
        if latency == NONE_NS:
            yield Entry("returned", "never: this call does not return")
        else:
            took, exactly = format_duration(latency), f"{format_count(latency)} ns"
            text = f"{when(begun + latency, offset_ns)}, after {took}"
            text += f" ({exactly})" if took != exactly else ""
            yield Entry("returned", text, *_term(one, "latency"))
    if "restarts" in known and one["restarts"][0]:
        times = "once" if one["restarts"][0] == 1 else f"{one['restarts'][0]} times"
        said = f"{times} by the kernel, after a signal; the time is that of the whole call"
        yield Entry("restarted", said, *_term(one, "restarts"))
    if "gap_ns" in known:
        gap = int(one["gap_ns"][0])
        said = "unknown: the thread's first row, or something between is missing"
        if gap != NONE_NS:
            said = f"{format_duration(gap)} since the thread's previous row returned"
        yield Entry("gap", said, *_term(one, "gap"))


def _term(one: Batch, title: str) -> tuple[str]:
    return (next(column for column in COLUMNS if column.title == title).term(one),)


def _result(one: Batch) -> Iterator[Entry]:
    if not {"ret", "errno", "latency_ns"}.issubset(one.schema.names):
        return
    (text,), number, ret = results(one), int(one["errno"][0]), int(one["ret"][0])
    if number:
        yield Entry("result", f"-1 {text} ({os.strerror(number)})", *_term(one, "result"), bad=True)
    elif one["latency_ns"][0] != NONE_NS:
        more = f" ({format_count(ret)})" if text != str(ret) else ""
        yield Entry("result", text + more, *_term(one, "result"))


def _columns(one: Batch) -> Iterator[Entry]:
    """Yield what is not empty, then what a user's own stages added."""
    shown = [name for name in _PLAIN if name in one.schema.names]
    apart = {*shown, *_ELSEWHERE, *kinds.COLUMNS}
    more = (column for column in one.schema.columns if column.name not in apart)
    shown += [column.name for column in more if column.kind not in RAW]
    for name in shown:
        shows = _TITLES.get(name) or of_kind(one.column(name))
        (text,) = shows.texts(one)
        if text and (name, text) not in _SAYS_NOTHING:
            plain = str(one[name][0])
            said = f"{text} ({plain} bytes)" if name == "bytes" and text != f"{plain} B" else text
            yield Entry(shows.title, said, shows.term(one))


def _asked(one: Batch) -> Iterator[Entry]:
    if "args" not in one.schema.names:
        return
    asked = asked_terms(one)
    if asked:
        yield Entry("asked for", "", heading=True)
    for name, text, term in asked:
        value = term.rpartition(" ")[2]
        yield Entry(name, text if text == value else f"{text} ({value})", term)


def brief(place: Place) -> str:
    """Return a row in a line: when, who, what, how it ended and what it asked for."""
    return briefs([place])[0]


def briefs(places: Sequence[Place]) -> list[str]:
    """Return a line for each row."""
    lines: list[str] = []
    for some, _ in grouped(places):
        have = set(some.schema.names)
        columns = [c for c in COLUMNS if c.title in _BRIEF and have.issuperset(c.reads)]
        texts = {column.title: column.texts(some) for column in columns}
        texts["result"] = [f"= {text}" for text in texts.get("result", [""] * len(some))]
        cells = zip(*(texts[title] for title in _BRIEF if title in texts), strict=True)
        lines += ["  ".join(filter(None, row)) for row in cells]
    return lines


def _thread(rows: Rows, place: Place) -> Iterator[Entry]:
    found = {step: neighbour(rows.parts, place, step) for step in (-1, 1)}
    waiting = now(rows, place)
    if waiting is not None or any(other is not None for other in found.values()):
        yield Entry("this thread", "", heading=True)
    for step, other in found.items():
        if other is not None:
            yield Entry("before" if step < 0 else "after", brief(other), row=other.number)
    if waiting is not None:
        yield Entry("now", _has_waited(waiting))


def _has_waited(call: Waiting) -> str:
    fd = f" fd {call.fd}" if call.fd >= 0 else ""
    said = f"{call.syscall}{fd} {call.file}".rstrip()
    return f"{said}: has not returned for {format_duration(call.age_ns)}"


def _meanwhile(rows: Rows, place: Place) -> Iterator[Entry]:
    found = meanwhile(rows, place)
    if found.total:
        said = f"{_calls(found.total)} on the same file in flight"
        yield Entry("meanwhile", said, heading=True)
    for call in found.waiting:
        yield Entry(f"{call.comm} {call.pid}", f"{call.tid}  {_has_waited(call)}")
    for other in found.places:
        one = other.batch.select(np.array([other.index]))
        who = f"{one.text('comm')[0]} {one['pid'][0]}"
        yield Entry(who, brief(other), row=other.number)


def _life(life: Life) -> Iterator[Entry]:
    span = _span(life)
    yield Entry(
        f"descriptor {life.fd}",
        f"of process {life.pid}: {_calls(len(life))} retained",
        span,
        heading=True,
    )
    if life.opened:
        yield Entry("opened", brief(life.place(0)), row=life.place(0).number)
    else:
        yield Entry("opened", "by no retained call: before these, by an ancestor, or unseen")
    for use in life.uses():
        parts = [_calls(use.calls)]
        parts += [f"{format_count(use.errors)} failed"] * bool(use.errors)
        parts += [format_size(use.bytes)] * bool(use.bytes)
        parts.append(format_duration(use.latency_ns))
        yield Entry(use.syscall, ", ".join(parts), f"{span} and syscall == {use.syscall}")
    if life.closed:
        last = life.place(len(life) - 1)
        yield Entry("closed", brief(last), row=last.number)
    elif life.replaced is not None:
        text = f"replaced: {brief(life.replaced)}"
        yield Entry("closed", text, row=life.replaced.number)
    else:
        yield Entry("closed", "not so far, or by no retained call")
    first, last_shown = max(0, life.at - AROUND), min(len(life), life.at + AROUND + 1)
    if first:
        yield Entry("", f"{_calls(first)} before these")
    places = [life.place(i) for i in range(first, last_shown)]
    for i, (other, text) in enumerate(zip(places, briefs(places), strict=True), first):
        yield Entry("this call" if i == life.at else "", text, row=other.number)
    if last_shown < len(life):
        yield Entry("", f"{_calls(len(life) - last_shown)} after these")


def _span(life: Life) -> str:
    """Return the filter for a descriptor's life: its process, its number, its time."""
    low, high = life.times()
    both = f"(fd == {life.fd} or fd2 == {life.fd})"
    return f"pid == {life.pid} and {both} and time >= {low}ns and time <= {high}ns"


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{format_count(count)} calls"
