"""How a node's own code is run: measured, cut to size, and its cancellations told from ours."""

from __future__ import annotations

import math
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


class Stepped:
    """Awaits a coroutine and measures how long it runs, without how long it waits.

    `longest_ns` is the longest that it ran at a stretch, when nobody else could.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.busy_ns = self.longest_ns = 0
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        step: Callable[[Any], Any] = self._coroutine.send
        argument: Any = None
        while True:
            begin = time.perf_counter_ns()
            try:
                waited_for = step(argument)
            except StopIteration as end:
                return end.value
            finally:
                took_ns = time.perf_counter_ns() - begin
                self.busy_ns += took_ns
                self.longest_ns = max(self.longest_ns, took_ns)
            try:
                argument, step = (yield waited_for), self._coroutine.send
            except BaseException as error:
                argument, step = error, self._coroutine.throw
