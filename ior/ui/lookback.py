"""What was added up of seconds, kept so that the next look costs only what has come since.

A window moves on once a second: then `Sliding` takes off what has left it. Until the next one
only the last second of it grows, and a stage that has added that up is given the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from ior.calls import Origin
from ior.expr import Predicate
from ior.stages.flamegraph import Flamegraph
from ior.stages.groups import Groups
from ior.stages.history import Second
from ior.stages.sliding import Sliding, since
from ior.stages.stats import Stats

Adding = Stats | Flamegraph
_STAGES = 3  # that are kept
_LOOKS = 240  # without seconds, after which everything is let go of


class Counted(NamedTuple):
    """Calls of some seconds: all, those that the filter matches, those of which it cannot tell."""

    calls: int
    matching: int
    untold: int


class _Sum(msgspec.Struct, eq=False):
    """A stage, and the seconds that it has added up."""

    key: Any
    stage: Adding
    seconds: Sequence[Second]

    def goes_on(self, seconds: Sequence[Second]) -> bool:
        """Return whether these are the same seconds, and the last of them may have grown."""
        return len(seconds) == len(self.seconds) and all(
            one is other for one, other in zip(seconds[:-1], self.seconds[:-1], strict=True)
        )


class Lookback:
    """Adds up seconds for one look after the other."""

    def __init__(self) -> None:
        self._let_go()

    def _let_go(self) -> None:
        self._where: Predicate | None = None
        self._sliding: dict[tuple[int, Origin], Sliding] = {}  # by dictionary and host
        self._sums: list[_Sum] = []  # the one used last is the first
        self._idle = 0

    def looked(self) -> None:
        """Let go of everything if many looks had no use for it."""
        self._idle += 1
        if self._idle > _LOOKS:
            self._let_go()

    def added(
        self, key: Any, new: Adding, where: Predicate | None, seconds: Sequence[Second]
    ) -> tuple[Adding, Counted]:
        """Return a stage that has added up what a filter matches of some seconds.

        It is `new`, or one of the same `key` that had done most of it before. It is for a look:
        it goes on with the next.
        """
        self._idle = 0
        if where is not self._where:
            self._sliding, self._sums, self._where = {}, [], where
        before = next((one for one in self._sums if one.key == key), None)
        rest = [one for one in self._sums if one is not before]
        self._slide(seconds[:-1])
        if before is None or not before.goes_on(seconds) or not self._go_on(before, seconds[-1:]):
            before = _Sum(key, new, seconds)
            whole = (sliding.groups() for sliding in self._sliding.values())
            for groups in (*whole, *(self._chosen(second.groups) for second in seconds[-1:])):
                if groups is not None:
                    before.stage.add(groups)
        before.seconds = seconds
        self._sums = [before, *rest][:_STAGES]
        return before.stage, self._counted(seconds[-1:])

    def _slide(self, seconds: Sequence[Second]) -> None:
        kinds: dict[tuple[int, Origin], list[Second]] = {}
        for second in seconds:
            keys = second.groups.keys
            kinds.setdefault((id(keys.names), keys.origin), []).append(second)
        self._sliding = {kind: self._sliding.get(kind) or Sliding(self._where) for kind in kinds}
        for kind, some in kinds.items():
            self._sliding[kind].turn(some)

    def _go_on(self, one: _Sum, last: Sequence[Second]) -> bool:
        """Add to a stage what its last second has more by now; return whether that is known."""
        for now, before in zip(last, one.seconds[-1:], strict=True):
            if now is before:
                continue
            more = since(now.groups, before.groups)
            if now.number != before.number or more is None:
                return False
            one.stage.add(self._chosen(more))
        return True

    def _chosen(self, groups: Groups) -> Groups:
        return groups if self._where is None else groups.matching(self._where)[0]

    def _counted(self, last: Sequence[Second]) -> Counted:
        """Count the calls of the seconds that were slid over, and of the last."""
        parts = self._sliding.values()
        calls, matching = sum(one.calls for one in parts), sum(one.matching for one in parts)
        untold = sum(one.untold for one in parts)
        for second in last:
            groups, unknown = second.groups, 0
            if self._where is not None:
                groups, unknown = groups.matching(self._where)
            calls += second.groups.calls
            matching += groups.calls
            untold += unknown
        return Counted(calls, matching, untold)
