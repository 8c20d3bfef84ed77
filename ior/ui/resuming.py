"""Taking the terminal again after a stop, as by a shell's job control and `kill -STOP`.

The shell has the terminal meanwhile: it sets it for lines, writes on it, and is told alone of
another size. The kernel says with SIGCONT that we go on (signal(7)).
"""

from __future__ import annotations

import contextlib
import signal
import termios
import threading
from collections.abc import Callable
from typing import Any

import anyio
from prompt_toolkit.application import Application, run_in_terminal
from prompt_toolkit.application.current import set_app


async def resumed(application: Callable[[], Application[Any]]) -> None:
    """Whenever we go on after a stop, let the `application` that is shown begin anew."""
    if threading.current_thread() is not threading.main_thread():
        return
    with anyio.open_signal_receiver(signal.SIGCONT) as received:
        async for _ in received:
            # A terminal that went away during the stop ends the view where it reads.
            with contextlib.suppress(OSError, termios.error):
                await _begin_anew(application())


async def _begin_anew(application: Application[Any]) -> None:
    """Draw all of it; while an editor has the terminal, after that."""
    with set_app(application):
        await run_in_terminal(lambda: None)
    if application.is_running and not application.is_done:
        application.input.raw_mode().__enter__()  # what was before is put back at the end
