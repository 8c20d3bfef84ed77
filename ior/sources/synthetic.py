"""A made-up workload as a source: needs no privileges, no kernel, and repeats itself exactly.

It serves tests, demonstrations and measurements. The stream of records depends on the
config alone (times count from the clock's time at the start): not on how it is cut into
batches, nor on how fast it is read.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import anyio
import msgspec
import numpy as np
import numpy.typing as npt

from ior import syscalls
from ior.calls import HALVES, MAX_CALLS, Batch, Flag, Origin
from ior.names import Names
from ior.pipeline.abc import Config, Context, Source
from ior.pipeline.ledger import KERNEL
from ior.sources.workload import PROCESSES, WAITS, Model, sizes_moved
from ior.waiting import InFlight, Waiting

Array = npt.NDArray[Any]

_BLOCK = 16384  # calls that are made at once, in any profile and batch size
_BATCHES_A_SECOND = 20  # with a rate, so that a viewer sees a flow
_BOTH, _ENTER, _EXIT = int(Flag.ENTER | Flag.EXIT), int(Flag.ENTER), int(Flag.EXIT)


class SyntheticConfig(Config, frozen=True, kw_only=True):
    """Keys of `synthetic`.

    The same `seed` gives the same records.
    `rate` is in calls a second, 0 for as fast as the graph takes them; `calls` ends the
    source after that many. `profile` is `static` (always the same mix) or `moving` (the
    busy processes and files change). `split` is the part of the calls that come as two
    halves. `batch` is the most records in one batch.
    """

    seed: Annotated[int, msgspec.Meta(ge=0)] = 1
    rate: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    profile: Literal["static", "moving"] = "static"
    calls: Annotated[int, msgspec.Meta(ge=0)] | None = None
    split: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.05
    batch: Annotated[int, msgspec.Meta(ge=1, le=MAX_CALLS)] = 4096


class Synthetic(Source):
    """Gives halves of calls that nobody made; needs no privileges."""

    Config = SyntheticConfig

    def __init__(self, config: SyntheticConfig) -> None:
        super().__init__(config)
        size = config.batch
        if config.rate:
            size = max(1, min(size, int(config.rate / _BATCHES_A_SECOND)))
        self._size = size
        self._block: dict[str, Array] = {}  # records made and not all given yet
        self._at = 0  # of the block's records, how many were given
        self._blocks = 0
        self._records = self._calls = self._in_flight = 0
        self._stopped = False
        self._waiting: anyio.CancelScope | None = None

    async def start(self, ctx: Context) -> None:
        """Set up the workload; its time begins now."""
        await super().start(ctx)
        self._start_ns = self._block_ns = ctx.clock.now_ns()
        self._names = Names()
        arch = syscalls.architecture()
        self._origin = Origin(arch, time.time_ns() - self._start_ns)
        self._model = Model(self._names, arch)
        self._seen = np.zeros(len(self._model.tid), np.bool_)

    async def read(self) -> Batch | None:
        """Return the next batch, at its time if there is a rate."""
        if self._stopped:
            return None
        if not self._block or self._at == len(self._block["nr"]):
            left = None if self.config.calls is None else self.config.calls - self._calls
            if left == 0:
                return None
            self._block, self._at = self._make(_BLOCK if left is None else min(left, _BLOCK)), 0
        end = min(self._at + self._size, len(self._block["nr"]))
        columns = {name: column[self._at : end] for name, column in self._block.items()}
        returned = int(np.count_nonzero(columns["flags"] & _EXIT))
        await self._wait(self._calls + returned)
        if self._stopped:
            return None
        self._at = end
        self._calls += returned
        self._records += len(columns["nr"])
        self._in_flight += int(np.count_nonzero(columns["flags"] & _ENTER)) - returned
        return Batch(HALVES, columns, self._names, self._origin)

    async def _wait(self, calls: int) -> None:
        """Wait until it is time for so many calls to have returned; at least let others run."""
        seconds = 0.0
        if self.config.rate:
            due_ns = self._start_ns + calls * 1_000_000_000 / self.config.rate
            seconds = max(0.0, (due_ns - self.ctx.clock.now_ns()) / 1e9)
        with anyio.CancelScope() as self._waiting:
            await self.ctx.clock.sleep(seconds)

    def stop(self) -> None:
        """End now: a record is made when it is given, so nothing is left."""
        self._stopped = True
        if self._waiting is not None:
            self._waiting.cancel()

    def books(self) -> Mapping[str, int]:
        """Return the kernel's counters: nothing is ever lost."""
        counted = {"attempted": self._records, "read": self._records}
        counted["in_flight"] = self._in_flight + len(self._waits())
        return dict.fromkeys(KERNEL, 0) | counted

    def snapshot(self) -> InFlight | None:
        """Return the calls in flight; None without a rate, where times are not the clock's."""
        if not self.config.rate or not self._block:
            return None
        now_ns = self.ctx.clock.now_ns()
        began = sorted([*self._waits(), *self._entered()])
        return InFlight(tuple(Waiting(max(now_ns - at, 0), *rest) for at, *rest in began))

    def _waits(self) -> list[tuple[Any, ...]]:
        """Return when the calls began that never return, and what they are."""
        if not self.config.rate or not self._block:
            return []
        passed_s = (self.ctx.clock.now_ns() - self._start_ns) / 1e9
        waits = [wait for wait in WAITS if wait.after_s <= passed_s]
        return [(self._start_ns + int(wait.after_s * 1e9), *wait[1:]) for wait in waits]

    def _entered(self) -> list[tuple[Any, ...]]:
        """Return the calls whose entry was the last that was given of their threads."""
        given = {name: column[: self._at] for name, column in self._block.items()}
        _, back = np.unique(given["tid"][::-1], return_index=True)
        last = self._at - 1 - back
        rows = last[given["flags"][last] & (_ENTER | _EXIT) == _ENTER]
        columns = (given[name][rows].tolist() for name in ("enter_ns", "pid", "tid"))
        name = syscalls.table(self._origin.arch).name
        return list(
            zip(
                *columns,
                self._names.texts(given["comm"][rows].tolist()),
                map(name, given["nr"][rows].tolist()),
                given["fd"][rows].tolist(),
                self._names.texts(given["file"][rows].tolist()),
                strict=True,
            )
        )

    def _make(self, calls: int) -> dict[str, Array]:
        """Return the records of the next block, of which the first `calls` calls to return."""
        model, number = self._model, self._blocks
        self._blocks += 1
        rng = np.random.default_rng([self.config.seed, number])
        moved = number if self.config.profile == "moving" else 0
        share = model.share.copy()
        if self.config.profile == "moving":
            share[model.process == number % len(PROCESSES)] *= 8
        thread = rng.choice(len(share), _BLOCK, p=share / share.sum())
        thread.sort()
        habit = np.searchsorted(
            model.chance, model.process[thread] + rng.random(_BLOCK), side="right"
        )
        size = model.files[habit]
        picked = (rng.random(_BLOCK) ** 3 * size).astype(np.int64)  # the first are the busiest
        file = (picked + moved * (size // 16 + 1)) % size
        latency = 1 + rng.lognormal(model.latency[habit], 0.6).astype(np.int64)
        gap = 200 + rng.lognormal(np.log(2_500), 1.0, _BLOCK).astype(np.int64)
        failed = rng.random(_BLOCK) < model.failing[habit]
        fd = np.where(model.named_by_fd[habit] | model.opens[habit], 3 + file % 61, -1)
        ret = np.where(model.opens[habit], fd, sizes_moved(rng, model.size[habit]))
        ret = np.where(failed, -model.errno[habit], ret)
        fd = np.where(failed & model.opens[habit], -1, fd)
        enter, exit_ = self._times(thread, gap, latency)
        made = {
            "enter_ns": enter,
            "exit_ns": exit_,
            "ret": ret,
            "comm": model.comm[thread],
            "pid": model.pid[thread],
            "tid": model.tid[thread],
            "nr": model.nr[habit],
            "task": model.task[model.process[thread]],
            "fd": fd,
            "file": model.codes[model.first_file[habit] + file],
            "args": model.arguments(
                np.random.default_rng([self.config.seed, number, 2]), habit, ret
            ),
            "cpu": thread % 4,
        }
        seeks = np.flatnonzero(model.seeks[habit])
        made["ret"][seeks] = made["args"][seeks, model.word["offset"][habit[seeks]]]
        first = np.flatnonzero(np.diff(thread, prepend=-1))
        fresh = np.zeros(_BLOCK, np.bool_)
        fresh[first] = True
        chosen = np.argsort(exit_, kind="stable")[:calls]
        return self._records_of(made, chosen, thread, fresh, model.opens[habit])

    def _times(self, thread: Array, gap: Array, latency: Array) -> tuple[Array, Array]:
        """Return entries and returns (ns) of calls sorted by thread, and move the time on.

        Threads run side by side from the end of the block before. Each waits longer between
        calls, so that all are busy to the end of this one and, with a rate, times go as
        fast as the clock.
        """
        passed = np.cumsum(gap + latency)
        first = np.flatnonzero(np.diff(thread, prepend=-1))
        calls = np.diff(np.append(first, len(thread)))
        before = np.concatenate([[0], passed[first[1:] - 1]])
        spans = (passed[first + calls - 1] - before) * (1 + 1 / calls)  # and one more gap
        wanted = int(_BLOCK * 1e9 / self.config.rate) if self.config.rate else 0
        length = max(int(np.ceil(spans.max())), wanted)
        returned = passed - np.repeat(before, calls)
        enter = (returned - latency) * np.repeat(length / spans, calls)
        enter = self._block_ns + enter.astype(np.int64)
        self._block_ns += length + 1
        return enter, enter + latency

    def _records_of(
        self, made: dict[str, Array], chosen: Array, thread: Array, fresh: Array, opens: Array
    ) -> dict[str, Array]:
        """Return records of the calls `chosen`, some as two halves, in the order of their times."""
        rng = np.random.default_rng([self.config.seed, self._blocks, 1])
        cut = chosen[(rng.random(_BLOCK) < self.config.split)[chosen]]
        whole = np.setdiff1d(chosen, cut, assume_unique=True)
        call = np.concatenate([whole, cut, cut])
        side = np.repeat([_BOTH, _ENTER, _EXIT], [len(whole), len(cut), len(cut)])
        written = np.where(side == _ENTER, made["enter_ns"][call], made["exit_ns"][call])
        order = np.lexsort((call, written))
        call, side = call[order], side[order]
        new = fresh[call] & (side & _ENTER != 0) & ~self._seen[thread[call]]
        self._seen[np.unique(thread[call])] = True
        rows = {name: column[call] for name, column in made.items()}
        rows["enter_ns"][side == _EXIT] = 0
        rows["exit_ns"][side == _ENTER] = 0
        rows["ret"][side == _ENTER] = 0
        rows["args"][side == _EXIT] = 0
        rows["fd"][(side == _ENTER) & opens[call]] = -1  # new only when the call returns
        rows["flags"] = side | np.where(new, int(Flag.FRESH), 0)
        rows["fd2"] = np.full(len(call), -1)
        columns = {}
        for column in HALVES.columns:
            if column.name in rows:
                columns[column.name] = rows[column.name].astype(column.dtype)
            else:
                shape = (len(call), 5) if column.kind == "words" else (len(call),)
                columns[column.name] = np.zeros(shape, column.dtype)
        return columns
