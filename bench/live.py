"""Measure the live view at work: frames, ior's CPU while nothing happens, and what gets lost.

A million calls a second must lose nothing while every tab is drawn: next to that stands how long
the ring is left unread, and how long it would take to fill. `dd bs=1` makes more calls than the
view's stages work off on one core, so there what gets through when everything is drawn is held
against what gets through when hardly anything is, round by round in turn. Run as root.
"""

from __future__ import annotations

import subprocess
import sys
import time

import anyio
import numpy as np

from bench import watching
from bench.framework import print_aim
from bench.screen import AIM_MS, COLUMNS, LINES
from bench.watching import REFRESH_MS, Seen
from ior.cli import overrides
from ior.cli.prepare import read
from ior.pipeline import spec
from ior.sources.bpf.records import STRIDE
from ior.ui.frame import losses

RATE, LOAD_S = 1_000_000, 12
BLOCKS, ROUNDS = 6_000_000, 5  # four seconds: every tab is drawn
DD = ("dd", "if=/dev/zero", "of=/dev/null", "bs=1", f"count={BLOCKS}")
PACED = (sys.executable, "-m", "bench.paced", str(RATE), str(LOAD_S))
AIM_IDLE, IDLE_ROUNDS = 0.02, 3
AIM_DRAWN = 0.95  # of the calls that get through when hardly anything is drawn


def main() -> None:
    """Print frames, losses and the idle CPU, and whether the aims are met."""
    print(
        f"The live view at {COLUMNS}x{LINES}, a picture every {REFRESH_MS} ms, every tab in turn:\n"
    )
    numbers = f"{'frames':>8}{'median ms':>12}{'p95 ms':>10}{'ior CPU':>10}{'calls/s':>11}"
    print(f"{'load':<24}{numbers}  lost")
    made = overrides.replace_source(
        read("tui"), "synthetic", {"profile": "moving", "rate": overrides.DEMO_RATE}
    )
    demo = watching.view(made, None, watching.through_tabs)
    show("ior tui --demo", demo)
    paced = under(PACED, REFRESH_MS)
    show(f"{RATE / 1e6:g} M calls/s, {LOAD_S} s", paced)
    shares: list[float] = []
    for _ in range(ROUNDS):
        drawn, hardly = under(DD, REFRESH_MS), under(DD, 60_000)
        show("dd bs=1", drawn)
        show("  hardly drawn", hardly)
        shares.append(delivered(drawn) / delivered(hardly))
    print_ring(paced)
    share, bare = (
        float(np.median([take() for _ in range(IDLE_ROUNDS)])) for take in (idle, waking)
    )
    print(f"To wake once a second and do nothing takes {bare:.1%} of a core here.")
    frames = [ms for seen in (demo, paced) for ms in seen.frames_ms]
    print_aims(float(np.quantile(frames, 0.95)), share, paced.ledger.lost, shares)


def under(argv: tuple[str, ...], refresh_ms: int) -> Seen:
    """Look at a command to its end."""
    with watching.load(argv) as command:
        return watching.view(read("tui"), command, watching.to_the_end, refresh_ms)


def idle() -> float:
    """Return the part of a core that ior takes while a traced process sleeps."""
    with subprocess.Popen(["sleep", "infinity"]) as other:
        try:
            still = spec.set_value(read("tui"), f"kernel.pid={other.pid}")
            return watching.view(still, None, watching.idle).idle
        finally:
            other.kill()


def waking() -> float:
    """Return the part of a core that it takes to wake once a second, as the idle view does."""

    async def wake() -> None:
        for _ in range(round(watching.IDLE_S)):
            await anyio.sleep(1)

    begin = time.process_time(), time.monotonic()
    anyio.run(wake)
    return (time.process_time() - begin[0]) / (time.monotonic() - begin[1])


def delivered(seen: Seen) -> float:
    """Return which part of the calls was not lost."""
    return 1 - seen.ledger.lost / seen.ledger.kernel["attempted"]


def show(load: str, seen: Seen) -> None:
    """Print a line."""
    median, high = np.quantile(seen.frames_ms or [0.0], [0.5, 0.95])
    rate = (seen.ledger.kernel["attempted"] or seen.ledger.calls) / seen.seconds
    lost = ", ".join(f"{rows:,} {place}" for place, rows in losses(seen.ledger)) or "0"
    print(
        f"{load:<24}{len(seen.frames_ms):>8}{median:>12.1f}{high:>10.1f}"
        f"{seen.cpu_s / seen.seconds:>10.0%}{rate:>11,.0f}  {lost}"
    )


def print_ring(seen: Seen) -> None:
    """Print how long the ring was left unread, and how long it takes to fill."""
    high, most = np.quantile(seen.unread_s, [0.99, 1.0]) * 1000
    room_ms = seen.ring_bytes / STRIDE / RATE * 1000
    print(
        f"\nUnder {RATE / 1e6:g} M calls/s the ring was left unread for {high:.0f} ms at p99 and"
        f" {most:.0f} ms at most; it holds {room_ms:.0f} ms of them."
    )


def print_aims(p95_ms: float, idle: float, lost: int, shares: list[float]) -> None:
    """Print what was to be reached, and what was."""
    low, middle, high = np.quantile(shares, [0.05, 0.5, 0.95])
    print("\nAims for the live view")
    print_aim("frame, p95", f"{AIM_MS:.0f} ms", f"{p95_ms:.1f} ms", met=p95_ms <= AIM_MS)
    aim = f"at most {AIM_IDLE:.0%}"
    print_aim("CPU while the traced sleep", aim, f"{idle:.1%}", met=idle <= AIM_IDLE)
    print_aim(f"lost at {RATE / 1e6:g} M calls/s", "0", f"{lost:,}", met=not lost)
    spread = f"{middle:.2f} [{low:.2f} {high:.2f}]"
    print_aim("dd, drawn / hardly drawn", f"at least {AIM_DRAWN}", spread, met=middle >= AIM_DRAWN)


if __name__ == "__main__":
    main()
