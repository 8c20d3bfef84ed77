"""What ends the view from outside: signals, and whichever of two things happens first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

import anyio


async def signals(act: Callable[[], None]) -> None:
    """Call `act` for every SIGTERM and SIGHUP; what our caller ignores (nohup) stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        return
    wanted = (signal.SIGTERM, signal.SIGHUP)
    heard = [number for number in wanted if signal.getsignal(number) != signal.SIG_IGN]
    with anyio.open_signal_receiver(*heard) as received:
        async for _ in received:
            act()


async def either(*events: anyio.Event) -> None:
    """Wait until one of the events is set."""
    async with anyio.create_task_group() as tasks:

        async def wait(event: anyio.Event) -> None:
            await event.wait()
            tasks.cancel_scope.cancel()

        for event in events:
            tasks.start_soon(wait, event)
