"""Since when what was let through to the view: so that a hole in what it shows is said.

A period begins with every change of the filter or of the switches. The functions are pure.
"""

from __future__ import annotations

import itertools

import msgspec

from ior.pipeline.ledger import Ledger
from ior.ui.window import Window
from ior.units import format_clock, format_count

MOST = 100  # periods that are kept; the first one stays


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """What was let through from a moment on: rows for which `where` holds ("" for all).

    `switched` says what was switched off or on, `kernel` which part of `where` was applied
    where calls happen, which is None in a recording: no kernel has a part in that. `filtered` is
    how many calls and rows all filters had left out until then, `epoch` is the `filter_epoch` of
    calls that begin in it (0: the source has none), and `latest_ns` when the latest call before
    it ended.
    """

    since_ns: int
    where: str = ""
    switched: str = ""
    kernel: str | None = None
    filtered: int = 0
    epoch: int = 0
    latest_ns: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether everything came that was wanted when the run began."""
        return not self.where and not self.switched

    def words(self) -> str:
        """Say what was let through."""
        only = f"only {self.where}" if self.where else ""
        return "; ".join(part for part in (only, self.switched) if part) or "everything"


def begun(periods: tuple[Period, ...], period: Period) -> tuple[Period, ...]:
    """Return the periods with another one, which ends the last."""
    if len(periods) >= MOST:
        periods = (periods[0], *periods[2:])
    return (*periods, period)


def filtered(ledger: Ledger) -> int:
    """Return how many calls and rows filters have left out so far, the kernel's included.

    A row that was on its way to several stages when the filter changed is left out by each of
    them: it counts once.
    """
    stages = ledger.stages.values()
    inside = sum(stage.filtered for stage in stages if stage.out)
    at_the_end = max((stage.filtered for stage in stages if not stage.out), default=0)
    return inside + at_the_end + ledger.kernel.get("filtered_in_kernel", 0)


def hole(periods: tuple[Period, ...], window: Window, latest_ns: int, started_ns: int) -> str:
    """Say what is missing in the window, of periods that are over; "" where nothing is."""
    begin_ns, end_ns = window.bounds_ns(latest_ns) if window.span_s else (0, latest_ns + 1)
    found = [
        (period, after)
        for period, after in itertools.pairwise(periods)
        if not period.is_whole and period.latest_ns < end_ns and after.latest_ns >= begin_ns
    ]
    if not found:
        return ""
    first, last = found[0][0], found[-1][1]
    span = f"{_clock(first.since_ns, started_ns)} to {_clock(last.since_ns, started_ns)}"
    if len(found) == 1:
        return f"{span} {first.words()}"
    return f"{span} not everything: {len(found)} changes (o)"


def lines(periods: tuple[Period, ...], now: int, started_ns: int) -> tuple[str, ...]:
    """Say of each period when it began and what was let through; `now` is filtered until now."""
    ends = [*(period.filtered for period in periods[1:]), now]
    said = []
    for period, end in zip(periods, ends, strict=False):
        out = f"{format_count(end - period.filtered)} filtered" if period.where else ""
        epoch = f"filter_epoch {period.epoch}" if period.epoch else ""
        kernel = f"in the kernel: {period.kernel}" if period.kernel else ""
        parts = (part for part in (epoch, out, period.words(), kernel) if part)
        said.append(f"{_clock(period.since_ns, started_ns)} {'; '.join(parts)}")
    return tuple(said)


def present(periods: tuple[Period, ...], now: int, started_ns: int) -> str:
    """Say since when the present filter decides what comes, and if live where; "" without one."""
    last = periods[-1] if periods else None
    if last is None or not last.where:
        return ""
    since = _clock(last.since_ns, started_ns)
    said = f"since {since} nothing else comes; {format_count(now - last.filtered)} filtered"
    if last.kernel is None:
        return said
    return f"{said}; in the kernel: {last.kernel}" if last.kernel else f"{said}; not in the kernel"


def _clock(at_ns: int, started_ns: int) -> str:
    return format_clock(max(0, at_ns - started_ns))
