"""Nodes that the pipelines of these tests are made of."""

from __future__ import annotations

import logging
import sys
import warnings
from typing import ClassVar, Literal

import anyio
import numpy as np

from ior.calls import CALLS, HALVES, Batch, Schema
from ior.errors import NotPermitted
from ior.names import Names
from ior.pipeline.abc import Config, Context, Source, Stage
from ior.snapshots import Field, Table
from ior.testing import calls, halves
from ior.ui import frame
from ior.ui.widgets import Line


class Made(Source):
    """Gives `batches` batches of 1000 reads, 500 writes and 10 failed opens; ends or waits."""

    gives: ClassVar[Schema] = CALLS

    class Config(Config):
        batches: int = 2
        ends: bool = True
        pause_s: float = 0.0  # before each batch
        deaf: bool = False  # does not hear `stop`

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._given = 0
        self._stopped = anyio.Event()
        self._names = Names()

    async def read(self) -> Batch | None:
        if self._given < self.config.batches and not self._stopped.is_set():
            if self.config.pause_s:
                await anyio.sleep(self.config.pause_s)
            self._given += 1
            return calls(
                names=self._names,
                syscall=["read"] * 1000 + ["write"] * 500 + ["openat"] * 10,
                ret=[512] * 1000 + [1] * 500 + [-2] * 10,
                comm=["dd"] * 1500 + ["cat"] * 10,
            )
        if self.config.deaf:
            await anyio.sleep_forever()
        if not self.config.ends and not self._stopped.is_set():
            await self._stopped.wait()
        return None

    def stop(self) -> None:
        self._stopped.set()


class Noisy(Stage):
    """Says something everywhere where something can be said."""

    async def start(self, ctx: Context) -> None:
        await super().start(ctx)
        logging.getLogger("libbpf").warning("something was logged")
        warnings.warn("something was warned of", stacklevel=1)
        print("something was printed")  # noqa: T201 (that is what is tried)
        sys.stderr.write("something was written\n")
        ctx.warn("12 rows dropped")

    def process(self, batch: Batch) -> Batch:
        return batch


class Broken(Stage):
    """Raises at the second batch."""

    seen = 0

    def process(self, batch: Batch) -> Batch:
        self.seen += 1
        if self.seen == 2:
            raise ZeroDivisionError("division by zero")
        return batch


class Refusing(Stage):
    """Does not start."""

    async def start(self, ctx: Context) -> None:
        raise NotPermitted("tracing needs CAP_BPF; run: sudo ior tui")

    def process(self, batch: Batch) -> Batch:
        return batch


class Weather(Stage):
    """Answers a snapshot of its own, that nobody has heard of."""

    gives: ClassVar[dict[str, Schema]] = {}

    def process(self, batch: Batch) -> None:
        """Take no notice."""

    def snapshot(self) -> Weather:
        return self

    def tables(self) -> tuple[Table, ...]:
        fields = (Field("town", "text"), Field("rain", "ratio"))
        return (Table("Weather", fields, (("Bergen", 0.93), ("Cairo", 0.01))),)


class Unshowable(Weather):
    """Cannot say what it has."""

    def tables(self) -> tuple[Table, ...]:
        raise LookupError("no table here")


SECONDS, A_SECOND = 100, 80  # of the scenery, and its calls in each
COMMANDS = ("postgres", "nginx", "find", "sh")
SYSCALLS = ("pread64", "write", "openat", "newfstatat", "fsync", "close", "lseek", "sendto")
FILES = tuple(f"/var/lib/part{i % 4}/file{i}" for i in range(40))
HOSTILE = (
    "\x1b]0;title\x07",
    "a\nb\tc",
    "\u202egnp.exe",
    "日本語" * 9,
    "e\u0301" * 40,
    "\u200b",
    "\x9b2Jtail",
    "한글 파일",
)


class Scenery(Source):
    """Gives records of 100 seconds, of few or of hostile names; or none."""

    gives: ClassVar[Schema] = HALVES

    class Config(Config):
        made_of: Literal["nothing", "names", "hostile names"] = "names"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._second = 0
        self._names = Names()

    async def read(self) -> Batch | None:
        if self.config.made_of == "nothing" or self._second == SECONDS:
            return None
        self._second += 1
        number = np.arange(A_SECOND)
        odd = self.config.made_of == "hostile names"
        files = [f"/srv/{name}/{name}" for name in HOSTILE] if odd else FILES
        comm = [name[:9] for name in HOSTILE] if odd else COMMANDS
        weight = np.minimum(number % 10, number % 7)  # so that not all are alike
        begin = self._second * 10**9 + number * 10**6
        return halves(
            names=self._names,
            enter_ns=begin,
            exit_ns=begin + 300 * 3**weight + number + self._second,
            comm=[comm[i % len(comm)] for i in weight],
            pid=[100 + i % len(comm) for i in weight],
            tid=[100 + i % len(comm) for i in weight],
            nr=[SYSCALLS[i % len(SYSCALLS)] for i in weight],
            file=[files[i % len(files)] for i in number * (1 + weight)],
            ret=[-2 if i % 9 == 8 else 512 * i for i in number],
        )

    def stop(self) -> None:
        """Give no more."""
        self._second = SECONDS


class Crashing(Stage):
    """Breaks the view: the next line that it draws is a defect."""

    def process(self, batch: Batch) -> Batch:
        def defect(state: object, row: int) -> Line:
            raise AssertionError("a defect in drawing")

        frame.body = defect
        return batch
