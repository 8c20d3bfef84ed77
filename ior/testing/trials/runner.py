"""Runs one test of a pipeline on a virtual clock."""

from __future__ import annotations

from typing import NamedTuple

import anyio
import msgspec

from ior.errors import IorError, SpecError
from ior.pipeline.graph import build
from ior.pipeline.ledger import Ledger
from ior.pipeline.reading.trials import Trial
from ior.pipeline.run import Run
from ior.pipeline.spec import PipelineSpec
from ior.snapshots import Snapshot
from ior.testing.clock import VirtualClock
from ior.testing.trials.bench import Bench, set_up
from ior.testing.trials.verdict import judge

_TURNS_WITHOUT_PROGRESS = 200  # ticks for nothing, after which a stall is what holds things up
_MAX_IDLE = 5000  # milliseconds for a thread or a process of the pipeline's own
_MAX_TURNS = 100_000


class Outcome(NamedTuple):
    """What one test came to: what is wrong, and what came, by expectation and key."""

    wrong: list[str]
    came: dict[tuple[int, str], str]


async def run_trial(spec: PipelineSpec, trial: Trial) -> Outcome:
    """Run one test of a pipeline that `check` has found nothing wrong with.

    Raises SpecError for a pipeline that does not check, and where a test asks for a table that
    there is not, or a stage refuses to start.
    """
    try:
        bench = set_up(build(spec), trial)
        clock = VirtualClock()
        run = Run(bench.graph, clock=clock)
        error = await _Drive(run, bench, clock).to_the_end()
        return _outcome(trial, bench, run, error)
    except SpecError as error:
        raise SpecError(f"{spec.label}: test '{trial.name}': {error}") from error


def _outcome(trial: Trial, bench: Bench, run: Run, error: IorError | None) -> Outcome:
    ledger = run.ledger()
    wrong: list[str] = []
    came: dict[tuple[int, str], str] = {}
    said = " ".join(str(error).split()) if error is not None else ""
    if error is not None and trial.fails is None:
        wrong.append(f"the run failed: {said}")
    if trial.fails is not None and (error is None or trial.fails not in said):
        wrong.append(f"fails: expected '{trial.fails}', got {said or 'a run that ended well'}")
    if trial.closed and not ledger.closed:
        wrong += [f"the books are open: {reason}" for reason in ledger.open_because]
    if trial.lost is not None and trial.lost != ledger.kernel["lost"]:
        wrong.append(f"lost: expected {trial.lost}, got {ledger.kernel['lost']}")
    for number, expect in enumerate(trial.expect):
        snapshot = _snapshot(run, expect.at) if expect.table is not None else None
        verdict = judge(expect, bench.seen[number], bench.schemas[number], ledger, snapshot)
        wrong += verdict.wrong
        came |= {(number, key): text for key, text in verdict.came.items()}
    return Outcome(wrong, came)


def _snapshot(run: Run, name: str) -> Snapshot:
    try:
        return run.snapshot(name)
    except KeyError:
        raise SpecError(f"expect: '{name}' has no tables") from None


class _Drive:
    """Turns the clock whenever nothing moves by itself."""

    def __init__(self, run: Run, bench: Bench, clock: VirtualClock) -> None:
        self._run, self._bench, self._clock = run, bench, clock
        self._hung = False

    async def to_the_end(self) -> IorError | None:
        """Run; return the error with which the run ended. Raises SpecError from a start."""
        error: IorError | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._turn)
            try:
                await self._run.run()
            except IorError as raised:
                error = raised
            tasks.cancel_scope.cancel()
        if self._hung:
            return IorError("it does not end, though nothing is left to wait for")
        return error

    async def _turn(self) -> None:
        await self._run.started.wait()
        before: bytes = b""
        vain = idle = 0
        for _ in range(_MAX_TURNS):
            await self._clock.settle()
            now = _fingerprint(self._run.ledger())
            vain, before = (vain + 1 if now == before else 0), now
            if vain == 0:
                idle = 0
                continue
            stalled = [one for one in self._bench.troubles if one.stalled]
            if stalled and vain > _TURNS_WITHOUT_PROGRESS:
                for one in stalled:
                    one.release()
                vain = 0
            elif not await self._clock.step():
                if stalled:
                    vain = _TURNS_WITHOUT_PROGRESS
                    continue
                idle += 1
                if idle > _MAX_IDLE:
                    break
                await anyio.sleep(0.001)
        self._hung = True
        self._run.abort()


def _fingerprint(ledger: Ledger) -> bytes:
    return msgspec.msgpack.encode(ledger)
