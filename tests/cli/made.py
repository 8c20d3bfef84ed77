"""A pipeline of made-up calls, so that the command line is tested without a kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

NODES = '''
import anyio
from ior import CALLS, Config, Sink, Source
from ior.testing import calls


class MadeConfig(Config):
    batches: int = 3
    endless: bool = False
    fail_after: int = -1
    lost: int = 0


class Made(Source):
    """Gives batches of ten calls."""

    Config = MadeConfig
    gives = CALLS
    given = 0
    stopped = False

    async def read(self):
        await anyio.lowlevel.checkpoint()
        config = self.config
        if self.given == config.fail_after:
            raise ZeroDivisionError("made to fail")
        if self.stopped or (self.given >= config.batches and not config.endless):
            return None
        if config.endless:
            await anyio.sleep(0.005)
        self.given += 1
        return calls(rows=10, file="/tmp/a\\x1b[31m", ret=5)

    def stop(self):
        self.stopped = True

    def books(self):
        read, lost = 10 * self.given, self.config.lost
        return {"attempted": read + lost, "read": read, "lost": lost}


class Stuck(Source):
    """Never gives anything and cannot be stopped."""

    gives = CALLS

    async def read(self):
        await anyio.sleep_forever()

    def stop(self):
        pass
'''

PIPELINE = """
version = 1
[stage.kernel]
use = "./nodes.py:Made"
[stage.stats]
type = "stats"
inputs = "kernel"
[stage.csv]
type = "csv"
inputs = "kernel"
path = "-"
"""


class Result(NamedTuple):
    """What a command line gave."""

    code: int
    out: str
    err: str


Invoke = Callable[..., Result]
