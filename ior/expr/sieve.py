"""The part of a filter that a source can apply where calls happen.

A source in the kernel knows numbers: which syscall, process and thread, and at the return what
came of it. So of a filter it takes the terms that speak of one such number each. What a term
means is asked of the compiled filter itself, at every value where its answer may change, so
that both sides cannot differ.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

import msgspec
import numpy as np

from ior import syscalls
from ior.calls import CALLS, NONE_NS, RESTART_CODES, Array, Batch, Origin, Schema
from ior.expr.groups import GroupPaths, group_paths
from ior.expr.masks import compile_tree
from ior.expr.tree import And, Const, Not, Number, Or, Text, Tree, leaves
from ior.names import Names
from ior.text import unescape

MOST: Final = 8  # ranges or names of one condition
SUBJECTS: Final = (
    *("syscall", "pid", "tid", "uid", "cgroup_id", "cgroup", "comm"),
    *("ret", "latency_ns"),
)
"""What a condition can be about, each a column, in the order in which they are asked."""

Ranges = tuple[tuple[int, int], ...]
"""Disjoint ranges, ascending, both ends included."""

_INT64: Final = (-(2**63), 2**63 - 1)
_DOMAIN: Final = {
    **dict.fromkeys(("pid", "tid", "uid"), (0, 2**32 - 1)),
    "cgroup_id": (0, _INT64[1]),
    "latency_ns": (NONE_NS, _INT64[1]),
}
_SUBJECT: Final = {name: name for name in SUBJECTS} | {
    "family": "syscall",
    "errno": "ret",
    "is_error": "ret",
}
_COLUMNS: Final = {column.name: column for column in CALLS.columns}
_ERRORS: Final = 4095
_WHOLE_NAMES: Final = ("==", "!=", "in", "not in")
_TOO_LONG: Final = "longer than a name of a command"


class CommandNames(msgspec.Struct, frozen=True):
    """Which command names hold: those in `names` if not `others`, all but those if `others`."""

    names: tuple[bytes, ...]
    others: bool


class Sieve(msgspec.Struct, frozen=True):
    """Conditions, all of which a call has to meet; None: any value does.

    `syscall` are numbers. `ret` and `latency_ns` are known at the return; a call that never
    returns has 0 and `NONE_NS`.
    """

    syscall: frozenset[int] | None = None
    pid: Ranges | None = None
    tid: Ranges | None = None
    uid: Ranges | None = None
    cgroup_id: Ranges | None = None
    cgroup: GroupPaths | None = None
    comm: CommandNames | None = None
    ret: Ranges | None = None
    latency_ns: Ranges | None = None


class Split(msgspec.Struct, frozen=True):
    """A filter in two parts, which together mean the same; None for one that is empty.

    `sieve` is what `pushed` means.
    """

    pushed: Tree | None
    rest: Tree | None
    sieve: Sieve


def split(tree: Tree, subjects: Collection[str] = SUBJECTS, *, arch: str | None = None) -> Split:
    """Return the terms of `tree` that speak of one of `subjects` each, and the others."""
    chosen: dict[str, list[Tree]] = {}
    found: dict[str, object] = {}
    pushed: list[Tree] = []
    rest: list[Tree] = []
    for term in conjuncts(tree):
        subject = _subject(term)
        if subject is None or subject not in subjects:
            rest.append(term)
            continue
        together = [*chosen.get(subject, ()), term]
        meaning = _meaning(subject, joined(together), arch)
        if meaning is None:
            rest.append(term)
            continue
        chosen[subject], found[subject] = together, meaning
        pushed.append(term)
    return Split(joined(pushed), joined(rest), Sieve(**found))  # type: ignore[arg-type]  # by name


def syscalls_of(tree: Tree, *, arch: str | None = None) -> frozenset[int] | None:
    """Return the numbers of the syscalls of which a call may meet `tree`; None for all."""
    parts = split(tree, ("syscall",), arch=arch)
    found = parts.sieve.syscall
    for term in () if parts.rest is None else conjuncts(parts.rest):
        ways = [syscalls_of(way, arch=arch) for way in _ways(term)]
        some = [way for way in ways if way is not None]
        if some and len(some) == len(ways):
            either = frozenset[int]().union(*some)
            found = either if found is None else found & either
    return found


def _ways(tree: Tree) -> tuple[Tree, ...]:
    """Return terms of which any holds where `tree` does; none where it is no disjunction."""
    match tree:
        case Or(terms):
            return terms
        case Not(And(terms)):
            return tuple(map(Not, terms))
    return ()


def conjuncts(tree: Tree) -> Iterator[Tree]:
    """Yield terms that all hold where `tree` does, and only there."""
    match tree:
        case And(terms):
            for term in terms:
                yield from conjuncts(term)
        case Not(Or(terms)):
            for term in terms:
                yield from conjuncts(Not(term))
        case Not(Not(term)):
            yield from conjuncts(term)
        case Const(True):
            return
        case _:
            yield tree


def joined(terms: Sequence[Tree | None]) -> Tree | None:
    """Return the conjunction of terms; None without any."""
    some = tuple(term for term in terms if term is not None)
    return None if not some else some[0] if len(some) == 1 else And(some)


def _subject(term: Tree) -> str | None:
    subjects = {_SUBJECT.get(leaf.column) for leaf in leaves(term)}
    return subjects.pop() if len(subjects) == 1 else None


def _meaning(subject: str, tree: Tree | None, arch: str | None) -> object:
    """Return what a tree about one subject means for it, None where it needs too many words."""
    assert tree is not None
    if subject == "syscall":
        numbers = np.arange(syscalls.NR_LIMIT)
        return frozenset(numbers[_holds(tree, {"syscall": numbers}, arch)].tolist())
    if subject == "comm":
        return _command_names(tree)
    if subject == "cgroup":
        return group_paths(tree, lambda texts: _holds_of(tree, "cgroup", texts))
    starts = _starts(subject, tree)
    columns = {subject: starts} if subject != "ret" else _returns(starts)
    high = _DOMAIN.get(subject, _INT64)[1]
    return _ranges(starts.tolist(), _holds(tree, columns, arch).tolist(), high)


def _holds(
    tree: Tree, values: dict[str, Array], arch: str | None, names: Names | None = None
) -> Array:
    """Return where a tree holds, of rows with these columns."""
    some = [_COLUMNS[name] for name in values]
    if "syscall" in values:
        some.append(_COLUMNS["family"])
    columns = {name: column.astype(_COLUMNS[name].dtype) for name, column in values.items()}
    origin = Origin(arch or syscalls.architecture(), 0)
    batch = Batch(Schema(CALLS.name, tuple(some)), columns, names or Names(), origin)
    return compile_tree(tree, _COLUMNS)(batch)


def _holds_of(tree: Tree, column: str, texts: Sequence[str]) -> list[bool]:
    """Return of which texts of a column a tree holds."""
    names = Names()
    codes = np.array([names.intern(text) for text in texts], np.uint32)
    return [bool(held) for held in _holds(tree, {column: codes}, None, names)]


def _starts(subject: str, tree: Tree) -> Array:
    """Return, ascending, where stretches of values begin of which all are answered alike."""
    low, high = _DOMAIN.get(subject, _INT64)
    starts = {low, 0}
    for leaf in leaves(tree):
        if isinstance(leaf, Number) and leaf.column == subject:
            starts |= {end for value in leaf.values for end in (int(value), int(value) + 1)}
    if subject == "ret":
        starts |= set(range(-_ERRORS - 1, 1))
    return np.array(sorted(start for start in starts if low <= start <= high), np.int64)


def _returns(ret: Array) -> dict[str, Array]:
    """Return the columns that follow from a return, as `pair` makes them."""
    failed = (ret < 0) & (ret >= -_ERRORS) & ~np.isin(ret, RESTART_CODES)
    return {"ret": ret, "errno": np.where(failed, -ret, 0), "is_error": failed}


def _ranges(starts: list[int], holds: list[bool], high: int) -> Ranges | None:
    ranges: list[tuple[int, int]] = []
    ends = [start - 1 for start in starts[1:]] + [high]
    for start, end, held in zip(starts, ends, holds, strict=True):
        if held and ranges and ranges[-1][1] == start - 1:
            ranges[-1] = (ranges[-1][0], end)
        elif held:
            ranges.append((start, end))
    return tuple(ranges) if len(ranges) <= MOST else None


def _command_names(tree: Tree) -> CommandNames | None:
    texts = {"": None, _TOO_LONG: None}
    for leaf in leaves(tree):
        if not isinstance(leaf, Text) or leaf.op not in _WHOLE_NAMES:
            return None
        texts |= dict.fromkeys(leaf.values)
    holds = dict(zip(texts, _holds_of(tree, "comm", list(texts)), strict=True))
    others = holds.pop(_TOO_LONG)
    apart = tuple(unescape(text) for text, held in holds.items() if held != others)
    fitting = tuple(name for name in apart if len(name) < 16)
    return CommandNames(fitting, others) if len(fitting) <= MOST else None
