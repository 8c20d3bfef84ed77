"""Nodes of a user, as the text of a file that pipelines name."""

from __future__ import annotations

OWN_NODES = """
from typing import Annotated, Literal
import msgspec
from ior.calls import CALLS, HALVES
from ior.errors import FilterError
from ior.pipeline.abc import Config, Sink, Source, Stage
from ior.testing import calls, halves

class Src(Source):
    class Config(Config):
        rows: int = 20
        batches: int = 2
    def __init__(self, config):
        super().__init__(config)
        self.left = config.batches
    async def read(self):
        self.left -= 1
        return halves(rows=self.config.rows) if self.left >= 0 else None
    def stop(self):
        self.left = 0

class Pair(Stage):
    class Config(Config):
        max_pending: Annotated[int, msgspec.Meta(ge=1)] = 10
        mode: Literal["fast", "slow"] = "fast"
        exclude: dict[str, list[str]] = {}
    takes = HALVES
    gives = {"out": CALLS, "unmatched": HALVES}
    def process(self, batch):
        return calls(rows=len(batch), ret=list(range(len(batch))))

class Sift(Stage):
    class Config(Config):
        where: str
    def __init__(self, config):
        super().__init__(config)
        if "=" in config.where and "==" not in config.where:
            raise FilterError("'=' is not an operator; write '=='", config.where, 3, 4)
    def process(self, batch):
        return batch

class Stats(Stage):
    gives = {}
    rows = 0
    def process(self, batch):
        self.rows += len(batch)
    def snapshot(self):
        return self
    def tables(self):
        return ()

class Keep(Sink):
    class Config(Config):
        path: str = "-"
    kept = ()
    def process(self, batch):
        self.kept += (batch,)

class Report(Sink):
    looks = True

class Needy(Stats):
    needs = ('extra',)

class Forgot(Stage):
    pass

def small(batch):
    return batch.select(batch["ret"] < 5)

def nothing(batch):
    return None

async def double(batch):
    from ior.calls import concat
    return concat([batch, batch])

def takes_nothing():
    return None

def wrong(batch):
    return len(batch)

number = 3
"""
