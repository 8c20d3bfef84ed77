"""A thread for the plain methods of one node, so that what blocks in them blocks nobody else.

A node's author writes plain functions; one that sleeps, queries a database or computes for
seconds must not hold the event loop, which reads the kernel's ring. All plain methods of a
node run in one thread of its own, so that what belongs to a thread (a database connection)
can be used in all of them. The thread is a daemon: one that hangs ends with the process.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

import anyio

T = TypeVar("T")


class _Job:
    """One call: what to do, and what came of it."""

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.function, self.args = function, args
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self.function(*self.args)
        except BaseException as error:
            self.error = error
        self.done = True


class Lane:
    """Runs functions in one thread, one after the other; the thread begins with the first.

    `call` is awaited on the event loop. What runs in the lane reaches the loop by `post`
    and `ask`, which are served while a `call` is awaited.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._posted: deque[_Job] = deque()
        self._thread: threading.Thread | None = None
        self._current: _Job | None = None
        self._wake = -1

    @property
    def busy(self) -> bool:
        """Whether something runs in the lane."""
        return self._current is not None and not self._current.done

    @property
    def inside(self) -> bool:
        """Whether the caller is what runs in the lane."""
        return threading.current_thread() is self._thread

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Run `function` in the lane and return what it returns, or raise what it raises.

        Where the caller is cancelled the function goes on, and the next call waits for it.
        """
        if self._thread is None:
            self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        job = self._current = _Job(function, args)
        self._jobs.put(job)
        while not job.done:
            await anyio.wait_readable(self._wake)
            with suppress(BlockingIOError):
                os.eventfd_read(self._wake)
            self._serve()
        self._serve()
        if job.error is not None:
            if not isinstance(job.error, Exception):  # of sys.exit, say
                said = f"{type(job.error).__name__}: {job.error}"
                raise RuntimeError(said) from job.error
            raise job.error
        result: T = job.result
        return result

    def post(self, function: Callable[..., object], *args: Any) -> None:
        """Have `function` called on the event loop soon."""
        self._posted.append(_Job(function, args))
        os.eventfd_write(self._wake, 1)

    def ask(self, function: Callable[..., T], *args: Any) -> T:
        """Call `function` on the event loop and return what it returns, or raise it."""
        answered = threading.Event()
        job = _Job(function, args)
        self._posted.append(job)
        self._posted.append(_Job(answered.set, ()))
        os.eventfd_write(self._wake, 1)
        answered.wait()
        if job.error is not None:
            raise job.error
        result: T = job.result
        return result

    def _serve(self) -> None:
        while self._posted:
            self._posted.popleft().run()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()
            os.eventfd_write(self._wake, 1)
        os.close(self._wake)

    def close(self) -> None:
        """Let the thread end, after what it may still be busy with."""
        if self._thread is not None:
            self._jobs.put(None)
            if not self.busy:
                self._thread.join()
            self._thread = None
