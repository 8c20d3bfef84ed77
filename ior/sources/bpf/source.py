"""The source `bpf`: what the running kernel's programs record, as batches of halves.

It loads and attaches the programs, marks what is to be traced, and drains the two rings in
the order that makes a name known before the batch that uses it. Everything here is per
batch or per distinct name; records stay bytes until numpy looks at them.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Mapping
from importlib import resources
from typing import Any, ClassVar

import msgspec
import numpy as np
import numpy.typing as npt
from anyio.lowlevel import checkpoint

from ior import sampling, syscalls
from ior.calls import HALVES, Batch, Flag, Origin
from ior.counted import KernelSnapshot, Standing, Totals
from ior.errors import SpecError, UnsupportedHost
from ior.expr.sieve import Split
from ior.expr.tree import Tree
from ior.pipeline import abc
from ior.pipeline.selective import SelectiveSource
from ior.sources.bpf import features, records, selection
from ior.sources.bpf.books import KernelBooks
from ior.sources.bpf.choice import Choice
from ior.sources.bpf.clock import Suspends, boot_offset_ns
from ior.sources.bpf.config import BpfConfig, problems, ring_bytes
from ior.sources.bpf.flight import Sleepers, in_flight
from ior.sources.bpf.loader import Object, ObjectSpec
from ior.sources.bpf.names import NameIds
from ior.sources.bpf.ring import RingReader
from ior.sources.bpf.targets import Target
from ior.sources.bpf.totals import Counts
from ior.sources.bpf.waiting import POLL_S, Wait

_SETTLE_S = 0.5  # how long programs that were running at the detach may take to finish
_BUSY_S = 0.05  # patience with a name that a stopped CPU has not finished writing
_TURN_MARGIN = records.STRIDE * 512
_MIB = 1 << 20
# Plain numbers: arithmetic with enum members costs microseconds a batch.
_ENTER, _EXIT, _ASKED = int(Flag.ENTER), int(Flag.EXIT), int(Flag.ASKED)
_FILE_LOST, _FILE2_LOST, _TASK_LOST = (
    int(flag) for flag in (Flag.FILE_LOST, Flag.FILE2_LOST, Flag.TASK_LOST)
)
_AS_RECORDED = (
    *("enter_ns", "exit_ns", "ret", "pid", "tid", "nr", "fd", "fd2"),
    *("fd_flags", "cpu", "epoch", "args"),
)


class BpfSource(SelectiveSource):
    """Records the wanted syscalls of the wanted tasks, as halves."""

    Config: ClassVar[type[abc.Config]] = BpfConfig
    gives = HALVES
    config: BpfConfig

    def __init__(self, config: BpfConfig) -> None:
        super().__init__(config)
        if found := list(problems(config)):
            raise SpecError.of(found)
        numbers = syscalls.select(config.families, config.kinds, config.syscalls, config.exclude)
        whole = config.pairing == "kernel"
        self._choice = Choice(numbers, whole=whole, push_down=config.push_down)
        self._counts = Counts(sampling.rates(config.sample))
        self._ring_size = ring_bytes(config.ring_size)
        self._names_size = ring_bytes(config.names_ring_size, "names_ring_size")
        self._target: Target | None = None
        self._object: Object | None = None
        self._rings: tuple[RingReader, RingReader] | None = None
        self._books: KernelBooks | None = None
        self._suspends: Suspends | None = None
        self._final: Mapping[str, int] = {}
        self._standing = Standing.EXACT
        self._at_end: KernelSnapshot | None = None
        self._turned_at = 0  # position in the ring of calls; see `_turn_names`
        self._skips = 0
        self._stopping: float | None = None
        self._wait: Wait | None = None
        self._sleepers = Sleepers(syscalls.architecture())

    async def start(self, ctx: abc.Context) -> None:
        """Load, mark the target, attach.

        Raises UnsupportedHost or NotPermitted where the kernel does not do it, NoSuchTarget for
        a pid or tid that is gone.
        """
        await super().start(ctx)
        config = self.config
        self._target = target = Target(config.pid, config.tid, ctx.command)
        with self._edited(target) as spec:
            self._object = features.load(spec)
        self._rings = (
            RingReader(self._object.maps["calls"].fd, self._ring_size),
            RingReader(self._object.maps["names"].fd, self._names_size),
        )
        self._wait = Wait(self._rings[0], self._ring_size, ctx.batching)
        self._suspends = Suspends(self._object)
        self._counts.begin(self._object)
        if self._counts.rates and not self._choice.complete:
            self.ctx.warn(
                "totals of what is sampled are not available: a filter is not wholly applied "
                "in the kernel"
            )
        self._books = KernelBooks(self._object, self._ring_size, self._counts)
        self._ids = NameIds(config.names_mib * _MIB)
        now = time.clock_gettime_ns
        self._origin = Origin(
            syscalls.architecture(),
            now(time.CLOCK_REALTIME) - now(time.CLOCK_BOOTTIME),
            self._counts.rates,
        )
        target.mark_before(self._object)
        self._object.attach("on_newtask", "on_signal_deliver", "on_exec", "on_task_end")
        self._object.attach("on_sys_exit", "on_sys_enter")
        target.mark_after(self._object)
        # Attaching takes milliseconds, one program after the other, and so does detaching.
        # Records begin and end with this map instead, for enter and exit at one instant.
        if self._stopping is None:
            self._choice.begin(self._object)
        self._checked = time.monotonic()
        ctx.spawn(self._await_end, target)

    def _edited(self, target: Target) -> ObjectSpec:
        try:
            image = resources.files("ior").joinpath("data/ior.bpf.o").read_bytes()
        except FileNotFoundError:
            raise UnsupportedHost(
                "this installation of ior has no BPF object; build it with `python hatch_build.py`"
            ) from None
        spec = ObjectSpec(image, name="ior")
        config = self.config
        spec.maps["calls"].max_entries = self._ring_size
        spec.maps["names"].max_entries = self._names_size
        follow = config.follow_forks or self.ctx.command is not None
        for name, value in {
            "user_pairing": config.pairing == "user",
            "selective": target.selective,
            "follow_forks": follow,
            "follow_threads": config.tid is None,
            "probe_reads": config.probe_reads,
        }.items():
            spec.globals[name] = int(value)
        spec.globals["boot_offset_ns"] = boot_offset_ns()
        spec.globals["hash_key"] = secrets.token_bytes(16)
        self._counts.edit(spec)
        spec.globals["syscalls"] = selection.descriptions().tobytes()
        return spec

    async def read(self) -> Batch | None:
        """Return what was recorded since, up to 16384 halves; None once detached and drained."""
        while True:
            if self._wait is not None and self._stopping is None:
                await self._wait.for_records()
                if self._suspends is not None:
                    self._suspends.follow()
            batch = self._drain()
            self._warn_of_losses(at_once=False)
            if batch is not None:
                return batch
            if self._stopping is not None:
                if self._settled():
                    self._warn_of_losses(at_once=True)
                    return None
                await self.ctx.clock.sleep(0.001)
            elif self._ended():
                self.stop()
            else:  # a record that is there may be half written yet
                await checkpoint()

    async def _await_end(self, target: Target) -> None:
        """Look at once whether a target is gone when the process that it was named by ends."""
        if await target.process_end() and self._wait is not None:
            self._wait.end()

    def _ended(self) -> bool:
        now = time.monotonic()
        if now - self._checked < POLL_S or self._object is None or self._target is None:
            return False
        self._checked = now
        return self._target.ended(self._object)

    def stop(self) -> None:
        """Detach; what is in the ring is still read. May be called before `start` has finished."""
        if self._stopping is None:
            self._stopping = time.monotonic()
            if self._wait is not None:
                self._wait.end()
            self._choice.end()
            if self._object is not None:
                self._object.detach()
            if self._books is not None:
                self._books.freeze()
                self._at_end = self._look()

    def snapshot(self) -> KernelSnapshot | None:
        """Return what is counted, and which calls have not returned: now or at the end."""
        if self._at_end is None:
            return self._look()
        return msgspec.structs.replace(self._at_end, totals=self._totals())

    def _totals(self) -> Totals:
        standing = self._standing if self._books is None else self._books.standing()
        if not self._choice.complete:
            standing = Standing.UNAVAILABLE
        return Totals(self._counts.now(), standing)

    def _look(self) -> KernelSnapshot | None:
        if self._books is None or self._rings is None:
            return None
        found = self._books.calls_in_flight()
        now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self._ids.learn(self._announced(self._rings[1]))
        waiting = in_flight(found, self._ids, self._origin.arch, now_ns)
        before = self._sleepers.calls(self._books.calls_from_before())
        return KernelSnapshot(waiting, before, totals=self._totals())

    def _settled(self) -> bool:
        """Tell whether every program that was running at the detach has finished its record."""
        assert self._stopping is not None
        if self._books is None or self._books.settled():
            return True
        return time.monotonic() - self._stopping > _SETTLE_S

    def _warn_of_losses(self, *, at_once: bool) -> None:
        if self._books is not None:
            for sentence in self._books.complaints(at_once=at_once):
                self.ctx.warn(sentence)

    def _drain(self) -> Batch | None:
        """Take names, then the calls that were there before them (see the order in ring.py)."""
        if self._rings is None:
            return None
        calls, names = self._rings
        until = calls.producer_position()
        if until == calls.consumer_position():
            return None
        self._ids.learn(self._announced(names))
        words = calls.drain_words(records.STRIDE, self.ctx.batching.max_calls, until=until)
        if not words.size:
            return None
        batch = self._batch(records.fields_of(words))
        if self._books is not None:
            self._books.read += len(batch)
            self._books.unresolved = self._ids.unresolved
        self._turn_names(calls)
        return batch

    def _turn_names(self, calls: RingReader) -> None:
        """Forget names when there are too many, but none that a record on its way needs.

        A record may carry ids from before the last turn if it was in the ring then, or was
        sent by a program that ran then (some records later), or if its call had not returned.
        """
        if not self._ids.over_budget or calls.consumer_position() < self._turned_at:
            return
        if self._object is None or self._books is None:
            return
        waiting = self._books.calls_in_flight()
        self._ids.turn(np.concatenate([waiting[name] for name in ("file", "file2", "task")]))
        self._object.globals["name_epoch"] = int(self._object.globals["name_epoch"]) + 1
        self._turned_at = calls.producer_position() + _TURN_MARGIN

    def _announced(self, names: RingReader) -> list[bytes]:
        until, payloads = names.producer_position(), []
        deadline = time.monotonic() + 1
        while True:
            taken = names.drain_variable(until=until, patience_s=_BUSY_S)
            payloads += taken.payloads
            if not taken.busy or time.monotonic() > deadline:
                return payloads

    def _batch(self, rows: Mapping[str, npt.NDArray[Any]]) -> Batch:
        ids, flags = self._ids, np.ascontiguousarray(rows["flags"])
        some, every = int(np.bitwise_or.reduce(flags)), int(np.bitwise_and.reduce(flags))
        columns: dict[str, npt.NDArray[Any]] = {name: rows[name] for name in _AS_RECORDED}
        columns["comm"], columns["task"] = ids.tasks(rows["task"])
        if some & _TASK_LOST:
            columns["comm"][(flags & _TASK_LOST) != 0] = ids.unknown
        columns["file"] = self._codes(rows["file"], flags, _FILE_LOST, some)
        columns["old_file"] = second = self._codes(rows["file2"], flags, _FILE2_LOST, some)
        columns["asked"] = np.zeros(len(flags), np.uint32)
        if some & _ASKED:
            asked = (flags & _ASKED) != 0
            columns["old_file"] = np.where(asked, np.uint32(0), second)
            columns["asked"] = np.where(asked, second, np.uint32(0))
        columns["flags"] = flags if every & _ENTER else self._with_skips(flags)
        return Batch(HALVES, columns, ids.names, self._origin)

    def _codes(
        self, column: npt.NDArray[np.uint64], flags: npt.NDArray[Any], bit: int, some: int
    ) -> npt.NDArray[np.uint32]:
        """Return the codes of a column of ids; where `bit` is set it holds device and inode."""
        if not some & bit:
            return self._ids.codes(column)
        lost = (flags & bit) != 0
        codes = self._ids.codes(np.where(lost, np.uint64(0), column))
        codes[lost] = self._ids.nameless(column[lost])
        return codes

    def _with_skips(self, flags: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Set Flag.SKIPPED on exit halves if the kernel has skipped runs since the last look."""
        alone = (flags & (_ENTER | _EXIT)) == _EXIT
        if not alone.any() or self._object is None:
            return flags
        skips = self._object.programs["on_sys_enter"].recursion_misses()
        if skips == self._skips:
            return flags
        self._skips = skips
        return flags | np.where(alone, np.uint32(Flag.SKIPPED), np.uint32(0))

    @property
    def numbers(self) -> frozenset[int]:
        """The syscalls that are recorded."""
        return self._choice.numbers

    @property
    def epoch(self) -> int:
        """The `filter_epoch` of calls that begin now."""
        return self._choice.epoch

    def split(self, where: Tree) -> Split:
        """Return what of a filter the programs can apply, and what not."""
        return self._choice.split(where)

    def sift(self, where: Tree | None, *, complete: bool = True) -> None:
        """Let the programs leave out what a filter behind will leave out."""
        self._choice.sift(where, complete=complete)

    def select(self, numbers: Collection[int] | None = None, where: Tree | None = None) -> None:
        """Record and give only these from now on."""
        self._choice.select(numbers, where)

    def chosen(self, batch: Batch) -> Batch:
        """Return what of a batch is still wanted after a `select`."""
        return self._choice.chosen(batch)

    def awaited(self, halves: Batch) -> Batch:
        """Return which halves may still be completed, as what is recorded has not changed."""
        return self._choice.awaited(halves)

    def books(self) -> Mapping[str, int]:
        """Return the counters of the kernel side, summed over the CPUs."""
        return self._final if self._books is None else self._books.now()

    async def close(self) -> None:
        """Unload everything; the books keep their last values."""
        if self._target is not None:
            self._target.close()
        if self._object is None:
            return
        self._object.detach()
        if self._books is not None:
            self._final, self._standing = self.books(), self._books.standing()
            self._counts.end()
            self._books = None
        for ring in self._rings or ():
            ring.close()
        self._rings = None
        self._choice.end()
        self._object.close()
        self._object = None
