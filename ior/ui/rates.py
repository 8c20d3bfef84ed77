"""What happens in a second, from counts that were seen at two moments."""

from __future__ import annotations

import msgspec

from ior.ui.events import Picture

SPAN_NS = 1_000_000_000  # a rate is a mean over about this


class Mark(msgspec.Struct, frozen=True):
    """Counts since the start, at one moment; `cpu_ns` is what ior itself used."""

    now_ns: int
    calls: int = 0
    errors: int = 0
    bytes: int = 0
    cpu_ns: int = 0

    @staticmethod
    def of(picture: Picture) -> Mark:
        """Return the counts in a picture."""
        errors, size = 0, 0
        if picture.totals is not None:
            errors, size = picture.totals.errors, picture.totals.bytes
        return Mark(picture.now_ns, picture.ledger.calls, errors, size, picture.cpu_ns)


class Rates(msgspec.Struct, frozen=True):
    """Means a second; `cpu` is in cores."""

    calls: float = 0.0
    errors: float = 0.0
    bytes: float = 0.0
    cpu: float = 0.0

    @staticmethod
    def between(before: Mark, now: Mark) -> Rates:
        """Return the rates from one moment to a later one; none where no time has passed."""
        seconds = (now.now_ns - before.now_ns) / 1e9
        if seconds <= 0:
            return Rates()
        return Rates(
            calls=(now.calls - before.calls) / seconds,
            errors=(now.errors - before.errors) / seconds,
            bytes=(now.bytes - before.bytes) / seconds,
            cpu=(now.cpu_ns - before.cpu_ns) / 1e9 / seconds,
        )


def recent(marks: tuple[Mark, ...], now: Mark) -> tuple[Mark, ...]:
    """Return the marks of the last second with `now`, and the last before it.

    So rates are over a second at least: where pictures are rare, two that are taken one right
    after the other say little about the time between them.
    """
    edge_ns = now.now_ns - SPAN_NS
    old = [mark for mark in marks if mark.now_ns <= edge_ns][-1:]
    return (*old, *(mark for mark in marks if mark.now_ns > edge_ns), now)
