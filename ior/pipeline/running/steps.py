"""How a node's own code is run: measured, cut to size, and its cancellations told from ours."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import numpy as np

from ior.calls import Batch


def parts(batch: Batch, rows: int) -> Iterator[Batch]:
    """Cut a batch into batches of at most so many rows."""
    if len(batch) <= rows:
        yield batch
        return
    for start in range(0, len(batch), rows):
        yield batch.select(np.arange(start, min(start + rows, len(batch))))


@contextmanager
def cancelled_only_by_us() -> Iterator[None]:
    """Make a failure of a cancellation that a node brought about itself.

    It would end the node's task and nothing else, and everybody would wait for the node.
    """
    try:
        yield
    except anyio.get_cancelled_exc_class() as error:
        if anyio.current_effective_deadline() == -math.inf:
            raise
        raise RuntimeError("it was cancelled from within") from error


class RunDelay:
    """How long the thread that made this stood ready to run and got no processor.

    The kernel counts it in /proc/thread-self/schedstat (proc(5)); time asleep is not in it.
    """

    def __init__(self) -> None:
        try:
            self._fd = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # a kernel that does not count it
            self._fd = -1

    def now_ns(self) -> int:
        """Return it since the thread began; 0 where the kernel does not count it."""
        return int(os.pread(self._fd, 80, 0).split()[1]) if self._fd >= 0 else 0

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            os.close(self._fd)


class Stepped:
    """Awaits a coroutine and measures how long it runs, without how long it waits.

    `longest_ns` is the longest that it ran at a stretch, when nobody else could; with a
    `delay` of this thread without the time in which the host had no processor for it.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any], delay: RunDelay | None = None) -> None:
        self.busy_ns = self.longest_ns = 0
        self._coroutine = coroutine
        self._delay = delay

    def _delay_ns(self) -> int:
        return 0 if self._delay is None else self._delay.now_ns()

    def __await__(self) -> Generator[Any, Any, Any]:
        step: Callable[[Any], Any] = self._coroutine.send
        argument: Any = None
        while True:
            begin, delayed_ns = time.perf_counter_ns(), self._delay_ns()
            try:
                waited_for = step(argument)
            except StopIteration as end:
                return end.value
            finally:
                took_ns = time.perf_counter_ns() - begin
                self.busy_ns += took_ns
                if took_ns > self.longest_ns:  # no delay is taken off that is outside the time
                    delayed_ns = self._delay_ns() - delayed_ns
                    took_ns = time.perf_counter_ns() - begin - delayed_ns
                    self.longest_ns = max(self.longest_ns, took_ns)
            try:
                argument, step = (yield waited_for), self._coroutine.send
            except BaseException as error:
                argument, step = error, self._coroutine.throw
